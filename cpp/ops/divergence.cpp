#include "divergence.h"

#include "../engine/family.h"
#include "../engine/row_pair.h"
#include "../engine/row_sweeps.h"
#include "pair_divergence.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct CrossEntropySoftOp : CrossEntropySoft, RowSweepOp<CrossEntropySoft> {};
struct EntropyOp : Entropy, RowSweepOp<Entropy> {};

// The forward divergence of plain rows, which is what distillation asks for, by the kernel of pairs.
struct ForwardKlDiv {
  static constexpr const Record& record = KlDiv::record;
  static constexpr bool covariance = false;
  PairScaling scaling;
  KlDiv sweeps;

  explicit ForwardKlDiv(const Call& call) : scaling{false, 0, 0, LGC_OPTION(call, temperature), true}, sweeps(call) {}
  template <class V> LGC_FN PairSlopes<V> fold(const PairFacts<V>& f, V* out) const {
    out[0] = f.divergence() * sweeps.scale;
    return {broadcast<V>(sweeps.scale), broadcast<V>(-sweeps.scale), broadcast<V>(0)};
  }
};
struct KlDivOp : KlDiv {
  template <class T> static void run(Call& call) {
    const bool plain = LGC_OPTION(call, direction) == 0 && LGC_OPTION(call, maskInf) == 0 && !LGC_OUTPUT(void, call, gradTeacher);
    if (plain)
      runRowPair<ForwardKlDiv, T>(call);
    else
      runRowSweeps<KlDiv, T>(call);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};
struct JsDivergenceOp : JsDivergence, RowSweepOp<JsDivergence> {};
struct SymmetricKlOp : SymmetricKl, RowSweepOp<SymmetricKl> {};
struct SkewKlOp : SkewKl, RowSweepOp<SkewKl> {};
struct TotalVariationOp : TotalVariation, RowSweepOp<TotalVariation> {};

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(divergence, CrossEntropySoftOp, EntropyOp, KlDivOp, JsDivergenceOp, SymmetricKlOp, SkewKlOp, TotalVariationOp)
}  // namespace logitcore
