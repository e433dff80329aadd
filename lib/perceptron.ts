import { call } from './call.js';
import type {
  CallOptions,
  Exact,
  RealArray,
  Reduced,
  Reduction,
  Simplify,
  Tensor,
  When,
} from './types.js';

export interface BinaryLogisticLossOptions<A extends RealArray = RealArray> extends CallOptions {
  /** `t` of the loss, above 0; default 1. Towards infinity the loss becomes the perceptron's `max(0, -m)`. */
  sharpness?: number;
  /** Divide the gradient by the mean gate instead of 1; the loss stays as it is. Default false. */
  normalized?: boolean;
  /** Default 'mean'. */
  reduction?: Reduction;
  grad?: boolean;
  /** gradLogits may be the logits' own array. */
  out?: { loss?: A; gradLogits?: A };
}

/**
 * Logistic loss of binary logits with labels +1 and -1, in nats: `softplus(-t m_i) / t` with margins `m_i = y_i z_i` (Tyurin 2024,
 * arXiv 2412.08424). The gradient is `-y_i s_i` with gates `s_i = sigma(-t m_i)` (over `n` for 'mean').
 *
 * With `normalized` it is `-y_i s_i / sum_k s_k` for every reduction: `beta = n / sum_k s_k` times the mean gradient, `beta` taken as a
 * constant. It keeps its ratios where all gates underflow. A NaN logit then reaches all gradients.
 * @param logits `[n]`, at least one
 * @param labels `[n]` of +1 and -1
 * @returns `loss` (a number, or `[n]` for reduction 'none'), `beta` if `normalized` (at most the largest double), `gradLogits` `[n]` if
 * `grad`
 * @throws TypeError or RangeError for a wrong type, length, label or option, or no logits
 */
export function binaryLogisticLoss<
  A extends RealArray,
  const O extends BinaryLogisticLossOptions<A> = {},
>(
  logits: A,
  labels: Int32Array,
  options?: Exact<O, BinaryLogisticLossOptions<A>>,
): Simplify<
  { loss: Reduced<O, A> } & When<O, 'normalized', 'beta', number> & When<O, 'grad', 'gradLogits', A>
> {
  return call('binaryLogisticLoss', [logits, labels], options);
}

export interface LogisticRegressionOptions<A extends RealArray = RealArray> extends CallOptions {
  /** `t` of the loss, above 0; default 1. */
  sharpness?: number;
  /** Divide the gradient by the mean gate; default false. */
  normalized?: boolean;
  grad?: boolean;
  /** gradTheta may be theta's own array. */
  out?: { gradTheta?: A };
}

/**
 * Mean {@link binaryLogisticLoss} of a linear model without intercept, `z_i = a_i . theta`; append a constant column for one.
 * @param features `[n, d]`, at least one sample
 * @param labels `[n]` of +1 and -1
 * @param theta `[d]`
 * @returns `loss`; `misclassified`, the number of margins `y_i z_i` that are not above 0; `accuracy = 1 - misclassified / n`; `beta` if
 * `normalized`; `gradTheta` `[d]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape, label or option, or no samples
 */
export function logisticRegression<
  A extends RealArray,
  const O extends LogisticRegressionOptions<A> = {},
>(
  features: Tensor<A>,
  labels: Int32Array,
  theta: A,
  options?: Exact<O, LogisticRegressionOptions<A>>,
): Simplify<
  { loss: number; misclassified: number; accuracy: number } & When<
    O,
    'normalized',
    'beta',
    number
  > &
    When<O, 'grad', 'gradTheta', A>
> {
  return call('logisticRegression', [features, labels, theta], options);
}

export interface LogisticGdStepOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Above 0; default 1. Large steps turn it into the batch perceptron. */
  stepSize?: number;
  /** Divide the gradient by the mean gate; default false. */
  normalized?: boolean;
  /** theta may be the argument's own array. */
  out?: { theta?: A };
}

/**
 * One step of gradient descent on the mean logistic loss, `theta + stepSize / n sum_i s_i y_i a_i`, or with `normalized`
 * `theta + stepSize sum_i s_i y_i a_i / sum_i s_i` (Tyurin 2024, arXiv 2412.08424, LR+GD and Normalized LR+GD).
 * @param features `[n, d]`, at least one sample
 * @param labels `[n]` of +1 and -1
 * @param theta `[d]`
 * @returns `theta` `[d]`, and `loss`, `misclassified` and (if `normalized`) `beta` as they were before the step
 * @throws TypeError or RangeError for a wrong type, shape, label or option, or no samples
 */
export function logisticGdStep<A extends RealArray, const O extends LogisticGdStepOptions<A> = {}>(
  features: Tensor<A>,
  labels: Int32Array,
  theta: A,
  options?: Exact<O, LogisticGdStepOptions<A>>,
): Simplify<
  { theta: A; loss: number; misclassified: number } & When<O, 'normalized', 'beta', number>
> {
  return call('logisticGdStep', [features, labels, theta], options);
}

export interface BatchPerceptronStepOptions<A extends RealArray = RealArray> extends CallOptions {
  /** The step from theta 0 that large-step gradient descent takes: all samples with weight 1/2. No effect with `normalized`. Default false. */
  first?: boolean;
  /** Average over the misclassified samples instead of all; default false. */
  normalized?: boolean;
  /** theta may be the argument's own array. */
  out?: { theta?: A };
}

/**
 * One step of the batch perceptron (Tyurin 2024, arXiv 2412.08424): `theta + 1/n sum y_i a_i` over the misclassified samples (margin
 * not above 0); with `normalized` over their number instead of `n`; with `first`, `theta + 1/(2n) sum y_i a_i` over all samples.
 * @param features `[n, d]`, at least one sample
 * @param labels `[n]` of +1 and -1
 * @param theta `[d]`
 * @returns `theta` `[d]`, and `misclassified` before the step
 * @throws TypeError or RangeError for a wrong type, shape, label or option, or no samples
 */
export function batchPerceptronStep<A extends RealArray>(
  features: Tensor<A>,
  labels: Int32Array,
  theta: A,
  options?: BatchPerceptronStepOptions<A>,
): { theta: A; misclassified: number } {
  return call('batchPerceptronStep', [features, labels, theta], options);
}

export interface PerceptronStepOptions<A extends RealArray = RealArray> extends CallOptions {
  /** The sample to use, 0..n-1; default the first misclassified one. */
  index?: number;
  /** theta may be the argument's own array. */
  out?: { theta?: A };
}

/**
 * One step of the perceptron: `theta + y_j a_j` for the given sample or the first misclassified one. Nothing changes if that sample
 * is classified correctly.
 * @param features `[n, d]`, at least one sample
 * @param labels `[n]` of +1 and -1
 * @param theta `[d]`
 * @returns `theta` `[d]`; `index`, the sample that was used or -1; `misclassified` before the step
 * @throws TypeError or RangeError for a wrong type, shape, label or index, or no samples
 */
export function perceptronStep<A extends RealArray>(
  features: Tensor<A>,
  labels: Int32Array,
  theta: A,
  options?: PerceptronStepOptions<A>,
): { theta: A; index: number; misclassified: number } {
  return call('perceptronStep', [features, labels, theta], options);
}

export interface SeparationStatsOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Step size of normalized gradient descent, above 0; asks for `normalizedBound`. */
  stepSize?: number;
  out?: { margins?: A };
}

/** What {@link separationStats} returns. */
export interface SeparationStats<A extends RealArray = RealArray> {
  /** `y_i a_i . theta`. */
  margins: A;
  /** Smallest margin over the length of theta, `mu`; 0 for theta 0. */
  minMargin: number;
  /** Largest length of a feature row, `R`. */
  radius: number;
  /** Number of margins that are not above 0. */
  misclassified: number;
  accuracy: number;
  /** `R^2 / mu^2`, if mu is above 0. */
  perceptronBound?: number;
  /** `n R^2 / mu^2`, if mu is above 0. */
  batchPerceptronBound?: number;
  /** `R^2 / mu^2 + 2 log(2n - 1) / (stepSize mu^2)`, if mu is above 0 and stepSize is given. */
  normalizedBound?: number;
}

/**
 * How well theta separates the samples, and bounds on the number of steps from theta 0 that follow from its margin (Tyurin 2024,
 * arXiv 2412.08424): of the perceptron, the batch perceptron and normalized gradient descent. A theta of smaller margin gives looser
 * bounds.
 * @param features `[n, d]`, at least one sample
 * @param labels `[n]` of +1 and -1
 * @param theta `[d]`
 * @throws TypeError or RangeError for a wrong type, shape, label or stepSize, or no samples
 */
export function separationStats<A extends RealArray>(
  features: Tensor<A>,
  labels: Int32Array,
  theta: A,
  options?: SeparationStatsOptions<A>,
): SeparationStats<A> {
  return call('separationStats', [features, labels, theta], options, withoutUndefinedBounds);
}

// A bound that does not exist comes back as NaN.
function withoutUndefinedBounds(result: Record<string, unknown>): Record<string, unknown> {
  const kept = Object.entries(result).filter(
    ([name, value]) => !(name.endsWith('Bound') && Number.isNaN(value)),
  );
  return Object.fromEntries(kept);
}

export interface SeparateOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Default 'normalizedLogistic'. */
  method?:
    | 'normalizedLogistic'
    | 'logistic'
    | 'batchPerceptron'
    | 'normalizedBatchPerceptron'
    | 'perceptron';
  /** Step size of the two logistic methods, above 0; default 1. */
  stepSize?: number;
  /** Default 1000. */
  maxSteps?: number;
  out?: { theta?: A };
}

/**
 * Steps from theta 0 until every margin is above 0 or maxSteps is reached (Tyurin 2024, arXiv 2412.08424). Theta and margins are kept in
 * double and rounded at the end.
 * @param features `[n, d]`, at least one sample
 * @param labels `[n]` of +1 and -1
 * @returns `theta` `[d]`, `steps` that were made, `separated`: whether all margins are above 0
 * @throws TypeError or RangeError for a wrong type, shape, label or option, or no samples
 */
export function separate<A extends RealArray>(
  features: Tensor<A>,
  labels: Int32Array,
  options?: SeparateOptions<A>,
): { theta: A; steps: number; separated: boolean } {
  return call('separate', [features, labels], options, withSeparated);
}

function withSeparated(result: Record<string, unknown>): Record<string, unknown> {
  return { ...result, separated: result.separated === 1 };
}
