/** Comparisons that return what is wrong, or undefined. */
import { expect } from 'vitest';
import { flatten, type Result } from './invoke.js';
import type { Numbers } from './samples.js';

const wordsOf = (array: Numbers): Uint32Array => {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  return new Uint32Array(bytes.slice().buffer);
};

/** Equal bits, -0 apart from 0; any NaN equals any other, since JavaScript cannot tell them apart. */
export function sameBits(a: Numbers, b: Numbers): string | undefined {
  if (a.constructor !== b.constructor) return `${a.constructor.name} is no ${b.constructor.name}`;
  if (a.length !== b.length) return `length ${a.length} is not ${b.length}`;
  for (let i = 0; i < a.length; i++)
    if (!Object.is(a[i], b[i])) return `[${i}] is ${a[i]}, not ${b[i]}`;
  return undefined;
}

/** The very bits, NaNs included: for arrays that must not have been written. */
export function untouched(a: Numbers, before: Numbers): boolean {
  const x = wordsOf(a);
  const y = wordsOf(before);
  return x.length === y.length && x.every((word, i) => word === y[i]);
}

export function sameResult(a: Result, b: Result): string | undefined {
  const left = flatten(a);
  const right = new Map(flatten(b));
  if (left.length !== right.size)
    return `outputs ${left.map(([name]) => name).join()} are not ${[...right.keys()].join()}`;
  for (const [name, array] of left) {
    const other = right.get(name);
    if (!other) return `output ${name} is missing`;
    const difference = sameBits(array, other);
    if (difference !== undefined) return name + difference;
  }
  return undefined;
}

export const near = (a: number, b: number, rtol: number, atol: number): boolean =>
  Object.is(a, b) ||
  a === b ||
  (Number.isFinite(a) && Number.isFinite(b) && Math.abs(a - b) <= atol + rtol * Math.abs(b));

/** |a - b| <= atol + rtol |b| everywhere; infinities equal, NaN only where NaN is expected. */
export function closeTo(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  rtol: number,
  atol: number,
): string | undefined {
  if (a.length !== b.length) return `length ${a.length} is not ${b.length}`;
  for (let i = 0; i < a.length; i++)
    if (!near(a[i], b[i], rtol, atol)) return `[${i}] is ${a[i]}, expected ${b[i]}`;
  return undefined;
}

/** Fails with the first entry that is not near. */
export function close(
  got: ArrayLike<number>,
  expected: ArrayLike<number>,
  rtol = 1e-9,
  atol = 1e-11,
): void {
  expect(closeTo(got, expected, rtol, atol)).toBeUndefined();
}

/** Distance to the next float32 above |x|. */
export function ulp32(x: number): number {
  const magnitude = Math.abs(Math.fround(x));
  if (!Number.isFinite(magnitude)) return NaN;
  return magnitude < 2 ** -126 ? 2 ** -149 : 2 ** (Math.floor(Math.log2(magnitude)) - 23);
}
