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

// max(sqrt(mean(x^2)), floor)
struct Rms {
  static constexpr Record record{"rms", "small-scale-proxies", {{"x", "*"}}, {atLeast(number("floor", 0), 0)}, {scalar("rms")}, true};

  template <class T> static void run(Call& call) {
    const size_t n = call.rows;
    double norm = 0;
    if (!vectorNorm(call, LGC_INPUT(T, call, x), n, norm)) return;
    const double value = norm / sqrt(static_cast<double>(n));
    LGC_NUMBER(call, rms) = max(LGC_OPTION(call, floor), value);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL

LOGITCORE_FAMILY(normalization, QkLayerNormOp, QkLayerNormBackwardOp, RmsRescaleOp, RmsRescaleBackwardOp, Rms)
}  // namespace logitcore
