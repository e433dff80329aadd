// What ends other processes: workers that die in the middle of a call, memory that grows or runs out, signals.
import { existsSync } from 'node:fs';
import { info } from 'logitcore';
import { describe, expect, test } from 'vitest';
import { runScript } from './support/child.js';
import type { MemoryReport } from './support/memory-run.js';

const binary = info().binary;

describe('workers', () => {
  test('500 are ended in the middle of their calls', async () => {
    const ended = await runScript('workers-run.cjs', ['terminate', '500', binary]);
    expect(ended, ended.stderr).toMatchObject({ code: 0, signal: null, stdout: 'done\n' });
  });
  test('8 work at once, and all get the same results', async () => {
    const ended = await runScript('workers-run.cjs', ['together', '8', binary]);
    expect(ended, ended.stderr).toMatchObject({ code: 0, signal: null, stdout: 'done\n' });
  });
});

test('inputs that another thread overwrites meanwhile give wrong numbers at most', async () => {
  const ended = await runScript('scribble-run.ts', ['5']);
  expect(ended, ended.stderr).toMatchObject({ code: 0, signal: null });
  const { calls, samples } = JSON.parse(ended.stdout) as { calls: number; samples: number };
  expect(samples).toBeGreaterThan(500);
  expect(calls).toBeGreaterThanOrEqual(samples);
});

test('100 000 calls of all ops leave no memory behind', async () => {
  // What the allocator and the collector keep in reserve jumps by 16 MiB otherwise.
  const ended = await runScript('memory-run.ts', ['100000'], {
    flags: ['--expose-gc', '--max-semi-space-size=4'],
    env: { MALLOC_ARENA_MAX: '1' },
  });
  expect(ended, ended.stderr).toMatchObject({ code: 0, signal: null });
  const report = JSON.parse(ended.stdout) as MemoryReport;
  const growth = (sizes: readonly number[]) => (sizes.at(-1)! - sizes[1]) / 2 ** 20;
  // MiB over the last 60 000 calls: 20 bytes a call would be 1.1.
  expect(growth(report.heap), `heap ${report.heap.join()}`).toBeLessThan(1);
  expect(growth(report.external), `external ${report.external.join()}`).toBeLessThan(1);
  expect(growth(report.resident), `resident ${report.resident.join()}`).toBeLessThan(3);
});

describe('SIGINT while background jobs run', () => {
  const interrupt = (...args: string[]) => {
    let sent = false;
    return runScript('long-job.ts', args, {
      onLine: (_, kill) => {
        if (!sent) kill('SIGINT');
        sent = true;
      },
    });
  };
  test('ends the process, as it does without them', async () => {
    expect(await interrupt()).toMatchObject({ signal: 'SIGINT', stderr: '' });
  });
  test('lets a handler end it with its own code', async () => {
    expect(await interrupt('handler')).toMatchObject({ code: 130, signal: null, stderr: '' });
  });
});

const canLimit = existsSync('/usr/bin/prlimit') && existsSync('/proc/self/status');
test.skipIf(!canLimit)(
  `memory that runs out is an error, and afterwards all works again${canLimit ? '' : ' (skipped: prlimit is not there to limit memory)'}`,
  async () => {
    const ended = await runScript('scarce-memory.ts');
    expect(ended, ended.stderr).toMatchObject({ code: 0, signal: null });
    const outcome = JSON.parse(ended.stdout) as Record<string, string[]>;
    for (const [name, op] of [
      ['argsort', 'argsort'],
      ['sort', 'sort'],
      ['later', 'argsort'],
    ])
      expect(outcome[name]).toEqual(['done', `Error: ${op}: out of memory`, 'done']);
    // 4 TiB are never to be had.
    for (const text of outcome.output) expect(text).toMatch(/^RangeError: matmul: /);
  },
);
