// The list of lib/cuda/ops.ts and that of the addon are written by hand, each in its language.
import { ops } from 'logitcore';
import { expect, test } from 'vitest';
import { deviceNames, deviceRecords } from '../support/cuda-ops.js';
import { describeCuda, rawAddon } from '../support/cuda.js';

const sorted = <T extends { readonly name: string }>(records: readonly T[]): T[] =>
  [...records].sort((a, b) => (a.name < b.name ? -1 : 1));

describeCuda('the records of the addon', () => {
  test('are those of the functions of logitcore/cuda', () => {
    const names = (records: readonly { readonly name: string }[]) =>
      sorted(records).map(({ name }) => name);
    expect(deviceNames.slice().sort()).toEqual(names(rawAddon().records));
    expect(names(deviceRecords)).toEqual(names(rawAddon().records));
  });
  test('say the same as on the host', () => {
    const host = new Map(ops().map((record) => [record.name, record]));
    for (const record of rawAddon().records) expect(record).toEqual(host.get(record.name));
  });
});
