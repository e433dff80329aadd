import { checkNumber, checkOptions } from './arguments.js';
import { call } from './call.js';
import type { StudentLoss } from './divergence.js';
import type {
  CallOptions,
  Exact,
  RealArray,
  Reduced,
  Reduction,
  Simplify,
  Targets,
  Tensor,
  When,
} from './types.js';

/** Options of the divergences that see logits as independent sigmoids. */
export interface BinaryKlOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Divides both logits, above 0; default 2. */
  temperature?: number;
  /** Clamps probabilities to [eps, 1 - eps], in [0, 0.5); default 0, no clamp. Beyond the clamp the gradient is 0. */
  eps?: number;
  /** Marks rows `[n]`: a row whose label is ignoreIndex is not read and gives loss 0 and gradient 0. */
  labels?: Int32Array;
  /** Default -100. */
  ignoreIndex?: number;
  /** Default 'mean', over counted rows; classes are summed. */
  reduction?: Reduction;
  /** Also compute the gradient of the student's logits; default false. */
  grad?: boolean;
  /** `gradStudent` may be the array of the student. */
  out?: { loss?: A; gradStudent?: A };
}

/**
 * Binary divergence of logits (the BinaryKL of Yang et al. 2024, arXiv 2411.08937), in nats: with `p = sigmoid(z / T)` of each class,
 * a row's loss is `T^2 sum_k [p_t log(p_t / p_s) + (1 - p_t) log((1 - p_t) / (1 - p_s))]`.
 *
 * Unlike a softmax divergence it sees a common shift of the logits. The teacher is constant; `gradStudent = T (p_s - p_t)`. Close and
 * very large logits keep their digits. A class that is -Infinity in both has no term; in one of them it can make the loss Infinity.
 * @param student logits `[n, c]`
 * @param teacher logits `[n, c]`
 * @returns `loss` (a number, or `[n]` for reduction 'none'), `gradStudent` `[n, c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function binaryKlDiv<A extends RealArray, const O extends BinaryKlOptions<A> = {}>(
  student: Tensor<A>,
  teacher: Tensor<A>,
  options?: Exact<O, BinaryKlOptions<A>>,
): StudentLoss<O, A> {
  return call('binaryKlDiv', [student, teacher], options);
}

/**
 * The normed binary divergence (BinaryKL-Norm of Yang et al. 2024, arXiv 2411.08937), in nats: with `u = sigmoid((z_s - z_t) / T)` of
 * each class, a row's loss is `T^2 sum_k KL((1/2, 1/2) || (u, 1 - u)) = T^2 sum_k log cosh((z_s - z_t) / (2 T))`.
 *
 * The teacher is constant; `gradStudent = T / 2 tanh((z_s - z_t) / (2 T))`, below T / 2 everywhere. A class that is -Infinity in both
 * has no term; in one of them it makes the loss Infinity.
 * @param student logits `[n, c]`
 * @param teacher logits `[n, c]`
 * @returns `loss` (a number, or `[n]` for reduction 'none'), `gradStudent` `[n, c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function binaryKlNorm<A extends RealArray, const O extends BinaryKlOptions<A> = {}>(
  student: Tensor<A>,
  teacher: Tensor<A>,
  options?: Exact<O, BinaryKlOptions<A>>,
): StudentLoss<O, A> {
  return call('binaryKlNorm', [student, teacher], options);
}

export interface DhkdLossOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Weight of the distillation; default 1. */
  alpha?: number;
  /** Weight of the cross-entropy; default 1. */
  gamma?: number;
  /** Divides the logits of the distillation, not those of the cross-entropy; above 0, default 2. */
  temperature?: number;
  /** 'norm' is {@link binaryKlNorm}, 'plain' {@link binaryKlDiv}; default 'norm'. */
  variant?: 'norm' | 'plain';
  /** As in {@link binaryKlDiv}; default 0. */
  eps?: number;
  /** Rows with this target count in neither loss and are not read; default -100. */
  ignoreIndex?: number;
  /** Default 'mean', over counted rows. */
  reduction?: Reduction;
  /** Also compute both gradients; default false. */
  grad?: boolean;
  /** Gradients may be the arrays of their logits. */
  out?: { loss?: A; ceLoss?: A; kdLoss?: A; gradLogitsCls?: A; gradLogitsAux?: A };
}

/**
 * Dual-head distillation (Yang et al. 2024, arXiv 2411.08937), in nats: `gamma CE(logitsCls, y) + alpha L(logitsAux, teacher)` with
 * cross-entropy on one head and a binary divergence on another, over one backbone. The teacher is constant.
 * @param logitsCls logits of the head for the labels `[n, c]`; masked classes (-Infinity) have probability 0
 * @param logitsAux logits of the head for the teacher `[n, c]`
 * @param teacher logits `[n, c]`
 * @param targets class of each row `[n]`: 0..c-1 or ignoreIndex
 * @returns `loss`, and without their weights `ceLoss` and `kdLoss` (numbers, or `[n]` for reduction 'none'); `gradLogitsCls` and
 * `gradLogitsAux` `[n, c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape, target or option
 */
export function dhkdLoss<A extends RealArray, const O extends DhkdLossOptions<A> = {}>(
  logitsCls: Tensor<A>,
  logitsAux: Tensor<A>,
  teacher: Tensor<A>,
  targets: Targets,
  options?: Exact<O, DhkdLossOptions<A>>,
): Simplify<
  { loss: Reduced<O, A>; ceLoss: Reduced<O, A>; kdLoss: Reduced<O, A> } & When<
    O,
    'grad',
    'gradLogitsCls',
    A
  > &
    When<O, 'grad', 'gradLogitsAux', A>
> {
  return call('dhkdLoss', [logitsCls, logitsAux, teacher, targets], options);
}

export interface GradAlignOptions<A extends RealArray = RealArray> extends CallOptions {
  /** `out` may be the array of gradMain, `aligned` that of gradAux. */
  out?: { out?: A; aligned?: A };
}

/**
 * Two gradients of all parameters made one (Yang et al. 2024, arXiv 2411.08937): where they oppose each other, `dot = g_main . g_aux < 0`,
 * the auxiliary gradient loses its part along the main one, `aligned = g_aux - dot / |g_main|^2 g_main`; else `aligned = g_aux`.
 * `out = g_main + aligned`.
 * @param gradMain `[k]`, zeros where the loss does not reach
 * @param gradAux `[k]`
 * @returns `out` and `aligned` `[k]`; `dot`; `cosine`, 0 if a norm is 0; `projected`, whether anything was taken away
 * @throws TypeError or RangeError for a wrong type or length
 */
export function gradAlign<A extends RealArray>(
  gradMain: A,
  gradAux: A,
  options?: GradAlignOptions<A>,
): { out: A; aligned: A; dot: number; cosine: number; projected: boolean } {
  return call('gradAlign', [gradMain, gradAux], options, withFlag);
}

const withFlag = (result: Record<string, unknown>) => ({
  ...result,
  projected: result.projected === 1,
});

export interface HeadConflictOptions<A extends RealArray = RealArray> extends CallOptions {
  out?: { cosWeight?: A; cosFeature?: A };
}

/**
 * How two losses on one linear head `logits = H W^T` pull against each other (after Yang et al. 2024, arXiv 2411.08937): cosines of their
 * gradients by the weights, `G^T H`, and by the features, `G W`. Computed in double. A cosine with a zero vector is 0.
 * @param gradA gradient of one loss by the logits `[n, c]`
 * @param gradB gradient of the other `[n, c]`
 * @param features `[n, d]`
 * @param weight `[c, d]`
 * @returns `cosWeight` `[c]` of each class, `cosFeature` `[n]` of each row, `cosWeightAll` of all weights as one vector; `conflictWeight`
 * and `conflictFeature`, the shares of classes and rows whose dot product is negative
 * @throws TypeError or RangeError for a wrong type or shape
 */
export function headConflict<A extends RealArray>(
  gradA: Tensor<A>,
  gradB: Tensor<A>,
  features: Tensor<A>,
  weight: Tensor<A>,
  options?: HeadConflictOptions<A>,
): {
  cosWeight: A;
  cosFeature: A;
  cosWeightAll: number;
  conflictWeight: number;
  conflictFeature: number;
} {
  return call('headConflict', [gradA, gradB, features, weight], options);
}

type ForceNames = `${'ce' | 'kd'}${'Pull' | 'Push'}${'Weight' | 'Feature'}`;

export interface HeadForcesOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Divides the logits of the distillation, above 0; default 2. */
  temperature?: number;
  /** The distillation: 'plain' is {@link binaryKlDiv}, 'norm' {@link binaryKlNorm}; default 'plain'. */
  variant?: 'plain' | 'norm';
  out?: { [Name in ForceNames]?: A };
}

/**
 * What cross-entropy and binary distillation do to one linear head `logits = H W^T` (after Yang et al. 2024, arXiv 2411.08937): minus the
 * gradients of the losses summed over rows, split into the pull of a row's target and the push of the other classes.
 *
 * With the coefficients `ce_ik = [k = y_i] - softmax(z_i)_k` and `kd_ik = T (p_t - p_s)_ik` ('plain') or `T (1/2 - u)_ik` ('norm'):
 * PullWeight_k sums `coefficient_ik h_i` over the rows of class k, PushWeight_k over the others; PullFeature_i is
 * `coefficient_iy w_y`, PushFeature_i sums `coefficient_ik w_k` over the other classes. Computed in double.
 * @param logits `[n, c]`
 * @param teacher logits `[n, c]`
 * @param features `[n, d]`
 * @param weight `[c, d]`
 * @param targets class of each row `[n]`: 0..c-1
 * @returns eight arrays, `[c, d]` by the weights and `[n, d]` by the features; `targetConflict`, the share of rows whose distillation
 * pushes the target away, and `nonTargetConflict`, the share of other classes that it pulls
 * @throws TypeError or RangeError for a wrong type, shape, target or option
 */
export function headForces<A extends RealArray>(
  logits: Tensor<A>,
  teacher: Tensor<A>,
  features: Tensor<A>,
  weight: Tensor<A>,
  targets: Targets,
  options?: HeadForcesOptions<A>,
): Record<ForceNames, A> & { targetConflict: number; nonTargetConflict: number } {
  return call('headForces', [logits, teacher, features, weight, targets], options);
}

export interface NeuralCollapseOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Number of classes, at least 2; default the rows of weight, else the largest target + 1. */
  numClasses?: number;
  /** Bias of the classifier `[c]`, for nc4; default 0. */
  bias?: A;
  out?: { classMeans?: A };
}

/** Measures of the features alone. */
export interface FeatureCollapse<A> {
  /** Spread within classes over that between them, `trace(S_W pinv(S_B)) / C`. */
  nc1: number;
  /** Deviation of the norms of the centred class means over their mean. */
  nc2Norm: number;
  /** Deviation of the cosines between them. */
  nc2Angle: number;
  /** Mean distance of these cosines from -1 / (C - 1). */
  nc2MaxAngle: number;
  /** `[c, d]` */
  classMeans: A;
}

/** Measures of the classifier. */
export interface ClassifierCollapse {
  /** As nc2Norm, nc2Angle and nc2MaxAngle, of the rows of weight. */
  weightNorm: number;
  weightAngle: number;
  weightMaxAngle: number;
  /** Squared distance of weight from the centred class means, both with norm 1. */
  nc3: number;
  /** Share of rows that the classifier and the nearest class mean put into different classes; ties go to the lowest. */
  nc4: number;
}

/**
 * Measures of neural collapse, NC1 to NC4 (Papyan, Han and Donoho 2020; used by Yang et al. 2024, arXiv 2411.08937): all are 0 when the
 * features of each class are one point, these points form a simplex around their mean, and the classifier points at them.
 *
 * Computed in double, means before products. Eigenvalues of the means' Gram matrix at most 1e-9 of the largest count as 0.
 * @param features `[n, d]`
 * @param targets class of each row `[n]`: 0..C-1, each at least once
 * @param weight of the classifier `[c, d]`; it may be left out
 * @throws TypeError or RangeError for a wrong type, shape or target, fewer than 2 classes, or a class without a row
 */
export function neuralCollapse<A extends RealArray>(
  features: Tensor<A>,
  targets: Targets,
  weight: Tensor<A>,
  options?: NeuralCollapseOptions<A>,
): FeatureCollapse<A> & ClassifierCollapse;
export function neuralCollapse<A extends RealArray>(
  features: Tensor<A>,
  targets: Targets,
  options?: NeuralCollapseOptions<A>,
): FeatureCollapse<A>;
export function neuralCollapse<A extends RealArray>(
  features: Tensor<A>,
  targets: Targets,
  weight: undefined,
  options?: NeuralCollapseOptions<A>,
): FeatureCollapse<A>;
export function neuralCollapse<A extends RealArray>(
  features: Tensor<A>,
  targets: Targets,
  weight?: Tensor<A> | NeuralCollapseOptions<A>,
  options?: NeuralCollapseOptions<A>,
): FeatureCollapse<A> {
  return call(
    'neuralCollapse',
    [features, targets, weight],
    options,
    undefined,
    (sizes, option) => ({ c: sizes.c ?? classesOf(targets, option('numClasses')) }),
  );
}

// Without a classifier. More classes than rows are refused, so they need no memory.
function classesOf(targets: Targets, numClasses: number | undefined): number {
  const data: unknown = ArrayBuffer.isView(targets) ? targets : targets.data;
  if (!(data instanceof Int32Array)) return 0;
  // A loop: methods of an array whose buffer a getter has detached throw, and the check in C++ names op and argument.
  let most = 0;
  for (let i = 0; i < data.length; i += 1) most = Math.max(most, data[i]);
  return Math.min(numClasses ?? most + 1, data.length);
}

export interface SimplexEtfOptions {
  /** Number of rows, an integer of at least 2. */
  numClasses: number;
  /** Length of a row, an integer of at least numClasses; default numClasses. */
  dim?: number;
  /** Length of every vector; default 1. */
  scale?: number;
}

/**
 * A simplex equiangular tight frame, the shape that class means collapse to (Papyan, Han and Donoho 2020; Yang et al. 2024, arXiv
 * 2411.08937): rows `scale sqrt(C / (C - 1)) (e_c - 1 / C)`, followed by zeros up to `dim`. All have length `scale`, every two of them
 * the cosine -1 / (C - 1).
 * @returns `out` `[numClasses, dim]`
 * @throws TypeError or RangeError for a missing or wrong option
 */
export function simplexEtf(options: SimplexEtfOptions): { out: Float32Array } {
  const op = 'simplexEtf';
  checkOptions(op, options);
  const whole = (name: string, value: unknown, least: number) =>
    checkNumber(
      op,
      `options.${name}`,
      value,
      `an integer >= ${least}`,
      (x) => Number.isSafeInteger(x) && x >= least,
    );
  const classes = whole('numClasses', options.numClasses, 2);
  const dim = whole('dim', options.dim ?? classes, classes);
  const scale = checkNumber(op, 'options.scale', options.scale ?? 1);
  if (classes * dim > 2 ** 31)
    throw new RangeError(
      `${op}: options.numClasses x options.dim is ${classes * dim}, expected at most 2^31 values`,
    );
  const length = scale * Math.sqrt(classes / (classes - 1));
  const out = new Float32Array(classes * dim);
  for (let i = 0; i < classes; i += 1) {
    out.fill(-length / classes, i * dim, i * dim + classes);
    out[i * dim + i] = length * (1 - 1 / classes);
  }
  return { out };
}
