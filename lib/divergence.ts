import { call } from './call.js';
import type { LossAndGradient } from './softmax.js';
import type {
  CallOptions,
  Exact,
  Logits,
  RealArray,
  Reduced,
  Reduction,
  Simplify,
  Tensor,
  When,
} from './types.js';

export interface CrossEntropySoftOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Weight of each class `[c]`; default 1. It enters no divisor. */
  weight?: A;
  /** Weight of each row `[n]`, of any sign; default 1. It enters no divisor. */
  rowWeights?: A;
  /** Share of the target spread evenly over all classes, in [0, 1]; default 0. */
  labelSmoothing?: number;
  /** Divides the (softcapped) logits; default 1. The gradient is not rescaled by it. */
  temperature?: number;
  /** Adds `zLossWeight * logSumExp^2` to every row's loss; default 0. */
  zLossWeight?: number;
  /** Replaces logits by `cap * tanh(x / cap)` first; default none. */
  logitSoftcap?: number;
  /** Default 'mean', over all rows. */
  reduction?: Reduction;
  /** Also compute the gradient of the logits; default false. */
  grad?: boolean;
  /** Also compute the gradient of the targets; default false. */
  gradTargets?: boolean;
  out?: { loss?: A; zLoss?: A; gradLogits?: A; gradTargets?: A };
}

/**
 * Cross-entropy with a distribution as target, value and gradients in one call, in nats.
 *
 * `loss_i = -sum_j w_j t'_j log p_j + zLossWeight lse^2` with `t' = (1 - eps) t + eps / c` and `p` the softmax of the row after
 * softcap and temperature (PyTorch's cross_entropy with probabilities; z-loss and softcap as in Liger-Kernel). Targets need not
 * sum to 1. A class with logit -Infinity and target 0 has no term, and no gradient of its target; with a target it makes the
 * loss Infinity.
 * @param logits `[n, c]`
 * @param targets a distribution for each row `[n, c]`
 * @returns `loss` (a number, or `[n]` for reduction 'none'); `zLoss`, its part from the z-loss, if zLossWeight is not 0;
 * `gradLogits` `[n, c]` if `grad`; `gradTargets` `[n, c]` if `gradTargets`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function crossEntropySoft<
  A extends RealArray,
  const O extends CrossEntropySoftOptions<A> = {},
>(
  logits: Tensor<A>,
  targets: Tensor<A>,
  options?: Exact<O, CrossEntropySoftOptions<A>>,
): Simplify<
  LossAndGradient<O, A> &
    When<O, 'gradTargets', 'gradTargets', A> &
    (O extends { zLossWeight: number } ? { zLoss?: Reduced<O, A> } : unknown)
> {
  return call('crossEntropySoft', [logits, targets], options);
}

/** Options of all divergences of a student's and a teacher's logits. */
export interface PairOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Divides both logits; default 1. */
  temperature?: number;
  /** Multiplies loss and gradients by `T^2`, which keeps their size beside a loss on labels (Hinton et al. 2015). */
  scaleByT2?: boolean;
  /** Drops the terms of classes that are -Infinity on either side, without renormalising; default false. */
  maskInf?: boolean;
  /** Marks rows `[n]`: a row whose label is ignoreIndex is not read and gives loss 0 and gradient 0. */
  labels?: Int32Array;
  /** Default -100. */
  ignoreIndex?: number;
  /** Default 'mean', over counted rows (PyTorch's 'batchmean'). */
  reduction?: Reduction;
  /** Also compute the gradient of the student's logits; default false. */
  grad?: boolean;
  /** Also compute the gradient of the teacher's logits; default false. */
  gradTeacher?: boolean;
  out?: { loss?: A; gradStudent?: A; gradTeacher?: A };
}

/** The loss, and the gradients that were asked for. */
export type PairLoss<O, A> = Simplify<
  { loss: Reduced<O, A> } & When<O, 'grad', 'gradStudent', A> &
    When<O, 'gradTeacher', 'gradTeacher', A>
>;

export interface KlDivOptions<A extends RealArray = RealArray> extends PairOptions<A> {
  /** 'forward' is KL(teacher || student), 'reverse' KL(student || teacher); default 'forward'. */
  direction?: 'forward' | 'reverse';
  /** Multiplies loss and gradients by `T^2`; default true. */
  scaleByT2?: boolean;
}

/**
 * Kullback-Leibler divergence of two rows of logits, `T^2 sum_j a_j (log a_j - log b_j)` in nats, with (a, b) the softmaxes of
 * (teacher, student) for 'forward' (Hinton et al. 2015, arXiv 1503.02531) and of (student, teacher) for 'reverse' (MiniLLM, arXiv
 * 2306.08543).
 *
 * A class dead (-Infinity) on both sides has no term. One that is dead only in b makes the loss Infinity, unless `maskInf` drops it.
 * @param student logits `[n, c]`
 * @param teacher logits `[n, c]`
 * @returns `loss` (a number, or `[n]` for reduction 'none'), `gradStudent` `[n, c]` if `grad`, `gradTeacher` `[n, c]` if `gradTeacher`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function klDiv<A extends RealArray, const O extends KlDivOptions<A> = {}>(
  student: Tensor<A>,
  teacher: Tensor<A>,
  options?: Exact<O, KlDivOptions<A>>,
): PairLoss<O, A> {
  return call('klDiv', [student, teacher], options);
}

export interface JsDivergenceOptions<A extends RealArray = RealArray> extends PairOptions<A> {
  /** Share of the teacher in the mixture, in [0, 1]; default 0.5. 0 is the forward KL divergence, 1 the reverse one. */
  beta?: number;
  /** Multiplies loss and gradients by `T^2`; default false. */
  scaleByT2?: boolean;
}

/**
 * Generalised Jensen-Shannon divergence of two rows of logits (Agarwal et al. 2023, arXiv 2306.13649, eq. 1), in nats:
 * `beta KL(P || M) + (1 - beta) KL(Q || M)` with P the teacher's, Q the student's softmax and `M = beta P + (1 - beta) Q`.
 *
 * At beta 0 and 1 it is the forward and the reverse KL divergence, as in Liger-Kernel and TRL, not the limit of the formula.
 * @param student logits `[n, c]`
 * @param teacher logits `[n, c]`
 * @returns `loss` (a number, or `[n]` for reduction 'none'), `gradStudent` `[n, c]` if `grad`, `gradTeacher` `[n, c]` if `gradTeacher`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function jsDivergence<A extends RealArray, const O extends JsDivergenceOptions<A> = {}>(
  student: Tensor<A>,
  teacher: Tensor<A>,
  options?: Exact<O, JsDivergenceOptions<A>>,
): PairLoss<O, A> {
  return call('jsDivergence', [student, teacher], options);
}

/** Options of the divergences whose teacher is a constant. */
export interface StudentOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Divides both logits; default 1. */
  temperature?: number;
  /** Multiplies loss and gradient by `T^2`; default false. */
  scaleByT2?: boolean;
  /** Drops the terms of classes that are -Infinity on either side, without renormalising; default false. */
  maskInf?: boolean;
  /** Marks rows `[n]`: a row whose label is ignoreIndex is not read and gives loss 0 and gradient 0. */
  labels?: Int32Array;
  /** Default -100. */
  ignoreIndex?: number;
  /** Default 'mean', over counted rows. */
  reduction?: Reduction;
  /** Also compute the gradient of the student's logits; default false. */
  grad?: boolean;
  out?: { loss?: A; gradStudent?: A };
}

/** The loss, and the student's gradient if it was asked for. */
export type StudentLoss<O, A> = Simplify<
  { loss: Reduced<O, A> } & When<O, 'grad', 'gradStudent', A>
>;

export interface SymmetricKlOptions<A extends RealArray = RealArray> extends StudentOptions<A> {
  /** Share of the reverse divergence, in [0, 1]; default 0.9. */
  lam?: number;
}

/**
 * Forward and reverse Kullback-Leibler divergence mixed, `(1 - lam) KL(teacher || student) + lam KL(student || teacher)` in nats
 * (DistiLLM's symmetric KL, Ko et al. 2024, arXiv 2402.03898).
 *
 * A class dead (-Infinity) on both sides has no term; one that is dead on one side makes the divergence that needs it Infinity, unless
 * `maskInf` drops it. A divergence with share 0 does not count at all.
 * @param student logits `[n, c]`
 * @param teacher logits `[n, c]`, a constant
 * @returns `loss` (a number, or `[n]` for reduction 'none') and `gradStudent` `[n, c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function symmetricKl<A extends RealArray, const O extends SymmetricKlOptions<A> = {}>(
  student: Tensor<A>,
  teacher: Tensor<A>,
  options?: Exact<O, SymmetricKlOptions<A>>,
): StudentLoss<O, A> {
  return call('symmetricKl', [student, teacher], options);
}

export interface SkewKlOptions<A extends RealArray = RealArray> extends StudentOptions<A> {
  /** Share of the divergence's first side in the mixture, in [0, 1); default 0.1. 0 is the plain divergence. */
  alpha?: number;
  /** 'forward' is an expectation over the teacher, 'reverse' over the student; default 'forward'. */
  direction?: 'forward' | 'reverse';
}

/**
 * Skew Kullback-Leibler divergence of two rows of logits (Ko et al. 2024, arXiv 2402.03898), in nats, with p the student's and q the
 * teacher's softmax: `KL(q || alpha q + (1 - alpha) p)` for 'forward', `KL(p || (1 - alpha) q + alpha p)` for 'reverse'. At most
 * `-log(alpha)`, so classes that are dead (-Infinity) on one side are no trouble; `maskInf` drops them all the same.
 * @param student logits `[n, c]`
 * @param teacher logits `[n, c]`, a constant
 * @returns `loss` (a number, or `[n]` for reduction 'none') and `gradStudent` `[n, c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function skewKl<A extends RealArray, const O extends SkewKlOptions<A> = {}>(
  student: Tensor<A>,
  teacher: Tensor<A>,
  options?: Exact<O, SkewKlOptions<A>>,
): StudentLoss<O, A> {
  return call('skewKl', [student, teacher], options);
}

/**
 * Total variation distance of the softmaxes p and q of two rows of logits, `sum_j |p_j - q_j| / 2`, at most 1 (as in DistiLLM, Ko et al.
 * 2024, arXiv 2402.03898). Its gradient counts classes with `p_j = q_j` as flat.
 * @param student logits `[n, c]`
 * @param teacher logits `[n, c]`, a constant
 * @returns `loss` (a number, or `[n]` for reduction 'none') and `gradStudent` `[n, c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function totalVariation<A extends RealArray, const O extends StudentOptions<A> = {}>(
  student: Tensor<A>,
  teacher: Tensor<A>,
  options?: Exact<O, StudentOptions<A>>,
): StudentLoss<O, A> {
  return call('totalVariation', [student, teacher], options);
}

export interface EntropyOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Divides the logits; default 1. */
  temperature?: number;
  /** Marks rows: a row whose label is ignoreIndex is dropped `[rows]`. */
  labels?: Int32Array;
  /** Default -100. */
  ignoreIndex?: number;
  /** Default 'none'. */
  reduction?: Reduction;
  grad?: boolean;
  out?: { entropy?: A; gradLogits?: A };
}

/**
 * Entropy of every row's softmax, `-sum_j p_j log p_j` in nats. Classes with logit -Infinity have no term.
 * @param logits `[..., c]`
 * @returns `entropy` (`[rows]`, or a number for reduction 'mean' or 'sum'), and `gradLogits` `[..., c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function entropy<A extends RealArray, const O extends EntropyOptions<A> = {}>(
  logits: Logits<A>,
  options?: Exact<O, EntropyOptions<A>>,
): Simplify<{ entropy: Reduced<O, A, 'none'> } & When<O, 'grad', 'gradLogits', A>> {
  return call('entropy', [logits], options);
}
