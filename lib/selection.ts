import { call } from './call.js';
import type {
  CallOptions,
  Exact,
  Logits,
  RealArray,
  Reduced,
  Reduction,
  Simplify,
  Targets,
  Tensor,
  When,
} from './types.js';

export interface NllLossOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Weight of each class `[c]`; default 1. The mean divides by the weights of the counted targets. */
  weight?: A;
  /** Rows with this target are not read and give loss 0 and gradient 0; default -100. */
  ignoreIndex?: number;
  /** Default 'mean'. */
  reduction?: Reduction;
  /** Also compute the gradient; default false. */
  grad?: boolean;
  out?: { loss?: A; gradLogProbs?: A };
}

/**
 * Negative log-likelihood of log-probabilities (PyTorch's nll_loss), `-w_y logProb_y` in nats. If nothing counts, loss and gradient
 * are 0.
 * @param logProbs `[n, c]`
 * @param targets class of each row `[n]`: 0..c-1 or ignoreIndex
 * @returns `loss` (a number, or `[n]` for reduction 'none'), and `gradLogProbs` `[n, c]`, zero but at the targets, if `grad`
 * @throws TypeError or RangeError for a wrong type, shape, target or option
 */
export function nllLoss<A extends RealArray, const O extends NllLossOptions<A> = {}>(
  logProbs: Tensor<A>,
  targets: Targets,
  options?: Exact<O, NllLossOptions<A>>,
): Simplify<{ loss: Reduced<O, A> } & When<O, 'grad', 'gradLogProbs', A>> {
  return call('nllLoss', [logProbs, targets], options);
}

export interface TopKOptions<A extends RealArray = RealArray> extends CallOptions {
  /** How many entries of each row, 1 to c. */
  k: number;
  out?: { values?: A; indices?: Int32Array };
}

/**
 * The k largest entries of every row in descending order. Equal values: the lower index first (-0 equals +0); NaN ranks above
 * +Infinity.
 * @param logits `[..., c]`
 * @returns `values` `[..., k]` and their columns `indices` `[..., k]`
 * @throws TypeError or RangeError for a wrong type or shape, or k outside 1..c
 */
export function topK<A extends RealArray>(
  logits: Logits<A>,
  options: TopKOptions<A>,
): { values: A; indices: Int32Array } {
  return call('topK', [logits], options);
}

export interface ArgsortOptions extends CallOptions {
  /** The largest first; default false. */
  descending?: boolean;
  out?: { indices?: Int32Array };
}

/**
 * The order of every row: `x[indices[0]] <= x[indices[1]] <= ...`, or `>=` if `descending`. The sort is stable: equal values (-0 equals
 * +0) keep the order of their indices in both directions. NaN comes last in both. A row of any length uses all threads.
 * @param x `[..., c]`
 * @returns `indices` `[..., c]`, columns of each row
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function argsort(x: Logits, options?: ArgsortOptions): { indices: Int32Array } {
  return call('argsort', [x], options);
}

export interface SortOptions<A extends RealArray = RealArray> extends CallOptions {
  /** The largest first; default false. */
  descending?: boolean;
  /** Also give the order, as {@link argsort} does; default false. */
  indices?: boolean;
  /** Write into these arrays instead of new ones; values may be the array of x. */
  out?: { values?: A; indices?: Int32Array };
}

/**
 * Every row sorted: `values[0] <= values[1] <= ...`, or `>=` if `descending`. Stable as {@link argsort} is, so `values[i] =
 * x[indices[i]]` to the sign of zero; NaN comes last in both directions.
 * @param x `[..., c]`
 * @returns `values` `[..., c]`, and `indices` `[..., c]` if `indices`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function sort<A extends RealArray, const O extends SortOptions<A> = {}>(
  x: Logits<A>,
  options?: Exact<O, SortOptions<A>>,
): Simplify<{ values: A } & When<O, 'indices', 'indices', Int32Array>> {
  return call('sort', [x], options);
}
