import { call } from './call.js';
import type { CallOptions, Logits, RealArray } from './types.js';

export interface QkLayerNormOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Added to the variance, at least 0; default 1e-6. */
  epsilon?: number;
  /** Subtract the mean; false is the RMS form. Default true. */
  center?: boolean;
  /** `out` may be the array of x. */
  out?: { out?: A; mean?: A; rstd?: A };
}

/**
 * LayerNorm without bias over the last dimension, for queries and keys: `gamma (x - mean) rstd` with
 * `rstd = 1 / sqrt(mean((x - mean)^2) + epsilon)` (Wortsman et al. 2023, arXiv 2309.14322; `center: false` is
 * its appendix C). The variance is the biased one. With epsilon 0 a row of equal values gives 0 and rstd 0. NaN stays in its row.
 * @param x `[..., c]`, c the head dimension; a flat array is one row
 * @param gamma scale of each component `[c]`, shared by all rows
 * @returns `out` `[..., c]`, `mean` `[rows]` (0 without `center`), `rstd` `[rows]`
 * @throws TypeError or RangeError for a wrong type, shape or epsilon
 */
export function qkLayerNorm<A extends RealArray>(
  x: Logits<A>,
  gamma: A,
  options?: QkLayerNormOptions<A>,
): { out: A; mean: A; rstd: A } {
  return call('qkLayerNorm', [x, gamma], options);
}

export interface QkLayerNormBackwardOptions<A extends RealArray = RealArray> extends CallOptions {
  /** That of the forward call; default 1e-6. */
  epsilon?: number;
  /** That of the forward call; default true. */
  center?: boolean;
  /** `gradX` may be the array of x. */
  out?: { gradX?: A; gradGamma?: A };
}

/**
 * Gradients of {@link qkLayerNorm}. With `h = gradOut gamma` and `n` the normalised row:
 * `gradX = rstd (h - mean(h) - n mean(h n))` (no `mean(h)` without `center`), `gradGamma_j = sum_i gradOut_ij n_ij`.
 * @param gradOut upstream gradient `[..., c]`
 * @param x the forward call's x `[..., c]`
 * @param gamma the forward call's gamma `[c]`
 * @returns `gradX` `[..., c]`, `gradGamma` `[c]`
 * @throws TypeError or RangeError for a wrong type, shape or epsilon
 */
export function qkLayerNormBackward<A extends RealArray>(
  gradOut: Logits<A>,
  x: Logits<A>,
  gamma: A,
  options?: QkLayerNormBackwardOptions<A>,
): { gradX: A; gradGamma: A } {
  return call('qkLayerNormBackward', [gradOut, x, gamma], options);
}

export interface RmsRescaleOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Mean square of the rescaled row, at least 0; default 1. */
  kappa?: number;
  /** Added to the mean square, at least 0; default 0. */
  epsilon?: number;
  /** `out` may be the array of z. */
  out?: { out?: A; scale?: A };
}

/**
 * Rescales every row to the mean square kappa: `sqrt(kappa) z / sqrt(mean(z^2) + epsilon)`. Applied to queries and keys it pins
 * attention logits near kappa, at most `kappa sqrt(c)` (Wortsman et al. 2023, arXiv 2309.14322). A row of zeros stays
 * zero, with scale 0 if epsilon is 0.
 * @param z `[..., c]`; a flat array is one row
 * @returns `out` `[..., c]` and `scale` `[rows]`, the factor of each row
 * @throws TypeError or RangeError for a wrong type or shape, kappa < 0 or epsilon < 0
 */
export function rmsRescale<A extends RealArray>(
  z: Logits<A>,
  options?: RmsRescaleOptions<A>,
): { out: A; scale: A } {
  return call('rmsRescale', [z], options);
}

export interface RmsRescaleBackwardOptions<A extends RealArray = RealArray> extends CallOptions {
  /** That of the forward call; default 1. */
  kappa?: number;
  /** That of the forward call; default 0. */
  epsilon?: number;
  /** `gradZ` may be the array of z. */
  out?: { gradZ?: A };
}

/**
 * Gradient of {@link rmsRescale}: `sqrt(kappa / ms) (g - z mean(g z) / ms)` with `ms = mean(z^2) + epsilon`; 0 for a row of zeros
 * with epsilon 0.
 * @param gradOut upstream gradient `[..., c]`
 * @param z the forward call's z `[..., c]`
 * @returns `gradZ` `[..., c]`
 * @throws TypeError or RangeError for a wrong type or shape, kappa < 0 or epsilon < 0
 */
export function rmsRescaleBackward<A extends RealArray>(
  gradOut: Logits<A>,
  z: Logits<A>,
  options?: RmsRescaleBackwardOptions<A>,
): { gradZ: A } {
  return call('rmsRescaleBackward', [gradOut, z], options);
}

export interface RmsOptions extends CallOptions {
  /** The result is at least this; default 0. 1e-3 gives the parameter scale of AdaFactor-style updates. */
  floor?: number;
}

/**
 * `max(sqrt(mean(x^2)), floor)` over all values, summed in double. Values of 1e-25 and of 1e25 keep their digits.
 * @param x any shape
 * @returns `rms`; NaN if a value is
 * @throws TypeError or RangeError for a wrong type, an empty x or floor < 0
 */
export function rms<A extends RealArray>(x: Logits<A>, options?: RmsOptions): { rms: number } {
  return call('rms', [x], options);
}
