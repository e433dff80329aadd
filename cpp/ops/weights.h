// Weights of points and nodes: any scale, one sign.
#pragma once
#include "../engine/definition.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

LGC_FN bool isWeight(double w) { return w >= 0 && w < kInfinity; }
// Weights are not negative, and some are positive.
inline bool checkWeights(Call& call, const char* name) {
  const int at = findInput(*call.record, name);
  if (!kValuesOnHost || !call.inputs[at]) return true;
  double total = 0;
  for (size_t i = 0; i < call.inputLength[at]; ++i) {
    const double w = numberAt(call.inputs[at], call.isDouble, i);
    if (!isWeight(w)) {
      __builtin_snprintf(call.error, sizeof call.error, "options.%s[%zu] is %g, expected a finite number that is not negative", name, i, w);
      return false;
    }
    total += w;
  }
  if (total > 0 || call.inputLength[at] == 0) return true;
  __builtin_snprintf(call.error, sizeof call.error, "options.%s has no positive weight, expected at least one", name);
  return false;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
