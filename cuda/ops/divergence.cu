#include "../../cpp/ops/pair_divergence.h"
#include "table.h"

namespace logitcore {
LOGITCORE_DEVICE_FAMILY(divergence, RowSweepOp<CrossEntropySoft>, RowSweepOp<Entropy>, RowSweepOp<KlDiv>, RowSweepOp<JsDivergence>,
                        RowSweepOp<SymmetricKl>, RowSweepOp<SkewKl>, RowSweepOp<TotalVariation>)
}  // namespace logitcore
