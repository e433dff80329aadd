// Many background jobs at a time.
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { getNumThreads, setNumThreads, softmax } from 'logitcore';
import * as promises from 'logitcore/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { behindBusy } from './support/busy.js';

const rows = 20;
const columns = 1000;
const count = 1000;
const inputs = Array.from({ length: 10 }, (_, k) => ({
  data: Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i * (k + 1))),
  shape: [rows, columns],
}));
const expected = inputs.map((input) => softmax(input).out);
const start = (i: number, options = {}) => promises.softmax(inputs[i % 10], options);

const before = getNumThreads();
beforeAll(() => {
  setNumThreads(1);
});
afterAll(() => {
  setNumThreads(before);
});

describe('a thousand jobs', () => {
  test('are all done, with the results of the plain calls', async () => {
    const results = await Promise.all(Array.from({ length: count }, (_, i) => start(i)));
    results.forEach(({ out }, i) => {
      expect(Buffer.compare(Buffer.from(out.buffer), Buffer.from(expected[i % 10].buffer))).toBe(0);
    });
  });
  test('are done in the order of their calls where one thread works', async () => {
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: count }, async (_, i) => {
        await start(i);
        order.push(i);
      }),
    );
    expect(order).toEqual(Array.from({ length: count }, (_, i) => i));
  });
  test('leave the event loop and the thread pool of Node.js to others', async () => {
    await behindBusy(async ({ atWork }) => {
      let done = 0;
      const all = Promise.all(
        Array.from({ length: count }, async (_, i) => {
          await start(i);
          done += 1;
        }),
      );
      // Eight reads would wait for each other, and for jobs, if those took the threads of Node.js.
      const file = fileURLToPath(import.meta.url);
      await Promise.all(Array.from({ length: 8 }, () => readFile(file)));
      await new Promise((resolve) => setTimeout(resolve, 1));
      const early = done;
      const hadToWait = atWork();
      await all;
      expect(done).toBe(count);
      if (!hadToWait) return undefined;
      expect(early).toBe(0);
      return true;
    });
  });
  test('of which those that wait are taken back by one signal', async () => {
    const warnings: Error[] = [];
    const warned = (warning: Error) => warnings.push(warning);
    process.on('warning', warned);
    const reason = new Error('no longer wanted');
    await behindBusy(async ({ atWork }) => {
      const controller = new AbortController();
      const untouched: Float32Array[] = [];
      const jobs = Array.from({ length: count }, (_, i) => {
        if (i % 2 === 0) return start(i);
        const out = new Float32Array(rows * columns).fill(-1);
        untouched[i] = out;
        return start(i, { signal: controller.signal, out: { out } });
      });
      controller.abort(reason);
      const hadToWait = atWork();
      const results = await Promise.allSettled(jobs);
      if (!hadToWait) return undefined;
      results.forEach((result, i) => {
        expect(result.status).toBe(i % 2 === 0 ? 'fulfilled' : 'rejected');
        if (result.status === 'fulfilled') return;
        expect(result.reason).toBe(reason);
        expect(untouched[i].every((x) => x === -1)).toBe(true);
      });
      return true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', warned);
    expect(warnings).toEqual([]);
  });
});
