/** Results of the device against the host's in float64. */
import type { OpRecord } from 'logitcore';
import { storageOf, type Storage } from './cuda-ops.js';
import { call, flatten, type Result } from './invoke.js';
import { unreduced, withType, type Numbers, type Sample } from './samples.js';

// A value may differ by its own rounding, by that of the largest of its row, and by a few times what float32 costs the host.
const relative = 2e-5;
const ofScale = 4e-6;
const ofHost = 4;

/** Ops whose result may be far below the numbers it is the difference of. */
const differences: Readonly<Partial<Record<string, string>>> = {
  qkLayerNorm: 'a constant row has no deviations but those of its rounded mean',
  rmsRescaleBackward: 'a gradient along its row has nothing left',
  qkLayerNormBackward: 'a row of two has no gradient but for epsilon',
  standardizeLogitsBackward: 'a row of two has no gradient but for eps',
  coactivationGraphBackward: 'equal slopes of all probabilities have nothing left',
  coactivationFeatures: 'standardised values of all classes add up to nothing',
  coactivationFeaturesBackward: 'the same, and equal slopes',
  standardizedKlDiv: 'a row of two has no gradient but for eps',
};

const halves: Readonly<Record<Storage, { unit: number; least: number; most: number }>> = {
  f32: { unit: 0, least: 1e-38, most: 3.4028e38 },
  bf16: { unit: 2 ** -8, least: 1e-38, most: 3.38e38 },
  f16: { unit: 2 ** -11, least: 2 ** -24, most: 65504 },
};

export function largest(values: Numbers): number {
  let most = 0;
  for (const x of values) if (Number.isFinite(x) && Math.abs(x) > most) most = Math.abs(x);
  return most;
}

/** What the host says: in float64, in float32, and the largest terms of what is reduced. */
export interface Expected {
  readonly wide: Result;
  readonly narrow: Result;
  readonly terms: number;
  /** What the rounding of the inputs alone may do. */
  readonly rounding: number;
}

/** Throws what the host does for arguments that it refuses. */
export function expectedOf(sample: Sample): Expected {
  const double = withType(sample, true);
  const wide = call(double);
  const narrow = call(withType(sample, false));
  const given = unreduced(sample.record);
  const reduced = Object.values(wide).some((value) => typeof value === 'number');
  const terms = reduced
    ? Math.max(0, ...flatten(call(double, given)).map(([, values]) => largest(values)))
    : 0;
  const inputs = Object.values(sample.inputs).map(({ data }) => largest(data));
  const rounding = sample.record.name in differences ? 5e-7 * Math.max(0, ...inputs) : 0;
  return { wide, narrow, terms, rounding };
}

const typesOf = (record: OpRecord, storage: Storage): Map<string, Storage> =>
  new Map(record.outputs.map(({ name, dims }) => [name, storageOf(dims, storage)]));

/** What differs by more than rounding, or undefined. */
export function deviation(
  sample: Sample,
  storage: Storage,
  got: Result,
  { wide, narrow, terms, rounding }: Expected,
): string | undefined {
  const types = typesOf(sample.record, storage);
  const expected = new Map(flatten(wide));
  const onHost = new Map(flatten(narrow));
  // Numbers that the host leaves out because there are none are NaN on the device.
  const found = flatten(got).filter(
    ([name, values]) => expected.has(name) || typeof got[name] !== 'number' || !isNaN(values[0]),
  );
  if (found.map(([name]) => name).join() !== [...expected.keys()].join())
    return `outputs are ${found.map(([name]) => name).join()}, expected ${[...expected.keys()].join()}`;
  for (const [name, values] of found) {
    const reference = expected.get(name)!;
    if (values.length !== reference.length)
      return `${name} has ${values.length} values, expected ${reference.length}`;
    const output = sample.record.outputs.find((one) => one.name === name)!;
    const columns =
      output.kind !== 'scalar' && output.dims.includes(',') && reference.length > 0
        ? (sample.inputs[sample.record.inputs[0].name].shape.at(-1) ?? 1)
        : reference.length;
    const width = reference.length % columns === 0 ? columns : reference.length;
    for (let start = 0; start < values.length; start += width) {
      const slice = (array: Numbers) => array.subarray(start, start + width);
      const at = differs(
        slice(values),
        slice(reference),
        slice(onHost.get(name)!),
        typeof got[name] === 'number' ? 'f32' : types.get(name)!,
        { terms, rounding },
      );
      if (at >= 0)
        return `${name}[${start + at}] is ${values[start + at]}, expected ${reference[start + at]} (host in float32: ${onHost.get(name)![start + at]})`;
    }
  }
  return undefined;
}

function differs(
  got: Numbers,
  expected: Numbers,
  onHost: Numbers,
  storage: Storage,
  { terms, rounding }: { terms: number; rounding: number },
): number {
  const exact = got instanceof Int32Array;
  const { unit, least, most } = halves[storage];
  let cost = 0;
  for (let i = 0; i < got.length; i++) {
    const off = Math.abs(onHost[i] - expected[i]);
    if (Number.isFinite(off) && off > cost) cost = off;
  }
  const slack = ofScale * Math.max(largest(expected), terms) + ofHost * cost + rounding + least;
  for (let i = 0; i < got.length; i++) {
    const [a, b] = [got[i], expected[i]];
    if (Object.is(a, b) || a === b) continue;
    if (exact) return i;
    // What the type cannot hold becomes infinite, rightly.
    const over = Math.abs(b) * (1 + unit) > most;
    if (over && a === Math.sign(b) * Infinity) continue;
    if (!(Math.abs(a - b) <= slack + (relative + unit) * Math.abs(b))) return i;
  }
  return -1;
}
