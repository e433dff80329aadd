import type { DerivedSizes } from './request.js';

/** Sizes of the product of two matrices, which may be transposed. */
export const productSizes: DerivedSizes = (sizes, option) => ({
  m: option('transposeA') ? sizes.j : sizes.i,
  n: option('transposeB') ? sizes.p : sizes.q,
});
