import { call } from './call.js';
import type { LossAndGradient } from './softmax.js';
import type { CallOptions, Exact, Logits, RealArray, Reduction, Targets, Tensor } from './types.js';

/** What the losses of the spherical family share. */
export interface SphericalLossOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Rows with this target are not read and give loss 0 and gradient 0; default -100. */
  ignoreIndex?: number;
  /** Default 'mean' over counted rows. */
  reduction?: Reduction;
  /** Also compute the gradient; default false. */
  grad?: boolean;
  out?: { loss?: A; gradLogits?: A };
}

export interface ZLossOptions<A extends RealArray = RealArray> extends SphericalLossOptions<A> {
  /** Sharpness, above 0; default 1. */
  a?: number;
  /** Standardised target logit at which the pull is half its largest; default 0. */
  b?: number;
  /** Added to the standard deviation, at least 0; default 1e-12. */
  epsilon?: number;
}

/**
 * Z-loss: `softplus(a (b - z)) / a` with `z = (x_y - mean) / (sigma + epsilon)`, mean and population standard deviation of the row.
 *
 * Invariant to shifts and to positive scalings of the row (for epsilon 0), and without an exponential a class. A constant row has
 * z = 0 and gradient 0. -Infinity is no mask here: it gives NaN in its row, as NaN does. Not the penalty on `log^2 Z`: that is
 * `zLossWeight` of {@link crossEntropy} and {@link zLossRegularizer}.
 *
 * Source: de Brebisson and Vincent 2016, arXiv 1604.08859.
 * @param logits `[n, c]`
 * @param targets class of each row `[n]`: 0..c-1 or ignoreIndex
 * @returns `loss` (a number, or `[n]` for reduction 'none'), and `gradLogits` `[n, c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape, target or option
 */
export function zLoss<A extends RealArray, const O extends ZLossOptions<A> = {}>(
  logits: Tensor<A>,
  targets: Targets,
  options?: Exact<O, ZLossOptions<A>>,
): LossAndGradient<O, A> {
  return call('zLoss', [logits, targets], options);
}

export type TaylorSoftmaxLossOptions<A extends RealArray = RealArray> = SphericalLossOptions<A>;

/**
 * Log-Taylor softmax loss in nats: `-log p_y` with `p_j = (1 + x_j + x_j^2 / 2) / sum_k (1 + x_k + x_k^2 / 2)`.
 *
 * Confident rows keep a non-zero loss and gradient. -Infinity is no mask here: it gives NaN in its row, as NaN does.
 *
 * Source: de Brebisson and Vincent 2015, arXiv 1511.05042.
 * @param logits `[n, c]`
 * @param targets class of each row `[n]`: 0..c-1 or ignoreIndex
 * @returns `loss` (a number, or `[n]` for reduction 'none'), and `gradLogits` `[n, c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape, target or option
 */
export function taylorSoftmaxLoss<
  A extends RealArray,
  const O extends TaylorSoftmaxLossOptions<A> = {},
>(
  logits: Tensor<A>,
  targets: Targets,
  options?: Exact<O, TaylorSoftmaxLossOptions<A>>,
): LossAndGradient<O, A> {
  return call('taylorSoftmaxLoss', [logits, targets], options);
}

export interface SphericalSoftmaxLossOptions<
  A extends RealArray = RealArray,
> extends SphericalLossOptions<A> {
  /** Added to every square, above 0; default 1e-3. */
  epsilon?: number;
}

/**
 * Log-spherical softmax loss in nats: `-log p_y` with `p_j = (x_j^2 + epsilon) / sum_k (x_k^2 + epsilon)`. It does not tell x from -x.
 *
 * Confident rows keep a non-zero loss and gradient. -Infinity is no mask here: it gives NaN in its row, as NaN does.
 *
 * Source: de Brebisson and Vincent 2015, arXiv 1511.05042 (who tune epsilon).
 * @param logits `[n, c]`
 * @param targets class of each row `[n]`: 0..c-1 or ignoreIndex
 * @returns `loss` (a number, or `[n]` for reduction 'none'), and `gradLogits` `[n, c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape, target or option
 */
export function sphericalSoftmaxLoss<
  A extends RealArray,
  const O extends SphericalSoftmaxLossOptions<A> = {},
>(
  logits: Tensor<A>,
  targets: Targets,
  options?: Exact<O, SphericalSoftmaxLossOptions<A>>,
): LossAndGradient<O, A> {
  return call('sphericalSoftmaxLoss', [logits, targets], options);
}

export interface OneHotSquaredErrorOptions<
  A extends RealArray = RealArray,
> extends SphericalLossOptions<A> {
  /** The wanted logit of the target; all others are to be 0. Default 1. */
  targetValue?: number;
}

/**
 * Squared error to a one-hot row: `sum_k (x_k - targetValue [k = y])^2`, a sum over classes, not a mean.
 *
 * -Infinity is no mask here. Source: the mean squared error of Vincent, de Brebisson and Bouthillier 2015, arXiv 1412.7091.
 * @param logits `[n, c]`
 * @param targets class of each row `[n]`: 0..c-1 or ignoreIndex
 * @returns `loss` (a number, or `[n]` for reduction 'none'), and `gradLogits` `[n, c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape, target or option
 */
export function oneHotSquaredError<
  A extends RealArray,
  const O extends OneHotSquaredErrorOptions<A> = {},
>(
  logits: Tensor<A>,
  targets: Targets,
  options?: Exact<O, OneHotSquaredErrorOptions<A>>,
): LossAndGradient<O, A> {
  return call('oneHotSquaredError', [logits, targets], options);
}

export interface TaylorSoftmaxOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Write into this array instead of a new one; it may be the logits' own. */
  out?: { out?: A };
}

/**
 * Taylor softmax of every row: `(1 + x_j + x_j^2 / 2) / sum_k (1 + x_k + x_k^2 / 2)`.
 *
 * Infinite logits give NaN in their row. Source: de Brebisson and Vincent 2015, arXiv 1511.05042.
 * @param logits `[..., c]`
 * @returns `out` `[..., c]`
 * @throws TypeError or RangeError for a wrong type or shape
 */
export function taylorSoftmax<A extends RealArray>(
  logits: Logits<A>,
  options?: TaylorSoftmaxOptions<A>,
): { out: A } {
  return call('taylorSoftmax', [logits], options);
}

export interface SphericalSoftmaxOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Added to every square, above 0; default 1e-3. */
  epsilon?: number;
  /** Write into this array instead of a new one; it may be the logits' own. */
  out?: { out?: A };
}

/**
 * Spherical softmax of every row: `(x_j^2 + epsilon) / sum_k (x_k^2 + epsilon)`.
 *
 * Infinite logits give NaN in their row. Source: de Brebisson and Vincent 2015, arXiv 1511.05042.
 * @param logits `[..., c]`
 * @returns `out` `[..., c]`
 * @throws TypeError or RangeError for a wrong type, shape or epsilon
 */
export function sphericalSoftmax<A extends RealArray>(
  logits: Logits<A>,
  options?: SphericalSoftmaxOptions<A>,
): { out: A } {
  return call('sphericalSoftmax', [logits], options);
}
