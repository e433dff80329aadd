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

/** How a row is standardised: `a = (z - mean) / (sd + eps)` with `sd = sqrt(sum (z - mean)^2 / (c - ddof))`. */
export interface StandardizeOptions {
  /** Degrees of freedom, 0 or 1; default 1, the sample deviation. 0 is the population form, bounded by `sqrt(c - 1)`. */
  ddof?: 0 | 1;
  /** Added to the deviation, outside the root; default 1e-7. */
  eps?: number;
}

export interface StandardizeLogitsOptions<A extends RealArray = RealArray>
  extends CallOptions, StandardizeOptions {
  /** Divides the standardised row; default 1. */
  temperature?: number;
  /** `out` may be the array of logits. */
  out?: { out?: A; mean?: A; std?: A };
}

/**
 * Z-scores of the rows, `out = (z - mean) / (sd + eps) / temperature` with `sd = sqrt(sum (z - mean)^2 / (c - ddof))` (Sun et al. 2024,
 * arXiv 2403.01427). A row keeps the order and the relations of its classes, not their shift and spread.
 *
 * A constant row, or one of no more than ddof classes, has deviation 0 and gives zeros. Masked classes (-Infinity) count in neither
 * mean nor deviation and stay masked; a row without any other has mean and deviation NaN. NaN and Infinity make their row NaN.
 * @param logits `[n, c]`
 * @returns `out` `[n, c]`, `mean` and `std` `[n]` (without eps)
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function standardizeLogits<A extends RealArray>(
  logits: Tensor<A>,
  options?: StandardizeLogitsOptions<A>,
): { out: A; mean: A; std: A } {
  return call('standardizeLogits', [logits], options);
}

export interface StandardizeLogitsBackwardOptions<A extends RealArray = RealArray>
  extends CallOptions, StandardizeOptions {
  /** That of the forward call; default 1. */
  temperature?: number;
  /**
   * What a row of deviation 0 gets: 'formula' is the derivative, `(g - mean(g)) / eps / temperature`, which is huge; 'zero' is 0, for
   * heads that start at zero. Default 'formula'.
   */
  zeroVarianceGrad?: 'formula' | 'zero';
  /** `gradLogits` may be the array of gradOut. */
  out?: { gradLogits?: A };
}

/**
 * Gradient of {@link standardizeLogits}: with `g = gradOut / temperature` and `a` the z-scores,
 * `gradLogits = [g - mean(g) - (z - mean) / sd * sum(g a) / (c - ddof)] / (sd + eps)` (Sun et al. 2024, arXiv 2403.01427). Masked classes
 * count nowhere and get 0. With eps 0 a row of deviation 0 gets 0.
 * @param logits `[n, c]` those of the forward call
 * @param gradOut `[n, c]` gradient of its `out`
 * @returns `gradLogits` `[n, c]`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function standardizeLogitsBackward<A extends RealArray>(
  logits: Tensor<A>,
  gradOut: Tensor<A>,
  options?: StandardizeLogitsBackwardOptions<A>,
): { gradLogits: A } {
  return call('standardizeLogitsBackward', [logits, gradOut], options);
}

export interface StandardizedKlDivOptions<A extends RealArray = RealArray>
  extends CallOptions, StandardizeOptions {
  /** Divides both standardised rows, above 0; default 2. */
  temperature?: number;
  /** Standardise both rows first; default true. Without, this is the usual distillation loss, {@link klDiv}. */
  standardize?: boolean;
  /** Marks rows `[n]`: a row whose label is ignoreIndex is not read and gives loss 0 and gradient 0. */
  labels?: Int32Array;
  /** Default -100. */
  ignoreIndex?: number;
  /** Default 'mean', over counted rows. */
  reduction?: Reduction;
  /** Also compute the gradient of the student's logits; default false. */
  grad?: boolean;
  /** Also compute the derivative by the temperature; default false. */
  gradTemperature?: boolean;
  /** What a constant row of the student gets: 'formula' the derivative, which has the factor `1 / eps`, 'zero' 0. Default 'formula'. */
  zeroVarianceGrad?: 'formula' | 'zero';
  /** `gradStudent` may be the array of the student. */
  out?: { loss?: A; gradStudent?: A };
}

/**
 * Distillation on standardised logits (Sun et al. 2024, arXiv 2403.01427), in nats: with z-scores `a` as of {@link standardizeLogits},
 * `p = softmax(a_student / T)` and `q = softmax(a_teacher / T)`, a row's loss is `T^2 sum_j q_j (log q_j - log p_j)`.
 *
 * Neither shift nor positive scale of a row changes the loss (up to eps); the student's gradient sums to 0 and is orthogonal to its
 * deviations. The teacher is constant. Masked classes (-Infinity) count nowhere; one that only the student masks makes the loss Infinity.
 * With one class loss and gradient are 0. NaN and Infinity make their row NaN.
 * @param student logits `[n, c]`
 * @param teacher logits `[n, c]`
 * @returns `loss` (a number, or `[n]` for reduction 'none'), `gradStudent` `[n, c]` if `grad`, `gradTemperature` (the derivative of the
 * loss by T, of the sum of the rows for 'none') if `gradTemperature`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function standardizedKlDiv<
  A extends RealArray,
  const O extends StandardizedKlDivOptions<A> = {},
>(
  student: Tensor<A>,
  teacher: Tensor<A>,
  options?: Exact<O, StandardizedKlDivOptions<A>>,
): Simplify<StudentLoss<O, A> & When<O, 'gradTemperature', 'gradTemperature', number>> {
  return call('standardizedKlDiv', [student, teacher], options);
}

export interface DecoupledKdOptions<A extends RealArray = RealArray>
  extends CallOptions, StandardizeOptions {
  /** Weight of the target's part; default 1. */
  alpha?: number;
  /** Weight of the other classes' part; default 8. */
  beta?: number;
  /** Divides both rows, above 0; default 4. */
  temperature?: number;
  /** Standardise both rows first; default false. */
  standardize?: boolean;
  /** Rows with this target are not read and give loss 0 and gradient 0; default -100. */
  ignoreIndex?: number;
  /** Default 'mean', over counted rows. */
  reduction?: Reduction;
  /** Also compute the gradient of the student's logits; default false. */
  grad?: boolean;
  /** `gradStudent` may be the array of the student. */
  out?: { loss?: A; tckd?: A; nckd?: A; gradStudent?: A };
}

/**
 * Decoupled knowledge distillation, as logit standardization (Sun et al. 2024, arXiv 2403.01427) plugs into it, in nats:
 * `alpha tckd + beta nckd` a row, with `tckd = T^2 KL((q_y, 1 - q_y) || (p_y, 1 - p_y))` and `nckd = T^2 KL(q^ || p^)` of the softmaxes
 * over the classes other than the target. `T^2 KL(q || p) = tckd + (1 - q_y) nckd`.
 *
 * The target is left out exactly, not pushed down by a large number, and confident rows keep the digits of `1 - p_y`. The teacher is
 * constant. Masked classes (-Infinity) count nowhere; a row with no class beside its target is NaN.
 * @param student logits `[n, c]`, c at least 2
 * @param teacher logits `[n, c]`
 * @param targets class of each row `[n]`: 0..c-1 or ignoreIndex
 * @returns `loss`, and without their weights `tckd` and `nckd` (numbers, or `[n]` for reduction 'none'); `gradStudent` `[n, c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape, target or option, or a single class
 */
export function decoupledKd<A extends RealArray, const O extends DecoupledKdOptions<A> = {}>(
  student: Tensor<A>,
  teacher: Tensor<A>,
  targets: Targets,
  options?: Exact<O, DecoupledKdOptions<A>>,
): Simplify<StudentLoss<O, A> & { tckd: Reduced<O, A>; nckd: Reduced<O, A> }> {
  return call('decoupledKd', [student, teacher, targets], options);
}

/** Options of {@link batchCorrelation} and {@link classCorrelation}. */
export interface CorrelationOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Divides both logits, above 0; default 4. */
  temperature?: number;
  /** Also compute the gradient of the student's logits; default false. */
  grad?: boolean;
  /** `gradStudent` may be the array of the student. */
  out?: { gradStudent?: A };
}

/** The loss, and the student's gradient if it was asked for. */
export type CorrelationLoss<O, A> = Simplify<{ loss: number } & When<O, 'grad', 'gradStudent', A>>;

/**
 * How the rows of a batch resemble each other, compared with the teacher: `||P_s P_s^T - P_t P_t^T||_F^2 / n` with the softmaxes
 * `P [n, c]` of the rows, the batch level of multi-level distillation (as in the code of Sun et al. 2024, arXiv 2403.01427). Without the
 * factor T^2. Computed in double. Rows depend on each other: one with NaN makes all NaN.
 * @param student logits `[n, c]`
 * @param teacher logits `[n, c]`
 * @returns `loss`, and `gradStudent` `[n, c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function batchCorrelation<A extends RealArray, const O extends CorrelationOptions<A> = {}>(
  student: Tensor<A>,
  teacher: Tensor<A>,
  options?: Exact<O, CorrelationOptions<A>>,
): CorrelationLoss<O, A> {
  return call('batchCorrelation', [student, teacher], options);
}

/**
 * How the classes resemble each other over a batch, compared with the teacher: `||P_s^T P_s - P_t^T P_t||_F^2 / c` with the softmaxes
 * `P [n, c]` of the rows, the class level of multi-level distillation (as in the code of Sun et al. 2024, arXiv 2403.01427). Without the
 * factor T^2. Computed in double, with no matrix larger than `[n, n]`. Rows depend on each other: one with NaN makes all NaN.
 * @param student logits `[n, c]`
 * @param teacher logits `[n, c]`
 * @returns `loss`, and `gradStudent` `[n, c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function classCorrelation<A extends RealArray, const O extends CorrelationOptions<A> = {}>(
  student: Tensor<A>,
  teacher: Tensor<A>,
  options?: Exact<O, CorrelationOptions<A>>,
): CorrelationLoss<O, A> {
  return call('classCorrelation', [student, teacher], options);
}

export interface MultiLevelKdOptions<A extends RealArray = RealArray>
  extends CallOptions, StandardizeOptions {
  /** One term of each level a temperature, all above 0; default [4, 3, 5, 2, 6]. */
  temperatures?: readonly number[] | RealArray;
  /** Standardise both rows of the instance level; default false. The correlations never are. */
  standardize?: boolean;
  /** Multiplies the loss; default 1. */
  weight?: number;
  /**
   * 'fraction' multiplies instance and batch level by the share of rows whose largest teacher probability is at most the median, and
   * the class level by the share of classes whose teacher mass is; 'none' by 1. Default 'none'.
   */
  maskMode?: 'none' | 'fraction';
  /** Also compute the gradient of the student's logits; default false. */
  grad?: boolean;
  out?: { gradStudent?: A };
}

/**
 * Multi-level distillation: `weight (fs instance + fs batch + fc class)`, where `instance` is the sum over temperatures of
 * {@link standardizedKlDiv} (mean over rows), `batch` and `class` those of {@link batchCorrelation} and {@link classCorrelation}; all in
 * one visit of the logits. The setting in which Sun et al. 2024 (arXiv 2403.01427) put their standardization.
 * @param student logits `[n, c]`
 * @param teacher logits `[n, c]`
 * @returns `loss`; `instance`, `batch`, `class` without weight and fractions; `sampleFraction` fs and `classFraction` fc, which are 1
 * for maskMode 'none'; `gradStudent` `[n, c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape or option, or no temperatures
 */
export function multiLevelKd<A extends RealArray, const O extends MultiLevelKdOptions<A> = {}>(
  student: Tensor<A>,
  teacher: Tensor<A>,
  options?: Exact<O, MultiLevelKdOptions<A>>,
): Simplify<
  {
    loss: number;
    instance: number;
    batch: number;
    class: number;
    sampleFraction: number;
    classFraction: number;
  } & When<O, 'grad', 'gradStudent', A>
> {
  return call('multiLevelKd', [student, teacher], options);
}

export interface CurriculumTemperatureOptions {
  /** What is trained; default 1. */
  param?: number;
  /** Progress of training, clamped to [0, loops]; default 0. */
  epoch?: number;
  /** Temperature at a parameter of -Infinity; default 1. */
  tStart?: number;
  /** How much the parameter can add; default 20. */
  tEnd?: number;
  /** Factor of the gradient at epoch 0; default 0. */
  lambdaMax?: number;
  /** Factor of the gradient from epoch `loops` on; default -1. */
  lambdaMin?: number;
  /** Epochs of the curriculum, above 0; default 10. */
  loops?: number;
  /** Derivative of the loss by the temperature, such as {@link standardizedKlDiv} gives. */
  gradTemperature?: number;
}

/** What {@link curriculumTemperature} returns. */
export interface CurriculumTemperature {
  temperature: number;
  lambda: number;
  /** There if `gradTemperature` was given. */
  gradParam?: number;
}

/**
 * A temperature that is trained against the student while it learns, as logit standardization (Sun et al. 2024, arXiv 2403.01427) plugs
 * into curriculum temperature distillation: `temperature = tStart + tEnd sigmoid(param)`. Its gradient is multiplied by
 * `lambda = lambdaMin + (lambdaMax - lambdaMin) (1 + cos(pi epoch / loops)) / 2`, negative by default, which makes descent an ascent:
 * `gradParam = lambda gradTemperature tEnd sigmoid'(param)`.
 * @throws TypeError or RangeError for an option that is no finite number, or loops that are not positive
 */
export function curriculumTemperature(
  options: CurriculumTemperatureOptions = {},
): CurriculumTemperature {
  const op = 'curriculumTemperature';
  checkOptions(op, options);
  const number = (name: keyof CurriculumTemperatureOptions, usual: number) =>
    checkNumber(op, `options.${name}`, options[name] ?? usual);
  const param = number('param', 1);
  const epoch = number('epoch', 0);
  const tStart = number('tStart', 1);
  const tEnd = number('tEnd', 20);
  const lambdaMax = number('lambdaMax', 0);
  const lambdaMin = number('lambdaMin', -1);
  const loops = checkNumber(
    op,
    'options.loops',
    options.loops ?? 10,
    'a finite number > 0',
    (value) => value > 0 && value < Infinity,
  );
  const progress = Math.min(Math.max(epoch, 0), loops) / loops;
  const lambda = lambdaMin + ((lambdaMax - lambdaMin) * (1 + Math.cos(Math.PI * progress))) / 2;
  // Of -|param|, so that nothing overflows.
  const e = Math.exp(-Math.abs(param));
  const sigmoid = (param < 0 ? e : 1) / (1 + e);
  const result: CurriculumTemperature = { temperature: tStart + tEnd * sigmoid, lambda };
  if (options.gradTemperature !== undefined)
    result.gradParam = (lambda * number('gradTemperature', 0) * tEnd * e) / (1 + e) ** 2;
  return result;
}
