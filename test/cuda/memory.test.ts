// Calls of every op leave nothing behind.
import { memory, synchronize } from 'logitcore/cuda';
import { expect, test } from 'vitest';
import { deviceRecords, Tensors } from '../support/cuda-ops.js';
import { deviceSample } from '../support/cuda-samples.js';
import { describeCuda } from '../support/cuda.js';
import { call } from '../support/invoke.js';
import type { Sample } from '../support/samples.js';

const calls = 10_000;

function accepted(sample: Sample): boolean {
  try {
    call(sample);
    return true;
  } catch {
    return false;
  }
}

const samples = deviceRecords
  .flatMap((record) => [1, 2, 3].map((seed) => deviceSample(record, 7, 3, seed)))
  .filter(accepted);

function step(i: number): void {
  using tensors = new Tensors();
  const sample = samples[i % samples.length];
  tensors.run(sample, tensors.inputs(sample, i % 2 ? 'f32' : 'bf16'));
}

describeCuda('memory', () => {
  test(`${calls} calls take that of the first of each op`, async () => {
    // The first call of a process takes the place where wrong indices are noted.
    step(0);
    const before = memory();
    for (let i = 0; i < 2 * samples.length; i++) step(i);
    const after = memory();
    expect(after).toMatchObject({ tensors: 0, used: before.used });
    for (let i = 0; i < calls; i++) step(i);
    await synchronize();
    expect(memory()).toEqual(after);
  });

  test('of calls that are refused too', () => {
    const before = memory();
    for (let i = 0; i < 1000; i++) {
      using tensors = new Tensors();
      const sample = samples[i % samples.length];
      const { options } = sample.record;
      const given = Object.fromEntries(options.map(({ name }) => [name, NaN]));
      const refused = { ...sample, options: { ...sample.options, ...given } };
      if (options.length > 0)
        expect(() => tensors.run(refused, tensors.inputs(sample, 'f32'))).toThrow();
    }
    expect(memory()).toMatchObject({ tensors: 0, used: before.used });
  });
});
