import { ops, type OpRecord } from 'logitcore';
import { describe, expect, test } from 'vitest';
import {
  accepts,
  wrongLengths,
  wrongOptions,
  wrongShapes,
  wrongTypes,
  type Bad,
} from './support/bad.js';
import { untouched } from './support/compare.js';
import { argumentsOf, call, inputOf, op, reproducer } from './support/invoke.js';
import {
  dimsOf,
  recordOf,
  validSample,
  type ArrayValue,
  type Numbers,
  type Sample,
} from './support/samples.js';

/** Calls, and checks that it throws a TypeError or RangeError that names op and argument and leaves the inputs as they were. */
function refused(
  sample: Sample,
  argument: string,
  bad: Bad,
  replaced: Record<string, unknown> = { [argument]: bad.value },
): void {
  const { name } = sample.record;
  const before = Object.entries(sample.inputs).map(
    ([key, { data }]) => [key, data, data.slice()] as const,
  );
  const where = () => `${name} with ${argument} ${bad.what}: ${reproducer(sample, replaced)}`;
  let error: unknown;
  try {
    op(name)(...argumentsOf(sample, replaced));
    expect.fail(`accepted: ${where()}`);
  } catch (thrown) {
    error = thrown;
  }
  if (!(error instanceof TypeError || error instanceof RangeError))
    expect.fail(`${String(error)}: ${where()}`);
  if (!error.message.startsWith(`${name}: `))
    expect.fail(`the message "${error.message}" names no op: ${where()}`);
  if (!error.message.includes(argument))
    expect.fail(`the message "${error.message}" does not name ${argument}: ${where()}`);
  for (const [key, data, copy] of before)
    if (!untouched(data, copy)) expect.fail(`${key} was changed: ${where()}`);
}

const full = (record: OpRecord, double = false): Sample =>
  validSample(record, { optional: 'all', double });

const convert = ({ data, shape }: ArrayValue, double: boolean): unknown => ({
  data: double ? Float64Array.from(data) : Float32Array.from(data),
  shape,
});

const kindOf = (record: OpRecord, name: string) =>
  record.inputs.find((input) => input.name === name)!.kind;

describe('inputs', () => {
  for (const record of ops()) {
    test(`${record.name} refuses other types`, () => {
      const sample = full(record);
      for (const [name, value] of Object.entries(sample.inputs))
        for (const bad of wrongTypes(value, kindOf(record, name))) {
          // An option that is a number or an array.
          if (
            typeof bad.value === 'number' &&
            record.options.some((option) => option.name === name)
          )
            continue;
          refused(sample, name, bad);
        }
      for (const input of record.inputs.filter(({ optional }) => !optional))
        refused(sample, input.name, { what: 'left out', value: undefined });
    });
    test(`${record.name} refuses lengths and shapes that do not fit`, () => {
      const sample = full(record);
      for (const [name, value] of Object.entries(sample.inputs)) {
        // A list of numbers has no shape.
        if (kindOf(record, name) === 'numbers') continue;
        for (const bad of [...wrongShapes(value), ...wrongLengths(value)])
          refused(sample, name, bad);
        const dims = dimsOf(record.inputs.find((input) => input.name === name)!.dims);
        const ranks = dims.includes('*')
          ? []
          : [
              [1, ...value.shape],
              [...value.shape, 1],
            ];
        if (value.shape.length > 1) ranks.push([]);
        if (dims.length > 1)
          ranks.push([value.data.length].slice(0, dims.includes('*') ? dims.length - 2 : 1));
        for (const shape of ranks)
          if (
            shape.length !== value.shape.length &&
            !(shape.length === 0 && value.data.length === 1)
          )
            refused(sample, name, {
              what: `shape [${shape.join(', ')}]`,
              value: { data: value.data, shape },
            });
      }
    });
    test(`${record.name} refuses absurd sizes of arrays without elements`, () => {
      const sample = full(record);
      for (const [name, { data, shape }] of Object.entries(sample.inputs)) {
        if (kindOf(record, name) === 'numbers' || shape.length < 2) continue;
        const absurd = [0, ...shape.slice(1, -1), 2 ** 31];
        refused(sample, name, {
          what: `shape [${absurd.join(', ')}] without values`,
          value: { data: data.slice(0, 0), shape: absurd },
        });
      }
    });
    test(`${record.name} refuses sizes that disagree`, () => {
      const sample = full(record);
      const used = new Map<string, number>();
      for (const name of Object.keys(sample.inputs))
        for (const dim of new Set(dimsOf(record.inputs.find((input) => input.name === name)!.dims)))
          used.set(dim, (used.get(dim) ?? 0) + 1);
      for (const [name, { data, shape }] of Object.entries(sample.inputs)) {
        const dims = dimsOf(record.inputs.find((input) => input.name === name)!.dims);
        dims.forEach((dim, k) => {
          if ((used.get(dim) ?? 0) < 2) return;
          const at = k + (dims.includes('*') && k > 0 ? shape.length - dims.length : 0);
          const longer = shape.map((s, i) => (i === at ? s + 1 : s));
          const Type = data.constructor as new (length: number) => Numbers;
          const value = {
            data: new Type(longer.reduce((a, b) => a * b, 1)).fill(1),
            shape: longer,
          };
          // Which of the two that disagree is named depends on their order.
          refused(
            sample,
            '',
            { what: `${name} of shape [${longer.join(', ')}]`, value },
            { [name]: value },
          );
        });
      }
    });
    const leading = record.inputs.filter(
      ({ dims, kind }) => dims.startsWith('*') && kind === 'real',
    );
    if (leading.length > 1)
      test(`${record.name} refuses equally many values in another shape`, () => {
        const sample = validSample(record, { optional: 'all', sizes: { '*': [2, 3], c: 4 } });
        for (const { name } of leading.slice(1)) {
          const { data, shape } = inputOf(sample, name)!;
          const turned = [3, 2, ...shape.slice(2)];
          refused(sample, name, { what: 'turned', value: { data, shape: turned } });
        }
      });
    test(`${record.name} refuses a mix of float32 and float64`, () => {
      for (const double of [false, true]) {
        const sample = full(record, double);
        const real = record.inputs.filter(
          ({ kind, name }) => kind === 'real' && name in sample.inputs,
        );
        for (const { name } of real.slice(1)) {
          const value = convert(sample.inputs[name], !double);
          refused(sample, name, { what: double ? 'Float32Array' : 'Float64Array', value });
        }
      }
    });
    const numbers = record.inputs.filter(({ kind }) => kind === 'numbers');
    if (numbers.length > 0)
      test(`${record.name} refuses lists of what are no finite numbers`, () => {
        const sample = full(record);
        for (const { name } of numbers)
          for (const value of [[1, NaN], [1, Infinity], Float32Array.of(NaN), [1, '2'], [null]])
            refused(sample, name, { what: String(value), value });
      });
    test(`${record.name} refuses detached buffers`, () => {
      for (const { name } of record.inputs) {
        const sample = full(record);
        const value = inputOf(sample, name);
        if (!value) continue;
        const data = value.data.slice();
        structuredClone(data.buffer, { transfer: [data.buffer] });
        refused(sample, name, { what: 'detached', value: { data, shape: value.shape } });
        if (value.shape.length === 1) refused(sample, name, { what: 'detached', value: data });
      }
    });
  }
});

describe('indices', () => {
  for (const record of ops().filter((r) =>
    r.inputs.some(({ kind }) => kind === 'target' || kind === 'sign'),
  ))
    test(`${record.name} refuses values out of range`, () => {
      const sample = full(record);
      const classes =
        record.inputs.flatMap(({ name, dims }) =>
          dimsOf(dims).flatMap((dim, k) =>
            dim === 'c'
              ? (inputOf(sample, name)?.shape.slice(k - dimsOf(dims).length)[0] ?? [])
              : [],
          ),
        )[0] ?? 1;
      for (const { name, kind } of record.inputs) {
        const value = inputOf(sample, name);
        if (!value || (kind !== 'target' && kind !== 'sign')) continue;
        const wrong =
          kind === 'sign'
            ? [0, 2, -2, 2 ** 31 - 1, -(2 ** 31)]
            : [classes, -1, -99, -101, 2 ** 31 - 1, -(2 ** 31)];
        for (const index of wrong)
          for (const at of [0, value.data.length - 1]) {
            const data = value.data.slice();
            data[at] = index;
            refused(
              sample,
              `${name}[${at}]`,
              { what: String(index), value: undefined },
              { [name]: { data, shape: value.shape } },
            );
          }
      }
    });
});

describe('options', () => {
  for (const record of ops()) {
    test(`${record.name} refuses wrong options`, () => {
      const sample = validSample(record);
      for (const option of record.options) {
        const maybeArray = record.inputs.some(({ name }) => name === option.name);
        const others = record.options.filter((o) => o !== option && o.name === option.name);
        for (const bad of wrongOptions(option, maybeArray).filter(
          ({ value }) => !others.some((o) => accepts(o, value)),
        ))
          refused(sample, option.name, bad, { [option.name]: bad.value });
      }
    });
    for (const { name } of record.options.filter(({ required }) => required))
      test(`${record.name} says that ${name} is missing`, () => {
        const sample = validSample(record);
        expect(() => call(sample, { [name]: undefined })).toThrow(
          new RegExp(`^${record.name}: options\\.${name} is missing, expected `),
        );
      });
    test(`${record.name} refuses options that are no object`, () => {
      const sample = validSample(record);
      const positional = argumentsOf(sample).slice(0, -1);
      for (const options of [null, 1, 'mean', true, 1n])
        expect(() => op(record.name)(...positional, options), `options ${String(options)}`).toThrow(
          TypeError,
        );
    });
    test(`${record.name} takes undefined as left out`, () => {
      const sample = validSample(record);
      const undefinedOptions = Object.fromEntries(
        record.options.map(({ name }) => [name, sample.options[name]]),
      );
      expect(call(sample, undefinedOptions)).toEqual(call(sample));
    });
  }
});

test('the record of an unknown op is no record', () => {
  expect(() => recordOf('no such op')).toThrow();
});
