// Values of indices are checked on the device, and what is wrong with them is said by the next read.
import type { OpRecord } from 'logitcore';
import { synchronize } from 'logitcore/cuda';
import { expect, test } from 'vitest';
import { sameBits, sameResult } from '../support/compare.js';
import { callOnDevice, deviceOp, deviceRecords, readAll, Tensors } from '../support/cuda-ops.js';
import { deviceSample, isAffordable } from '../support/cuda-samples.js';
import { describeCuda } from '../support/cuda.js';
import type { Result } from '../support/invoke.js';
import { firstDim, rowOf, rowOutputs } from '../support/rows.js';
import { reductionsOf, unreduced, type Numbers, type Sample } from '../support/samples.js';

const ignoreIndex = -100;
/** The row whose index is replaced. */
const [at, rowsOfSample] = [1, 3];

/** Every wrong index, in rows of every kind: several in a block, one in a block, one in several. */
const widths = [2, 10, 33, 1000, 5000, 40_000];
const wrongOnes = (width: number) => [width, -1, -99, -2147483648, 2147483647];

const ignores = ({ options }: OpRecord): boolean =>
  options.some(({ name }) => name === 'ignoreIndex');

function sampleOf(record: OpRecord, width: number, given: Readonly<Record<string, unknown>>) {
  // The seed makes plain logits.
  const made = deviceSample(record, width, rowsOfSample, 7 * width, 'all');
  const ignored = ignores(record) ? { ignoreIndex } : {};
  return { ...made, options: { ...made.options, ...ignored, ...given } };
}

function withIndex(sample: Sample, name: string, index: number): Sample {
  // Targets that may be left out are not in every sample.
  const none = { data: new Int32Array(rowsOfSample), shape: [rowsOfSample] };
  const { data, shape } = name in sample.inputs ? sample.inputs[name] : none;
  const changed = data.slice();
  changed[at] = index;
  return { ...sample, inputs: { ...sample.inputs, [name]: { data: changed, shape } } };
}

/** What a call gives, after the refusal of the first read. */
async function refused(sample: Sample, message: string): Promise<Result> {
  using tensors = new Tensors();
  const result = tensors.run(sample, tensors.inputs(sample, 'f32'));
  await expect(Object.values(result)[0]!.read()).rejects.toThrow(new RangeError(message));
  return await readAll(result);
}

/** Arrays with an entry or a slice for each index: of sequences too, which have one position here. */
const slices = (record: OpRecord, result: Result): [string, Numbers][] => [
  ...rowOutputs(record, result).filter(([, values]) => !(values instanceof Int32Array)),
  ...record.outputs.flatMap(({ dims, name }): [string, Numbers][] => {
    const values = result[name];
    return firstDim(dims) === 'b' && ArrayBuffer.isView(values) ? [[name, values as Numbers]] : [];
  }),
];

/** Ops whose rows are not those of their targets: each has a test of its own. */
const otherRows: Readonly<Partial<Record<string, string>>> = {
  uldSequenceLoss: 'a target is what the row before it predicts',
};
/** Numbers that depend on whether there is a target, not on which. */
const ofPresence: Readonly<Partial<Record<string, readonly string[]>>> = {
  infiGFusionLoss: ['uld', 'gld'],
};

const allNaN = (values: Numbers): boolean => values.every((x) => Number.isNaN(x));

describeCuda('an index out of range', () => {
  for (const record of deviceRecords.filter(({ name }) => !(name in otherRows)))
    for (const { name } of record.inputs.filter(({ kind }) => kind === 'target')) {
      const message = `${record.name}: ${name} holds an index out of range${ignores(record) ? ' that is not ignoreIndex' : ''}`;
      test(`${record.name}: its row is NaN, the others are as ever`, async () => {
        for (const width of widths.filter((size) => isAffordable(record, rowsOfSample, size)))
          for (const index of wrongOnes(width)) {
            const good = withIndex(sampleOf(record, width, unreduced(record)), name, 0);
            const before = await callOnDevice(good, 'f32');
            const result = await refused(withIndex(good, name, index), message);
            const rows = good.inputs[name].data.length;
            const old = new Map(slices(record, before));
            for (const [output, values] of slices(record, result))
              for (let i = 0; i < rows; i++) {
                const row = rowOf(values, i, rows);
                const where = `${output}, row ${i}, ${width} columns, index ${index}`;
                // An integer cannot say so.
                if (i === at) expect(allNaN(row) || row instanceof Int32Array, where).toBe(true);
                else expect(sameBits(row, rowOf(old.get(output)!, i, rows)), where).toBeUndefined();
              }
            expect(sameResult(await callOnDevice(good, 'f32'), before)).toBeUndefined();
          }
      });
      test(`${record.name}: what is reduced over it is NaN`, async () => {
        for (const given of reductionsOf(record)) {
          const result = await refused(withIndex(sampleOf(record, 10, given), name, 10), message);
          for (const [output, value] of Object.entries(result))
            if (output === 'bottleneck') expect(value).toBe(at);
            else if (typeof value === 'number' && !ofPresence[record.name]?.includes(output))
              expect(value, output).toBeNaN();
        }
      });
      test.runIf(ignores(record))(`${record.name}: ignoreIndex is none`, async () => {
        const sample = sampleOf(record, 10, unreduced(record));
        await callOnDevice(withIndex(sample, name, ignoreIndex), 'f32');
        await synchronize();
      });
    }
});

describeCuda('an index out of range of a sequence', () => {
  test('uldSequenceLoss: the row that predicts it is NaN', async () => {
    using tensors = new Tensors();
    const [columns, positions] = [10, 3];
    const logits = (seed: number) =>
      Float32Array.from({ length: columns * positions }, (_, i) => Math.sin(i * seed));
    for (const index of wrongOnes(columns)) {
      const result = deviceOp('uldSequenceLoss')(
        tensors.make(logits(1), [1, positions, columns], 'f32'),
        tensors.make(logits(2), [1, positions, columns], 'f32'),
        tensors.make(Int32Array.of(1, index, 2), [positions], 'i32'),
        tensors.make(Int32Array.of(0, 0, 0), [positions], 'i32'),
        { grad: true },
      );
      for (const one of Object.values(result)) if (one) tensors.hold(one);
      await expect(result.loss!.read()).rejects.toThrow(
        'uldSequenceLoss: studentTargets holds an index out of range that is not ignoreIndex',
      );
      const { loss, crossEntropy, gradStudent } = await readAll(result);
      expect([loss, crossEntropy]).toEqual([NaN, NaN]);
      for (let i = 0; i < positions; i++)
        expect(allNaN(rowOf(gradStudent as Numbers, i, positions)), `row ${i}`).toBe(i === 0);
    }
  });
});

describeCuda('wrong values of other inputs', () => {
  const of = (name: string) => deviceRecords.find((record) => record.name === name)!;
  const withValues = (record: OpRecord, name: string, values: Numbers): Sample => {
    const made = deviceSample(record, 10, 3, 70, 'all');
    const changed = { data: values, shape: made.inputs[name].shape };
    return { ...made, inputs: { ...made.inputs, [name]: changed } };
  };
  for (const name of ['weightMoments', 'wdrLoss'])
    test(`${name}: offsets of layers`, async () => {
      const { data, shape } = deviceSample(of(name), 10, 6, 70, 'all').inputs.segments;
      const n = data[data.length - 1];
      for (const [at, offset] of [
        [0, 1],
        [1, -1],
        [1, n + 1],
        [1, 2147483647],
        [data.length - 1, n - 1],
      ]) {
        const made = deviceSample(of(name), 10, 6, 70, 'all');
        const changed = data.slice();
        changed[at] = offset;
        const sample = { ...made, inputs: { ...made.inputs, segments: { data: changed, shape } } };
        const result = await refused(
          sample,
          `${name}: options.segments holds an index out of range`,
        );
        for (const values of Object.values(result))
          expect(
            typeof values === 'number' ? Number.isNaN(values) : allNaN(values as Numbers),
          ).toBe(true);
      }
    });
  for (const record of deviceRecords)
    for (const { name } of record.inputs.filter((input) => /^weights[CDXY]$/.test(input.name)))
      test(`${record.name}: ${name} of points`, async () => {
        const { data } = deviceSample(record, 10, 3, 70, 'all').inputs[name];
        const good = withValues(record, name, data);
        const before = await callOnDevice(good, 'f32');
        for (const wrong of [-1, NaN, Infinity, 0]) {
          // No weight at all, or one that is none.
          const weights = data.map((w, i) => (wrong === 0 ? 0 : i === at ? wrong : w));
          const message = `${record.name}: options.${name} holds a number out of range`;
          const result = await refused(withValues(record, name, weights), message);
          // The nodes of the other graph have their eccentricities.
          const other = name === 'weightsC' ? 'eccD' : 'eccC';
          for (const [output, values] of Object.entries(result))
            if (output === other) expect(values).toEqual(before[other]);
            else
              expect(
                typeof values === 'number' ? isNaN(values) : allNaN(values as Numbers),
                output,
              ).toBe(true);
        }
        expect(sameResult(await callOnDevice(good, 'f32'), before)).toBeUndefined();
      });
  test('affineFakeQuantize: a step of 0', async () => {
    const { inputs } = deviceSample(of('affineFakeQuantize'), 10, 3, 70);
    const sample = withValues(
      of('affineFakeQuantize'),
      'scale',
      inputs.scale.data.map(() => 0),
    );
    const message = 'affineFakeQuantize: scale holds a number out of range';
    const { out } = await refused(sample, message);
    expect(allNaN(out as Numbers)).toBe(true);
  });
  for (const [name, input, values, given] of [
    ['gwObjective', 'C', [1, 2, -3], { loss: 'kl' }],
    ['gwObjective', 'D', [1, 2, 0], { loss: 'kl' }],
    ['entropicGW', 'D', [1, 2, 0], { loss: 'kl' }],
    ['entropicGW', 'options.p', [1, -2, 1], {}],
    ['entropicGW', 'options.q', [0, 0, 0], {}],
    ['entropicGW', 'options.initPlan', [1, Infinity, 1], {}],
  ] as const)
    test(`${name}: ${input}, ${values.join()}`, async () => {
      const made = deviceSample(of(name), 10, 3, 70, 'all');
      const wrong = input.replace('options.', '');
      const inputs = Object.fromEntries(
        Object.entries(made.inputs).map(([key, { data, shape }]) => [
          key,
          { data: data.map((x, i) => (key === wrong ? values[i % 3] : Math.abs(x))), shape },
        ]),
      );
      const sample = { ...made, inputs, options: { ...made.options, ...given } };
      const { value } = await refused(sample, `${name}: ${input} holds a number out of range`);
      expect(value).toBe(NaN);
    });
});

describeCuda('a label other than 1 and -1', () => {
  for (const record of deviceRecords)
    for (const { name } of record.inputs.filter(({ kind }) => kind === 'sign'))
      test(`${record.name}: is said by the next read`, async () => {
        const message = `${record.name}: ${name} holds a value other than 1 and -1`;
        const good = deviceSample(record, 10, 3, 70);
        const before = await callOnDevice(good, 'f32');
        for (const label of [0, 2, -2147483648])
          await refused(withIndex(good, name, label), message);
        expect(sameResult(await callOnDevice(good, 'f32'), before)).toBeUndefined();
      });
});
