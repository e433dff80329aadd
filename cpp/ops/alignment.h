// AlignDistil (Zhang et al. 2025, arXiv 2503.02832): a teacher whose logits are extrapolated from two models, token by token, and losses of
// a policy that is compared with it or with a reference.
#pragma once
#include "../engine/wide_softmax.h"
#include "softmax.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

enum AlignMode { kAlignDistil, kTheorem1, kTheorem1Contrast, kTheorem1Adaptive, kGkd };

constexpr Option kAlignMode = choice("mode", "aligndistil,theorem1,theorem1Contrast,theorem1Adaptive,gkd");
constexpr Option kBeta = above(number("beta", 0.1), 0), kKlCoef = number("klCoef", 0.1);
constexpr Option kTvdScale = atLeast(number("tvdScale", 10), 0), kTvdFloor = atLeast(number("floor", 1e-3), 0);
constexpr Option kLengthNormalize = boolean("lengthNormalize", true);
constexpr Input sequenceLogits(const char* name) { return {name, "b,t,c"}; }
constexpr Input kSequenceTargets{"targets", "b*t", Kind::target};
constexpr Input kDpo = sequenceLogits("logitsDpo"), kRef = sequenceLogits("logitsRef"), kPolicy = sequenceLogits("student");
constexpr Output kGradPolicy = gradient("gradStudent", "b,t,c", "student");

inline double optionNamed(const Call& call, const char* name) { return call.options[optionIndex(*call.record, name)]; }

inline bool checkTeacher(Call& call) {
  const int mode = static_cast<int>(optionNamed(call, "mode"));
  const double klCoef = optionNamed(call, "klCoef");
  if ((mode == kTheorem1 || mode == kTheorem1Contrast) && !(klCoef > 0)) {
    __builtin_snprintf(call.error, sizeof call.error, "options.klCoef is %.9g, expected a finite number > 0 in mode '%s'", klCoef,
                       mode == kTheorem1 ? "theorem1" : "theorem1Contrast");
    return false;
  }
  if (optionNamed(call, "tvdScale") != 0 || optionNamed(call, "floor") != 0) return true;
  __builtin_snprintf(call.error, sizeof call.error, "options.tvdScale and options.floor are both 0, expected one of them > 0");
  return false;
}

struct AlignTeacher {
  int mode;
  double beta, klCoef, tvdScale, floor;
  explicit AlignTeacher(const Call& call)
      : mode(static_cast<int>(optionNamed(call, "mode"))),
        beta(optionNamed(call, "beta")),
        klCoef(optionNamed(call, "klCoef")),
        tvdScale(optionNamed(call, "tvdScale")),
        floor(optionNamed(call, "floor")) {}
  LGC_FN bool adaptive() const { return mode == kAlignDistil || mode == kTheorem1Adaptive; }

  LGC_FN double weight(double tvd) const { return mode == kGkd ? 0.0 : adaptive() ? fma(tvdScale, tvd, floor) : beta / klCoef; }
  LGC_FN double coefficient(double w) const { return mode == kGkd ? 1.0 : adaptive() ? beta / w : klCoef; }

  // z_d + w (z_d - z_r), or z_r + w (z_d - z_r).
  template <class W> LGC_FN W logits(W dpo, W ref, double w) const {
    if (mode == kGkd) return dpo;
    const W dead = broadcast<W>(-kInfinity);
    const bool contrast = mode == kAlignDistil || mode == kTheorem1Contrast;
    W z = fma(dpo - ref, broadcast<W>(w), contrast ? dpo : ref);
    // pi_dpo^w pi_ref^(1 - w) where pi_ref is 0.
    if (!contrast) z = select(ref == dead, w == 1 ? dpo : broadcast<W>(w < 1 ? -kInfinity : kInfinity), z);
    return select(dpo == dead, dead, z);
  }
};

// A term of the distance sum_a |pi_dpo(a) - pi_ref(a)|, which is from 0 to 2.
template <class W> LGC_FN W distanceTerm(const WideSoftmax& p, W dpo, const WideSoftmax& q, W ref) {
  return abs(expFlush(p.shifted(dpo)) * broadcast<W>(p.inverse) - expFlush(q.shifted(ref)) * broadcast<W>(q.inverse));
}

// coef KL(p || q) - E_p[reward] of one position. The divergence is linear in the logits: no logarithm of a probability, which of a
// peaked teacher would have no digits.
struct TokenLoss {
  WideSoftmax p, q;
  double coef, share;
  bool rewarded;
  double divergence = 0, mean = 0;  // E_p of the terms below

  template <class W> LGC_FN W divergenceTerm(W student, W teacher) const {
    const W x = p.shifted(student);
    return expected(x == broadcast<W>(-kInfinity), expFlush(x), x - q.shifted(teacher));
  }
  template <class W> LGC_FN W rewardTerm(W student, W reward) const {
    const W x = p.shifted(student);
    return expected(x == broadcast<W>(-kInfinity), expFlush(x), reward);
  }
  LGC_FN double kl() const { return divergence - p.logSum + q.logSum; }
  template <class W> LGC_FN W gradient(W student, W teacher, W reward) const {
    const W x = p.shifted(student);
    W slope = broadcast<W>(0);
    if (coef != 0) slope = ((x - q.shifted(teacher)) - broadcast<W>(divergence)) * broadcast<W>(coef);
    if (rewarded) slope = slope - (reward - broadcast<W>(mean));
    const W g = expFlush(x) * broadcast<W>(p.inverse * p.scale * share) * slope;
    // 0 in a dead class, unless the row has no distribution.
    return select(x == broadcast<W>(-kInfinity), broadcast<W>(p.inverse == p.inverse ? 0.0 : p.inverse), g);
  }
};

struct DpoTokenReward {
  static constexpr Record record{
      "dpoTokenReward",
      "align-distil",
      {kDpo, kRef, kSequenceTargets},
      {kBeta, kIgnoreIndex, boolean("distribution")},
      {array("tokenReward", "b,t"), array("sequenceReward", "b"), when(array("distribution", "b,t,c"), "distribution")}};
};

struct AlignDistilTeacher {
  static constexpr Record record{"alignDistilTeacher",
                                 "align-distil",
                                 {{"logitsDpo", "*,c"}, {"logitsRef", "*,c"}},
                                 {kAlignMode, kBeta, kKlCoef, kTvdScale, kTvdFloor},
                                 {inPlace(array("out", "*,c"), "logitsDpo"), array("weight", "*"), array("coef", "*"), array("tvd", "*")},
                                 false,
                                 nullptr,
                                 &checkTeacher};
};

struct AlignDistilLoss {
  static constexpr Record record{"alignDistilLoss",
                                 "align-distil",
                                 {kPolicy, kDpo, kRef, kSequenceTargets},
                                 {kAlignMode, kBeta, kKlCoef, kTvdScale, kTvdFloor, kTemperature, above(number("studentTemperature", 1), 0),
                                  kLengthNormalize, kIgnoreIndex, kReduction, kGrad},
                                 {reduced("loss", "b"), kGradPolicy},
                                 false,
                                 nullptr,
                                 &checkTeacher};

  AlignTeacher rule;
  double studentScale, teacherScale;
  explicit AlignDistilLoss(const Call& call)
      : rule(call),
        studentScale(1 / LGC_OPTION(call, studentTemperature)),
        teacherScale(rule.mode == kGkd ? 1.0 : 1 / LGC_OPTION(call, temperature)) {}
};

struct RlhfTokenLoss {
  static constexpr Record record{"rlhfTokenLoss",
                                 "align-distil",
                                 {kPolicy, sequenceLogits("reward"), kRef, kSequenceTargets},
                                 {atLeast(kKlCoef, 0), kLengthNormalize, kIgnoreIndex, kReduction, kGrad},
                                 {reduced("loss", "b"), reduced("expectedReward", "b"), reduced("kl", "b"), kGradPolicy}};

  LGC_FN static double lossOf(const TokenLoss& token) { return (token.coef == 0 ? 0.0 : token.coef * token.kl()) - token.mean; }
};

struct AlignDistilStats {
  static constexpr Record record{"alignDistilStats",
                                 "align-distil",
                                 {kPolicy, kDpo, kRef, kSequenceTargets},
                                 {kBeta, kIgnoreIndex},
                                 {scalar("expectedReward"), scalar("dpoExpectedReward"), scalar("sequenceReward"), scalar("tokenReward"),
                                  scalar("sequenceInitKl"), scalar("tokenInitKl"), scalar("sequenceTeacherKl"), scalar("tokenTeacherKl")}};

  // The values of a position, and of which of them each number is the average: of the sums of sequences, or of their means.
  enum Value { kReward, kDpoReward, kTokenReward, kInitKl, kTeacherKl, kValues };
  struct Average {
    Value of;
    bool mean;
  };
  static constexpr int kNumbers = 8;
  static constexpr Average averages[kNumbers] = {{kReward, false}, {kDpoReward, false}, {kTokenReward, false}, {kTokenReward, true},
                                                 {kInitKl, false}, {kInitKl, true},     {kTeacherKl, false},   {kTeacherKl, true}};
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
