// The token-level parts of MiniLLM (Gu et al. 2023, arXiv 2306.08543).
#pragma once
#include "../engine/definition.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// exp(s) / ((1 - alpha) exp(o) + alpha exp(t))
struct MixturePolicyWeights {
  static constexpr Record record{"mixturePolicyWeights",
                                 "uld",
                                 {{"studentLogps", "*", Kind::real, Domain::logProbability},
                                  {"rolloutLogps", "*", Kind::real, Domain::logProbability},
                                  {"teacherLogps", "*", Kind::real, Domain::logProbability}},
                                 {between(number("alpha", 0.2), 0, 1)},
                                 {inPlace(array("out", "*"), "studentLogps")}};

  double alpha, logShare[2];
  LGC_FN explicit MixturePolicyWeights(const Call& call)
      : alpha(LGC_OPTION(call, alpha)), logShare{log(1 - LGC_OPTION(call, alpha)), log(LGC_OPTION(call, alpha))} {}
  // Differences of log-probabilities first: those of long sequences are far from 0, and the weight needs their digits. A policy without
  // a share never gives a token.
  template <class W> LGC_FN void lane(const W* x, const W*, W&, W* out) const {
    const W never = broadcast<W>(-__builtin_huge_val());
    const W rollout = alpha == 1 ? never : x[1], teacher = alpha == 0 ? never : x[2];
    const W weight = exp(-logAddExp((rollout - x[0]) + broadcast<W>(logShare[0]), (teacher - x[0]) + broadcast<W>(logShare[1])));
    // A token that the student never gives has weight 0 as long as something gives it.
    out[0] = select((x[0] == never) & ((rollout > never) | (teacher > never)), broadcast<W>(0), weight);
  }
};

constexpr Input kTokenMask{"mask", "b*t", Kind::mask};
constexpr Input tokens(const char* name, Domain domain = Domain::any) { return {name, "b,t", Kind::real, domain}; }

enum Whiten { kWhitenMasked, kWhitenAll, kWhitenNone };

// Discounted sums of the rewards log p_t - log p_s that follow a position, whitened.
struct MinillmAdvantages {
  static bool scales(Call& call) {
    if (LGC_OPTION(call, rewardScaling) != 0) return true;
    __builtin_snprintf(call.error, sizeof call.error, "options.rewardScaling is 0, expected a finite number other than 0");
    return false;
  }
  static constexpr Record record{
      "minillmAdvantages",
      "uld",
      {tokens("teacherLogps", Domain::logProbability), tokens("studentLogps", Domain::logProbability), kTokenMask},
      {number("gamma", 0.95), boolean("lengthNormalize", true), number("rewardScaling", 1), atLeast(number("clipReward", 0), 0),
       choice("whiten", "masked,all,none")},
      {array("rewards", "b,t"), array("advantages", "b,t")},
      false,
      nullptr,
      &scales};

  double gamma, scaling, clip;
  bool normalize;
  int whiten;
  explicit MinillmAdvantages(const Call& call)
      : gamma(LGC_OPTION(call, gamma)),
        scaling(LGC_OPTION(call, rewardScaling)),
        clip(LGC_OPTION(call, clipReward)),
        normalize(LGC_OPTION(call, lengthNormalize) != 0),
        whiten(static_cast<int>(LGC_OPTION(call, whiten))) {}

  LGC_FN double reward(double teacher, double student) const {
    const double r = (teacher - student) / scaling;
    return clip > 0 ? (r > clip ? clip : r < -clip ? -clip : r) : r;
  }
  // From the discounted sum of the rewards, and how many there were.
  LGC_FN double returned(double sum, double count) const { return normalize && count > 0 ? sum / count : sum; }
  LGC_FN static double inverseDeviation(double squares, double count) { return 1 / sqrt((count > 1 ? squares / (count - 1) : 0.0) + 1e-8); }
};

// max(-A rho, -A clip(rho, 1 - eps, 1 + eps)) with rho = exp(logp - oldLogp) weight
struct MinillmPolicyLoss {
  static constexpr Record record{"minillmPolicyLoss",
                                 "uld",
                                 {tokens("logps", Domain::logProbability), tokens("oldLogps", Domain::logProbability), tokens("advantages"),
                                  tokens("weights", Domain::positive), kTokenMask},
                                 {atLeast(number("clipRange", 0.2), 0), kGrad},
                                 {scalar("loss"), gradient("gradLogps", "b,t", "logps")}};

  double least, most;
  explicit MinillmPolicyLoss(const Call& call) : least(1 - LGC_OPTION(call, clipRange)), most(1 + LGC_OPTION(call, clipRange)) {}
  // The loss of a token and its slope by logp.
  template <class W> LGC_FN void token(W logp, W old, W advantage, W weight, W& loss, W& slope) const {
    const W zero = broadcast<W>(0), low = broadcast<W>(least), high = broadcast<W>(most);
    const W rho = exp(logp - old) * weight;
    // NaN survives as the second operand.
    const W plain = -(advantage * rho), clipped = -(advantage * max(low, min(high, rho)));
    const auto inside = (rho >= low) & (rho <= high);
    loss = select(clipped > plain, clipped, plain);
    slope = select(inside | !(clipped >= plain), plain, zero);
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
