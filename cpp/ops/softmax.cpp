#include "softmax.h"

#include "../engine/family.h"
#include "../engine/row_softmax.h"

namespace logitcore {
LOGITCORE_FAMILY(softmax, SoftmaxOp<false>, SoftmaxOp<true>, LogSumExp, LogSumExpBackward, CrossEntropy, FocalLoss, GatherLogProbs,
                 GatherLogProbsBackward, ZLossRegularizer)
}  // namespace logitcore
