#include "binary.h"

#include "../engine/elementwise.h"
#include "../engine/family.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct BceWithLogitsOp : BceWithLogits, ElementwiseOp<BceWithLogits> {};
struct SigmoidFocalLossOp : SigmoidFocalLoss, ElementwiseOp<SigmoidFocalLoss> {};

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(binary, BceWithLogitsOp, SigmoidFocalLossOp)
}  // namespace logitcore
