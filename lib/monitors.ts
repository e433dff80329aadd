import { call } from './call.js';
import type { CallOptions, Logits, RealArray, Tensor } from './types.js';

export interface OutputLogitStatsOptions extends CallOptions {
  /** Divides the logits in logZ, probabilities and entropy; default 1. */
  temperature?: number;
}

/** Statistics of output logits; see {@link outputLogitStats}. */
export interface OutputLogitStats {
  /** Over all logits that are not -Infinity, before the temperature. */
  max: number;
  min: number;
  mean: number;
  /** Population standard deviation. */
  std: number;
  rms: number;
  /** Over rows, of the log-sum-exp of `x / T`. */
  meanLogZ: number;
  maxAbsLogZ: number;
  meanSquaredLogZ: number;
  /** Over rows, of the largest probability of `softmax(x / T)` and of its entropy in nats. */
  meanMaxProb: number;
  meanEntropy: number;
}

/**
 * Statistics of output logits: `log Z` far from 0 and logits that all drift down show the divergence that a z-loss prevents
 * (Wortsman et al. 2023, arXiv 2309.14322). All in nats, as numbers.
 *
 * -Infinity is a masked class and left out of the first five. NaN in a row makes everything NaN; a row without a finite logit makes
 * the probability and entropy NaN and the means of logZ infinite.
 * @param logits `[..., c]`; a flat array is one row
 * @throws TypeError or RangeError for a wrong type, shape or temperature, or empty logits
 */
export function outputLogitStats<A extends RealArray>(
  logits: Logits<A>,
  options?: OutputLogitStatsOptions,
): OutputLogitStats {
  return call('outputLogitStats', [logits], options);
}

export interface AttentionLogitStatsOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Factor of the logits: 'sqrt' is 1 / sqrt(c), 'linear' 1 / c (the rule of muParam); default 'sqrt'. */
  scale?: 'sqrt' | 'linear' | number;
  /** Query i sees keys 0..i only; needs as many queries as keys. Default false. */
  causal?: boolean;
  /** Scales `[c]` of a {@link qkLayerNorm} that queries and keys go through first. Both or neither. */
  gammaQ?: A;
  gammaK?: A;
  /** Epsilon of that LayerNorm; default 1e-6. */
  epsilon?: number;
}

/** Statistics of attention logits; see {@link attentionLogitStats}. */
export interface AttentionLogitStats {
  /** Over the logits that count. */
  max: number;
  min: number;
  mean: number;
  rms: number;
  maxAbs: number;
  /** Over queries, of the entropy of their attention in nats. */
  meanEntropy: number;
  minEntropy: number;
  /** Over queries, of the largest attention weight. */
  meanMaxProb: number;
  /** Mean Euclidean norms of the vectors the logits are made of (after the LayerNorm, if there is one). */
  queryNorm: number;
  keyNorm: number;
  /** Over the pairs that count; 0 for a zero vector. */
  meanCosine: number;
}

/**
 * Statistics of the attention logits `scale q_i . k_j` of one head, without the n x m matrix. A maximum beyond about 1e4 comes
 * before divergence, and norms against cosine tell what grows (Wortsman et al. 2023, arXiv 2309.14322).
 *
 * Time grows with n m c, memory with (n + m) c. NaN in a query or key that counts makes the statistics NaN.
 * @param q queries `[n, c]`
 * @param k keys `[m, c]`
 * @throws TypeError or RangeError for a wrong type or shape, empty input, causal with n != m, or only one of gammaQ and gammaK
 */
export function attentionLogitStats<A extends RealArray>(
  q: Tensor<A>,
  k: Tensor<A>,
  options?: AttentionLogitStatsOptions<A>,
): AttentionLogitStats {
  return call('attentionLogitStats', [q, k], options);
}
