#include "../../cpp/ops/selection.h"
#include "table.h"

namespace logitcore {
LOGITCORE_DEVICE_FAMILY(selection, RowLossOp<NllLoss>)
}  // namespace logitcore
