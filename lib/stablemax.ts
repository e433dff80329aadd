import { call } from './call.js';
import type { LossAndGradient } from './softmax.js';
import type { CallOptions, Exact, Logits, RealArray, Reduction, Targets, Tensor } from './types.js';

export interface StableMaxOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Write into this array instead of a new one; it may be the logits' own. */
  out?: { out?: A };
}

/**
 * StableMax of every row: `s(x_j) / sum_k s(x_k)` with `s(x) = x + 1` for x >= 0 and `1 / (1 - x)` below.
 *
 * A logit of -Infinity is a masked class with probability 0; a row without a finite logit, or with NaN or +Infinity, is NaN.
 *
 * Source: Prieto et al. 2025, arXiv 2501.04697, definition of StableMax.
 * @param logits `[..., c]`
 * @returns `out` `[..., c]`
 * @throws TypeError or RangeError for a wrong type or shape, or if empty
 */
export function stableMax<A extends RealArray>(
  logits: Logits<A>,
  options?: StableMaxOptions<A>,
): { out: A } {
  return call('stableMax', [logits], options);
}

/**
 * Logarithm of {@link stableMax} in nats: `g(x_j) - log sum_k s(x_k)` with `g(x) = sign(x) log(1 + |x|)`. A row's largest entry is
 * exact also where its probability rounds to 1.
 * @param logits `[..., c]`
 * @returns `out` `[..., c]`; -Infinity for masked classes
 * @throws TypeError or RangeError for a wrong type or shape, or if empty
 */
export function logStableMax<A extends RealArray>(
  logits: Logits<A>,
  options?: StableMaxOptions<A>,
): { out: A } {
  return call('logStableMax', [logits], options);
}

export interface StableMaxBackwardOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Write into this array instead of a new one; it may be the logits' own. */
  out?: { gradLogits?: A };
}

/**
 * Gradient of {@link stableMax}: `P_j v_j (g_j - sum_k g_k P_k)` with `P = stableMax(x)` and `v_j = 1 / (1 + |x_j|)`.
 * @param gradOut upstream gradient `[..., c]`
 * @param logits the forward call's logits `[..., c]` (not its output)
 * @returns `gradLogits` `[..., c]`
 * @throws TypeError or RangeError for a wrong type or shape, or if empty
 */
export function stableMaxBackward<A extends RealArray>(
  gradOut: Logits<A>,
  logits: Logits<A>,
  options?: StableMaxBackwardOptions<A>,
): { gradLogits: A } {
  return call('stableMaxBackward', [gradOut, logits], options);
}

/**
 * Gradient of {@link logStableMax}: `v_j (g_j - P_j sum_k g_k)` with `P = stableMax(x)` and `v_j = 1 / (1 + |x_j|)`.
 * @param gradOut upstream gradient `[..., c]`
 * @param logits the forward call's logits `[..., c]` (not its output)
 * @returns `gradLogits` `[..., c]`
 * @throws TypeError or RangeError for a wrong type or shape, or if empty
 */
export function logStableMaxBackward<A extends RealArray>(
  gradOut: Logits<A>,
  logits: Logits<A>,
  options?: StableMaxBackwardOptions<A>,
): { gradLogits: A } {
  return call('logStableMaxBackward', [gradOut, logits], options);
}

export interface StableMaxCrossEntropyOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Rows with this target are not read and give loss 0 and gradient 0; default -100. */
  ignoreIndex?: number;
  /** Default 'mean' over counted rows. */
  reduction?: Reduction;
  /** Also compute the gradient; default false. */
  grad?: boolean;
  out?: { loss?: A; gradLogits?: A };
}

/**
 * Cross-entropy on {@link stableMax} in nats: `-log(s(x_y) / sum_k s(x_k))`, gradient `v_j (P_j - [j = y])`.
 *
 * Confident rows keep a non-zero loss and gradient in float32. A masked target has loss +Infinity and a finite gradient. Rows of
 * the gradient do not sum to 0: StableMax is not invariant to shifts.
 *
 * Source: Prieto et al. 2025, arXiv 2501.04697.
 * @param logits `[n, c]`
 * @param targets class of each row `[n]`: 0..c-1 or ignoreIndex
 * @returns `loss` (a number, or `[n]` for reduction 'none'), and `gradLogits` `[n, c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape, target or option, or if empty
 */
export function stableMaxCrossEntropy<
  A extends RealArray,
  const O extends StableMaxCrossEntropyOptions<A> = {},
>(
  logits: Tensor<A>,
  targets: Targets,
  options?: Exact<O, StableMaxCrossEntropyOptions<A>>,
): LossAndGradient<O, A> {
  return call('stableMaxCrossEntropy', [logits, targets], options);
}

export interface PerpGradOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Rescale the projection to the norm of the gradient, as the authors' code does; default true. */
  preserveNorm?: boolean;
  /** Added to `w.w` and to the norm that is divided by, at least 0; default 1e-30. */
  epsilon?: number;
  /** A projection of at most this share of the gradient's norm is rounding noise: `out` is 0. At least 0; default 1e-6. */
  minRatio?: number;
  /** Write into this array instead of a new one; it may be the gradient's own. */
  out?: { out?: A };
}

/** What {@link perpGrad} returns. */
export interface PerpGradResult<A> {
  /** The gradient without its part along the weights. */
  out: A;
  /** `|w.g| / |w|`, 0 for zero weights. */
  parallelNorm: number;
  /** Norm of the projection before it is rescaled. */
  perpNorm: number;
  /** Cosine between the descent direction -g and the weights, 0 if either is 0. */
  nlmCosine: number;
}

/**
 * The gradient's part orthogonal to the weights: `g - (w.g) / (w.w + epsilon) w`, by default times `|g| / (|g_perp| + epsilon)`. One
 * call a parameter tensor, over all its values; `out` goes to any optimizer. Zero weights leave the gradient as it is.
 *
 * Source: Prieto et al. 2025, arXiv 2501.04697, equation 12.
 * @param grad gradient of a parameter, any shape
 * @param param the parameter, as many values
 * @throws TypeError or RangeError for a wrong type, length or option, or if empty
 */
export function perpGrad<A extends RealArray>(
  grad: Logits<A>,
  param: Logits<A>,
  options?: PerpGradOptions<A>,
): PerpGradResult<A> {
  return call('perpGrad', [grad, param], options);
}

export interface SoftmaxCollapseOptions extends CallOptions {
  /** The precision whose rounding is asked about, whatever the type of the logits; default 'float32'. */
  precision?: 'float32' | 'float64' | 'float16' | 'bfloat16';
  /** Rows with this target are not counted; default -100. */
  ignoreIndex?: number;
  out?: { mask?: Int32Array };
}

/** What {@link softmaxCollapse} returns. */
export interface SoftmaxCollapseResult {
  /** Share of the counted rows, 0 if there are none. */
  fraction: number;
  count: number;
  /** 1 for a collapsed row `[rows]`. */
  mask: Int32Array;
}

/**
 * Counts rows where softmax has collapsed: all other exponentials together are absorbed by the largest one, `sum_{j != k} exp(x_j - x_k) <=
 * 2^-P` with P = 24 (float32), 53 (float64), 11 (float16) or 8 (bfloat16), so that a softmax in that precision gives exactly 1. With targets
 * the largest logit (the first of equals) must also be the target's: then loss and target gradient are exactly 0.
 *
 * Rows with NaN or +Infinity or without a finite logit do not collapse. Source: Prieto et al. 2025, arXiv 2501.04697, softmax collapse.
 * @param logits `[..., c]`
 * @param targets class of each row; may be left out
 * @throws TypeError or RangeError for a wrong type, shape, target or option, or if empty
 */
export function softmaxCollapse(
  logits: Logits,
  targets?: Targets | SoftmaxCollapseOptions,
  options?: SoftmaxCollapseOptions,
): SoftmaxCollapseResult {
  return call('softmaxCollapse', [logits, targets], options);
}

export interface LogitScaleDerivativeOptions<A extends RealArray = RealArray> extends CallOptions {
  out?: { derivative?: A; nlmCosine?: A };
}

/**
 * How a loss changes when a row's logits are scaled: `sum_j x_j g_j`, the derivative of `L(c x)` at c = 1 (negative: scaling up still lowers
 * the loss), and `nlmCosine = -sum_j x_j g_j / (|x| |g|)`, 0 if either norm is 0. Masked classes (-Infinity) do not count.
 *
 * The logit form of the naive loss minimisation of Prieto et al. 2025, arXiv 2501.04697, equation 9.
 * @param logits `[..., c]`
 * @param gradLogits gradient of the loss `[..., c]`
 * @returns `derivative` and `nlmCosine`, one value a row
 * @throws TypeError or RangeError for a wrong type or shape, or if empty
 */
export function logitScaleDerivative<A extends RealArray>(
  logits: Logits<A>,
  gradLogits: Logits<A>,
  options?: LogitScaleDerivativeOptions<A>,
): { derivative: A; nlmCosine: A } {
  return call('logitScaleDerivative', [logits, gradLogits], options);
}
