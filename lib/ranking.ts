import { call } from './call.js';
import type { CallOptions, RealArray } from './types.js';

export interface KendallTauOptions extends CallOptions {
  /** 'b' (default) corrects for ties, 'a' counts a tie as neither. */
  variant?: 'b' | 'a';
}

/** What {@link kendallTau} returns. */
export interface KendallTau {
  /** In [-1, 1]. */
  tau: number;
  /** Root of the mean squared difference. */
  rmse: number;
  /** Pairs in the same order, and in opposite order. */
  concordant: number;
  discordant: number;
  /** Pairs that are tied in the first array, and in the second; a pair tied in both is in both. */
  tiesA: number;
  tiesB: number;
}

/**
 * Kendall's rank correlation over all pairs: variant 'b' is `(concordant - discordant) / sqrt((pairs - tiesA) (pairs - tiesB))`, 0 if
 * one side is constant, variant 'a' `(concordant - discordant) / pairs`. In O(n log n) (Knight 1966). Used to rank predictors of
 * accuracy (Xu et al. 2023, arXiv 2308.07650) and generalisation measures (Jiang et al. 2019, arXiv 1912.02178).
 *
 * With a NaN everything but n is unknown: all results are NaN.
 * @param predicted `[n]`
 * @param actual `[n]`
 * @throws TypeError or RangeError for a wrong type or length, fewer than two values or an unknown variant
 */
export function kendallTau<A extends RealArray>(
  predicted: A,
  actual: A,
  options?: KendallTauOptions,
): KendallTau {
  return call('kendallTau', [predicted, actual], options);
}
