// The reference of cuda/test for the ops that are timed.
#include <cstring>

#include "../../cpp/ops/distillation.h"
#include "../../cpp/ops/pair_divergence.h"
#include "../../cpp/ops/selection.h"
#include "../../cpp/ops/softmax.h"
#include "../../cpp/ops/spherical.h"
#include "../engine/elements.h"
#include "../engine/row_loss.h"
#include "../engine/row_pair.h"
#include "../engine/row_sweeps.h"
#include "../test/reference.h"
#include "case.h"

namespace logitcore {
namespace bench {

Kernel expectedOf(const char* op) {
  using namespace LOGITCORE_LEVEL;
  const struct {
    const char* name;
    Kernel kernel;
  } known[] = {
      {CrossEntropy::record.name, &reference::lossRows<CrossEntropy>},           {ZLoss::record.name, &reference::lossRows<ZLoss>},
      {Softmax<true>::record.name, &reference::sweepRows<Softmax<true>>},        {KlDiv::record.name, &reference::sweepRows<KlDiv>},
      {StandardizedKlDiv::record.name, &reference::pairRows<StandardizedKlDiv>}, {TopK::record.name, &reference::topK}};
  for (const auto& k : known)
    if (std::strcmp(k.name, op) == 0) return k.kernel;
  return nullptr;
}

}  // namespace bench
}  // namespace logitcore
