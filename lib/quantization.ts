import { call } from './call.js';
import type {
  CallOptions,
  Exact,
  Logits,
  RealArray,
  Simplify,
  Targets,
  Tensor,
  When,
} from './types.js';

interface ElasticOptions extends CallOptions {
  /** Width of the codes, one of bitList; default 8. */
  bits?: number;
  /** The widths that the tables have columns for; default `[2, 3, 4, 5, 6, 7, 8]`. */
  bitList?: readonly number[] | RealArray;
  /** Codes from 0 to `2^bits - 1`, for what comes after a ReLU, instead of signed ones; default false. */
  allPositive?: boolean;
  /** Added to the magnitude of the step, at least 0; default 1e-6. */
  eps?: number;
}

export interface ElasticFakeQuantizeOptions<
  A extends RealArray = RealArray,
> extends ElasticOptions {
  /** Write into these arrays instead of new ones; `out` may be x's own. */
  out?: { out?: A; codes?: Int32Array };
}

/**
 * Fake quantisation with a learned step for every width (EQ-Net, Xu et al. 2023, arXiv 2308.07650; steps as in LSQ, Esser et al. 2019,
 * arXiv 1902.08153): `S = |scale| + eps`, `code = round(min(max((x - offset) / S, Qn), Qp))` with ties to even, `out = code S + offset`.
 * Signed codes are from `-2^(bits-1)` to `2^(bits-1) - 1`. A NaN of x stays NaN, with code 0.
 * @param x of any shape; its first dimension is the channel
 * @param scale a table of steps `[g, bitList.length]`, with g = 1 (one step for the tensor) or the size of the first dimension of x
 * @param offset a table of the same shape; default none (symmetric)
 * @returns `out` and `codes`, both of the shape of x
 * @throws TypeError or RangeError for a wrong type or shape, bits that are not in bitList, or a scale of 0 with eps 0
 */
export function elasticFakeQuantize<A extends RealArray>(
  x: Logits<A>,
  scale: Tensor<A>,
  offset?: Tensor<A> | ElasticFakeQuantizeOptions<A>,
  options?: ElasticFakeQuantizeOptions<A>,
): { out: A; codes: Int32Array } {
  return call('elasticFakeQuantize', [x, scale, offset], options);
}

export interface ElasticFakeQuantizeBackwardOptions<
  A extends RealArray = RealArray,
> extends ElasticOptions {
  /** What multiplies the gradients of the tables: 'lsq' (default) is `1 / sqrt(N Qp)` with N the values that share a step, 'none' 1. */
  scaleGradFactor?: 'lsq' | 'none' | number;
  /** Write into these arrays instead of new ones; `gradX` may be gradOut's own. */
  out?: { gradX?: A; gradScale?: A; gradOffset?: A };
}

/**
 * Gradients of {@link elasticFakeQuantize} with straight-through rounding. With `v = (x - offset) / S`, inside being `Qn <= v <= Qp`, and k
 * the factor: `gradX = gradOut` inside, else 0; `gradScale = k sign(scale) sum(gradOut (code - (inside ? v : 0)))` and
 * `gradOffset = k sum(gradOut)` over what is not inside, in the column of `bits`; the other columns are 0.
 * @param x the input of the forward op
 * @param gradOut gradient of its output, the same shape
 * @param scale `[g, bitList.length]`
 * @param offset `[g, bitList.length]`; default none
 * @returns `gradX`, `gradScale`, and `gradOffset` if there is an offset
 * @throws TypeError or RangeError for a wrong type or shape, bits that are not in bitList, or a scale of 0 with eps 0
 */
export function elasticFakeQuantizeBackward<A extends RealArray>(
  x: Logits<A>,
  gradOut: Logits<A>,
  scale: Tensor<A>,
  offset?: Tensor<A> | ElasticFakeQuantizeBackwardOptions<A>,
  options?: ElasticFakeQuantizeBackwardOptions<A>,
): { gradX: A; gradScale: A; gradOffset?: A } {
  return call('elasticFakeQuantizeBackward', [x, gradOut, scale, offset], options);
}

export interface AffineFakeQuantizeOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Width of the codes, 1 to 31; default 8. */
  bits?: number;
  /** Write into these arrays instead of new ones; `out` may be x's own. */
  out?: { out?: A; codes?: Int32Array };
}

/**
 * Fake quantisation with an integer zero point (EQ-Net's uniform affine quantiser, Xu et al. 2023, arXiv 2308.07650): with
 * `d = |scale|`, `code = clip(round(x / d) + zeroPoint, 0, 2^bits - 1)`, ties to even, and `out = (code - zeroPoint) d`. A NaN of x stays
 * NaN, with code 0.
 * @param x of any shape; its first dimension is the channel
 * @param scale `[g]`, with g = 1 (one step for the tensor) or the size of the first dimension of x
 * @param zeroPoint `[g]`, whole numbers
 * @returns `out` and `codes`, both of the shape of x
 * @throws TypeError or RangeError for a wrong type, shape or width, or a scale of 0
 */
export function affineFakeQuantize<A extends RealArray>(
  x: Logits<A>,
  scale: A,
  zeroPoint: A,
  options?: AffineFakeQuantizeOptions<A>,
): { out: A; codes: Int32Array } {
  return call('affineFakeQuantize', [x, scale, zeroPoint], options);
}

export interface AffineFakeQuantizeBackwardOptions<
  A extends RealArray = RealArray,
> extends CallOptions {
  /** Width of the codes, 1 to 31; default 8. */
  bits?: number;
  /** What multiplies gradScale: 'none' (default) is 1, 'lsq' `1 / sqrt(N 2^bits)` with N the values that share a step. */
  scaleGradFactor?: 'lsq' | 'none' | number;
  /** Write into these arrays instead of new ones; `gradX` may be gradOut's own. */
  out?: { gradX?: A; gradScale?: A };
}

/**
 * Gradients of {@link affineFakeQuantize} with straight-through rounding; the zero point is a constant. With inside being
 * `0 <= round(x / d) + zeroPoint <= 2^bits - 1` and k the factor: `gradX = gradOut` inside, else 0, and
 * `gradScale = k sign(scale) sum(gradOut ((code - zeroPoint) - (inside ? x / d : 0)))`.
 * @param x the input of the forward op
 * @param gradOut gradient of its output, the same shape
 * @param scale `[g]`
 * @param zeroPoint `[g]`
 * @returns `gradX` and `gradScale` `[g]`
 * @throws TypeError or RangeError for a wrong type, shape or width, or a scale of 0
 */
export function affineFakeQuantizeBackward<A extends RealArray>(
  x: Logits<A>,
  gradOut: Logits<A>,
  scale: A,
  zeroPoint: A,
  options?: AffineFakeQuantizeBackwardOptions<A>,
): { gradX: A; gradScale: A } {
  return call('affineFakeQuantizeBackward', [x, gradOut, scale, zeroPoint], options);
}

export interface InitQuantScaleOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Width of the codes, 1 to 31; default 8. */
  bits?: number;
  /** A range around 0 without offset; default true. */
  symmetric?: boolean;
  /** One step a slice of the first dimension instead of one for the tensor; default false. */
  perChannel?: boolean;
  /** Codes from 0; default false. */
  allPositive?: boolean;
  /** Power of the error, above 0; default 2.4. */
  p?: number;
  /** How many ranges are tried; default 80. */
  steps?: number;
  /** By how much of the whole range each is smaller than the one before; at most `1 / steps`, default 0.01. */
  shrink?: number;
  out?: { scale?: A; offset?: A; score?: A; index?: Int32Array };
}

/**
 * The first step size of a quantiser: of the ranges `f max|x|` (or `f min x` to `f max x`), `f = 1 - i shrink`, the one whose rounding leaves
 * the least `mean(|x - out|^p)`, the first on ties (EQ-Net, Xu et al. 2023, arXiv 2308.07650). The step is the range over the number of
 * codes less one. Scores are taken in double.
 *
 * With `allPositive` and no symmetry the offset is -1e-9, as in the authors' code. A group without a range (all zero) has scale 1, offset
 * 0, score 0 and index -1; one with a NaN has scale, offset and score NaN and index -1.
 * @param x of any shape; its first dimension is the channel
 * @returns `scale`, `offset`, `score` and `index`, the i of the range: `[1]`, or one a channel
 * @throws TypeError or RangeError for a wrong type, shape or option, or `steps * shrink > 1`
 */
export function initQuantScale<A extends RealArray>(
  x: Logits<A>,
  options?: InitQuantScaleOptions<A>,
): { scale: A; offset: A; score: A; index: Int32Array } {
  return call('initQuantScale', [x], options);
}

interface LayerOptions extends CallOptions {
  /** Offsets of the layers in the weights, from 0 to their number `[L + 1]`; default one layer. */
  segments?: Int32Array;
  /** The deviation divides by the number of weights less this, 0 or 1; default 1. */
  ddof?: 0 | 1;
}

export interface WeightMomentsOptions<A extends RealArray = RealArray> extends LayerOptions {
  out?: { mean?: A; std?: A; skewness?: A; kurtosis?: A };
}

/**
 * Moments of the weights of every layer: mean, `std = sqrt(sum((w - mean)^2) / (N - ddof))`, and of `u = (w - mean) / std` the skewness
 * `mean(u^3)` and the kurtosis `mean(u^4)`, 1.8 for a uniform density and 3 for a Gaussian one (EQ-Net, Xu et al. 2023, arXiv
 * 2308.07650). Taken in double from the layer's first weight: a constant layer has std 0 exactly, and then skewness and kurtosis 0.
 * @param weights `[n]`
 * @returns `mean`, `std`, `skewness` and `kurtosis`, one a layer
 * @throws TypeError or RangeError for a wrong type or ddof, or segments that do not cover the weights
 */
export function weightMoments<A extends RealArray>(
  weights: A,
  options?: WeightMomentsOptions<A>,
): { mean: A; std: A; skewness: A; kurtosis: A } {
  return call('weightMoments', [weights], options);
}

export interface WdrLossOptions<A extends RealArray = RealArray> extends LayerOptions {
  /** Default 0. */
  skewTarget?: number;
  /** Default 1.8, the kurtosis of a uniform density. */
  kurtTarget?: number;
  /** Default 1. */
  skewWeight?: number;
  /** Default 0.015. */
  kurtWeight?: number;
  /** Also compute the gradient of the weights; default false. */
  grad?: boolean;
  out?: { skewness?: A; kurtosis?: A; gradWeights?: A };
}

/**
 * EQ-Net's weight distribution regularisation (Xu et al. 2023, arXiv 2308.07650): `skewWeight mean((skewness - skewTarget)^2) + kurtWeight
 * mean((kurtosis - kurtTarget)^2)` over the layers, which makes weights uniform-like. See {@link weightMoments}. A constant layer has
 * gradient 0. The authors leave out the first layer.
 * @param weights `[n]`
 * @returns `loss`, its means `skewLoss` and `kurtLoss` before their weights, `skewness` and `kurtosis` of each layer, and `gradWeights`
 * `[n]` if `grad`
 * @throws TypeError or RangeError for a wrong type or option, or segments that do not cover the weights
 */
export function wdrLoss<A extends RealArray, const O extends WdrLossOptions<A> = {}>(
  weights: A,
  options?: Exact<O, WdrLossOptions<A>>,
): Simplify<
  { loss: number; skewLoss: number; kurtLoss: number; skewness: A; kurtosis: A } & When<
    O,
    'grad',
    'gradWeights',
    A
  >
> {
  return call('wdrLoss', [weights], options);
}

export interface GroupProgressiveGuidanceOptions<
  A extends RealArray = RealArray,
> extends CallOptions {
  /** Share of the wider subnet's soft labels, in [0, 1]; default 0.5. */
  alpha?: number;
  /** Divides both logits of the soft labels; default 1. */
  temperature?: number;
  /** Target of rows that do not count; default -100. */
  ignoreIndex?: number;
  /** Default 'mean', over counted rows. */
  reduction?: 'mean' | 'sum';
  /** Also compute the gradient of the logits; default false. */
  grad?: boolean;
  out?: { losses?: A; gradLogits?: A };
}

/**
 * EQ-Net's group progressive guidance (Xu et al. 2023, arXiv 2308.07650), in nats. The logits are of G subnets, the widest first. It learns from
 * the labels, each other one from the labels and the one before it, which is a constant for it: with q the softmax of plane k - 1 and p of
 * plane k at temperature T, `losses[k] = alpha T^2 KL(q || p) + (1 - alpha) CE(logits[k], targets)`; `loss` is their sum. A term with
 * weight 0 is left out.
 * @param logits `[G, n, c]`
 * @param targets class of each row `[n]`
 * @returns `loss`, `losses` `[G]`, and `gradLogits` `[G, n, c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape, target or option
 */
export function groupProgressiveGuidance<
  A extends RealArray,
  const O extends GroupProgressiveGuidanceOptions<A> = {},
>(
  logits: Tensor<A>,
  targets: Targets,
  options?: Exact<O, GroupProgressiveGuidanceOptions<A>>,
): Simplify<{ loss: number; losses: A } & When<O, 'grad', 'gradLogits', A>> {
  return call('groupProgressiveGuidance', [logits, targets], options);
}
