import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { info, ops, type OpRecord } from 'logitcore';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HashCase, HashReport } from './support/hash-run.js';
import { call } from './support/invoke.js';
import { dimsOf, lettersOf, makeSample, validSample, type Spec } from './support/samples.js';

const runner = fileURLToPath(new URL('./support/hash-run.ts', import.meta.url));
const root = fileURLToPath(new URL('..', import.meta.url));

/** The levels of this machine, best first. LOGITCORE_ISA caps a level, so lower ones are always there. */
const chain = info().machineIsa === 'neon' ? ['neon', 'portable'] : ['avx512', 'avx2', 'portable'];
const levels = chain.slice(Math.max(0, chain.indexOf(info().machineIsa)));

const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);
const widths = [...upTo(130), 255, 256, 257, 1000, 4097];

/** Letters whose size is the length of a row of some real input, and so decides tails and blocks. */
function rowLetters(record: OpRecord): string[] {
  const last = record.inputs
    .filter(({ kind }) => kind === 'real')
    .map(({ dims }) => dimsOf(dims).at(-1)!);
  return [...new Set(last)].filter((letter) => lettersOf(record).includes(letter));
}

const size = (letter: string, value: number) => ({ [letter]: letter === '*' ? [value] : value });

/** Milliseconds of one call: ops that are not linear in the row get fewer widths. */
function cost(record: OpRecord, spec: Spec): number {
  try {
    const sample = makeSample(record, spec);
    const start = performance.now();
    call(sample);
    return performance.now() - start;
  } catch {
    return 0;
  }
}

function casesOf(record: OpRecord): HashCase[] {
  const cases: HashCase[] = [];
  const few = { n: 3, '*': [3] };
  // A seed whose options the op accepts, since some exclude each other.
  const plain = validSample(record, { optional: 'none' }).spec;
  const rich = validSample(record, { optional: 'all', options: 'sampled' }).spec;
  const variants: Spec[] = [
    plain,
    { ...rich, ignored: true },
    { ...plain, values: 'masked' },
    { ...rich, values: 'extreme', seed: rich.seed ?? 0 },
  ];
  for (const double of [false, true])
    for (const letter of rowLetters(record)) {
      const slow = cost(record, { ...plain, double, sizes: { ...few, ...size(letter, 130) } }) > 5;
      for (const width of slow ? [...upTo(40), 255, 256, 257] : widths)
        for (const [v, variant] of variants.entries()) {
          // Every width plain, and with one of the other variants.
          if (v > 0 && v !== 1 + (width % 3)) continue;
          const sizes = { ...variant.sizes, ...few, ...size(letter, width) };
          cases.push({ op: record.name, spec: { ...variant, double, sizes }, threads: [1] });
        }
      if (slow) continue;
      // Enough work to be split: many short rows, some long ones, few very long ones.
      const alone = letter === '*' || letter === 'n';
      const large = alone
        ? [size(letter, 150_001)]
        : [
            { n: 5000, '*': [5000], ...size(letter, 17) },
            { n: 20, '*': [20], ...size(letter, 4097) },
            { n: 1, '*': [1], ...size(letter, 70_001) },
          ];
      for (const sizes of large) {
        const variant = double ? rich : plain;
        const spec: Spec = { ...variant, double, sizes: { ...variant.sizes, ...sizes } };
        if (cost(record, spec) < 400) cases.push({ op: record.name, spec, threads: [1, 2, 3, 7] });
      }
    }
  return cases;
}

const cases: HashCase[] = [];
const reports: HashReport[] = [];
const folder = mkdtempSync(join(tmpdir(), 'logitcore-'));

async function runLevel(level: string): Promise<HashReport> {
  const output = join(folder, `${level}.json`);
  await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', runner, join(folder, 'all.cases.json'), output],
    {
      cwd: root,
      env: { ...process.env, LOGITCORE_ISA: level },
    },
  );
  return JSON.parse(readFileSync(output, 'utf8')) as HashReport;
}

beforeAll(async () => {
  for (const record of ops()) cases.push(...casesOf(record));
  writeFileSync(join(folder, 'all.cases.json'), JSON.stringify(cases));
  for (const level of levels) reports.push(await runLevel(level));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const reproduce = ({ op, spec }: HashCase): string =>
  `call(makeSample(recordOf('${op}'), ${JSON.stringify(spec)}))`;

describe('results have the same bits', () => {
  test('every child ran at its level', () => {
    expect(reports.map(({ isa }) => isa)).toEqual(levels);
  });
  for (const { name } of ops())
    test(name, () => {
      let compared = 0;
      let refused = 0;
      const different: string[] = [];
      cases.forEach((entry, i) => {
        if (entry.op !== name) return;
        compared += 1;
        const first = reports[0].hashes[i];
        if (first[0].startsWith('refused')) refused += 1;
        reports.forEach(({ isa, hashes }) => {
          hashes[i].forEach((hash, t) => {
            if (hash !== first[0])
              different.push(`${isa}, ${entry.threads[t]} threads: ${reproduce(entry)}`);
          });
        });
      });
      expect(
        different.slice(0, 5),
        `${different.length} of ${compared} cases differ from ${levels[0]}, 1 thread`,
      ).toEqual([]);
      expect(refused, `refused of ${compared} cases`).toBeLessThan(compared / 4);
    });
});
