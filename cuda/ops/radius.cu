#include "../../cpp/ops/radius.h"
#include "table.h"

namespace logitcore {
LOGITCORE_DEVICE_FAMILY(radius, ElementOp<FiniteDifferenceJvp>)
}  // namespace logitcore
