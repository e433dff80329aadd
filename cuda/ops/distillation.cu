#include "../../cpp/ops/distillation.h"
#include "table.h"

namespace logitcore {
LOGITCORE_DEVICE_FAMILY(distillation, RowSweepOp<StandardizeLogits>, RowSweepOp<StandardizeLogitsBackward>, RowPairOp<StandardizedKlDiv>,
                        RowPairOp<DecoupledKd>)
}  // namespace logitcore
