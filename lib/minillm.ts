import { call } from './call.js';
import type {
  CallOptions,
  Exact,
  Logits,
  Mask,
  RealArray,
  Simplify,
  Tensor,
  When,
} from './types.js';

export interface MinillmAdvantagesOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Discount of later rewards; default 0.95. */
  gamma?: number;
  /** Divides a return by the number of counted tokens from its own on; default true. */
  lengthNormalize?: boolean;
  /** Divides the rewards, not 0; default 1. */
  rewardScaling?: number;
  /** Clips the rewards to plus or minus this, if it is not 0; default 0. */
  clipReward?: number;
  /** Over which tokens the returns are centred and scaled: the counted ones, all, or not at all; default 'masked'. */
  whiten?: 'masked' | 'all' | 'none';
  out?: { rewards?: A; advantages?: A };
}

/**
 * MiniLLM's advantages of sampled tokens (Gu et al. 2023, arXiv 2306.08543): rewards `r_t = (teacherLogp - studentLogp) /
 * rewardScaling` in nats, returns `R_t = r_t + gamma R_(t+1)`, divided by the number of counted tokens from t on if
 * `lengthNormalize`, whitened to `(R - mean) / sqrt(variance + 1e-8)` with the variance's divisor n - 1. The authors' repository has
 * rewardScaling 0.5, clipReward 100 and whiten 'all'.
 *
 * Tokens that do not count are not read, have reward 0 in the returns and advantage 0; 'all' takes their returns into the mean and
 * the variance.
 * @param teacherLogps log-probabilities of the tokens `[b, t]`
 * @param studentLogps `[b, t]`
 * @param mask 0 for tokens that do not count `[b * t]`
 * @returns `rewards` and `advantages` `[b, t]`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function minillmAdvantages<A extends RealArray>(
  teacherLogps: Tensor<A>,
  studentLogps: Tensor<A>,
  mask: Mask,
  options?: MinillmAdvantagesOptions<A>,
): { rewards: A; advantages: A } {
  return call('minillmAdvantages', [teacherLogps, studentLogps, mask], options);
}

export interface MixturePolicyWeightsOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Share of the teacher in the policy that sampled, in [0, 1]; default 0.2. */
  alpha?: number;
  /** Write into this array instead of a new one; it may be the student's own. */
  out?: { out?: A };
}

/**
 * Importance weights of tokens sampled from a mixture of the rollout policy and the teacher, `exp(s) / ((1 - alpha) exp(o) + alpha
 * exp(t))`, from log-probabilities (MiniLLM's teacher-mixed sampling, Gu et al. 2023, arXiv 2306.08543). Computed from differences of
 * logarithms, so that no probability underflows. A token that the student never gives (-Infinity) has weight 0; one that no policy
 * gives has weight NaN.
 * @param studentLogps s, any shape
 * @param rolloutLogps o, the same shape: the student when the tokens were sampled
 * @param teacherLogps t, the same shape
 * @returns `out`, the same shape
 * @throws TypeError or RangeError for a wrong type, shape or alpha
 */
export function mixturePolicyWeights<A extends RealArray>(
  studentLogps: Logits<A>,
  rolloutLogps: Logits<A>,
  teacherLogps: Logits<A>,
  options?: MixturePolicyWeightsOptions<A>,
): { out: A } {
  return call('mixturePolicyWeights', [studentLogps, rolloutLogps, teacherLogps], options);
}

export interface MinillmPolicyLossOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Half the width of the range of ratios around 1 that is not clipped, at least 0; default 0.2. */
  clipRange?: number;
  /** Also compute the gradient of the log-probabilities; default false. */
  grad?: boolean;
  out?: { gradLogps?: A };
}

/**
 * MiniLLM's clipped policy loss (Gu et al. 2023, arXiv 2306.08543), the mean over counted tokens of `max(-A rho, -A clip(rho, 1 -
 * clipRange, 1 + clipRange))` with `rho = exp(logp - oldLogp) weight`. A full step of MiniLLM adds {@link klDiv} in direction
 * 'reverse' on the sampled positions.
 *
 * The gradient is `-A rho / count` where the ratio is in range, ends included, or the unclipped term is the larger one, else 0. Tokens
 * that do not count are not read. Without a counted token loss and gradient are 0.
 * @param logps log-probabilities of the tokens `[b, t]`
 * @param oldLogps those when they were sampled `[b, t]`
 * @param advantages A `[b, t]`, see {@link minillmAdvantages}
 * @param weights `[b, t]`, see {@link mixturePolicyWeights}
 * @param mask 0 for tokens that do not count `[b * t]`
 * @returns `loss`, and `gradLogps` `[b, t]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape or clipRange
 */
export function minillmPolicyLoss<
  A extends RealArray,
  const O extends MinillmPolicyLossOptions<A> = {},
>(
  logps: Tensor<A>,
  oldLogps: Tensor<A>,
  advantages: Tensor<A>,
  weights: Tensor<A>,
  mask: Mask,
  options?: Exact<O, MinillmPolicyLossOptions<A>>,
): Simplify<{ loss: number } & When<O, 'grad', 'gradLogps', A>> {
  return call('minillmPolicyLoss', [logps, oldLogps, advantages, weights, mask], options);
}
