#include "../../cpp/ops/softmax.h"
#include "table.h"

namespace logitcore {
LOGITCORE_DEVICE_FAMILY(softmax, RowSweepOp<Softmax<false>>, RowSweepOp<Softmax<true>>, RowLossOp<LogSumExp>, RowLossOp<LogSumExpBackward>,
                        RowLossOp<CrossEntropy>, RowLossOp<FocalLoss>, RowLossOp<GatherLogProbs>, RowLossOp<GatherLogProbsBackward>,
                        RowLossOp<ZLossRegularizer>, RowSweepOp<SoftmaxBackward<false>>, RowSweepOp<SoftmaxBackward<true>>)
}  // namespace logitcore
