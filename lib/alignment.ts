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

export interface DpoTokenRewardOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Scale of the reward, above 0; default 0.1. */
  beta?: number;
  /** Target of positions outside the response; default -100. */
  ignoreIndex?: number;
  /** Also give the reward of every token of the vocabulary; default false. */
  distribution?: boolean;
  out?: { tokenReward?: A; sequenceReward?: A; distribution?: A };
}

/**
 * The token reward that a model trained by DPO stands for, `r(a) = beta (log pi_dpo(a) - log pi_ref(a))` in nats (AlignDistil, Zhang et
 * al. 2025, arXiv 2503.02832). A token that both models mask (-Infinity) has reward 0.
 * @param logitsDpo logits of the model trained by DPO `[b, t, c]`
 * @param logitsRef logits of the reference, or of the reverse DPO model `[b, t, c]`
 * @param targets the tokens of the responses `[b * t]`
 * @returns `tokenReward` `[b, t]`, the reward of the target, 0 outside the response; `sequenceReward` `[b]`, its sum; `distribution`
 * `[b, t, c]`, of all positions, if asked for
 * @throws TypeError or RangeError for a wrong type, shape, target or option
 */
export function dpoTokenReward<A extends RealArray, const O extends DpoTokenRewardOptions<A> = {}>(
  logitsDpo: Tensor<A>,
  logitsRef: Tensor<A>,
  targets: Targets,
  options?: Exact<O, DpoTokenRewardOptions<A>>,
): Simplify<{ tokenReward: A; sequenceReward: A } & When<O, 'distribution', 'distribution', A>> {
  return call('dpoTokenReward', [logitsDpo, logitsRef, targets], options);
}

/** How AlignDistil makes its teacher; see {@link alignDistilTeacher}. */
export type AlignDistilMode =
  'aligndistil' | 'theorem1' | 'theorem1Contrast' | 'theorem1Adaptive' | 'gkd';

interface TeacherOptions extends CallOptions {
  /** Default 'aligndistil'. */
  mode?: AlignDistilMode;
  /** Scale of the reward, above 0; default 0.1. */
  beta?: number;
  /** Weight of the divergence from the reference in the modes with a fixed weight, above 0 there; default 0.1. */
  klCoef?: number;
  /** Factor of the distance in the adaptive weight, at least 0; default 10. The authors use 15 on-policy. */
  tvdScale?: number;
  /** Least adaptive weight, at least 0 (above it if tvdScale is 0); default 1e-3. */
  floor?: number;
}

export interface AlignDistilTeacherOptions<A extends RealArray = RealArray> extends TeacherOptions {
  /** Write into these arrays instead of new ones; `out` may be the DPO logits' own. */
  out?: { out?: A; weight?: A; coef?: A; tvd?: A };
}

/**
 * AlignDistil's teacher of every position, logits extrapolated from those of two models (Zhang et al. 2025, arXiv 2503.02832), with the
 * coefficient C of its loss and `tvd = sum_a |pi_dpo(a) - pi_ref(a)|`, from 0 to 2:
 *
 * - 'aligndistil': `z* = z_d + w (z_d - z_r)`, `w = tvdScale tvd + floor`, `C = beta / w`
 * - 'theorem1Adaptive': `z* = z_r + w (z_d - z_r)` with the same w and C
 * - 'theorem1Contrast': `z* = z_d + w (z_d - z_r)`, `w = beta / klCoef`, `C = klCoef`
 * - 'theorem1': `z* = z_r + w (z_d - z_r)` with the same w and C
 * - 'gkd': `z* = z_d`, `w = 0`, `C = 1`
 *
 * A token that the DPO model masks (-Infinity) stays masked. One that only the reference masks has no finite teacher logit.
 * @param logitsDpo z_d, logits of the model trained by DPO `[..., c]`
 * @param logitsRef z_r, logits of the reverse DPO model, or of the initial one in the modes of theorem 1 `[..., c]`
 * @returns `out`, the teacher's logits `[..., c]`, not normalised and before temperature; `weight`, `coef` and `tvd` `[...]`
 * @throws TypeError or RangeError for a wrong type, shape or option
 */
export function alignDistilTeacher<A extends RealArray>(
  logitsDpo: Logits<A>,
  logitsRef: Logits<A>,
  options?: AlignDistilTeacherOptions<A>,
): { out: A; weight: A; coef: A; tvd: A } {
  return call('alignDistilTeacher', [logitsDpo, logitsRef], options);
}

export interface AlignDistilLossOptions<A extends RealArray = RealArray> extends TeacherOptions {
  /** Divides the teacher's logits (not in mode 'gkd'); default 1. */
  temperature?: number;
  /** Divides the student's logits; default 1. On-policy it is that of the teacher. */
  studentTemperature?: number;
  /** Takes the mean over the positions of a sequence rather than the sum; default true. */
  lengthNormalize?: boolean;
  /** Target of positions outside the response; default -100. */
  ignoreIndex?: number;
  /** Over sequences; default 'mean', over those that have a counted position. */
  reduction?: Reduction;
  /** Also compute the gradient of the student's logits; default false. */
  grad?: boolean;
  out?: { loss?: A; gradStudent?: A };
}

/**
 * AlignDistil's loss (Zhang et al. 2025, arXiv 2503.02832): token by token `C KL(p || q)` in nats, with p the student's softmax and q that of
 * {@link alignDistilTeacher}, a constant. Alignment by reinforcement learning with a DPO reward, as distillation.
 *
 * Positions outside the response are not read and have gradient 0; a sequence without a counted position has loss 0. A token that the
 * teacher masks (-Infinity) and the student does not makes the loss Infinity.
 * @param student logits of the policy `[b, t, c]`
 * @param logitsDpo logits of the model trained by DPO `[b, t, c]`
 * @param logitsRef logits of the reverse DPO model, or of the initial one in the modes of theorem 1 `[b, t, c]`; not read in mode 'gkd'
 * @param targets the tokens of the responses `[b * t]`; only where they are ignoreIndex matters
 * @returns `loss` (a number, or `[b]` for reduction 'none') and `gradStudent` `[b, t, c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape, target or option
 */
export function alignDistilLoss<
  A extends RealArray,
  const O extends AlignDistilLossOptions<A> = {},
>(
  student: Tensor<A>,
  logitsDpo: Tensor<A>,
  logitsRef: Tensor<A>,
  targets: Targets,
  options?: Exact<O, AlignDistilLossOptions<A>>,
): Simplify<{ loss: Reduced<O, A> } & When<O, 'grad', 'gradStudent', A>> {
  return call('alignDistilLoss', [student, logitsDpo, logitsRef, targets], options);
}

export interface RlhfTokenLossOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Weight of the divergence from the reference, at least 0; default 0.1. */
  klCoef?: number;
  /** Takes the mean over the positions of a sequence rather than the sum; default true. */
  lengthNormalize?: boolean;
  /** Target of positions outside the response; default -100. */
  ignoreIndex?: number;
  /** Over sequences; default 'mean', over those that have a counted position. */
  reduction?: Reduction;
  /** Also compute the gradient of the student's logits; default false. */
  grad?: boolean;
  out?: { loss?: A; expectedReward?: A; kl?: A; gradStudent?: A };
}

/**
 * The objective of reinforcement learning with a token reward, as a loss on logits: `klCoef KL(p || pi_ref) - sum_a p(a) r(a)` of every
 * position, in nats (AlignDistil, Zhang et al. 2025, arXiv 2503.02832, which shows that {@link alignDistilLoss} has the same gradient for
 * the reward of {@link dpoTokenReward}).
 *
 * Positions outside the response are not read and have gradient 0. Tokens that the student masks (-Infinity) have no part in it.
 * @param student logits of the policy `[b, t, c]`
 * @param reward of every token `[b, t, c]`
 * @param logitsRef logits of the reference `[b, t, c]`
 * @param targets the tokens of the responses `[b * t]`; only where they are ignoreIndex matters
 * @returns `loss` and its parts `expectedReward` and `kl` (numbers, or `[b]` for reduction 'none'), and `gradStudent` `[b, t, c]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape, target or option
 */
export function rlhfTokenLoss<A extends RealArray, const O extends RlhfTokenLossOptions<A> = {}>(
  student: Tensor<A>,
  reward: Tensor<A>,
  logitsRef: Tensor<A>,
  targets: Targets,
  options?: Exact<O, RlhfTokenLossOptions<A>>,
): Simplify<
  {
    loss: Reduced<O, A>;
    expectedReward: Reduced<O, A>;
    kl: Reduced<O, A>;
  } & When<O, 'grad', 'gradStudent', A>
> {
  return call('rlhfTokenLoss', [student, reward, logitsRef, targets], options);
}

export interface AlignDistilStatsOptions extends CallOptions {
  /** Scale of the reward, above 0; default 0.1. */
  beta?: number;
  /** Target of positions outside the response; default -100. */
  ignoreIndex?: number;
}

/** Means over the sequences that have a counted position; in nats. */
export interface AlignDistilStats {
  /** Sum over positions of the reward that the student, or the DPO model, expects. */
  expectedReward: number;
  dpoExpectedReward: number;
  /** Reward of the targets: sum over positions, and mean. */
  sequenceReward: number;
  tokenReward: number;
  /** Divergence of the student from the reference: sum over positions, and mean. */
  sequenceInitKl: number;
  tokenInitKl: number;
  /** Divergence of the student from the DPO model: sum over positions, and mean. */
  sequenceTeacherKl: number;
  tokenTeacherKl: number;
}

/**
 * What AlignDistil logs of a batch (Zhang et al. 2025, arXiv 2503.02832), with the reward `r(a) = beta (log pi_dpo(a) - log pi_ref(a))`:
 * `sum_a p(a) r(a)` and `KL(p || pi)` of every position at temperature 1, summed or averaged over a sequence, averaged over sequences.
 * @param student logits of the policy `[b, t, c]`
 * @param logitsDpo logits of the model trained by DPO `[b, t, c]`
 * @param logitsRef logits of the reference `[b, t, c]`
 * @param targets the tokens of the responses `[b * t]`
 * @throws TypeError or RangeError for a wrong type, shape, target or option
 */
export function alignDistilStats<A extends RealArray>(
  student: Tensor<A>,
  logitsDpo: Tensor<A>,
  logitsRef: Tensor<A>,
  targets: Targets,
  options?: AlignDistilStatsOptions,
): AlignDistilStats {
  return call('alignDistilStats', [student, logitsDpo, logitsRef, targets], options);
}
