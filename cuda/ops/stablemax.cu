#include "../../cpp/ops/stablemax.h"
#include "table.h"

namespace logitcore {
LOGITCORE_DEVICE_FAMILY(stablemax, RowSweepOp<StableMax>, RowSweepOp<LogStableMax>, RowSweepOp<StableMaxBackward>,
                        RowSweepOp<LogStableMaxBackward>, RowSweepOp<StableMaxCrossEntropy>)
}  // namespace logitcore
