import { call } from './call.js';
import type {
  CallOptions,
  Exact,
  Mask,
  RealArray,
  Reduced,
  Reduction,
  Simplify,
  Targets,
  Tensor,
  When,
} from './types.js';

export interface UldLossOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Divides the logits of both models, above 0; default 1. */
  temperature?: number;
  /** Divides the student's logits instead of `temperature`. */
  studentTemperature?: number;
  /** Divides the teacher's logits instead of `temperature`. */
  teacherTemperature?: number;
  /** How many of the largest logits of each row are compared; default 0: all. */
  topK?: number;
  /**
   * What is compared: 'softmax' (default) probabilities, 'none' the logits over the temperature, 'standardize' those less their mean
   * over their standard deviation (of the finite entries of the row, without a Bessel correction; a constant row gives 0).
   */
  transform?: 'none' | 'softmax' | 'standardize';
  /** Which rows count `[n]`: rows of 0 are not read and give loss 0 and gradient 0. Default all. */
  mask?: Mask;
  /** Default 'mean', over the rows that count. */
  reduction?: Reduction;
  /** Also compute the gradient by the student's logits; default false. */
  grad?: boolean;
  out?: { loss?: A; gradStudent?: A };
}

/**
 * Universal Logit Distillation (Boizard, El Haddad, Hudelot and Colombo 2024, arXiv 2402.12030): the 1-Wasserstein distance between
 * the sorted probabilities of two vocabularies, `sum_i |p_(i) - q_(i)|` with `p = softmax(student / T_s)` and `q = softmax(teacher /
 * T_t)` sorted descending and the shorter padded with zeros. It compares models of different vocabularies, since it looks at the
 * shape of the distribution only. No unit; below 2 for probabilities. `topK` and `transform` are those of InfiGFusion (Wang et al.
 * 2025, arXiv 2505.13893).
 *
 * Rows are ordered by their logits, equal ones by index. The gradient holds the order fixed: with `s = sign(p_(i) - q_(i))` (0 at
 * equality) at the place of class j it is `p_j (s_j - sum_k p_k s_k) / T_s`. A logit of -Infinity has no place and gradient 0. NaN, or
 * a row without a finite logit, makes that row NaN. The mean over no row is NaN, with gradient 0.
 * @param student logits `[n, cs]`
 * @param teacher logits `[n, ct]`, held constant
 * @returns `loss` (a number, or `[n]` for reduction 'none'), and `gradStudent` `[n, cs]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape, mask or option
 */
export function uldLoss<A extends RealArray, const O extends UldLossOptions<A> = {}>(
  student: Tensor<A>,
  teacher: Tensor<A>,
  options?: Exact<O, UldLossOptions<A>>,
): Simplify<{ loss: Reduced<O, A> } & When<O, 'grad', 'gradStudent', A>> {
  return call('uldLoss', [student, teacher], options);
}

export interface UldSequenceLossOptions<A extends RealArray = RealArray> extends CallOptions {
  /** Weight of the cross-entropy; default 1. */
  ceWeight?: number;
  /** Weight of the distance to the teacher; default 1.5. */
  distillWeight?: number;
  /** Divides the student's logits in the distance, above 0; default 1. */
  studentTemperature?: number;
  /** Divides the teacher's logits in the distance, above 0; default 1. */
  teacherTemperature?: number;
  /** Leave out the last token of the student's answer in the distance; default true. */
  skipStudentEos?: boolean;
  /** Leave out the last token of the teacher's answer; default false. */
  skipTeacherEos?: boolean;
  /** Targets of this value do not count; default -100. */
  ignoreIndex?: number;
  /** Also compute the gradient by the student's logits; default false. */
  grad?: boolean;
  out?: { gradStudent?: A };
}

/**
 * The training loss of Universal Logit Distillation (Boizard, El Haddad, Hudelot and Colombo 2024, arXiv 2402.12030): `loss = ceWeight
 * crossEntropy + distillWeight distillation`. A term of weight 0 is left out.
 *
 * `crossEntropy` (nats) is that of the next token, logits at i against target i + 1, over all targets that are not ignored; 0 if
 * there are none. `distillation` is the mean over sequences of the mean of {@link uldLoss}'s row over the first K positions of both
 * answers. An answer starts at position max(L - 1, 0), L being the number of leading ignored targets (a position predicts the next
 * token), and is as long as it has targets that are not ignored, less 1 if its end is skipped; K is the shorter length. A sequence
 * without a common position adds 0 and counts.
 *
 * Positions that neither term needs are not read and have gradient 0.
 * @param student logits `[b, ts, cs]`
 * @param teacher logits `[b, tt, ct]`, held constant
 * @param studentTargets tokens of the student's vocabulary `[b * ts]`: 0..cs-1 or ignoreIndex
 * @param teacherTargets `[b * tt]`: only whether they are ignoreIndex matters
 * @returns `loss`, `crossEntropy`, `distillation`, and `gradStudent` `[b, ts, cs]` if `grad`
 * @throws TypeError or RangeError for a wrong type, shape, target or option
 */
export function uldSequenceLoss<
  A extends RealArray,
  const O extends UldSequenceLossOptions<A> = {},
>(
  student: Tensor<A>,
  teacher: Tensor<A>,
  studentTargets: Targets,
  teacherTargets: Targets,
  options?: Exact<O, UldSequenceLossOptions<A>>,
): Simplify<
  { loss: number; crossEntropy: number; distillation: number } & When<O, 'grad', 'gradStudent', A>
> {
  return call('uldSequenceLoss', [student, teacher, studentTargets, teacherTargets], options);
}
