#include "../../cpp/ops/minillm.h"
#include "table.h"

namespace logitcore {
LOGITCORE_DEVICE_FAMILY(minillm, ElementOp<MixturePolicyWeights>)
}  // namespace logitcore
