import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { getNumThreads, ops, setNumThreads } from 'logitcore';
import * as promises from 'logitcore/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { behindBusy } from './support/busy.js';
import { sameResult } from './support/compare.js';
import { argumentsOf, call, promiseOp, reproducer } from './support/invoke.js';
import { Random } from './support/random.js';
import { makeSample, validSample } from './support/samples.js';

const threads = getNumThreads();
afterAll(() => {
  setNumThreads(threads);
});

describe('the same bits as at once', () => {
  for (const record of ops())
    test(record.name, async () => {
      for (const double of [false, true])
        for (let seed = 0; seed < 3; seed++) {
          const sample = validSample(record, {
            double,
            seed,
            optional: 'all',
            options: seed ? 'sampled' : 'default',
            ignored: true,
          });
          const later = await promiseOp(record.name)(...argumentsOf(sample));
          expect(sameResult(later, call(sample)), reproducer(sample)).toBeUndefined();
        }
    });
  test('many at a time, of all ops', async () => {
    const samples = [0, 1, 2, 3].flatMap((seed) =>
      ops().map((record) => validSample(record, { seed, optional: 'all' })),
    );
    const results = await Promise.all(
      samples.map((sample) => promiseOp(sample.record.name)(...argumentsOf(sample))),
    );
    samples.forEach((sample, i) => {
      expect(sameResult(results[i], call(sample)), reproducer(sample)).toBeUndefined();
    });
  });
});

describe('refusals', () => {
  for (const record of ops())
    test(`${record.name} rejects, and throws nothing at once`, async () => {
      const promise = promiseOp(record.name)('no tensor');
      await expect(promise).rejects.toThrow(`${record.name}: `);
      await expect(promise).rejects.toThrow(TypeError);
      await expect(promiseOp(record.name)()).rejects.toThrow(TypeError);
      await expect(
        promiseOp(record.name)(...argumentsOf(validSample(record)).slice(0, -1), 7),
      ).rejects.toThrow(TypeError);
    });
  test('a wrong target is found before the promise settles, in the background too', async () => {
    const logits = { data: new Float32Array(6), shape: [2, 3] };
    await expect(promises.crossEntropy(logits, Int32Array.of(0, 3))).rejects.toThrow(
      /crossEntropy: targets\[1\] is 3, expected 0..2/,
    );
  });
});

/** Enough work for many turns of the event loop. */
const large = (seed: number) => {
  const random = new Random(seed);
  const data = new Float32Array(24 * 32_000).map(() => 4 * random.uniform());
  return {
    logits: { data, shape: [24, 32_000] },
    targets: Int32Array.from({ length: 24 }, (_, i) => i),
  };
};

describe('while a job runs', () => {
  test('the event loop goes on', async () => {
    setNumThreads(1);
    const { logits, targets } = large(1);
    let ticks = 0;
    let pending = true;
    const tick = () => {
      ticks += 1;
      if (pending) setImmediate(tick);
    };
    setImmediate(tick);
    const jobs = Array.from({ length: 12 }, () =>
      promises.crossEntropy(logits, targets, { grad: true }),
    );
    await Promise.all(jobs);
    pending = false;
    // If the work were done on this thread, the loop would turn a few times a job.
    expect(ticks).toBeGreaterThan(100);
    setNumThreads(threads);
  });
  test('calls at once work beside it, with any number of threads', async () => {
    const { logits, targets } = large(2);
    for (const count of [1, 2, 7]) {
      setNumThreads(count);
      const job = promises.crossEntropy(logits, targets, { grad: true });
      const small = validSample(
        ops().find(({ name }) => name === 'crossEntropy')!,
        { sizes: { n: 300, c: 300 } },
      );
      const expected = call(small);
      for (let i = 0; i < 20; i++) expect(sameResult(call(small), expected)).toBeUndefined();
      const direct = promises.crossEntropy(logits, targets, { grad: true });
      expect(sameResult(await job, await direct)).toBeUndefined();
    }
    setNumThreads(threads);
  });
  test('targets may change after the call: they were copied and checked', async () => {
    const { logits, targets } = large(3);
    const expected = await promises.crossEntropy(logits, targets.slice());
    const job = promises.crossEntropy(logits, targets);
    targets.fill(2 ** 31 - 1);
    expect((await job).loss).toBe(expected.loss);
  });
});

describe('AbortSignal', () => {
  const small = () => ({ data: new Float32Array(6), shape: [2, 3] });
  const reason = new Error('no longer wanted');
  test('aborted before: rejects with the reason, and throws it at once in the plain form', async () => {
    const signal = AbortSignal.abort(reason);
    await expect(promises.softmax(small(), { signal })).rejects.toBe(reason);
    for (const record of ops()) {
      const sample = validSample(record);
      await expect(promiseOp(record.name)(...argumentsOf(sample, { signal }))).rejects.toBe(reason);
      expect(() => call(sample, { signal })).toThrow(reason);
    }
    await expect(promises.softmax(small(), { signal: AbortSignal.abort() })).rejects.toThrow(
      /abort/i,
    );
  });
  test('aborted while it waits for a thread: rejects, the others finish', async () => {
    setNumThreads(1);
    const { logits, targets } = large(4);
    const results = await behindBusy(async ({ atWork }) => {
      const controller = new AbortController();
      const { signal } = controller;
      const jobs = [undefined, signal, undefined].map((given) =>
        promises.crossEntropy(logits, targets, given ? { signal: given } : {}),
      );
      const out = new Float32Array(6).fill(7);
      const last = promises.softmax(small(), { signal, out: { out } });
      const settled = Promise.allSettled([...jobs, last]);
      await Promise.resolve();
      controller.abort(reason);
      const hadToWait = atWork();
      const found = await settled;
      if (!hadToWait) return undefined;
      expect(
        out.every((x) => x === 7),
        'an aborted job wrote its output',
      ).toBe(true);
      return found;
    });
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'rejected',
    ]);
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toBe(reason);
    // The places of the aborted jobs are free again.
    await Promise.all(Array.from({ length: 6 }, () => promises.softmax(small())));
    setNumThreads(threads);
  });
  test('aborted after it is done: nothing happens, and no listener stays', async () => {
    const controller = new AbortController();
    const { out } = await promises.softmax(small(), { signal: controller.signal });
    controller.abort(reason);
    expect(out[0]).toBeCloseTo(1 / 3, 6);
  });
  test('a signal that never fires changes nothing', async () => {
    const { signal } = new AbortController();
    const jobs = Array.from({ length: 40 }, () => promises.softmax(small(), { signal }));
    const results = await Promise.all(jobs);
    expect(results).toHaveLength(40);
  });
});

describe('memory', () => {
  test('arrays live as long as their job, however hard the collector works', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const record = ops().find(({ name }) => name === 'crossEntropy')!;
    const expected = call(validSample(record, { sizes: { n: 60, c: 200 }, seed: 5 }));
    const jobs: Promise<Record<string, unknown>>[] = [];
    for (let i = 0; i < 30; i++) {
      // Only the job holds these arrays.
      jobs.push(
        promiseOp('crossEntropy')(
          ...argumentsOf(makeSample(record, { sizes: { n: 60, c: 200 }, seed: 5 })),
        ),
      );
      // Buffers of the size that has just been given back, if it has.
      for (let k = 0; k < 4; k++) new Float32Array(60 * 200).fill(NaN);
      collect();
    }
    for (const result of await Promise.all(jobs))
      expect(sameResult(result, expected)).toBeUndefined();
  });
  test('output arrays given by the caller are the ones returned', async () => {
    const gradLogits = new Float32Array(6);
    const result = await promises.crossEntropy(
      { data: new Float32Array(6), shape: [2, 3] },
      Int32Array.of(0, 1),
      {
        grad: true,
        out: { gradLogits },
      },
    );
    expect(result.gradLogits).toBe(gradLogits);
  });
});
