import { ops, partitionZeroRadius, type OpRecord } from 'logitcore';
import { describe, expect, test } from 'vitest';
import { sameResult } from './support/compare.js';
import { call, flatten, reproducer, type Result } from './support/invoke.js';
import {
  coupledRows,
  leak,
  rowCount,
  rowInputs,
  rowMarks,
  rowOf,
  rowOutputs,
  withRow,
} from './support/rows.js';
import {
  lettersOf,
  makeSample,
  reductionsOf,
  unreduced,
  validSample,
  type ArrayValue,
  type Numbers,
  type Sample,
  type Spec,
} from './support/samples.js';

const columnSizes = [1, 2, 5, 16, 17, 33];
const allRows = ops().filter(
  (record) => rowInputs(record).length > 0 && lettersOf(record).includes('c'),
);

describe('a row without meaning spoils no other', () => {
  const fills: [string, (old: number, k: number) => number][] = [
    ['NaN', () => NaN],
    ['one NaN', (old, k) => (k === 0 ? NaN : old)],
    ['-Infinity', () => -Infinity],
    ['Infinity', () => Infinity],
  ];
  for (const record of allRows.filter(({ name }) => !(name in coupledRows)))
    test(record.name, () => {
      for (const given of reductionsOf(record))
        for (const c of columnSizes.slice(1)) {
          const sample = validSample(record, {
            given,
            sizes: { n: 19, '*': [19], c },
            optional: 'all',
          });
          for (const input of rowInputs(record)) {
            for (const [name, fill] of fills) {
              const changed = withRow(sample, input, 7, fill);
              const found = leak(sample, changed, 7);
              if (found !== undefined)
                expect.fail(`row 7 of ${input} is ${name}: ${found}: ${reproducer(sample)}`);
            }
          }
        }
    });
});

/** Fills the rows that the marks drop with what must never be read. */
function spoilIgnored(
  sample: Sample,
  marks: Numbers,
  ignoreIndex: number,
  garbage: number,
): Sample {
  let spoiled = sample;
  for (const input of rowInputs(sample.record).filter((name) => name in sample.inputs))
    for (let i = 0; i < marks.length; i++)
      if (marks[i] === ignoreIndex) spoiled = withRow(spoiled, input, i, () => garbage);
  return spoiled;
}

function withMarks(sample: Sample, ignoreIndex: number, dropped: (i: number) => boolean): Sample {
  const inputs: Record<string, ArrayValue> = { ...sample.inputs };
  for (const name of rowMarks(sample.record)) {
    const { data, shape } = inputs[name];
    const other = ignoreIndex === 0 ? 1 : 0;
    inputs[name] = {
      data: data.map((v, i) => (dropped(i) ? ignoreIndex : v === ignoreIndex ? other : v)),
      shape,
    };
  }
  return { ...sample, inputs };
}

const ignoreIndexOf = ({ options, record }: Sample): number =>
  (options.ignoreIndex ??
    record.options.find(({ name }) => name === 'ignoreIndex')!.default) as number;

describe('ignored rows', () => {
  for (const record of ops().filter((r) => rowMarks(r).length > 0 && rowInputs(r).length > 0)) {
    test(`${record.name} never reads them`, () => {
      for (const given of reductionsOf(record))
        for (const c of columnSizes.slice(1))
          for (const options of ['default', 'sampled'] as const) {
            const plain = validSample(record, {
              given,
              sizes: { n: 9, '*': [9], c },
              options,
              optional: 'all',
            });
            const ignore = ignoreIndexOf(plain);
            const sample = withMarks(plain, ignore, (i) => i % 3 === 1);
            const marks = sample.inputs[rowMarks(record)[0]].data;
            const result = call(sample);
            for (const garbage of [NaN, -Infinity, 3e38]) {
              const spoiled = spoilIgnored(sample, marks, ignore, garbage);
              const difference = sameResult(call(spoiled), result);
              if (difference !== undefined)
                expect.fail(`${difference} with ${garbage} there: ${reproducer(sample)}`);
            }
            for (const [name, array] of rowOutputs(record, result))
              for (let i = 1; i < 9; i += 3)
                if (rowOf(array, i, 9).some((x) => x !== 0))
                  expect.fail(`${name} is not 0 in row ${i}: ${reproducer(sample)}`);
          }
    });
    test(`${record.name}: nothing counted gives 0`, () => {
      for (const given of reductionsOf(record)) {
        const plain = validSample(record, {
          given,
          optional: 'all',
          sizes: { n: 5, '*': [5] },
        });
        const ignore = ignoreIndexOf(plain);
        const sample = withMarks(plain, ignore, () => true);
        const marks = sample.inputs[rowMarks(record)[0]].data;
        for (const garbage of [1, NaN, -Infinity])
          expectZero(
            record,
            call(spoilIgnored(sample, marks, ignore, garbage)),
            reproducer(sample),
          );
      }
    });
  }
});

const isLoss = (record: OpRecord): boolean =>
  record.outputs.some(({ gradOf }) => gradOf !== undefined);

/** Reduced outputs and gradients are exactly 0. */
function expectZero(record: OpRecord, result: Result, where: string): void {
  for (const { name, kind, gradOf } of record.outputs) {
    const value = result[name];
    if (value === undefined || (kind !== 'reduced' && gradOf === undefined)) continue;
    const numbers = typeof value === 'number' ? [value] : [...(value as Numbers)];
    const wrong = numbers.findIndex((x) => x !== 0);
    if (wrong >= 0) expect.fail(`${name}[${wrong}] is ${numbers[wrong]}, expected 0: ${where}`);
  }
}

/** Means over nothing that their sheets define as NaN. */
const meanOfNothing: Readonly<Partial<Record<string, string>>> = {
  uldLoss: 'its mean over no row is NaN',
  gldLoss: 'its mean over no sequence is NaN',
  infiGFusionLoss: 'its means over no target are NaN',
};

describe('no rows', () => {
  for (const record of ops().filter((r) =>
    lettersOf(r).some((letter) => letter === 'n' || letter === '*'),
  ))
    test([record.name, meanOfNothing[record.name]].filter(Boolean).join(': '), () => {
      for (const given of reductionsOf(record)) {
        if (record.name in meanOfNothing && (given.reduction ?? 'mean') === 'mean') continue;
        const { spec } = validSample(record, { given, optional: 'all' });
        for (const double of [false, true]) {
          const empty: Spec = { ...spec, double, sizes: { ...spec.sizes, n: 0, '*': [0] } };
          if (record.nonEmpty) {
            // A backward op's sample calls its forward op, which may refuse first.
            expect(() => call(makeSample(record, empty))).toThrow(RangeError);
            continue;
          }
          const sample = makeSample(record, empty);
          const result = call(sample);
          // A diagnostic of nothing may be anything.
          if (isLoss(record)) expectZero(record, result, reproducer(sample));
          for (const [name, array] of rowOutputs(record, result))
            expect(array.length, name).toBe(0);
        }
      }
    });
});

describe('a single class', () => {
  for (const record of ops().filter((r) => lettersOf(r).includes('c')))
    test(record.name, () => {
      const { spec } = validSample(record, { optional: 'all' });
      for (const rows of [1, 5, 40]) {
        let sample: Sample;
        let result: Result;
        try {
          sample = makeSample(record, { ...spec, sizes: { n: rows, '*': [rows], c: 1 } });
          result = call(sample);
        } catch (error) {
          // Ops on the margin to a second class refuse.
          expect(error).toBeInstanceOf(RangeError);
          return;
        }
        for (const { name, gradOf } of record.outputs) {
          const value = result[name];
          if (gradOf === undefined || value === undefined) continue;
          const wrong = (value as Numbers).findIndex((x) => !Number.isFinite(x));
          if (wrong >= 0)
            expect.fail(`${name}[${wrong}] is ${(value as Numbers)[wrong]}: ${reproducer(sample)}`);
        }
      }
    });
});

describe('masked classes', () => {
  for (const record of allRows.filter((r) => r.outputs.some(({ gradOf }) => gradOf !== undefined)))
    test(`${record.name}: a finite loss has a finite gradient, 0 where masked`, () => {
      for (const c of columnSizes.slice(1))
        for (let seed = 0; seed < 4; seed++) {
          const options = seed < 2 ? 'default' : 'sampled';
          const spec: Spec = {
            given: unreduced(record),
            seed,
            sizes: { n: 12, '*': [12], c },
            values: 'masked',
            options,
            ignored: seed === 1,
          };
          const sample = validSample(record, spec);
          checkMasked(sample);
        }
    });
});

function checkMasked(sample: Sample): void {
  const { record } = sample;
  const result = call(sample);
  const rows = rowCount(sample);
  const losses = rowOutputs(record, result).find(([name]) => record.outputs[0].name === name)?.[1];
  if (losses?.length !== rows) return;
  for (const { name, gradOf } of record.outputs) {
    const gradient = result[name] as Numbers | undefined;
    const input = gradOf === undefined ? undefined : sample.inputs[gradOf];
    if (!gradient || input?.data.length !== gradient.length) continue;
    for (let i = 0; i < rows; i++) {
      if (!Number.isFinite(losses[i])) continue;
      rowOf(gradient, i, rows).forEach((g, j) => {
        const masked = rowOf(input.data, i, rows)[j] === -Infinity;
        if (!Number.isFinite(g) || (masked && g !== 0))
          expect.fail(
            `${name}, row ${i}, class ${j} is ${g}${masked ? ' and masked' : ''}: ${reproducer(sample)}`,
          );
      });
    }
  }
}

describe('equal maxima and large logits', () => {
  for (const record of allRows)
    test(record.name, () => {
      const values = [88, -88, 1e4, -1e4, 0, 1e-40];
      for (const value of values)
        for (const c of columnSizes.slice(1)) {
          let sample = validSample(record, { sizes: { n: 3, '*': [3], c } });
          const first = rowInputs(record)[0];
          if (record.inputs.find(({ name }) => name === first)!.domain !== 'any') continue;
          for (let i = 0; i < 3; i++) sample = withRow(sample, first, i, () => value);
          for (const [name, array] of flatten(call(sample)))
            if (array.some((x) => Number.isNaN(x)) && name in result0(record))
              expect.fail(`${name} has NaN for rows of ${value}: ${reproducer(sample)}`);
        }
    });
});

/** Losses, their gradients and normalised rows are numbers for any finite logits; diagnostics may be undefined there. */
const result0 = (record: OpRecord): Record<string, true> =>
  Object.fromEntries(
    record.outputs
      .filter((o, i) => i === 0 || o.gradOf !== undefined || record.backwardOf !== undefined)
      .map(({ name }) => [name, true]),
  );

test('the search of partitionZeroRadius ends where exponents lie far apart', () => {
  const search = (gap: number) =>
    partitionZeroRadius(
      { data: Float64Array.of(0, gap), shape: [1, 2] },
      { data: Float64Array.of(0, 1), shape: [1, 2] },
      { searchFactor: 10 * gap },
    ).rho[0];
  // 1 + exp(gap + u) is 0 at u = -gap + i pi.
  for (const gap of [1e2, 1e4, 1e6, 1e9])
    expect(search(gap) / Math.hypot(gap, Math.PI), `${gap}`).toBeCloseTo(1, 12);
});
