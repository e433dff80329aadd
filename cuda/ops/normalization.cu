#include "../../cpp/ops/normalization.h"
#include "table.h"

namespace logitcore {
LOGITCORE_DEVICE_FAMILY(normalization, RowSweepOp<QkLayerNorm>, RowSweepOp<QkLayerNormBackward>, RowSweepOp<RmsRescale>,
                        RowSweepOp<RmsRescaleBackward>)
}  // namespace logitcore
