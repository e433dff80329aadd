/**
 * For processors that run under an emulator, bundled into one file: runs cases and all of test/golden and writes their hashes.
 * Arguments: the file of cases, the file for the report, the folder of the golden cases.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { info, ops } from 'logitcore';
import { argumentsFor, difference, functionOf } from './golden-check.js';
import { goldenCases, title } from './golden.js';
import { hash, run, type HashCase } from './hash-run.js';
import { flatten } from './invoke.js';

export interface BitsReport {
  readonly isa: string;
  readonly arch: string;
  readonly binary: string;
  /** Hashes by what was run. */
  readonly hashes: Readonly<Record<string, readonly string[]>>;
  /** Golden cases with a wrong result. */
  readonly wrong: readonly string[];
}

const [casesFile = '', output = '', folder = ''] = process.argv.slice(2);
const hashes: Record<string, readonly string[]> = {};
const wrong: string[] = [];
const native = new Set(ops().map(({ name }) => name));

for (const { file, cases } of folder === '' ? [] : goldenCases(`${folder}/`))
  for (const golden of cases)
    for (const double of [false, true]) {
      const name = `${title(file, golden)}${double ? ', float64' : ''}`;
      let result;
      try {
        result = functionOf(golden.op)(...argumentsFor(golden, double));
      } catch (error) {
        hashes[name] = [String(error)];
        if (!golden.error) wrong.push(`${name}: ${String(error)}`);
        continue;
      }
      // What TypeScript computes has the last bits of the engine's Math.
      if (native.has(golden.op)) hashes[name] = [hash(flatten(result))];
      // An array that is made of options alone has one type.
      const different =
        double && golden.inputs.length === 0 ? undefined : difference(result, golden, double);
      if (different) wrong.push(`${name}: ${different}`);
    }

const cases = JSON.parse(readFileSync(casesFile, 'utf8')) as HashCase[];
for (const entry of cases)
  hashes[`call(makeSample(recordOf('${entry.op}'), ${JSON.stringify(entry.spec)}))`] = run(entry);

const report: BitsReport = {
  isa: info().isa,
  arch: process.arch,
  binary: info().binary,
  hashes,
  wrong,
};
writeFileSync(output, JSON.stringify(report));
