// The token-level parts of MiniLLM (Gu et al. 2023, arXiv 2306.08543) that are functions of one element.
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

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
