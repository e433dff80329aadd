// Sizes of outputs that no input has: the checks in C++ compute the same.
import type { DerivedSizes } from './request.js';

/** Sizes of the product of two matrices, which may be transposed. */
export const productSizes: DerivedSizes = (sizes, option) => ({
  m: option('transposeA') ? sizes.j : sizes.i,
  n: option('transposeB') ? sizes.p : sizes.q,
});

/** Nodes of the graph of logits. */
export const graphNodes: DerivedSizes = (sizes, option) => ({
  g: option('nodes') === 1 ? sizes.c : Math.min(option('topK')!, sizes.c),
});
/** Those of its features, which may be filled up. */
export const featureNodes: DerivedSizes = (sizes, option) =>
  option('size') === undefined ? graphNodes(sizes, option) : { g: option('size')! };
/** Those of the larger of two graphs. */
export const moreNodes: DerivedSizes = ({ a, b }) => ({ g: Math.max(a, b) });
