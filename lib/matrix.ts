import { call } from './call.js';
import { productSizes } from './sizes.js';
import type { CallOptions, RealArray, Tensor } from './types.js';

export interface MatmulOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Take the transpose of a, which is then `[k, m]`; default false. */
  transposeA?: boolean;
  /** Take the transpose of b, which is then `[n, k]`; default false. */
  transposeB?: boolean;
  /** Factor of the product; default 1. */
  alpha?: number;
  /** Factor of what `out.out` holds before; default 0, with which it is not read. */
  beta?: number;
  /** Write into this array instead of a new one, which would hold zeros. It may not overlap a or b. */
  out?: { out?: A };
}

/**
 * The product of two matrices, `alpha a b + beta out`. Every entry is summed in the order of k, by fused multiply-adds in the type of
 * the arrays over blocks of 256, so it depends on its row of a and its column of b only: a row alone gives the same bits as among
 * others, and the product of the transposes is the transpose of the product. 0 x NaN is NaN.
 * @param a `[m, k]`
 * @param b `[k, n]`
 * @returns `out` `[m, n]`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function matmul<A extends RealArray>(
  a: Tensor<A>,
  b: Tensor<A>,
  options?: MatmulOptions<A>,
): { out: A } {
  return call('matmul', [a, b], options, undefined, productSizes);
}
