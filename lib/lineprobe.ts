import { call } from './call.js';
import type { CallOptions, RealArray, Targets, Tensor } from './types.js';

export interface PartitionZeroRadiusOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Divides logits and jvp; default 1. */
  temperature?: number;
  /** Zeros are looked for up to this multiple of the row's {@link convergenceRadius}, above 1; default 8. */
  searchFactor?: number;
  out?: { rho?: A; zeroRe?: A; zeroIm?: A };
}

/**
 * The exact radius of convergence of the cross-entropy along a step, for any number of classes: the smallest `|tau|` of the complex
 * zeros of `F(tau) = sum_k exp((z_k + a_k tau) / T)` (Sao 2026, arXiv 2603.13552). Every part of the plane nearer to 0 than the zero
 * that is returned was shown to hold none. Computed in double; a diagnostic, far slower than {@link convergenceRadius}.
 *
 * Masked classes (-Infinity) do not count, whatever their derivative. A row with NaN, or without a finite logit, gives NaN.
 * @param logits `[n, c]`
 * @param jvp `[n, c]` derivative of the logits along the unit direction of the step
 * @returns `rho` `[n]`: Infinity if no zero lies within the search, as for a row without spread; `zeroRe` and `zeroIm` `[n]`, that
 * zero in the upper half plane, NaN if there is none; `batchRho`, the smallest radius (Infinity without rows)
 * @throws TypeError or RangeError for a wrong type, shape, temperature or searchFactor
 */
export function partitionZeroRadius<A extends RealArray>(
  logits: Tensor<A>,
  jvp: Tensor<A>,
  options?: PartitionZeroRadiusOptions<A>,
): { rho: A; zeroRe: A; zeroIm: A; batchRho: number } {
  return call('partitionZeroRadius', [logits, jvp], options);
}

export interface LinearHeadJvpOptions<A extends RealArray = RealArray> extends CallOptions {
  out?: { jvp?: A };
}

/**
 * Derivative of the logits of a linear head along a change of its weights: `hidden dWeight^T + dBias`. It is exact when nothing but
 * the head moves.
 * @param hidden `[n, d]`
 * @param dWeight `[c, d]` direction of the weights
 * @param dBias `[c]` direction of the bias; default 0, and it may be left out
 * @returns `jvp` `[n, c]`
 * @throws TypeError or RangeError for a wrong type or shape
 */
export function linearHeadJvp<A extends RealArray>(
  hidden: Tensor<A>,
  dWeight: Tensor<A>,
  dBias?: A | LinearHeadJvpOptions<A>,
  options?: LinearHeadJvpOptions<A>,
): { jvp: A } {
  return call('linearHeadJvp', [hidden, dWeight, dBias], options);
}

export interface TiltedKlOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Length of the step along the direction; default 1. */
  tau?: number;
  out?: { forward?: A; reverse?: A; quadratic?: A; forwardBound?: A; reverseBound?: A };
}

/**
 * How far a step moves the predictions, in nats: with `p0 = softmax(z)` and `p1 = softmax(z + tau a)`, `forward = KL(p1 || p0)`,
 * `reverse = KL(p0 || p1)`, and their common second-order term `quadratic = tau^2 / 2 Var_p0(a)`. `forwardBound = |tau|^3 spread^3 /
 * (18 sqrt 3)` and `reverseBound`, half of it, bound how far each is from `quadratic` (Sao 2026, arXiv 2603.13552, section on the
 * tilted divergence; its eq. 26 is `reverse`). Small steps keep their relative accuracy.
 *
 * Masked classes (-Infinity) do not count, whatever their derivative.
 * @param logits `[n, c]`
 * @param jvp `[n, c]` derivative `a` of the logits along the step
 * @returns five arrays `[n]`
 * @throws TypeError or RangeError for a wrong type, shape or tau
 */
export function tiltedKl<A extends RealArray>(
  logits: Tensor<A>,
  jvp: Tensor<A>,
  options?: TiltedKlOptions<A>,
): { forward: A; reverse: A; quadratic: A; forwardBound: A; reverseBound: A } {
  return call('tiltedKl', [logits, jvp], options);
}

export interface LineLossOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Divides logits and jvp; default 1. */
  temperature?: number;
  out?: { loss?: A };
}

/**
 * Cross-entropy along a line of logits, in nats: `loss(tau) = mean_i [lse((z_i + tau a_i) / T) - (z_iy + tau a_iy) / T]` at each tau,
 * with its first two derivatives at 0, `slope = mean (E_p[a] - a_y) / T` and `curvature = mean Var_p(a) / T^2`. Without rows all are 0.
 *
 * Masked classes (-Infinity) stay masked, whatever their derivative.
 * @param logits `[n, c]`
 * @param jvp `[n, c]` derivative `a` of the logits along the line
 * @param targets class of each row `[n]`: 0..c-1
 * @param taus positions on the line `[t]`
 * @returns `loss` `[t]`, `slope`, `curvature`
 * @throws TypeError or RangeError for a wrong type, shape, target or temperature
 */
export function lineLoss<A extends RealArray>(
  logits: Tensor<A>,
  jvp: Tensor<A>,
  targets: Targets,
  taus: A,
  options?: LineLossOptions<A>,
): { loss: A; slope: number; curvature: number } {
  return call('lineLoss', [logits, jvp, targets, taus], options);
}
