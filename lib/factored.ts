import { call } from './call.js';
import type { CallOptions, Exact, RealArray, Simplify, Targets, Tensor, When } from './types.js';

/** A square matrix in float64, whatever the type of V. */
export type Tensor64 = Tensor<Float64Array>;

/** The losses of the spherical family, as a factored layer names them. */
export type SphericalLoss = 'z' | 'mse' | 'taylor' | 'spherical';

/** What the losses of a factored layer take; each is described at its dense op. */
export interface SphericalLayerLossOptions {
  /** 'z' ({@link zLoss}, the default), 'mse' ({@link oneHotSquaredError}), 'taylor' ({@link taylorSoftmaxLoss}) or 'spherical' ({@link sphericalSoftmaxLoss}). */
  loss?: SphericalLoss;
  /** Of 'z': sharpness, above 0; default 1. */
  a?: number;
  /** Of 'z': the standardised target logit at which the pull is half its largest; default 0. */
  b?: number;
  /** Of 'z' (default 1e-12, at least 0) and 'spherical' (default 1e-3, above 0). */
  epsilon?: number;
  /** Of 'mse': the wanted logit of the target; default 1. */
  targetValue?: number;
  /** Default 'mean' over counted rows. */
  reduction?: 'mean' | 'sum';
  /** Rows with this target are not read, give gradient 0 and change nothing; default -100. */
  ignoreIndex?: number;
}

/** The factors of a layer with the weights `W = V U + 1 omega^T`: c classes, d dimensions. */
export interface SphericalLayerState<A extends RealArray = RealArray> {
  /** `[c, d]` */
  readonly V: A;
  /** `[d, d]` */
  readonly U: Float64Array;
  /** `[d, d]`: the inverse of U */
  readonly inverseU: Float64Array;
  /** `[d]` */
  readonly omega: Float64Array;
  /** `[d, d]`: `W^T W` */
  readonly Q: Float64Array;
  /** `[d]`: `W^T 1` */
  readonly wbar: Float64Array;
}

export interface SphericalLayerStepOptions<A extends RealArray = RealArray>
  extends SphericalLayerLossOptions, CallOptions {
  /** Step of the gradient descent, at least 0; default 0: loss and gradient only, the state is returned as it was. */
  learningRate?: number;
  /** `W` is multiplied by `1 - learningRate weightDecay` after the step, at least 0; default 0. */
  weightDecay?: number;
  /**
   * Memory in which updates of V, U, inverseU and Q wait, so that a step of a few rows need not move all `d^2` numbers of each:
   * until they are let in, the state is that of the arrays and the memory together. Zeros at the start, and whenever others have
   * written the arrays, of `8 + d + k (4 d + 3)` numbers for k waiting rows; with float32 `8 + d + k (2 d + 3) + 3 d^2 / 2`, since
   * steps then also keep copies to multiply with. Less memory is as none.
   */
  delayed?: Float64Array;
  /** Let all that waits enter the arrays, after the step; default false. */
  flush?: boolean;
  /** Each of the state, and `delayed`, may be the very array of the input of that name: the step in place. */
  out?: Partial<SphericalLayerState<A>> & { gradHidden?: A; delayed?: Float64Array };
}

/** The state of a factored layer after a step. */
export interface SphericalLayerStepped<A extends RealArray> extends SphericalLayerState<A> {
  /** Before the step. */
  loss: number;
  /** Gradient of the loss by the hidden rows, before the step. */
  gradHidden: A;
  /** That of the options, if it was given. */
  delayed?: Float64Array;
  /** 1 if U would have become singular: then W was written out, and V is it. */
  restarted: number;
  /** A bound of the condition number of U after the step: the product of the Frobenius norms of U and its inverse, or more. */
  condition: number;
}

/**
 * One exact step of gradient descent on the weights `W = V U + 1 omega^T` of an output layer with a spherical loss, in
 * `O(n d^2 + n^2 d + n^3)` for n <= d, else `O(n d^2 + d^3)`, whatever the number of classes c: of V only the rows of the targets
 * are read and written. With {@link SphericalOutputLayer} nobody needs this op; it is what that class calls.
 *
 * With the sums `s = h . wbar`, `q = h^T Q h` and the target's logit `t`, a row's gradient by its logits is
 * `2 b o + k 1 + a e_y` (`b`, `k`, `a` the derivatives of the loss by `q`, `s`, `t`), so that `W` becomes
 * `W (1 - rate H^T 2b H) - rate 1 (H^T k)^T - rate sum_i a_i e_y h_i^T`. Where a factor of U would be singular or nearly so, W is
 * written out, which takes `O(c d^2)` once. If a loss, the sum of squares of the weights or a factor leaves its type, the call
 * throws and has written nothing. A float32 layer multiplies in float32 and adds to the factors in float64.
 *
 * Source: Vincent, de Brebisson and Bouthillier 2015, arXiv 1412.7091; for all spherical losses their arXiv 1606.08061.
 * @param V to `wbar`: the {@link SphericalLayerState}
 * @param hidden `[n, d]`, of V's type; a bias is a column of ones
 * @param targets class of each row `[n]`: 0..c-1 or ignoreIndex
 * @returns `loss` and `gradHidden` `[n, d]` before the step, the state after it, `restarted` and `condition`
 * @throws TypeError or RangeError for a wrong type, shape, target or option, `learningRate weightDecay >= 1`, or a step that diverges
 */
export function sphericalLayerStep<A extends RealArray>(
  V: Tensor<A>,
  U: Tensor64,
  inverseU: Tensor64,
  omega: Float64Array,
  Q: Tensor64,
  wbar: Float64Array,
  hidden: Tensor<A>,
  targets: Targets,
  options?: SphericalLayerStepOptions<A>,
): SphericalLayerStepped<A> {
  return call('sphericalLayerStep', [V, U, inverseU, omega, Q, wbar, hidden, targets], options);
}

export interface SphericalLayerStabilizeOptions<
  A extends RealArray = RealArray,
> extends CallOptions {
  /** Smallest singular value of U that stays, in (0, 1]; default 0.5. */
  low?: number;
  /** Largest one, at least 1; default 2. */
  high?: number;
  /** U's inverse so far: if it still is that, it stays. */
  inverseU?: Tensor64;
  /** Each may be the very array of the input of that name. */
  out?: Partial<SphericalLayerState<A>>;
}

/** What {@link sphericalLayerStabilize} returns. */
export interface SphericalLayerStabilized<A extends RealArray> extends SphericalLayerState<A> {
  /** Singular values that were outside the range. */
  fixed: number;
  /** 1 if W was written out, because more than a third were or U has no inverse. */
  restarted: number;
}

/**
 * Moves singular values of U outside a range to 1 and leaves `W = V U + 1 omega^T` as it is:
 * `V = V (1 + L (sigma - 1) L^T)` and `U = (1 + L (1 / sigma - 1) L^T) U` with the left singular vectors L, in one sweep over V for
 * all of them. The inverse of U is computed anew where it has to be. If more than a third are outside, V becomes W and U the identity.
 *
 * Source: the numerical stabilisation of Vincent, de Brebisson and Bouthillier 2015, arXiv 1412.7091 (there one singular vector at
 * a time).
 * @param V to `wbar`: of the {@link SphericalLayerState}; Q and wbar are returned as they are, or of the written-out W
 * @returns the state, the inverse of U, and how many singular values were `fixed`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function sphericalLayerStabilize<A extends RealArray>(
  V: Tensor<A>,
  U: Tensor64,
  omega: Float64Array,
  Q: Tensor64,
  wbar: Float64Array,
  options?: SphericalLayerStabilizeOptions<A>,
): SphericalLayerStabilized<A> {
  return call('sphericalLayerStabilize', [V, U, omega, Q, wbar], options);
}

export interface SphericalLayerWeightOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Also compute `Q = W^T W` and `wbar = W^T 1` of the returned weights; default false. */
  gram?: boolean;
  /** `weight` may be V's own array. */
  out?: { weight?: A; Q?: Float64Array; wbar?: Float64Array };
}

/**
 * Weights of a factored layer, `W = V U + 1 omega^T`, and on request what the layer keeps of them: `Q = W^T W` and `wbar = W^T 1`,
 * summed in float64. Without U it is the identity, without omega that is 0. A part of the rows of V gives those rows of W.
 * @param V with U and omega: of the {@link SphericalLayerState}
 * @returns `weight` `[c, d]`; `Q` `[d, d]` and `wbar` `[d]` if `gram`
 * @throws TypeError or RangeError for a wrong type or shape
 */
export function sphericalLayerWeight<
  A extends RealArray,
  const O extends SphericalLayerWeightOptions<A> = {},
>(
  V: Tensor<A>,
  U?: Tensor64,
  omega?: Float64Array,
  options?: Exact<O, SphericalLayerWeightOptions<A>>,
): Simplify<
  { weight: A } & When<O, 'gram', 'Q', Float64Array> & When<O, 'gram', 'wbar', Float64Array>
> {
  return call('sphericalLayerWeight', [V, U, omega], options);
}

export interface SphericalLayerScoresOptions<A extends RealArray = RealArray> extends CallOptions {
  out?: { scores?: A };
}

/**
 * Logits of a factored layer for some classes: `h_i . W_k = (U h_i) . V_k + omega . h_i`, summed in float64.
 * @param V with U and omega: of the {@link SphericalLayerState}
 * @param hidden `[n, d]`, of V's type
 * @param classes `[m]`, the same for all rows, in any order
 * @returns `scores` `[n, m]`
 * @throws TypeError or RangeError for a wrong type, shape or class
 */
export function sphericalLayerScores<A extends RealArray>(
  V: Tensor<A>,
  U: Tensor64,
  omega: Float64Array,
  hidden: Tensor<A>,
  classes: Targets,
  options?: SphericalLayerScoresOptions<A>,
): { scores: A } {
  return call('sphericalLayerScores', [V, U, omega, hidden, classes], options);
}

export interface SphericalLayerTopKOptions<A extends RealArray = RealArray> extends CallOptions {
  /** How many, 1..c. */
  k: number;
  out?: { values?: A; indices?: Int32Array };
}

/**
 * The k largest logits `h_i . W_j` of every hidden row over all classes and their classes, without storing the others. The order is
 * that of {@link topK} on the logits in V's type: descending, NaN first, equal values by class.
 * @param V with U and omega: of the {@link SphericalLayerState}
 * @param hidden `[n, d]`, of V's type
 * @returns `values` `[n, k]` and `indices` `[n, k]`
 * @throws TypeError or RangeError for a wrong type, shape or k
 */
export function sphericalLayerTopK<A extends RealArray>(
  V: Tensor<A>,
  U: Tensor64,
  omega: Float64Array,
  hidden: Tensor<A>,
  options: SphericalLayerTopKOptions<A>,
): { values: A; indices: Int32Array } {
  return call('sphericalLayerTopK', [V, U, omega, hidden], options);
}
