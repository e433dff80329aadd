#include "normalization.h"

#include "../engine/family.h"
#include "../engine/row_sweeps.h"
#include "../engine/wide.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct QkLayerNormOp : QkLayerNorm, RowSweepOp<QkLayerNorm> {};
struct QkLayerNormBackwardOp : QkLayerNormBackward, RowSweepOp<QkLayerNormBackward> {};
struct RmsRescaleOp : RmsRescale, RowSweepOp<RmsRescale> {};
struct RmsRescaleBackwardOp : RmsRescaleBackward, RowSweepOp<RmsRescaleBackward> {};

struct RmsOp : Rms {
  template <class T> static void run(Call& call) {
    const size_t n = call.rows;
    double norm = 0;
    if (!vectorNorm(call, LGC_INPUT(T, call, x), n, norm)) return;
    LGC_NUMBER(call, rms) = Rms(call).of(norm, n);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL

LOGITCORE_FAMILY(normalization, QkLayerNormOp, QkLayerNormBackwardOp, RmsRescaleOp, RmsRescaleBackwardOp, RmsOp)
}  // namespace logitcore
