#include "../../cpp/ops/spherical.h"
#include "table.h"

namespace logitcore {
LOGITCORE_DEVICE_FAMILY(spherical, RowLossOp<ZLoss>, RowLossOp<TaylorSoftmaxLoss>, RowLossOp<SphericalSoftmaxLoss>,
                        RowLossOp<OneHotSquaredError>, RowSweepOp<TaylorSoftmax>, RowSweepOp<SphericalSoftmax>)
}  // namespace logitcore
