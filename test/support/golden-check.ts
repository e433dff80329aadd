/** Runs the cases of test/golden and compares. */
import { ops } from 'logitcore';
import { near } from './compare.js';
import { goldenArguments, isArray, number, type GoldenCase } from './golden.js';
import { op, type Result } from './invoke.js';
import { runSphericalLayer } from './layer.js';

/** What is no op but a class: a function of its own makes the calls of a case. */
export const classes: Readonly<Partial<Record<string, (...args: never[]) => Result>>> = {
  sphericalOutputLayer: runSphericalLayer,
};
export const native = new Set(ops().map((record) => record.name));
export const functionOf = (name: string) =>
  (classes[name] as ReturnType<typeof op> | undefined) ?? op(name);

/** Optional inputs at the end are left out of cases; the options come after them all the same. */
export function argumentsFor(golden: GoldenCase, double: boolean): unknown[] {
  const args = goldenArguments(golden, double);
  const record = ops().find(({ name }) => name === golden.op);
  const positional = record?.inputs.filter(({ fromOptions }) => !fromOptions).length ?? 0;
  const missing = Math.max(0, positional - golden.inputs.length);
  args.splice(-1, 0, ...Array<undefined>(missing).fill(undefined));
  return args;
}

/** What differs between a result and the case, or undefined. */
export function difference(
  result: Result,
  golden: GoldenCase,
  double: boolean,
): string | undefined {
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
