import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ops } from 'logitcore';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { casesOf } from './support/hash-cases.js';
import type { HashCase, HashReport } from './support/hash-run.js';
import { levels } from './support/levels.js';

const runner = fileURLToPath(new URL('./support/hash-run.ts', import.meta.url));
const root = fileURLToPath(new URL('..', import.meta.url));

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
