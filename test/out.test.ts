// Results written into the caller's arrays: nothing beside them is touched, overlaps are refused, in place equals apart.
import { ops, type OpRecord } from 'logitcore';
import { describe, expect, test } from 'vitest';
import { sameBits, untouched } from './support/compare.js';
import { call, reproducer, type Result } from './support/invoke.js';
import {
  lettersOf,
  makeSample,
  unreduced,
  validSample,
  type ArrayValue,
  type Numbers,
  type Sample,
  type Spec,
} from './support/samples.js';

type Constructor = new (buffer: ArrayBuffer | number, offset?: number, length?: number) => Numbers;
const typeOf = (array: Numbers): Constructor => array.constructor as unknown as Constructor;

/** All outputs that can be arrays are. */
const asArrays = (record: OpRecord, spec: Spec = {}): Spec => ({
  ...spec,
  given: unreduced(record),
});

const arraysOf = (record: OpRecord, result: Result): [string, Numbers][] =>
  record.outputs.flatMap(({ name }): [string, Numbers][] =>
    ArrayBuffer.isView(result[name]) ? [[name, result[name] as Numbers]] : [],
  );

/** A list of numbers is copied before anything is written. */
const inputArrays = (sample: Sample): [string, Numbers][] =>
  sample.record.inputs
    .filter(({ name, kind }) => name in sample.inputs && kind !== 'numbers')
    .map(({ name }) => [name, sample.inputs[name].data]);

const isList = (record: OpRecord, input: string): boolean =>
  record.inputs.some(({ name, kind }) => name === input && kind === 'numbers');

const guard = 19;
const canary = 0x5a;

/** A view with guard bytes on both sides, at an address that no vector is aligned to. */
function guarded(like: Numbers): { view: Numbers; bytes: Uint8Array } {
  const Type = typeOf(like);
  const width = like.BYTES_PER_ELEMENT;
  const buffer = new ArrayBuffer(like.byteLength + 2 * guard * width);
  const bytes = new Uint8Array(buffer).fill(canary);
  return { view: new Type(buffer, guard * width, like.length), bytes };
}

function guardsIntact({ view, bytes }: { view: Numbers; bytes: Uint8Array }): boolean {
  const around = [
    bytes.subarray(0, view.byteOffset),
    bytes.subarray(view.byteOffset + view.byteLength),
  ];
  return around.every((side) => side.every((byte) => byte === canary));
}

function refused(
  sample: Sample,
  what: string,
  replaced: Record<string, unknown>,
  name: string,
): void {
  const before = inputArrays(sample).map(([key, data]) => [key, data, data.slice()] as const);
  let message = '';
  try {
    call(sample, replaced);
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    message = error.message;
  }
  const where = `${what}: ${reproducer(sample)}`;
  if (message === '') expect.fail(`accepted ${where}`);
  if (!message.startsWith(`${sample.record.name}: `) || !message.includes(name))
    expect.fail(`"${message}" does not name ${sample.record.name} and ${name}, ${where}`);
  for (const [key, data, copy] of before)
    if (!untouched(data, copy)) expect.fail(`${key} was changed, ${where}`);
}

describe('given arrays', () => {
  for (const record of ops())
    test(`${record.name} writes all of them and nothing around`, () => {
      const { spec } = validSample(record, asArrays(record, { optional: 'all' }));
      const letters = lettersOf(record);
      for (const double of [false, true])
        for (const width of [...Array.from({ length: 40 }, (_, i) => i + 1), 63, 65, 257]) {
          const sizes = Object.fromEntries(
            letters.map((letter) => [letter, letter === '*' ? [3] : letter === 'n' ? 3 : width]),
          );
          const flat = Object.fromEntries(
            letters.map((letter) => [
              letter,
              letter === '*' ? [width] : letter === 'n' ? width : 4,
            ]),
          );
          for (const some of width < 9 || letters.length < 2 ? [sizes, flat] : [sizes]) {
            const sample = sampleOrNone(record, {
              ...spec,
              double,
              sizes: { ...spec.sizes, ...some },
            });
            if (sample) checkGuards(sample);
          }
        }
    });
});

/** Some sizes are no input of some ops (a single class); whether they should be is another test's matter. */
function sampleOrNone(record: OpRecord, spec: Spec): Sample | undefined {
  try {
    const sample = makeSample(record, spec);
    call(sample);
    return sample;
  } catch {
    return undefined;
  }
}

function checkGuards(sample: Sample): void {
  const plain = call(sample);
  const buffers = arraysOf(sample.record, plain).map(([name, array]) => ({
    name,
    array,
    ...guarded(array),
  }));
  const inputs = Object.entries(sample.inputs).map(([name, value]) => ({
    name,
    value,
    ...guarded(value.data),
  }));
  for (const { view, value } of inputs) view.set(value.data);
  const moved: Record<string, ArrayValue> = Object.fromEntries(
    inputs.map(({ name, view, value }) => [name, { data: view, shape: value.shape }]),
  );
  call(
    { ...sample, inputs: moved },
    { 'options.out': Object.fromEntries(buffers.map(({ name, view }) => [name, view])) },
  );
  for (const { name, array, view, bytes } of buffers) {
    const difference = sameBits(view, array);
    if (difference !== undefined)
      expect.fail(`${name}${difference} with arrays at odd addresses: ${reproducer(sample)}`);
    if (!guardsIntact({ view, bytes }))
      expect.fail(`memory beside ${name} was written: ${reproducer(sample)}`);
  }
  for (const { name, value, view, bytes } of inputs)
    if (!untouched(view, value.data) || !guardsIntact({ view, bytes }))
      expect.fail(`input ${name} was written: ${reproducer(sample)}`);
}

describe('in place', () => {
  for (const record of ops().filter((r) =>
    r.outputs.some(({ inPlaceOf }) => inPlaceOf !== undefined),
  ))
    test(record.name, () => {
      const { spec } = validSample(record, asArrays(record, { optional: 'all' }));
      for (const double of [false, true])
        for (const width of [1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 33, 100, 4097])
          for (const rows of width > 1000 ? [3] : [1, 5, 40]) {
            const sizes = Object.fromEntries(
              lettersOf(record).map((l) => [l, l === '*' ? [rows] : l === 'n' ? rows : width]),
            );
            for (const { name, inPlaceOf } of record.outputs) {
              if (inPlaceOf === undefined) continue;
              // The input is overwritten, so every output gets a sample of its own.
              const sample = sampleOrNone(record, {
                ...spec,
                double,
                sizes: { ...spec.sizes, ...sizes },
                ignored: rows === 5,
              });
              if (!sample?.inputs[inPlaceOf]) continue;
              const apart = call(sample);
              if (!ArrayBuffer.isView(apart[name])) continue;
              const target = sample.inputs[inPlaceOf].data;
              const inside = call(sample, { 'options.out': { [name]: target } });
              expect(inside[name]).toBe(target);
              for (const [key, array] of arraysOf(record, apart)) {
                const difference = sameBits(inside[key] as Numbers, array);
                if (difference !== undefined)
                  expect.fail(
                    `${key}${difference} with ${name} in place of ${inPlaceOf}, ${JSON.stringify(sample.spec)}`,
                  );
              }
            }
          }
    });
});

describe('arrays that do not fit', () => {
  for (const record of ops()) {
    test(`${record.name} refuses wrong types and sizes`, () => {
      const sample = validSample(record, asArrays(record, { optional: 'all' }));
      for (const [name, array] of arraysOf(record, call(sample))) {
        const Type = typeOf(array);
        const others = [
          Int8Array,
          Uint32Array,
          Int32Array,
          Float32Array,
          Float64Array,
          BigInt64Array,
        ].filter((Other) => (Other as unknown) !== Type);
        const bad: unknown[] = [
          ...[array.length + 1, array.length - 1, 0]
            .filter((n) => n !== array.length && n >= 0)
            .map((n) => new Type(n)),
          ...others.map((Other) => new Other(array.length)),
          new DataView(new ArrayBuffer(array.byteLength)),
          Array.from(array),
          new Proxy(array, {}),
          null,
          'out',
          1,
          { data: array },
        ];
        const detached = new Type(array.length);
        structuredClone(detached.buffer, { transfer: [detached.buffer as ArrayBuffer] });
        for (const value of [...bad, detached]) {
          const kind = ArrayBuffer.isView(value)
            ? `${value.constructor.name} of ${value.byteLength} bytes`
            : typeof value;
          refused(
            sample,
            `${kind} for ${name}`,
            { 'options.out': { [name]: value } },
            `out.${name}`,
          );
        }
      }
      for (const out of [null, 1, 'out', true])
        refused(sample, `out ${String(out)}`, { 'options.out': out }, 'out');
    });
    test(`${record.name} refuses overlaps`, () => {
      const sample = validSample(record, asArrays(record, { optional: 'all' }));
      const outputs = arraysOf(record, call(sample));
      for (const [name, array] of outputs) {
        const { inPlaceOf } = record.outputs.find((output) => output.name === name)!;
        for (const [input, data] of inputArrays(sample))
          // Lists of numbers are copied.
          for (const shift of isList(record, input) ? [] : [0, 1, -1])
            checkOverlap(sample, { name, array, input, data, shift, inPlace: inPlaceOf === input });
        for (const [other, second] of outputs) {
          if (other === name) continue;
          const shared = new ArrayBuffer(array.byteLength + second.byteLength);
          const out = {
            [name]: new (typeOf(array))(shared, 0, array.length),
            [other]: new (typeOf(second))(shared, 0, second.length),
          };
          if (array.length && second.length)
            refused(sample, `${name} and ${other} in one place`, { 'options.out': out }, 'out.');
        }
      }
    });
  }
});

interface Overlap {
  name: string;
  array: Numbers;
  input: string;
  data: Numbers;
  shift: number;
  inPlace: boolean;
}

/** Puts an input and an output into one buffer, the output `shift` elements behind the input's start. */
function checkOverlap(sample: Sample, { name, array, input, data, shift, inPlace }: Overlap): void {
  if (data.length === 0 || array.length === 0) return;
  const sameArray = shift === 0 && data.length === array.length && typeOf(data) === typeOf(array);
  if (inPlace && sameArray) return;
  // Multiples of 8 suit all types; a shift of one element of the output is at least 4 bytes.
  const start = 64;
  const buffer = new ArrayBuffer(start + Math.max(data.byteLength, array.byteLength) + 64);
  const moved = new (typeOf(data))(buffer, start, data.length);
  moved.set(data);
  const out = new (typeOf(array))(buffer, start + shift * array.BYTES_PER_ELEMENT, array.length);
  // One element before the start of a longer input, an output of one element touches nothing.
  if (out.byteOffset + out.byteLength <= start || out.byteOffset >= start + data.byteLength) return;
  const inputs = { ...sample.inputs, [input]: { data: moved, shape: sample.inputs[input].shape } };
  refused(
    { ...sample, inputs },
    `${name} at ${shift} of ${input}`,
    { 'options.out': { [name]: out } },
    `out.${name}`,
  );
}
