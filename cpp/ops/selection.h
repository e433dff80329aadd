// Ops that pick entries of a row: the target's log-probability, the k largest.
#pragma once
#include "softmax.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// -w_y logProb_y
struct NllLoss {
  static constexpr Record record{
      "nllLoss",
      "core",
      {{"logProbs", "n,c", Kind::real, Domain::logProbability}, kTargets, optionInput("weight", "c", Domain::positive)},
      {kIgnoreIndex, kReduction, kGrad},
      {reduced("loss", "n"), gradient("gradLogProbs", "n,c", "logProbs")}};
  static constexpr unsigned needs = kTargetLogit;

  double scale;
  bool isDouble;
  const void* weight;

  LGC_FN explicit NllLoss(const Call& call)
      : scale(meanScale<NllLoss>(call)), isDouble(call.isDouble), weight(LGC_INPUT(void, call, weight)) {
    if (!weight || reductionOf<NllLoss>(call) != kReduceMean) return;
    const int32_t* targets = LGC_INPUT(int32_t, call, targets);
    const int32_t ignore = ignoreIndexOf<NllLoss>(call);
    scale = reciprocalOrZero(sumRows(call.rows, [&](size_t i) { return targets[i] == ignore ? 0.0 : weightOf(targets[i]); }));
  }
  LGC_FN double weightOf(int32_t y) const { return weight ? numberAt(weight, isDouble, static_cast<size_t>(y)) : 1.0; }
  LGC_FN void rowParameters(size_t, int32_t y, double* p) const { p[0] = scale * weightOf(y); }
  template <class T> LGC_FN T loss(const Statistics<T>& s) const {
    using V = ValueOf<T>;
    const V none = broadcast<V>(0);
    return select(s.parameter[0] == none, lift<T>(none), -s.target * s.parameter[0]);
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
