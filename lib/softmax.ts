import { call } from './call.js';
import type {
  CallOptions,
  Exact,
  Logits,
  RealArray,
  Reduced,
  Reduction,
  Simplify,
  Targets,
  Tensor,
  When,
} from './types.js';

export interface SoftmaxOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Divides the logits; default 1. */
  temperature?: number;
  /** Write into this array instead of a new one; it may be the logits' own. */
  out?: { out?: A };
}

/**
 * Softmax of every row: `exp(x_j / T) / sum_k exp(x_k / T)`.
 *
 * A logit of -Infinity is a masked class with probability 0; a row without a finite logit, or with NaN or +Infinity, is NaN.
 * @param logits `[..., c]`
 * @returns `out` `[..., c]`
 * @throws TypeError or RangeError for a wrong type, shape or temperature
 */
export function softmax<A extends RealArray>(
  logits: Logits<A>,
  options?: SoftmaxOptions<A>,
): { out: A } {
  return call('softmax', [logits], options);
}

/**
 * Log-softmax of every row in nats: `(x_j - max) / T - log sum_k exp((x_k - max) / T)`, in this order, so that logits of 1e4
 * keep their normaliser.
 * @param logits `[..., c]`
 * @returns `out` `[..., c]`
 * @throws TypeError or RangeError for a wrong type, shape or temperature
 */
export function logSoftmax<A extends RealArray>(
  logits: Logits<A>,
  options?: SoftmaxOptions<A>,
): { out: A } {
  return call('logSoftmax', [logits], options);
}

export interface LogSumExpOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Divides the logits; default 1. */
  temperature?: number;
  out?: { out?: A };
}

/**
 * `log sum_j exp(x_j / T)` of every row, in nats. -Infinity for a row without a finite logit.
 * @param logits `[..., c]`
 * @returns `out` `[...]`, of length 1 for a single row
 * @throws TypeError or RangeError for a wrong type, shape or temperature
 */
export function logSumExp<A extends RealArray>(
  logits: Logits<A>,
  options?: LogSumExpOptions<A>,
): { out: A } {
  return call('logSumExp', [logits], options);
}

/** Options of {@link logSumExpBackward}. */
export interface BackwardOptions<A extends RealArray = RealArray> extends CallOptions {
  /** The temperature of the forward call; default 1. */
  temperature?: number;
  out?: { gradLogits?: A };
}

/**
 * Gradient of {@link logSumExp}: `g p_j / T`.
 * @param gradOut upstream gradient, one value a row
 * @param logits the forward call's logits `[..., c]`
 * @returns `gradLogits` `[..., c]`
 * @throws TypeError or RangeError for a wrong type, shape or temperature
 */
export function logSumExpBackward<A extends RealArray>(
  gradOut: Logits<A>,
  logits: Logits<A>,
  options?: BackwardOptions<A>,
): { gradLogits: A } {
  return call('logSumExpBackward', [gradOut, logits], options);
}

export interface CrossEntropyOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Weight of each class `[c]`; default 1. The mean divides by the weights of the counted targets. */
  weight?: A;
  /** Weight of each row `[n]`, of any sign; default 1. It enters no divisor. */
  rowWeights?: A;
  /** Share of the target spread evenly over all classes, in [0, 1]; default 0. */
  labelSmoothing?: number;
  /** Rows with this target are not read and give loss 0 and gradient 0; default -100. */
  ignoreIndex?: number;
  /** Divides the (softcapped) logits; default 1. The gradient is not rescaled by it. */
  temperature?: number;
  /** Adds `zLossWeight * logSumExp^2` to every row's loss; default 0. */
  zLossWeight?: number;
  /** Replaces logits by `cap * tanh(x / cap)` first; default none. */
  logitSoftcap?: number;
  /** Default 'mean'. */
  reduction?: Reduction;
  /** Also compute the gradient; default false. */
  grad?: boolean;
  out?: { loss?: A; zLoss?: A; gradLogits?: A };
}

/** Outputs of a loss on one tensor of logits: the value, and the gradient of the reduced loss if asked for. */
export type LossAndGradient<O, A> = Simplify<
  { loss: Reduced<O, A> } & When<O, 'grad', 'gradLogits', A>
>;

/**
 * Cross-entropy with class indices, value and gradient in one call, in nats.
 *
 * `loss_i = (1 - eps) w_y (lse - x_y) + (eps / c) sum_j w_j (lse - x_j) + zLossWeight lse^2`, where `lse` is the log-sum-exp of
 * the row after softcap and temperature. Confident rows keep a non-zero loss and gradient in float32. If nothing counts, loss
 * and gradient are 0.
 * @param logits `[n, c]`
 * @param targets class of each row `[n]`: 0..c-1 or ignoreIndex
 * @returns `loss` (a number, or `[n]` for reduction 'none'); `zLoss`, its part from the z-loss, if zLossWeight is not 0;
 * `gradLogits` `[n, c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape, target or option
 */
export function crossEntropy<A extends RealArray, const O extends CrossEntropyOptions<A> = {}>(
  logits: Tensor<A>,
  targets: Targets,
  options?: Exact<O, CrossEntropyOptions<A>>,
): Simplify<
  LossAndGradient<O, A> & (O extends { zLossWeight: number } ? { zLoss?: Reduced<O, A> } : unknown)
> {
  return call('crossEntropy', [logits, targets], options);
}

export interface FocalLossOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Focusing exponent, at least 0; default 2. */
  gamma?: number;
  /** Weight of every row, or of each class `[c]`; default 1. It does not enter the divisor. */
  alpha?: number | A;
  /** Rows with this target give loss 0 and gradient 0; default -100. */
  ignoreIndex?: number;
  /** Default 'mean' over counted rows. */
  reduction?: Reduction;
  grad?: boolean;
  out?: { loss?: A; gradLogits?: A };
}

/**
 * Softmax focal loss `-alpha_y (1 - p_y)^gamma log p_y` (Lin et al. 2017, arXiv 1708.02002, eq. 4 and 5), in nats.
 * @param logits `[n, c]`
 * @param targets class of each row `[n]`
 * @returns `loss`, and `gradLogits` `[n, c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape, target or option
 */
export function focalLoss<A extends RealArray, const O extends FocalLossOptions<A> = {}>(
  logits: Tensor<A>,
  targets: Targets,
  options?: Exact<O, FocalLossOptions<A>>,
): LossAndGradient<O, A> {
  return call('focalLoss', [logits, targets], options);
}

export interface GatherLogProbsOptions<A extends RealArray = RealArray> extends CallOptions {
  temperature?: number;
  logitSoftcap?: number;
  ignoreIndex?: number;
  out?: { logProbs?: A; logSumExp?: A };
}

/**
 * Log-probability of each row's target, `x_y / T - lse`, without a buffer of the logits' size.
 * @param logits `[n, c]`
 * @param targets class of each row `[n]`
 * @returns `logProbs` `[n]` and `logSumExp` `[n]`, both 0 in ignored rows
 * @throws TypeError or RangeError for a wrong type, shape, target or option
 */
export function gatherLogProbs<A extends RealArray>(
  logits: Tensor<A>,
  targets: Targets,
  options?: GatherLogProbsOptions<A>,
): { logProbs: A; logSumExp: A } {
  return call('gatherLogProbs', [logits, targets], options);
}

export interface GatherLogProbsBackwardOptions<
  A extends RealArray = RealArray,
> extends CallOptions {
  temperature?: number;
  logitSoftcap?: number;
  ignoreIndex?: number;
  out?: { gradLogits?: A };
}

/**
 * Gradient of {@link gatherLogProbs}' logProbs: `g ([j = y] - p_j) / T`.
 * @param gradOut upstream gradient of logProbs `[n]`
 * @param logits the forward call's logits `[n, c]`
 * @returns `gradLogits` `[n, c]`
 * @throws TypeError or RangeError for a wrong type, shape, target or option
 */
export function gatherLogProbsBackward<A extends RealArray>(
  gradOut: Logits<A>,
  logits: Tensor<A>,
  targets: Targets,
  options?: GatherLogProbsBackwardOptions<A>,
): { gradLogits: A } {
  return call('gatherLogProbsBackward', [gradOut, logits, targets], options);
}

export interface ZLossRegularizerOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Default 1e-4. */
  weight?: number;
  temperature?: number;
  /** Marks rows: a row whose label is ignoreIndex is dropped `[rows]`. */
  labels?: Int32Array;
  ignoreIndex?: number;
  /** Default 'mean' over counted rows. */
  reduction?: Reduction;
  grad?: boolean;
  out?: { loss?: A; logZ?: A; gradLogits?: A };
}

/**
 * `weight log^2 Z` with `log Z` the log-sum-exp of `x / T` (Wortsman et al. 2023, arXiv 2309.14322).
 * @param logits `[..., c]`
 * @returns `loss`, `logZ` `[rows]` (0 in dropped rows), and `gradLogits` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function zLossRegularizer<
  A extends RealArray,
  const O extends ZLossRegularizerOptions<A> = {},
>(
  logits: Logits<A>,
  options?: Exact<O, ZLossRegularizerOptions<A>>,
): Simplify<LossAndGradient<O, A> & { logZ: A }> {
  return call('zLossRegularizer', [logits], options);
}

export interface SoftmaxBackwardOptions<A extends RealArray = RealArray> extends CallOptions {
  /** The temperature of the forward call; default 1. */
  temperature?: number;
  /** Write into this array instead of a new one; it may be gradOut's own. */
  out?: { gradLogits?: A };
}

/**
 * Gradient of {@link softmax} from its output: `p_j (g_j - sum_k g_k p_k) / T`. Classes of probability 0 take no part and have
 * gradient 0.
 * @param gradOut upstream gradient `[..., c]`
 * @param out the forward call's output `[..., c]`
 * @returns `gradLogits` `[..., c]`
 * @throws TypeError or RangeError for a wrong type, shape or temperature
 */
export function softmaxBackward<A extends RealArray>(
  gradOut: Logits<A>,
  out: Logits<A>,
  options?: SoftmaxBackwardOptions<A>,
): { gradLogits: A } {
  return call('softmaxBackward', [gradOut, out], options);
}

/**
 * Gradient of {@link logSoftmax} from its output: `(g_j - exp(out_j) sum_k g_k) / T`. At a masked class (out -Infinity) that is
 * `g_j / T`: give masked classes an upstream gradient of 0.
 * @param gradOut upstream gradient `[..., c]`
 * @param out the forward call's output `[..., c]`
 * @returns `gradLogits` `[..., c]`
 * @throws TypeError or RangeError for a wrong type, shape or temperature
 */
export function logSoftmaxBackward<A extends RealArray>(
  gradOut: Logits<A>,
  out: Logits<A>,
  options?: SoftmaxBackwardOptions<A>,
): { gradLogits: A } {
  return call('logSoftmaxBackward', [gradOut, out], options);
}
