// Group progressive guidance (Xu et al. 2023, arXiv 2308.07650): a chain of soft labels from the widest subnet to the narrowest.
#pragma once
#include "../engine/wide_softmax.h"
#include "softmax.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct GroupProgressiveGuidance {
  static constexpr Record record{"groupProgressiveGuidance",
                                 "eq-net",
                                 {{"logits", "g,n,c"}, kTargets},
                                 {between(number("alpha", 0.5), 0, 1), kTemperature, kIgnoreIndex, choice("reduction", "mean,sum"), kGrad},
                                 {scalar("loss"), array("losses", "g"), gradient("gradLogits", "g,n,c", "logits")}};

  double alpha, temperature, scale;
  LGC_FN explicit GroupProgressiveGuidance(const Call& call)
      : alpha(LGC_OPTION(call, alpha)), temperature(LGC_OPTION(call, temperature)), scale(meanScale<GroupProgressiveGuidance>(call)) {}
};

// A row of a plane compared with its labels and with the same row of the plane before, its guide; `own` and `guide` are at the
// temperature. A term of weight 0 is left out, be it infinite.
struct GuidedRow {
  WideSoftmax own, guide, hard;
  double labels, soft, temperature, scale;

  LGC_FN GuidedRow(const GroupProgressiveGuidance& d, bool guided)
      : labels(guided ? 1 - d.alpha : 1), soft(guided ? d.alpha : 0), temperature(d.temperature), scale(d.scale) {}

  template <class W> LGC_FN W divergenceTerm(W logit, W teacher) const {
    const W v = guide.shifted(teacher);
    return expected(v == broadcast<W>(-kInfinity), expFlush(v), v - own.shifted(logit));
  }
  LGC_FN double loss(double target, double divergence) const {
    double sum = 0;
    if (labels != 0) sum = labels * (hard.logSum - (target - hard.max));
    if (soft != 0) sum += soft * temperature * temperature * (guide.inverse * divergence - guide.logSum + own.logSum);
    return sum;
  }
  template <class W> LGC_FN W probability(W logit) const { return expFlush(hard.shifted(logit)) * broadcast<W>(hard.inverse); }
  // From the other terms: p_y - 1 of a confident row would be 0.
  LGC_FN double atTarget(size_t y, double probability) const { return y == hard.argMax ? -hard.others * hard.inverse : probability - 1; }
  // `hardSlope`: the probability, less 1 at the target.
  template <class W> LGC_FN W gradient(W hardSlope, W logit, W teacher) const {
    W g = broadcast<W>(0);
    if (labels != 0) g = hardSlope * broadcast<W>(labels);
    if (soft != 0) {
      const W p = expFlush(own.shifted(logit)) * broadcast<W>(own.inverse);
      const W q = expFlush(guide.shifted(teacher)) * broadcast<W>(guide.inverse);
      g = g + select((logit == broadcast<W>(-kInfinity)) & (q == q), p, p - q) * broadcast<W>(soft * temperature);
    }
    return g * broadcast<W>(scale);
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
