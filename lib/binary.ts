import { call } from './call.js';
import type { LossAndGradient } from './softmax.js';
import type { CallOptions, Exact, Logits, RealArray, Reduction } from './types.js';

export interface BceWithLogitsOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Weight of each column `[c]`; default 1. It enters no divisor. */
  weight?: A;
  /** Weight of the positive part of each column `[c]`; default 1. */
  posWeight?: A;
  /** Default 'mean', over all elements; 'none' gives one value an element. */
  reduction?: Reduction;
  grad?: boolean;
  out?: { loss?: A; gradLogits?: A };
}

/**
 * Binary cross-entropy of every element (PyTorch's binary_cross_entropy_with_logits), in nats:
 * `w (posWeight y softplus(-x) + (1 - y) softplus(x))`. Infinite logits on the right side of a hard target have loss 0.
 * @param logits `[..., c]`
 * @param targets probabilities in [0, 1], shaped like the logits
 * @returns `loss` (a number, or one value an element for reduction 'none'), and `gradLogits` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function bceWithLogits<A extends RealArray, const O extends BceWithLogitsOptions<A> = {}>(
  logits: Logits<A>,
  targets: Logits<A>,
  options?: Exact<O, BceWithLogitsOptions<A>>,
): LossAndGradient<O, A> {
  return call('bceWithLogits', [logits, targets], options);
}

export interface SigmoidFocalLossOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Focusing exponent, at least 0; default 2. */
  gamma?: number;
  /** Weight of the positive class, `1 - alpha` that of the negative; default 0.25, negative for none. */
  alpha?: number;
  /** Default 'mean', over all elements; 'none' gives one value an element. */
  reduction?: Reduction;
  grad?: boolean;
  out?: { loss?: A; gradLogits?: A };
}

/**
 * Sigmoid focal loss of every element (Lin et al. 2017, arXiv 1708.02002, eq. 5; torchvision's sigmoid_focal_loss), in nats:
 * `alpha_t (1 - p_t)^gamma bce(x, y)` with `p_t = p y + (1 - p)(1 - y)` and `alpha_t = alpha y + (1 - alpha)(1 - y)`.
 * @param logits `[..., c]`
 * @param targets probabilities in [0, 1], shaped like the logits
 * @returns `loss` (a number, or one value an element for reduction 'none'), and `gradLogits` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function sigmoidFocalLoss<
  A extends RealArray,
  const O extends SigmoidFocalLossOptions<A> = {},
>(
  logits: Logits<A>,
  targets: Logits<A>,
  options?: Exact<O, SigmoidFocalLossOptions<A>>,
): LossAndGradient<O, A> {
  return call('sigmoidFocalLoss', [logits, targets], options);
}
