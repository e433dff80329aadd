#include "../../cpp/ops/binary.h"
#include "table.h"

namespace logitcore {
LOGITCORE_DEVICE_FAMILY(binary, ElementOp<BceWithLogits>, ElementOp<SigmoidFocalLoss>)
}  // namespace logitcore
