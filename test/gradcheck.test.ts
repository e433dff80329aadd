import { ops, type OpRecord } from 'logitcore';
import { describe, expect, test } from 'vitest';
import { call, inputOf, reproducer } from './support/invoke.js';
import {
  dimsOf,
  makeSample,
  recordOf,
  reductionsOf,
  validSample,
  type Numbers,
  type Sample,
  type Spec,
} from './support/samples.js';

// Central differences in float64: an error of eps^2 from the third derivative, and of 1e-16 / eps from rounding.
const eps = 1e-6;
const rtol = 1e-5;
const atol = 3e-8;

const total = (value: unknown): number => {
  if (typeof value === 'number') return value;
  let sum = 0;
  for (const x of value as Numbers) sum += x;
  return sum;
};

/** Differences of `f` in every entry of `at`, which is changed and restored. */
function differences(at: Numbers, f: () => number): Float64Array {
  const slopes = new Float64Array(at.length);
  for (let i = 0; i < at.length; i++) {
    const x = at[i];
    const step = eps * Math.max(1, Math.abs(x));
    at[i] = x + step;
    const high = f();
    const above = at[i] - x;
    at[i] = x - step;
    const low = f();
    slopes[i] = (high - low) / (above + (x - at[i]));
    at[i] = x;
  }
  return slopes;
}

function compare(
  sample: Sample,
  name: string,
  analytic: Numbers,
  at: Numbers,
  f: () => number,
): void {
  const numeric = differences(at, f);
  const slack = atol * (1 + Math.abs(f()));
  for (let i = 0; i < numeric.length; i++) {
    const [a, b] = [analytic[i], numeric[i]];
    if (!(Math.abs(a - b) <= slack + rtol * Math.abs(b)))
      expect.fail(`${name}[${i}] is ${a}, differences give ${b}: ${reproducer(sample)}`);
  }
}

/** The loss that the gradients are of: the first output that is no gradient. */
const primaryOf = (record: OpRecord): string =>
  record.outputs.find((output) => output.gradOf === undefined)!.name;

function checkGradients(sample: Sample): void {
  const { record } = sample;
  const primary = primaryOf(record);
  const result = call(sample);
  const without = Object.fromEntries(
    record.outputs.flatMap((o) =>
      o.gradOf !== undefined && o.when !== undefined ? [[o.when, false]] : [],
    ),
  );
  for (const output of record.outputs) {
    if (output.gradOf === undefined) continue;
    const input = inputOf(sample, output.gradOf);
    if (!input) continue;
    const analytic = result[output.name] as Numbers | undefined;
    if (!analytic) expect.fail(`${output.name} is missing: ${reproducer(sample)}`);
    compare(sample, output.name, analytic, input.data, () => total(call(sample, without)[primary]));
  }
}

// Options that multiply the gradient by a factor which is held constant by definition: it is no derivative of the value then.
const detached: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  binaryLogisticLoss: { normalized: false },
  logisticRegression: { normalized: false },
  // The wider subnet's soft labels are constants for the narrower one.
  groupProgressiveGuidance: { alpha: 0 },
};

/** All combinations worth a check: reductions, optional inputs, options beside their defaults. */
function specs(record: OpRecord): Spec[] {
  const hasOptional = record.inputs.some((input) => input.optional);
  const list: Spec[] = [];
  for (const given of reductionsOf(record))
    for (const optional of hasOptional ? (['none', 'all', 'some'] as const) : (['none'] as const))
      for (const [options, seeds] of [
        ['default', 1],
        ['sampled', 3],
      ] as const)
        for (let seed = 0; seed < seeds; seed++)
          list.push({
            double: true,
            seed: seed + 11,
            optional,
            options,
            ignored: seed % 2 === 0,
            given: { ...given, ...detached[record.name] },
          });
  return list;
}

describe('gradients of losses', () => {
  for (const record of ops().filter((r) => r.outputs.some((output) => output.gradOf !== undefined)))
    test(record.name, () => {
      for (const spec of specs(record)) checkGradients(validSample(record, spec));
    });
});

/** The forward output that an upstream gradient belongs to: gradX to X if there is one, else to the first. */
function outputOf(forward: OpRecord, upstream: string): string {
  const named = forward.outputs.find(
    ({ name }) => upstream === `grad${name[0].toUpperCase()}${name.slice(1)}`,
  );
  return (named ?? forward.outputs[0]).name;
}

function checkBackward(backward: OpRecord, spec: Spec): void {
  const forward = recordOf(backward.backwardOf!);
  const sample = validSample(backward, spec);
  // The same seed gives the forward op the inputs that the backward sample was made from.
  const from = makeSample(forward, sample.spec);
  const result = call(sample);
  const upstream = backward.inputs.filter(
    ({ name }) =>
      !forward.inputs.some((i) => i.name === name) && !forward.outputs.some((o) => o.name === name),
  );
  const product = (): number => {
    const outputs = call(from);
    let sum = 0;
    for (const { name } of upstream) {
      const gradient = inputOf(sample, name)?.data;
      if (!gradient) continue;
      const value = outputs[outputOf(forward, name)] as Numbers;
      for (let i = 0; i < value.length; i++) sum += value[i] * gradient[i];
    }
    return sum;
  };
  let checked = 0;
  for (const input of forward.inputs) {
    const name = `grad${input.name[0].toUpperCase()}${input.name.slice(1)}`;
    const analytic = result[name] as Numbers | undefined;
    const at = inputOf(from, input.name);
    if (!analytic || !at) continue;
    checked += 1;
    compare(sample, name, analytic, at.data, product);
  }
  expect(checked, `gradients checked of ${backward.name}`).toBeGreaterThan(0);
}

describe('vector-Jacobian products', () => {
  for (const record of ops().filter((r) => r.backwardOf !== undefined))
    test(record.name, () => {
      for (const optional of ['none', 'all'] as const)
        for (let seed = 0; seed < 4; seed++) {
          const spec: Spec = {
            double: true,
            seed,
            optional,
            options: seed ? 'sampled' : 'default',
            ignored: seed > 1,
          };
          checkBackward(record, spec);
          // A single row, and rows of two columns, take other paths.
          const small = dimsOf(record.inputs[0].dims).includes('*')
            ? { '*': [], c: 2 }
            : { n: 1, c: 2 };
          checkBackward(record, { ...spec, sizes: small });
        }
    });
});
