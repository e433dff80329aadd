#include "divergence.h"

#include "../engine/family.h"
#include "../engine/row_sweeps.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct CrossEntropySoftOp : CrossEntropySoft, RowSweepOp<CrossEntropySoft> {};
struct EntropyOp : Entropy, RowSweepOp<Entropy> {};
struct KlDivOp : KlDiv, RowSweepOp<KlDiv> {};
struct JsDivergenceOp : JsDivergence, RowSweepOp<JsDivergence> {};

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(divergence, CrossEntropySoftOp, EntropyOp, KlDivOp, JsDivergenceOp)
}  // namespace logitcore
