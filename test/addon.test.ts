import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { getNumThreads, info, setNumThreads } from 'logitcore';
import { describe, expect, test } from 'vitest';
import { fuzz } from './support/fuzz.js';
import { levels } from './support/levels.js';

const calls = 12_000;

// `npm run fuzz` makes a million.
describe('garbage is refused or survived', () => {
  for (const target of ['door', 'api'] as const)
    for (const seed of [1, 2, 3])
      test(`${target}, seed ${seed}`, async () => {
        const { threw, ran } = await fuzz(target, seed, calls);
        expect(threw + ran).toBe(calls);
        // Both kinds of call must be among them, or the test says little.
        expect(threw).toBeGreaterThan(calls / 10);
        expect(ran).toBeGreaterThan(calls / 10);
      });
  test('door, seed 4, with the allocator filling what it gives and takes', async () => {
    const { threw, ran } = await fuzz('door', 4, calls, {
      MALLOC_PERTURB_: '165',
      MALLOC_CHECK_: '3',
    });
    expect(threw + ran).toBe(calls);
  });
});

describe('the environment', () => {
  const load = (env: Record<string, string>) =>
    promisify(execFile)(
      process.execPath,
      [
        '-p',
        `const a = require(${JSON.stringify(info().binary)}); [a.isa, a.getNumThreads()].join()`,
      ],
      {
        env: { ...process.env, ...env },
      },
    ).then(({ stdout }) => stdout.trim());
  test('an unknown level is refused by name', async () => {
    await expect(load({ LOGITCORE_ISA: 'sse9' })).rejects.toThrow(/LOGITCORE_ISA must be one of/);
  });
  test('a level caps what is used', async () => {
    for (const level of levels)
      expect(await load({ LOGITCORE_ISA: level, LOGITCORE_NUM_THREADS: '3' })).toBe(`${level},3`);
  });
  test('a thread count that is none is ignored', async () => {
    for (const text of ['0', 'many', '1e9']) {
      const [, threads] = (await load({ LOGITCORE_NUM_THREADS: text })).split(',');
      expect(Number(threads)).toBeGreaterThanOrEqual(1);
      expect(Number(threads)).toBeLessThanOrEqual(1024);
    }
  });
});

test('setNumThreads takes 1 to 1024 and nothing else', () => {
  const before = getNumThreads();
  for (const n of [1, 5, 1024]) {
    setNumThreads(n);
    expect(getNumThreads()).toBe(n);
    expect(info().threads).toBe(n);
  }
  for (const n of [0, -1, 1025, 1.5, NaN, Infinity])
    expect(() => {
      setNumThreads(n);
    }).toThrow(RangeError);
  for (const n of ['2', null, undefined, {}, 2n])
    expect(() => {
      setNumThreads(n as number);
    }).toThrow(TypeError);
  expect(getNumThreads()).toBe(1024);
  setNumThreads(before);
});
