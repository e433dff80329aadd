// Ops that pick entries of a row, or order them: the target's log-probability, the k largest, sorts.
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
    scale = reciprocalOrZero(
        sumRows(call.rows, [&](size_t i) { return targets[i] == ignore || !isClass(call, targets[i]) ? 0.0 : weightOf(targets[i]); }));
  }
  LGC_FN double weightOf(int32_t y) const { return weight ? numberAt(weight, isDouble, static_cast<size_t>(y)) : 1.0; }
  LGC_FN void rowParameters(size_t, int32_t y, double* p) const { p[0] = scale * weightOf(y); }
  template <class T> LGC_FN T loss(const Statistics<T>& s) const {
    using V = ValueOf<T>;
    const V none = broadcast<V>(0);
    return select(s.parameter[0] == none, lift<T>(none), -s.target * s.parameter[0]);
  }
};

inline bool checkK(Call& call) {
  const double k = call.options[optionIndex(*call.record, "k")], most = static_cast<double>(call.columns);
  if (k <= most) return true;
  __builtin_snprintf(call.error, sizeof call.error, "options.k is %.0f, expected an integer in [1, %.0f]", k, most);
  return false;
}

// Indices are Int32Arrays.
inline bool checkColumns(Call& call) {
  if (call.columns <= 2147483647u) return true;
  __builtin_snprintf(call.error, sizeof call.error, "x has %zu columns, expected at most 2147483647", call.columns);
  return false;
}

struct TopK {
  static constexpr Record record{"topK",
                                 "core",
                                 {kLeadingLogits},
                                 {required(between(integer("k", 1), 1, 2147483647.0))},
                                 {array("values", "*,k"), array("indices", "*,k", Kind::index)},
                                 false,
                                 nullptr,
                                 &checkK};
};

struct Argsort {
  static constexpr Record record{"argsort", "sorting", {{"x", "*,c"}}, {boolean("descending")}, {array("indices", "*,c", Kind::index)},
                                 false,     nullptr,   &checkColumns};
};

struct Sort {
  static constexpr Record record{"sort",
                                 "sorting",
                                 {{"x", "*,c"}},
                                 {boolean("descending"), boolean("indices")},
                                 {inPlace(array("values", "*,c"), "x"), when(array("indices", "*,c", Kind::index), "indices")},
                                 false,
                                 nullptr,
                                 &checkColumns};
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
