import { kindOf } from './arguments.js';
import { call } from './call.js';
import { compose, step, type Steps } from './steps.js';
import type { CallOptions, Exact, RealArray, Simplify, Tensor, When } from './types.js';

export interface GwObjectiveOptions<A extends RealArray = RealArray> extends CallOptions {
  /** `(a - b)^2`, `a log(a / b) - a + b` (C at least 0, D above 0), or `|a - b|` (at most 64 nodes a graph); default 'square'. */
  loss?: 'square' | 'kl' | 'abs';
  /** Also compute the gradients; default false. */
  grad?: boolean;
  out?: { gradPlan?: A; gradC?: A; gradD?: A };
}

/**
 * Gromov-Wasserstein energy of a transport plan between the nodes of two graphs, `sum_ijkl L(C_ik, D_jl) T_ij T_kl` (Peyre, Cuturi and
 * Solomon 2016). Any square matrices will do: distances, similarities, co-activations, of any sign and symmetric or not.
 *
 * Losses 'square' and 'kl' take two products of matrices, `O(n^2 m + n m^2)`, under the plan's own marginals; 'abs' sums all `n^2 m^2`
 * terms and is meant for references. The gradient of an entry of C that is 0 under 'kl' is -Infinity. Computed in double.
 * @param C `[n, n]`
 * @param D `[m, m]`
 * @param plan `[n, m]`
 * @returns `value`; `gradPlan` `[n, m]` (both places of the plan move), `gradC` `[n, n]` and `gradD` `[m, m]` if `grad`
 * @throws TypeError or RangeError for a wrong type or shape, more than 64 nodes with 'abs', or entries outside the domain of 'kl'
 */
export function gwObjective<A extends RealArray, const O extends GwObjectiveOptions<A> = {}>(
  C: Tensor<A>,
  D: Tensor<A>,
  plan: Tensor<A>,
  options?: Exact<O, GwObjectiveOptions<A>>,
): Simplify<
  { value: number } & When<O, 'grad', 'gradPlan', A> &
    When<O, 'grad', 'gradC', A> &
    When<O, 'grad', 'gradD', A>
> {
  return call('gwObjective', [C, D, plan], options);
}

/** Where {@link entropicGW} is after an outer iteration. */
export interface EntropicGwProgress {
  /** Outer iterations that were made. */
  iteration: number;
  /** `||T_new - T_old||_F` of the last one. */
  change: number;
  /** Energy of the plan. */
  value: number;
}

/** Options of {@link entropicGW}. */
export interface EntropicGwOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Weights of the nodes of C `[n]`, at least 0, of any positive sum; default uniform. */
  p?: A;
  /** Weights of the nodes of D `[m]`; default uniform. */
  q?: A;
  /** Strength of the entropy, above 0; default 0.05. */
  epsilon?: number;
  /** Default 'square'. */
  loss?: 'square' | 'kl';
  /** At most so many new plans; default 100. */
  outerIterations?: number;
  /** At most so many Sinkhorn steps a plan; default 200. */
  innerIterations?: number;
  /** Stops when the plan moves by no more than this (Frobenius norm); default 1e-7. */
  tol?: number;
  /** Stops Sinkhorn when the rows miss their sums by no more than this in total; default 1e-9. */
  innerTol?: number;
  /** Factor of the gradient in the exponent: 2, the default, is the true gradient; 1 is the iteration as Peyre et al. print it. */
  gradScale?: number;
  /** The plan to start from `[n, m]`, at least 0, of any positive sum; default `p q^T`. */
  initPlan?: A | Tensor<A>;
  /** Also compute the gradients; default false. */
  grad?: boolean;
  /** Called after every outer iteration. Results do not depend on it. */
  onProgress?: ((progress: EntropicGwProgress) => void) | undefined;
  out?: { plan?: A; gradC?: A; gradD?: A };
}

/** What {@link entropicGW} returns. */
export type EntropicGw<O, A> = Simplify<
  {
    plan: A;
    value: number;
    objective: number;
    /** Whether the last change was at most `tol`. */
    converged: boolean;
    /** Outer iterations that were made. */
    iterations: number;
    /** `||T_new - T_old||_F` of the last one. */
    change: number;
  } & When<O, 'grad', 'gradC', A> &
    When<O, 'grad', 'gradD', A>
>;

/**
 * Entropic Gromov-Wasserstein plan between two graphs by projected mirror descent (Peyre, Cuturi and Solomon 2016): from `T = p q^T`
 * repeats `M = gradScale (A + A') / 2`, where `A + A'` is the gradient of the energy at T (see {@link gwObjective}), and takes as next
 * T the entropic transport plan of cost M between p and q (Sinkhorn in the log domain). A local minimum: for graphs where `p q^T` is a
 * saddle (regular graphs) give `initPlan`. Computed in double whatever the type.
 *
 * A run that ends without convergence says so in `converged`; going on from its float64 plan as `initPlan` is the same as more
 * iterations. With `onProgress` or `signal` it is made of calls of one outer iteration, between which the signal is looked at; in
 * `logitcore/promises` the main thread is free meanwhile. The result has the same bits.
 * @param C `[n, n]`
 * @param D `[m, m]`
 * @returns `plan` `[n, m]`; `value`, its energy under its own marginals; `objective`, `value + epsilon sum T (log T - 1)`; `converged`,
 * `iterations`, `change`; `gradC` `[n, n]` and `gradD` `[m, m]` if `grad`: the plan is held fixed, which at convergence is the gradient
 * of `objective`
 * @throws TypeError or RangeError for a wrong type, shape or option, negative weights, or entries outside the domain of 'kl'
 */
export function entropicGW<A extends RealArray, const O extends EntropicGwOptions<A> = {}>(
  C: Tensor<A>,
  D: Tensor<A>,
  // Said once more outside of Exact, whose inference would leave the callback's argument without a type.
  options?: Exact<O, EntropicGwOptions<A>> & Pick<EntropicGwOptions<A>, 'onProgress'>,
): EntropicGw<O, A> {
  if (options?.onProgress === undefined && options?.signal === undefined)
    return call('entropicGW', [C, D], options, withConverged);
  return compose(() => inPieces(C, D, options)) as EntropicGw<O, A>;
}

type Plain<A> = EntropicGw<{ grad?: boolean }, A>;

function withConverged(result: Record<string, unknown>): Record<string, unknown> {
  return { ...result, converged: result.converged === 1 };
}

function* inPieces<A extends RealArray>(
  C: Tensor<A>,
  D: Tensor<A>,
  options: EntropicGwOptions<A>,
): Steps<Plain<A>> {
  const { onProgress, outerIterations: most = 100, innerIterations: inner, ...others } = options;
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw new TypeError(
      `entropicGW: options.onProgress must be a function, got ${kindOf(onProgress)}`,
    );
  const piece = (options: object) => (c: Tensor, d: Tensor) =>
    step<Plain<RealArray>>(() => call('entropicGW', [c, d], options, withConverged));
  // The least that goes through all checks and makes the arrays of the result.
  const result = (yield* piece({
    ...others,
    outerIterations: Number.isInteger(most) ? Math.min(most, 1) : most,
    innerIterations: Number.isInteger(inner) ? Math.min(inner!, 1) : inner,
  })(C, D)) as Plain<A>;
  const { p, q, initPlan, grad, ...rest } = { ...others, out: undefined };
  const [c, d] = [doubles(C), doubles(D)];
  const state = { p: numbersOf(p), q: numbersOf(q), initPlan: numbersOf(initPlan) };
  const next = () => piece({ ...rest, ...state, innerIterations: inner, outerIterations: 1 })(c, d);
  let now = yield* next();
  let iteration = now.iterations;
  if (iteration > 0) onProgress?.({ iteration, change: now.change, value: now.value });
  while (!now.converged && !Number.isNaN(now.change) && iteration < most) {
    state.initPlan = now.plan;
    now = yield* next();
    iteration += 1;
    onProgress?.({ iteration, change: now.change, value: now.value });
  }
  const { plan, value, objective, change, converged } = now;
  Object.assign(result, { value, objective, change, converged, iterations: iteration });
  result.plan.set(plan);
  if (grad) {
    const last = { data: plan, shape: [c.shape[0], d.shape[0]] };
    const { loss, signal } = rest;
    const gradients = yield* step(() =>
      gwObjective(c, d, last, { ...(loss && { loss }), signal, grad: true }),
    );
    result.gradC!.set(gradients.gradC);
    result.gradD!.set(gradients.gradD);
  }
  return result;
}

const numbersOf = (x: RealArray | Tensor | undefined): RealArray | undefined =>
  x && Float64Array.from('data' in x ? x.data : x);

function doubles(tensor: Tensor): { data: Float64Array; shape: readonly number[] } {
  return {
    data: Float64Array.from(tensor.data),
    shape: 'shape' in tensor ? tensor.shape : tensor.dims,
  };
}

export interface GwBruteForceOptions extends CallOptions {
  /** Power of the difference, at least 1; default 1. */
  order?: number;
  out?: { permutation?: Int32Array };
}

/**
 * The best matching of the nodes of two graphs of at most 8 nodes by trying all: the smallest `(1 / n^2) sum_ij |C_ij - D_{s(i) s(j)}|^order`
 * over permutations s (the Gromov-Wasserstein energy of Memoli 2011 over matchings). Of equal ones the lexicographically first is
 * returned. A reference for tests.
 * @param C `[n, n]`
 * @param D `[n, n]`
 * @returns `value` (0 for no nodes), `permutation` `[n]`
 * @throws TypeError or RangeError for a wrong type or shape, more than 8 nodes, or an order below 1
 */
export function gwBruteForce<A extends RealArray>(
  C: Tensor<A>,
  D: Tensor<A>,
  options?: GwBruteForceOptions,
): { value: number; permutation: Int32Array } {
  return call('gwBruteForce', [C, D], options);
}
