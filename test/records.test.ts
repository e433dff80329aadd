// Adding an op touches its definition, its function and its golden cases; this finds what was forgotten.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as api from 'logitcore';
import { ops, type OpRecord } from 'logitcore';
import * as promises from 'logitcore/promises';
import { describe, expect, test } from 'vitest';
import { goldenCases } from './support/golden.js';
import { dimsOf, letterOf, lettersOf, unreduced } from './support/samples.js';

const path = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url));
const read = (name: string): string => readFileSync(path(name), 'utf8');
const files = (folder: string, end: string): string[] =>
  readdirSync(path(folder)).filter((file) => file.endsWith(end));

const sources = new Map(files('lib', '.ts').map((file) => [file, read(`lib/${file}`)]));
const goldenOps = new Set(goldenCases().flatMap(({ cases }) => cases.map(({ op }) => op)));
// What index.ts exports beside ops.
const notOps = new Set(['info', 'ops', 'setNumThreads', 'getNumThreads']);
const isFunction = (module: object, name: string): boolean =>
  typeof (module as Record<string, unknown>)[name] === 'function';

/** The comment before `export function name`, and its file. */
function documentation(name: string): { file: string; text: string } | undefined {
  const pattern = new RegExp(`/\\*\\*((?:(?!\\*/)[^])*)\\*/\\s*export function ${name}\\b`);
  for (const [file, source] of sources) {
    const found = pattern.exec(source);
    if (found) return { file, text: found[1] };
  }
  return undefined;
}

const fileOf = (name: string): string | undefined =>
  [...sources].find(
    ([file, source]) =>
      file !== 'promises.ts' && new RegExp(`export function ${name}\\b`).test(source),
  )?.[0];

describe('every op', () => {
  for (const record of ops()) {
    const { name, family } = record;
    test(`${name} has a function, a promise form and golden cases`, () => {
      expect(isFunction(api, name), `lib/index.ts exports ${name}`).toBe(true);
      expect(isFunction(promises, name), `lib/promises.ts exports ${name}`).toBe(true);
      expect(goldenOps.has(name), `test/golden has a case of ${name}`).toBe(true);
    });
    test(`${name} is documented in its family's file`, () => {
      const found = documentation(name);
      expect(found?.file, `the file with ${name} and its comment`).toBe(
        `${family.replace(/_([a-z])/g, (_, c: string) => c.toUpperCase())}.ts`,
      );
      const text = found!.text;
      expect(text, 'a formula in backquotes or a link to the op it is the gradient of').toMatch(
        /`[^`]*[-+*/^=(][^`]*`|\{@link /,
      );
    });
    test(`${name} has a sound record`, () => {
      checkRecord(record);
    });
  }
  test('names are unique', () => {
    const names = ops().map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});

/** Sizes of outputs that the check of an op computes from sizes and options: nodes of graphs, a product of transposes. */
const computed: Readonly<Partial<Record<string, string>>> = {
  coactivationGraph: 'g',
  coactivationFeatures: 'g',
  gwSortApprox: 'g',
  matmul: 'mn',
};

function checkRecord(record: OpRecord): void {
  const inputs = record.inputs.map(({ name }) => name);
  const options = record.options.map(({ name }) => name);
  const letters = new Set(lettersOf(record));
  // An option may be of two kinds: a choice or a number.
  const kinds = record.options.map(({ name, kind }) => `${name}:${kind}`);
  for (const names of [inputs, kinds, record.outputs.map(({ name }) => name)])
    expect(new Set(names).size).toBe(names.length);
  for (const option of record.options) {
    if (option.required) expect(option.default).toBeUndefined();
    else if (option.kind === 'choice') expect(option.choices).toContain(option.default);
    const value = option.default;
    if (typeof value !== 'number') continue;
    if (option.minimum !== undefined) expect(value).toBeGreaterThanOrEqual(option.minimum);
    if (option.above !== undefined) expect(value).toBeGreaterThan(option.above);
    if (option.maximum !== undefined) expect(value).toBeLessThanOrEqual(option.maximum);
    if (option.below !== undefined) expect(value).toBeLessThan(option.below);
  }
  for (const output of record.outputs) {
    if (output.when !== undefined) expect([...options, ...inputs]).toContain(output.when);
    if (output.gradOf !== undefined) expect(inputs).toContain(output.gradOf);
    if (output.inPlaceOf !== undefined) expect(inputs).toContain(output.inPlaceOf);
    if (output.kind === 'reduced') expect(Object.keys(unreduced(record))).toHaveLength(1);
    for (const dim of dimsOf(output.dims)) {
      const letter = letterOf(dim);
      if (!/^\d/.test(letter) && !computed[record.name]?.includes(letter))
        expect([...letters, ...options], `dims ${output.dims} of ${output.name}`).toContain(letter);
    }
  }
  if (record.backwardOf !== undefined)
    expect(ops().map(({ name }) => name)).toContain(record.backwardOf);
}

describe('nothing is left out', () => {
  test('every exported op has golden cases', () => {
    const missing = Object.keys(api).filter(
      (name) =>
        isFunction(api, name) && /^[a-z]/.test(name) && !notOps.has(name) && !goldenOps.has(name),
    );
    expect(missing).toEqual([]);
  });
  test('every function that calls an op has a promise form', () => {
    const names = [...sources.values()].flatMap((source) =>
      [...source.matchAll(/export function (\w+)[^]*?\n}\n/g)]
        .filter(([text]) => /\breturn call\(/.test(text))
        .map(([, name]) => name),
    );
    expect(names.filter((name) => !isFunction(promises, name))).toEqual([]);
  });
  test('every file of cpp/ops is in families.h, and every family has a file', () => {
    const listed = [...read('cpp/ops/families.h').matchAll(/X\((\w+)\)/g)]
      .map(([, name]) => name)
      .filter((name) => name !== 'name');
    expect(listed.sort()).toEqual(
      files('cpp/ops', '.cpp')
        .map((file) => file.replace('.cpp', ''))
        .sort(),
    );
    expect([...new Set(ops().map(({ family }) => family))].sort()).toEqual(listed);
  });
  test('the functions of an op are in the family of its definition', () => {
    const misplaced = ops()
      .filter(({ name }) => fileOf(name) === undefined)
      .map(({ name }) => name);
    expect(misplaced).toEqual([]);
  });
  test('the benchmark goes through the records', () => {
    if (!existsSync(path('bench/index.ts'))) return;
    const bench = files('bench', '.ts')
      .map((file) => read(`bench/${file}`))
      .join('\n');
    expect(bench, 'bench iterates over ops()').toMatch(/\bops\(\)/);
  });
});
