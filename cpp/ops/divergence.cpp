#include "divergence.h"

#include "../engine/family.h"
#include "../engine/row_sweeps.h"
#include "pair_divergence.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct CrossEntropySoftOp : CrossEntropySoft, RowSweepOp<CrossEntropySoft> {};
struct EntropyOp : Entropy, RowSweepOp<Entropy> {};
struct KlDivOp : KlDiv, RowSweepOp<KlDiv> {};
struct JsDivergenceOp : JsDivergence, RowSweepOp<JsDivergence> {};
struct SymmetricKlOp : SymmetricKl, RowSweepOp<SymmetricKl> {};
struct SkewKlOp : SkewKl, RowSweepOp<SkewKl> {};
struct TotalVariationOp : TotalVariation, RowSweepOp<TotalVariation> {};

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(divergence, CrossEntropySoftOp, EntropyOp, KlDivOp, JsDivergenceOp, SymmetricKlOp, SkewKlOp, TotalVariationOp)
}  // namespace logitcore
