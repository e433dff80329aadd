import { call } from './call.js';
import type { CallOptions, Exact, RealArray, Simplify, Tensor, When } from './types.js';

export interface Wasserstein1dOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Exponent of the distance, at least 1; default 1. */
  p?: number;
  /** Masses of x `[n]`: not negative, with any positive sum; default uniform. */
  weightsX?: A;
  /** Masses of y `[m]`; default uniform. */
  weightsY?: A;
  /** Give `value^(1/p)`; default false. */
  root?: boolean;
  /** Also compute the gradients; default false. */
  grad?: boolean;
  out?: { gradX?: A; gradY?: A };
}

/**
 * Optimal transport between points on a line: `value = sum w |x - y|^p` over the quantile coupling, that is, both sides sorted and
 * filled up from the left, in units of x to the power p (of x with `root`). Needs no solver; sums are taken in double.
 *
 * The gradient holds the coupling fixed: `w p |d|^(p-1) sign(d)`, 0 where d = 0; with `root` times `value^(1/p-1) / p`, 0 at value 0.
 * Equal points keep the order of their indices. NaN makes the value NaN. Source: as in InfiGFusion (Wang et al. 2025, arXiv
 * 2505.13893), whose sorted distances it is.
 * @param x points `[n]`
 * @param y points `[m]`
 * @returns `value`, and `gradX` `[n]`, `gradY` `[m]` if `grad`
 * @throws TypeError or RangeError for no points, a wrong type or length, p < 1, or weights that are negative or all 0
 */
export function wasserstein1d<A extends RealArray, const O extends Wasserstein1dOptions<A> = {}>(
  x: A,
  y: A,
  options?: Exact<O, Wasserstein1dOptions<A>>,
): Simplify<{ value: number } & When<O, 'grad', 'gradX' | 'gradY', A>> {
  return call('wasserstein1d', [x, y], options);
}

export interface Gw1dOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Also compute the gradients; default false. */
  grad?: boolean;
  out?: { gradX?: A; gradY?: A };
}

/**
 * Gromov-Wasserstein distance of points on a line, matched in ascending order or with one side reversed: the smaller of `(1/n^2)
 * sum_ij ((x_i - x_j)^2 - (y_i - y_j)^2)^2` over the two, in units of x to the fourth power (Vayer et al. 2019, arXiv 1905.10124). An
 * upper bound of the best permutation: for seven points and more another one can be better (Beinert, Heiss and Steidl 2022). O(n log n).
 *
 * Gradients hold the order fixed: `dx_i = (8/n^2) sum_j ((x_i - x_j)^2 - (y_i - y_j)^2) (x_i - x_j)`, and for y the same with -(y_i -
 * y_j). Equal points keep the order of their indices; the reversed order is the ascending one backwards.
 * @param x points `[n]`
 * @param y as many points `[n]`
 * @returns `value`, `valueIdentity` and `valueAnti` of the two orders, `orientation` (1, or -1 if the reversed one is smaller), and
 * `gradX`, `gradY` `[n]` if `grad`
 * @throws TypeError or RangeError for no points, different numbers of points, or a wrong type
 */
export function gw1d<A extends RealArray, const O extends Gw1dOptions<A> = {}>(
  x: A,
  y: A,
  options?: Exact<O, Gw1dOptions<A>>,
): Simplify<
  { value: number; valueIdentity: number; valueAnti: number; orientation: 1 | -1 } & When<
    O,
    'grad',
    'gradX' | 'gradY',
    A
  >
> {
  return call('gw1d', [x, y], options);
}

export interface SlicedGWOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Also compute the gradients; default false. */
  grad?: boolean;
  out?: { perDirection?: A; gradX?: A; gradY?: A };
}

/**
 * Sliced Gromov-Wasserstein distance of two point clouds (Vayer et al. 2019, arXiv 1905.10124): the mean over directions of
 * `gw1d(X theta, Y theta)`, see {@link gw1d}. The narrower cloud is padded with zeros; directions are used as given, without
 * normalising them.
 * @param X points `[n, dx]`
 * @param Y as many points `[n, dy]`
 * @param directions `[P, max(dx, dy)]`
 * @returns `value`, `perDirection` `[P]`, and `gradX`, `gradY` of the shapes of X and Y if `grad`
 * @throws TypeError or RangeError for an empty array, different numbers of points, or a wrong type or shape
 */
export function slicedGW<A extends RealArray, const O extends SlicedGWOptions<A> = {}>(
  X: Tensor<A>,
  Y: Tensor<A>,
  directions: Tensor<A>,
  options?: Exact<O, SlicedGWOptions<A>>,
): Simplify<{ value: number; perDirection: A } & When<O, 'grad', 'gradX' | 'gradY', A>> {
  return call('slicedGW', [X, Y, directions], options);
}

interface BoundOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Exponent r of the distance, at least 1; default 1. */
  order?: number;
  /** Masses of the nodes of C `[n]`: not negative, with any positive sum; default uniform. */
  weightsC?: A;
  /** Masses of the nodes of D `[m]`; default uniform. */
  weightsD?: A;
}

export interface GwFirstLowerBoundOptions<A extends RealArray = RealArray> extends BoundOptions<A> {
  /** 'norm' (default) `(sum_j p_j |C_ij|^r)^(1/r)` or 'mean' `sum_j p_j C_ij`. */
  eccentricity?: 'norm' | 'mean';
  /** Also compute the gradients; default false. */
  grad?: boolean;
  out?: { eccC?: A; eccD?: A; gradC?: A; gradD?: A };
}

/**
 * First lower bound of the Gromov-Wasserstein distance `min_T sum |C_ik - D_jl|^r T_ij T_kl` (Memoli 2011): `W_r^r` between the
 * eccentricities of the nodes, see {@link wasserstein1d}. `distance = value^(1/r) / 2`, on Memoli's scale. No solver; O(n^2).
 *
 * Gradients hold the order of the nodes fixed: with g the gradient by the eccentricities e, `g_i p_j` for 'mean' and `g_i p_j
 * sign(C_ij) |C_ij|^(r-1) e_i^(1-r)` for 'norm', 0 where e_i = 0.
 * @param C `[n, n]`
 * @param D `[m, m]`
 * @returns `value`, `distance`, `eccC` `[n]`, `eccD` `[m]`, and `gradC`, `gradD` if `grad`
 * @throws TypeError or RangeError for an empty or non-square matrix, a wrong type, order < 1, or weights that are negative or all 0
 */
export function gwFirstLowerBound<
  A extends RealArray,
  const O extends GwFirstLowerBoundOptions<A> = {},
>(
  C: Tensor<A>,
  D: Tensor<A>,
  options?: Exact<O, GwFirstLowerBoundOptions<A>>,
): Simplify<
  { value: number; distance: number; eccC: A; eccD: A } & When<O, 'grad', 'gradC' | 'gradD', A>
> {
  return call('gwFirstLowerBound', [C, D], options);
}

export interface GwSecondLowerBoundOptions<
  A extends RealArray = RealArray,
> extends BoundOptions<A> {
  /** Also compute the gradients; default false. */
  grad?: boolean;
  out?: { gradC?: A; gradD?: A };
}

/**
 * Second lower bound of the Gromov-Wasserstein distance (Memoli 2011): `W_r^r` between all entries of C and all of D, with masses `p_i
 * p_j`. `distance = value^(1/r) / 2`. No solver; O(n^2 log n). It is not ordered against the first bound, and it is 0 for some point
 * sets that are not isometric. The gradient of an entry is that of {@link wasserstein1d}, equal entries in row-major order.
 * @param C `[n, n]`
 * @param D `[m, m]`
 * @returns `value`, `distance`, and `gradC`, `gradD` if `grad`
 * @throws TypeError or RangeError for an empty or non-square matrix, a wrong type, order < 1, or weights that are negative or all 0
 */
export function gwSecondLowerBound<
  A extends RealArray,
  const O extends GwSecondLowerBoundOptions<A> = {},
>(
  C: Tensor<A>,
  D: Tensor<A>,
  options?: Exact<O, GwSecondLowerBoundOptions<A>>,
): Simplify<{ value: number; distance: number } & When<O, 'grad', 'gradC' | 'gradD', A>> {
  return call('gwSecondLowerBound', [C, D], options);
}

export interface GwThirdLowerBoundOptions<A extends RealArray = RealArray> extends BoundOptions<A> {
  /**
   * How rows are matched: 'relaxed' (default) `max(sum_i p_i min_j cost_ij, sum_j q_j min_i cost_ij)`, still a lower bound, without a
   * solver; 'assignment' the mean cost of the best matching, for as many nodes on both sides and no weights.
   */
  method?: 'relaxed' | 'assignment';
  out?: { cost?: A };
}

/**
 * Third lower bound of the Gromov-Wasserstein distance (Memoli 2011): rows of C are matched to rows of D at the cost `cost_ij =
 * W_r^r(row i of C, row j of D)`, see {@link wasserstein1d}. `distance = value^(1/r) / 2`. At least the first two bounds with
 * 'assignment', which takes O(n^3) (shortest augmenting paths, Jonker and Volgenant 1987) beside O(n^3) for the costs.
 * @param C `[n, n]`
 * @param D `[m, m]`
 * @returns `value`, `distance` and `cost` `[n, m]`
 * @throws TypeError or RangeError for an empty or non-square matrix, a wrong type, order < 1, weights that are negative or all 0, or
 * 'assignment' with different numbers of nodes or with weights
 */
export function gwThirdLowerBound<A extends RealArray>(
  C: Tensor<A>,
  D: Tensor<A>,
  options?: GwThirdLowerBoundOptions<A>,
): { value: number; distance: number; cost: A } {
  return call('gwThirdLowerBound', [C, D], options);
}
