import { call } from './call.js';
import { featureNodes, graphNodes, moreNodes } from './sizes.js';
import type {
  CallOptions,
  Exact,
  Logits,
  Mask,
  RealArray,
  Reduced,
  Reduction,
  Simplify,
  Targets,
  Tensor,
  When,
} from './types.js';

/** How positions of logits become nodes of a graph. */
export interface NodeOptions extends CallOptions {
  /** Logits that are kept of a position, at least 1; more than there are classes means all. Default 10. */
  topK?: number;
  /** A node stands for a rank (the j-th largest logit) or for a class of the vocabulary (0 where it is not kept); default 'rank'. */
  nodes?: 'rank' | 'vocab';
  /** Value of a logit: `z / T`, its softmax in the row, or `(z - mean) / deviation` of the row's finite logits; default 'none'. */
  transform?: 'none' | 'softmax' | 'standardize';
  /** T, above 0; default 1. */
  temperature?: number;
  /** Graphs are means or sums over counted positions; default 'mean'. */
  positionReduction?: 'mean' | 'sum';
}

interface MaskedNodeOptions extends NodeOptions {
  /** Positions that count `[B * L]`: the others are not read; default all. */
  mask?: Mask;
}

export interface CoactivationGraphOptions<
  A extends RealArray = RealArray,
> extends MaskedNodeOptions {
  out?: { graph?: A; count?: Int32Array };
}

/**
 * Co-activation graph of the logits of a sequence: `C = (1 / N) sum_t Z_t Z_t^T` over the N counted positions, where `Z_t` holds the
 * values of the k largest logits of position t (Wang et al. 2025, arXiv 2505.13893).
 *
 * Equal logits: the lower class first. Masked classes (-Infinity) are never kept; what is missing is 0. NaN, or no finite logit, in a
 * counted position makes the whole graph NaN. Without counted positions it is 0.
 * @param logits `[L, V]` or `[B, L, V]`
 * @returns `graph` `[n, n]` or `[B, n, n]` with n = min(topK, V), or V for 'vocab'; `count` `[B]`, counted positions
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function coactivationGraph<A extends RealArray>(
  logits: Tensor<A>,
  options?: CoactivationGraphOptions<A>,
): { graph: A; count: Int32Array } {
  return call('coactivationGraph', [logits], options, undefined, graphNodes);
}

/** Options of {@link coactivationGraphBackward}. */
export interface CoactivationBackwardOptions<
  A extends RealArray = RealArray,
> extends MaskedNodeOptions {
  out?: { gradLogits?: A };
}

/**
 * Gradient of {@link coactivationGraph}: `dZ_t = (1 / N) Z_t (G + G^T)`, then through the transform. The choice of the largest logits
 * has no gradient.
 * @param logits `[L, V]` or `[B, L, V]`
 * @param gradGraph gradient of the graph `[n, n]` or `[B, n, n]`
 * @param options those of the forward call
 * @returns `gradLogits`, shaped like logits, which may be the very array of logits (`out`)
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function coactivationGraphBackward<A extends RealArray>(
  logits: Tensor<A>,
  gradGraph: Tensor<A>,
  options?: CoactivationBackwardOptions<A>,
): { gradLogits: A } {
  return call('coactivationGraphBackward', [logits, gradGraph], options);
}

interface FeatureOptions extends MaskedNodeOptions {
  /** A feature is the mean or the sum of its node's row of the graph; default 'mean'. */
  featureReduction?: 'mean' | 'sum';
  /** Nodes to fill up to with isolated ones, at least n; default n. */
  size?: number;
}

export interface CoactivationFeaturesOptions<
  A extends RealArray = RealArray,
> extends FeatureOptions {
  out?: { features?: A; count?: Int32Array };
}

/**
 * One number a node of the {@link coactivationGraph}, `f_i = (1 / size) sum_j C_ij`, without the graph: `sum_j C_ij` is the sum over
 * positions of the node's value times the sum of all values (Wang et al. 2025, arXiv 2505.13893).
 * @param logits `[L, V]` or `[B, L, V]`
 * @returns `features` `[size]` or `[B, size]`; `count` `[B]`, counted positions
 * @throws TypeError or RangeError for a wrong type, shape or option, or a size below n
 */
export function coactivationFeatures<A extends RealArray>(
  logits: Tensor<A>,
  options?: CoactivationFeaturesOptions<A>,
): { features: A; count: Int32Array } {
  return call('coactivationFeatures', [logits], options, undefined, featureNodes);
}

export interface CoactivationFeaturesBackwardOptions<
  A extends RealArray = RealArray,
> extends FeatureOptions {
  out?: { gradLogits?: A };
}

/**
 * Gradient of {@link coactivationFeatures}: with `sigma_t` the sum of the values of position t and s the gradient of the features,
 * `dx_tm = (s_m sigma_t + s . Z_t) / (N size)` at the kept logits, then through the transform.
 * @param logits `[L, V]` or `[B, L, V]`
 * @param gradFeatures gradient of the features `[size]` or `[B, size]`
 * @param options those of the forward call
 * @returns `gradLogits`, shaped like logits, which may be the very array of logits (`out`)
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function coactivationFeaturesBackward<A extends RealArray>(
  logits: Tensor<A>,
  gradFeatures: Logits<A>,
  options?: CoactivationFeaturesBackwardOptions<A>,
): { gradLogits: A } {
  return call('coactivationFeaturesBackward', [logits, gradFeatures], options);
}

export interface GwSortApproxOptions<A extends RealArray = RealArray> extends CallOptions {
  /** A feature is the mean or the sum of its node's row; default 'mean'. */
  featureReduction?: 'mean' | 'sum';
  /** The value is the sum or the mean over nodes; default 'sum'. */
  gwReduction?: 'sum' | 'mean';
  /** Also compute the gradients; default false. */
  grad?: boolean;
  out?: { featuresC?: A; featuresD?: A; gradC?: A; gradD?: A };
}

/**
 * Gromov-Wasserstein distance of two graphs approximated by sorting one number a node: `sum_i |f_(i) - g_(i)|` over the row means f
 * and g in descending order, the smaller graph filled up with isolated nodes (Wang et al. 2025, arXiv 2505.13893).
 *
 * `lower` and `upper` bound the true distance of order 1 between the filled-up graphs with uniform weights: `lower = W_1(f, g)` is
 * Memoli's first lower bound, and `upper = lower + mad(C) + mad(D)` with `mad(C)` the mean of `|C_ij - f_i|`. Graphs whose rows have
 * equal means look the same.
 * @param C `[n, n]`
 * @param D `[m, m]`
 * @returns `value`; `featuresC` and `featuresD` `[max(n, m)]` in the order of the nodes; `lower`, `upper`; `gradC` `[n, n]` and `gradD`
 * `[m, m]`, constant along rows, if `grad`
 * @throws TypeError or RangeError for a wrong type or shape
 */
export function gwSortApprox<A extends RealArray, const O extends GwSortApproxOptions<A> = {}>(
  C: Tensor<A>,
  D: Tensor<A>,
  options?: Exact<O, GwSortApproxOptions<A>>,
): Simplify<
  { value: number; featuresC: A; featuresD: A; lower: number; upper: number } & When<
    O,
    'grad',
    'gradC',
    A
  > &
    When<O, 'grad', 'gradD', A>
> {
  return call('gwSortApprox', [C, D], options, undefined, moreNodes);
}

export interface GldLossOptions<A extends RealArray = RealArray> extends NodeOptions {
  /** A feature is the mean or the sum of its node's row of the graph; default 'mean'. */
  featureReduction?: 'mean' | 'sum';
  /** The value of a sequence is the sum or the mean over nodes; default 'sum'. */
  gwReduction?: 'sum' | 'mean';
  /** Positions of the student that count `[B * Ls]`; default all. */
  studentMask?: Mask;
  /** Positions of the teacher that count `[B * Lt]`; default all. */
  teacherMask?: Mask;
  /** Default 'mean', over sequences with counted positions on both sides. */
  reduction?: Reduction;
  /** Also compute the gradient of the student's logits; default false. */
  grad?: boolean;
  /** Also compute the gradient of the teacher's logits; default false. */
  teacherGrad?: boolean;
  out?: { loss?: A; gradStudent?: A; gradTeacher?: A };
}

/**
 * Graph-on-logits distillation: how far the co-activation graphs of student and teacher are from each other, by {@link gwSortApprox}
 * (Wang et al. 2025, arXiv 2505.13893). Vocabularies, tokenizers and lengths may differ. The graphs are never formed: memory grows
 * with positions times topK.
 *
 * The features are compared in double, so logits near 1e4 are no trouble; equal inputs give exactly 0. NaN, or no finite logit, in a
 * counted position makes the loss of its sequence NaN. A sequence without counted positions on either side has loss 0 and no gradient;
 * if none is left the mean is NaN, with gradient 0.
 * @param studentLogits `[Ls, Vs]` or `[B, Ls, Vs]`
 * @param teacherLogits `[Lt, Vt]` or `[B, Lt, Vt]`
 * @returns `loss` (a number, or `[B]` for reduction 'none'); `gradStudent` if `grad` and `gradTeacher` if `teacherGrad`, shaped like the
 * logits
 * @throws TypeError or RangeError for a wrong type, shape, mask or option, or batches of different size
 */
export function gldLoss<A extends RealArray, const O extends GldLossOptions<A> = {}>(
  studentLogits: Tensor<A>,
  teacherLogits: Tensor<A>,
  options?: Exact<O, GldLossOptions<A>>,
): Simplify<
  { loss: Reduced<O, A> } & When<O, 'grad', 'gradStudent', A> &
    When<O, 'teacherGrad', 'gradTeacher', A>
> {
  return call('gldLoss', [studentLogits, teacherLogits], options);
}

export interface InfiGFusionLossOptions<A extends RealArray = RealArray> extends NodeOptions {
  /** Share of the distillation, in [0, 1]; cross-entropy has the rest. Default 0.5. */
  lambda?: number;
  /** Weight of the distance of rows within the distillation; default 1. */
  uldWeight?: number;
  /** Weight of the distance of graphs within the distillation; default 1. */
  gldWeight?: number;
  /** What the distance of rows compares, as `transform` of {@link uldLoss}; default 'softmax'. */
  uldTransform?: 'none' | 'softmax' | 'standardize';
  /** A feature is the mean or the sum of its node's row of the graph; default 'mean'. */
  featureReduction?: 'mean' | 'sum';
  /** The value of a sequence is the sum or the mean over nodes; default 'sum'. */
  gwReduction?: 'sum' | 'mean';
  /** Positions of the teacher that count `[B * Lt]`; default those of the student if the lengths are equal, else all. */
  teacherMask?: Mask;
  /** Positions with this target are not read; default -100. */
  ignoreIndex?: number;
  /** Also compute the gradient of the student's logits; default false. */
  grad?: boolean;
  out?: { gradStudent?: A };
}

/**
 * Distillation from a teacher of another vocabulary: `(1 - lambda) sft + lambda (uldWeight uld + gldWeight gld)` (InfiGFusion, Wang et
 * al. 2025, arXiv 2505.13893), in one call with its gradient.
 *
 * `sft` is the mean cross-entropy of the counted targets in nats; `uld` the mean {@link uldLoss} of the topK largest entries over
 * pairs, the i-th counted position of the student with the i-th of the teacher in each sequence, up to the shorter; `gld` the
 * {@link gldLoss} of the counted positions. temperature divides the logits of uld and gld, not of sft. The paper gives no weights of
 * the terms and no scale of the graph: these defaults are choices of this library. A mean over nothing is NaN, with gradient 0; a term
 * without weight is left out of `loss`, whatever it is.
 * @param studentLogits `[Ls, Vs]` or `[B, Ls, Vs]`
 * @param targets class of each position `[B * Ls]`: 0..Vs-1 or ignoreIndex
 * @param teacherLogits `[Lt, Vt]` or `[B, Lt, Vt]`
 * @returns `loss`, `sft`, `uld`, `gld`; `gradStudent`, shaped like the student's logits, if `grad`
 * @throws TypeError or RangeError for a wrong type, shape, target, mask or option, or batches of different size
 */
export function infiGFusionLoss<
  A extends RealArray,
  const O extends InfiGFusionLossOptions<A> = {},
>(
  studentLogits: Tensor<A>,
  targets: Targets,
  teacherLogits: Tensor<A>,
  options?: Exact<O, InfiGFusionLossOptions<A>>,
): Simplify<
  { loss: number; sft: number; uld: number; gld: number } & When<O, 'grad', 'gradStudent', A>
> {
  return call('infiGFusionLoss', [studentLogits, targets, teacherLogits], options);
}
