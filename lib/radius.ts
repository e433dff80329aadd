import { call } from './call.js';
import type { CallOptions, Exact, Logits, RealArray, Targets, Tensor } from './types.js';

export interface ConvergenceRadiusOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Divides logits and jvp; default 1. */
  temperature?: number;
  /** Which quantile of the rows' spreads stands for the batch, in [0, 1]; default 1, the largest: the guaranteed bound. */
  quantile?: number;
  out?: { spread?: A; rho?: A };
}

/**
 * A lower bound on how far a step may go before the Taylor series of the cross-entropy along it diverges (Sao 2026,
 * arXiv 2603.13552): `spread_i = max_k a_ik - min_k a_ik`, `rho_i = pi T / spread_i`, in units of the step's length. A row
 * without spread has radius Infinity; NaN in a row makes its radius and the batch's NaN.
 * @param jvp `[n, c]` derivative of the logits along the unit direction of the step
 * @returns `spread` and `rho` `[n]`; `batchSpread`, the quantile of the spreads (interpolated linearly); `batchRho = pi T /
 * batchSpread`; `bottleneck`, the row of the largest spread, -1 without rows
 * @throws TypeError or RangeError for a wrong type, shape, temperature or quantile
 */
export function convergenceRadius<A extends RealArray>(
  jvp: Tensor<A>,
  options?: ConvergenceRadiusOptions<A>,
): { spread: A; rho: A; batchSpread: number; batchRho: number; bottleneck: number } {
  return call('convergenceRadius', [jvp], options);
}

export interface MarginRadiusOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Divides logits and jvp; default 1. */
  temperature?: number;
  out?: { rho?: A; margin?: A; slope?: A; competitor?: Int32Array };
}

/**
 * Radius of a row's class against its strongest competitor: `sqrt(margin^2 + pi^2 T^2) / |slope|`, Infinity for slope 0 (Sao
 * 2026, arXiv 2603.13552). For two classes this is the exact distance to the nearest zero of the partition function; for more it
 * is an estimate, not a bound.
 * @param logits `[n, c]` with at least two columns
 * @param jvp `[n, c]` derivative of the logits along the unit direction of the step
 * @param targets class of each row `[n]`; default the largest logit (the first on ties); may be left out
 * @returns `rho`, `margin = z_y - z_competitor` (it may be negative), `slope = a_y - a_competitor` and `competitor` `[n]`; `batchRho`,
 * the smallest radius, and `bottleneck`, its first row (Infinity and -1 without rows)
 * @throws TypeError or RangeError for a wrong type, shape, target or temperature, or a single class
 */
export function marginRadius<A extends RealArray>(
  logits: Tensor<A>,
  jvp: Tensor<A>,
  targets?: Targets | MarginRadiusOptions<A>,
  options?: MarginRadiusOptions<A>,
): { rho: A; batchRho: number; margin: A; slope: A; competitor: Int32Array; bottleneck: number } {
  return call('marginRadius', [logits, jvp, targets], options);
}

export interface RadiusControllerOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Divides the logits; default 1. */
  temperature?: number;
  /** Wanted length of the step in units of the radius, above 0; default 1. */
  target?: number;
  /** 'cap' (default) only shortens; 'set' gives the step that length, whatever it was: it replaces the learning rate. */
  mode?: 'cap' | 'set';
  /** Whether jvp was taken along the unit direction of the update (default) or along the raw update. */
  unitDirection?: boolean;
  /** Quantile of the rows' spreads, in [0, 1]; default 1. */
  quantile?: number;
  /** Write into this array instead of a new one; it may be the update's own. */
  out?: { out?: A };
}

/**
 * Scales an update to a length within the convergence radius (Sao 2026, arXiv 2603.13552): `scale = min(1, target rho / |update|)`,
 * or without the minimum in mode 'set'. Norms are taken in double. An update of length 0 and an infinite radius give scale 1 and
 * `r` 0; a NaN in jvp gives NaN.
 * @param update flat vector of the proposed step
 * @param jvp `[n, c]` derivative of the logits along it
 * @returns `out = scale * update`, `scale`, `rho` (batch radius of {@link convergenceRadius}), `stepNorm = |update|`, `rBefore =
 * stepNorm / rho`, `r = scale * rBefore`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function radiusController<A extends RealArray>(
  update: A,
  jvp: Tensor<A>,
  options?: RadiusControllerOptions<A>,
): { out: A; scale: number; rho: number; stepNorm: number; rBefore: number; r: number } {
  return call('radiusController', [update, jvp], options);
}

export interface FiniteDifferenceJvpOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Distance between the two points along the unit direction, not 0; of either sign. */
  step: number;
  /** Write into this array instead of a new one; it may be logitsMoved's own. */
  out?: { jvp?: A };
}

/**
 * Derivative of logits along a direction from two forward passes: `(moved - base) / step`. For a central difference pass the logits
 * at `theta + h v` and `theta - h v`, and step `2 h`. A class masked (-Infinity) in both has derivative 0.
 * @param logitsMoved tensor of any shape
 * @param logitsBase the same shape
 * @returns `jvp`, the same shape
 * @throws TypeError or RangeError for a wrong type or shape, or a missing or zero step
 */
export function finiteDifferenceJvp<A extends RealArray>(
  logitsMoved: Logits<A>,
  logitsBase: Logits<A>,
  options: FiniteDifferenceJvpOptions<A>,
): { jvp: A } {
  return call('finiteDifferenceJvp', [logitsMoved, logitsBase], options);
}

export interface LogitGapRadiusOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Largest minus smallest logit (default), or largest minus second. */
  gap?: 'maxmin' | 'top2';
  /** How the rows' gaps are reduced; default 'mean'. */
  reduce?: 'mean' | 'max' | 'none';
  /** Added to the gap, at least 0; default 1e-6. */
  epsilon?: number;
  /** Upper limit of the result; default none. */
  cap?: number;
  /** Lower limit of the result, applied last; default none. */
  floor?: number;
  out?: { rho?: A };
}

/**
 * Radius proxy from logits alone, without derivatives: `max(floor, min(cap, pi / (gap + epsilon)))` of the reduced gap (Sao 2026,
 * arXiv 2603.13552; the authors' repository). Also for attention logits, one row a query. Masked logits (-Infinity) do not count; a
 * row with one logit left has gap 0, one with none NaN.
 * @param logits `[..., c]`
 * @returns `rho`: a number, or `[...]` for reduce 'none'
 * @throws TypeError or RangeError for a wrong type, shape or option, or a single column with gap 'top2'
 */
export function logitGapRadius<A extends RealArray, const O extends LogitGapRadiusOptions<A> = {}>(
  logits: Logits<A>,
  options?: Exact<O, LogitGapRadiusOptions<A>>,
): { rho: O extends { reduce: infer R } ? (R extends 'none' ? A : number) : number } {
  return call('logitGapRadius', [logits], options);
}

export interface ActivationRadiusOptions<A extends RealArray = RealArray> extends CallOptions {
  activation: 'relu' | 'leakyRelu' | 'sigmoid' | 'silu' | 'softplus' | 'tanh' | 'gelu';
  /** Quantile of all radii that stands for the batch, in [0, 1]; default 0, the smallest. */
  quantile?: number;
  /** Write into this array instead of a new one; it may be the preactivation's own. */
  out?: { rho?: A };
}

/**
 * Distance of each preactivation to the activation's nearest complex singularity, over the speed `|dh / dtau|` at which the step
 * moves it (Sao 2026, arXiv 2603.13552): the distance is `|h|` for relu and leakyRelu, `sqrt(h^2 + pi^2)` for sigmoid, silu and
 * softplus, `sqrt(h^2 + pi^2 / 4)` for tanh, Infinity for gelu (its erf form). Speed 0 has radius Infinity.
 * @param preactivation `h`, any shape
 * @param derivative of `h` along the unit direction of the step, the same shape
 * @returns `rho`, the same shape, and `batchRho`, its quantile (interpolated linearly; Infinity without elements)
 * @throws TypeError or RangeError for a wrong type, shape or quantile, or a missing activation
 */
export function activationRadius<A extends RealArray>(
  preactivation: Logits<A>,
  derivative: Logits<A>,
  options: ActivationRadiusOptions<A>,
): { rho: A; batchRho: number } {
  return call('activationRadius', [preactivation, derivative], options);
}
