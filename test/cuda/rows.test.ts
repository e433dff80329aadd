// A call gives the same bits each time, and a row gives those that it gives alone.
import type { OpRecord } from 'logitcore';
import { expect, test } from 'vitest';
import { sameBits, sameResult } from '../support/compare.js';
import { callOnDevice, deviceRecords, storages } from '../support/cuda-ops.js';
import { deviceSample, isAffordable } from '../support/cuda-samples.js';
import { describeCuda, isEmulated } from '../support/cuda.js';
import { call, reproducer } from '../support/invoke.js';
import {
  coupledRows,
  onlyMeans,
  hasRowOutputs,
  rowCount,
  rowInputs,
  rowOf,
  rowOutputs,
  singleRow,
} from '../support/rows.js';
import { unreduced, type Sample } from '../support/samples.js';

const widths = [
  1, 2, 3, 5, 8, 10, 13, 16, 31, 32, 33, 64, 65, 100, 129, 256, 257, 1000, 1024, 4097,
];
// Without a GPU nothing runs at the same time: a call that is repeated can hardly come out otherwise.
const repeated = isEmulated ? [1, 8, 33, 257, 1024] : [...widths, 33_001];
const rowsAt = (width: number): number =>
  width < 40 ? 17 : width < 300 ? 9 : width < 4000 ? 5 : 3;

function accepted(sample: Sample): boolean {
  try {
    call(sample);
    return true;
  } catch {
    return false;
  }
}

describeCuda('the same call again', () => {
  for (const record of deviceRecords)
    test(record.name, async () => {
      for (const storage of storages)
        for (const width of repeated) {
          if (!isAffordable(record, rowsAt(width), width)) continue;
          const sample = deviceSample(record, width, rowsAt(width), width);
          if (!accepted(sample)) continue;
          const first = await callOnDevice(sample, storage);
          expect(
            sameResult(await callOnDevice(sample, storage), first),
            `${storage}: ${reproducer(sample)}`,
          ).toBeUndefined();
          if (width > 300) continue;
          expect(
            sameResult(await callOnDevice(sample, storage, true), first),
            `in place, ${storage}: ${reproducer(sample)}`,
          ).toBeUndefined();
        }
    });
});

// Sums are taken over groups of so many entries, counted from the start of the array: a row that begins within one is added up in
// another order than it is alone, and its last bits may differ.
const group = 8;

describeCuda('a row alone', () => {
  const alone = (record: OpRecord) =>
    rowInputs(record).length > 0 &&
    hasRowOutputs(record) &&
    !onlyMeans(record) &&
    !(record.name in coupledRows);
  for (const record of deviceRecords.filter(alone))
    test(record.name, async () => {
      for (const storage of storages)
        for (const width of widths) {
          if (!isAffordable(record, rowsAt(width), width)) continue;
          const made = deviceSample(record, width, rowsAt(width), 2 * width + 1);
          const sample = { ...made, options: { ...made.options, ...unreduced(record) } };
          if (!accepted(sample)) continue;
          const together = rowOutputs(record, await callOnDevice(sample, storage));
          const rows = rowCount(sample);
          for (let i = 0; i < rows; i++) {
            const starts = rowInputs(record).map(
              (name) => (i * sample.inputs[name].data.length) / rows,
            );
            if (starts.some((start) => start % group !== 0)) continue;
            const single = await callOnDevice(singleRow(sample, i), storage);
            for (const [name, array] of together) {
              const [one] = [...rowOutputs(record, single)].filter(([other]) => other === name);
              const difference = sameBits(one[1], rowOf(array, i, rows));
              if (difference !== undefined)
                expect.fail(`${name}${difference}, row ${i}, ${storage}: ${reproducer(sample)}`);
            }
          }
        }
    });
});
