// Every op of the device against the same op of the host in float64, on the numbers that the device has.
import { memory } from 'logitcore/cuda';
import type { OpRecord } from 'logitcore';
import { afterAll, expect, test } from 'vitest';
import { deviation, expectedOf, type Expected } from '../support/cuda-compare.js';
import {
  callOnDevice,
  deviceRecords,
  hasClasses,
  rounded,
  storages,
  type Storage,
} from '../support/cuda-ops.js';
import { deviceSample, isAffordable, rowsOf } from '../support/cuda-samples.js';
import { describeCuda, isEmulated } from '../support/cuda.js';
import { reproducer } from '../support/invoke.js';
import type { Sample } from '../support/samples.js';

const around = (...middles: number[]) => middles.flatMap((n) => [n - 1, n, n + 1]);
// The build for the CPU takes minutes for all of them.
const few = isEmulated
  ? [1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16, 17, 23, 31, 32, 33]
  : Array.from({ length: 40 }, (_, i) => i + 1);
const short = [...few, ...around(64, 128, 256, 1024, 4096)];
const long = isEmulated ? [50_257] : [32_000, 50_257, 128_256];

/** Samples a width, with other options and other logits each. */
const turns = (width: number): number => (width < 300 ? 3 : width < 5000 ? 2 : 1);

/** What a test compared: how many calls, how many of them the host refuses, and those that differ. */
interface Tally {
  calls: number;
  refused: number;
  readonly wrong: string[];
}

/** Undefined where the device agrees with the host, which may refuse the sample. */
async function check(
  made: Sample,
  storage: Storage,
  inPlace: boolean,
  tally: Tally,
): Promise<string | undefined> {
  const sample = await rounded(made, storage);
  let expected: Expected;
  try {
    expected = expectedOf(sample);
  } catch (refusal) {
    tally.refused += 1;
    const error: unknown = await callOnDevice(sample, storage).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    return String(error) === String(refusal)
      ? undefined
      : `says ${String(error)}, the host ${String(refusal)}`;
  }
  return deviation(sample, storage, await callOnDevice(sample, storage, inPlace), expected);
}

type Size = readonly [rows: number, columns: number];

async function checkAll(
  record: OpRecord,
  sizes: readonly Size[],
  types: readonly Storage[],
): Promise<Tally> {
  const tally: Tally = { calls: 0, refused: 0, wrong: [] };
  for (const storage of types)
    for (const [rows, columns] of sizes)
      for (let turn = 0; turn < turns(columns); turn++) {
        const seed = 9 * columns + 3 * storages.indexOf(storage) + turn;
        const inPlace = seed % 2 === 1;
        const sample = deviceSample(record, columns, rows, seed);
        const difference = await check(sample, storage, inPlace, tally);
        tally.calls += 1;
        if (difference !== undefined)
          tally.wrong.push(
            `${storage}, [${rows}, ${columns}], ${sample.kind}${inPlace ? ', in place' : ''}: ${difference}, ${reproducer(sample)}`,
          );
      }
  expect(tally.wrong.slice(0, 5), `${tally.wrong.length} calls differ`).toEqual([]);
  return tally;
}

// Where no array has columns, all are float32.
const typesOf = (record: OpRecord): readonly Storage[] =>
  record.inputs.some(({ dims }) => hasClasses(dims)) ? storages : ['f32'];

const fewRows = [...short, ...long].map((columns): Size => [rowsOf(columns), columns]);
const sizesFor = (record: OpRecord, sizes: readonly Size[]): readonly Size[] =>
  sizes.filter((size) => isAffordable(record, ...size));
// Over blocks, and over the shares of what is summed over rows.
const manyRows: readonly Size[] = [
  [63, 1],
  [64, 3],
  [65, 33],
  [129, 257],
  [1000, 10],
  [5003, 2],
];
// The samples of a gradient hold results of its op, which may refuse rows without columns.
const nothing = (record: OpRecord): readonly Size[] =>
  record.backwardOf === undefined
    ? [
        [0, 5],
        [3, 0],
        [0, 0],
      ]
    : [[0, 5]];

describeCuda('on the device as on the host', () => {
  for (const record of deviceRecords) {
    test(record.name, async () => {
      const { calls, refused } = await checkAll(record, sizesFor(record, fewRows), typesOf(record));
      expect(refused, `refused of ${calls} calls`).toBeLessThan(calls / 10);
    });
    test(`${record.name}, many rows`, () => checkAll(record, sizesFor(record, manyRows), ['f32']));
    test(`${record.name}, nothing`, () => checkAll(record, nothing(record), typesOf(record)));
  }
  deviceRecords.forEach((record, i) => {
    if (i % 7 === 0)
      test(`${record.name}, a row of a million`, () =>
        checkAll(record, sizesFor(record, [[1, 1_000_003]]), ['f32']));
  });
  afterAll(() => {
    expect(memory()).toMatchObject({ tensors: 0 });
  });
});
