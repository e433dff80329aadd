#include "softmax.h"

#include "../engine/family.h"
#include "../engine/row_softmax.h"
#include "../engine/row_sweeps.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

template <bool Log> struct SoftmaxBackwardOp : SoftmaxBackward<Log>, RowSweepOp<SoftmaxBackward<Log>> {};

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(softmax, SoftmaxOp<Softmax<false>>, SoftmaxOp<Softmax<true>>, LogSumExp, LogSumExpBackward, CrossEntropy, FocalLoss,
                 GatherLogProbs, GatherLogProbsBackward, ZLossRegularizer, SoftmaxBackwardOp<false>, SoftmaxBackwardOp<true>)
}  // namespace logitcore
