#include "../../cpp/ops/heads.h"
#include "table.h"

namespace logitcore {
LOGITCORE_DEVICE_FAMILY(heads, RowSweepOp<BinaryKl<false>>, RowSweepOp<BinaryKl<true>>, RowSweepOp<DhkdLoss>)
}  // namespace logitcore
