import { ops } from 'logitcore';
import * as api from 'logitcore';
import { describe, expect, test } from 'vitest';
import { near, sameResult } from './support/compare.js';
import {
  goldenArguments,
  goldenCases,
  isArray,
  number,
  title,
  type GoldenCase,
} from './support/golden.js';
import { op, promiseOp, type Result } from './support/invoke.js';
import { runSphericalLayer } from './support/layer.js';

/** What is no op but a class: a function of its own makes the calls of a case. */
const classes: Readonly<Partial<Record<string, (...args: never[]) => Result>>> = {
  sphericalOutputLayer: runSphericalLayer,
};
const native = new Set(ops().map((record) => record.name));
const exported = (name: string): boolean =>
  typeof (api as Record<string, unknown>)[name] === 'function';

const functionOf = (name: string) =>
  (classes[name] as ReturnType<typeof op> | undefined) ?? op(name);

/** Optional inputs at the end are left out of cases; the options come after them all the same. */
function argumentsFor(golden: GoldenCase, double: boolean): unknown[] {
  const args = goldenArguments(golden, double);
  const record = ops().find(({ name }) => name === golden.op);
  const positional = record?.inputs.filter(({ fromOptions }) => !fromOptions).length ?? 0;
  const missing = Math.max(0, positional - golden.inputs.length);
  args.splice(-1, 0, ...Array<undefined>(missing).fill(undefined));
  return args;
}

/** What differs between a result and the case, or undefined. */
function difference(result: Result, golden: GoldenCase, double: boolean): string | undefined {
  // The expected numbers have 12 digits, which float64 results are held to.
  const rtol = double ? Math.min(golden.tol.rtol, 1e-9) : golden.tol.rtol;
  const atol = double ? Math.min(golden.tol.atol, 1e-10) : golden.tol.atol;
  for (const [name, expected] of Object.entries(golden.outputs ?? {})) {
    const got = result[name];
    if (expected === null) {
      if (got !== undefined && got !== null) return `${name} is there`;
      continue;
    }
    if (!isArray(expected)) {
      if (
        typeof expected === 'boolean'
          ? got !== expected
          : !near(number(got), number(expected), rtol, atol)
      )
        return `${name} is ${String(got)}, expected ${String(expected)}`;
      continue;
    }
    const array = got as ArrayLike<number> | undefined;
    if (array?.length !== expected.data.length)
      return `${name} has ${String(array?.length)} values, expected ${expected.data.length}`;
    const wide = double || expected.dtype === 'f64';
    const type = expected.dtype === 'i32' ? Int32Array : wide ? Float64Array : Float32Array;
    if (native.has(golden.op) && !(array instanceof type)) return `${name} is no ${type.name}`;
    const exact = expected.dtype === 'i32';
    for (let i = 0; i < array.length; i++)
      if (!near(array[i], number(expected.data[i]), exact ? 0 : rtol, exact ? 0 : atol))
        return `${name}[${i}] is ${array[i]}, expected ${String(expected.data[i])}`;
  }
  return undefined;
}

function thrown(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

function check(golden: GoldenCase, double: boolean): void {
  if (golden.error) {
    const error = thrown(() => op(golden.op)(...argumentsFor(golden, double)));
    expect(
      error instanceof TypeError || error instanceof RangeError,
      `threw ${String(error)}`,
    ).toBe(true);
    expect(String(error)).toContain(golden.op);
    return;
  }
  const result = functionOf(golden.op)(...argumentsFor(golden, double));
  expect(difference(result, golden, double)).toBeUndefined();
}

async function checkPromise(golden: GoldenCase): Promise<void> {
  if (golden.error) {
    const refusal = await promiseOp(golden.op)(...argumentsFor(golden, false)).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(refusal instanceof TypeError || refusal instanceof RangeError, String(refusal)).toBe(
      true,
    );
    return;
  }
  const direct = op(golden.op)(...argumentsFor(golden, false));
  const later = await promiseOp(golden.op)(...argumentsFor(golden, false));
  expect(sameResult(later, direct)).toBeUndefined();
}

for (const { file, cases } of goldenCases()) {
  describe(file, () => {
    for (const name of new Set(cases.map(({ op }) => op)))
      if (!(name in classes) && !exported(name))
        test(`logitcore exports ${name}`, () => {
          expect.fail(`${file} has cases of ${name}, which lib/index.ts does not export`);
        });
    for (const golden of cases) {
      if (!(golden.op in classes) && !exported(golden.op)) continue;
      const name = title(file, golden);
      test(name, () => {
        check(golden, false);
      });
      // An array that is made of options alone has one type.
      const arrays = [...golden.inputs, ...Object.values(golden.outputs ?? {}).filter(isArray)];
      if (arrays.length === 0 || golden.inputs.length > 0)
        test(`${name}, float64`, () => {
          check(golden, true);
        });
      if (native.has(golden.op))
        test(`${name}, in the background`, async () => {
          await checkPromise(golden);
        });
    }
  });
}
