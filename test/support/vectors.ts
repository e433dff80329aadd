/** Small helpers of tests that write a formula out. */
import type { Random } from './random.js';

export const tensor = <A extends Float32Array | Float64Array>(data: A, columns: number) => ({
  data,
  shape: [data.length / columns, columns],
});
export const sum = (x: ArrayLike<number>): number => Array.from(x).reduce((a, b) => a + b, 0);
export const mean = (x: ArrayLike<number>): number => sum(x) / x.length;
export const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  sum(Array.from(a, (x, i) => x * b[i]));
export const clip = (x: number, low: number, high: number): number =>
  Math.min(Math.max(x, low), high);
/** Numbers that float32 holds. */
export const normals = (random: Random, length: number, spread = 1): Float64Array =>
  Float64Array.from({ length }, () => Math.fround(spread * random.normal()));
