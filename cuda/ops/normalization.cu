#include "../../cpp/ops/normalization.h"
#include "../engine/flat.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

struct Square {
  const float* x;
  LGC_DEVICE void operator()(size_t i, double* t) const { t[0] = static_cast<double>(x[i]) * static_cast<double>(x[i]); }
};
struct StoreRms {
  Rms d;
  size_t n;
  double* rms;
  LGC_DEVICE void operator()(const double* squares) const { *rms = d.of(sqrt(squares[0]), n); }
};

struct RmsOp : Rms {
  static void run(DeviceCall& call) {
    sumFlat<1>(call, call.rows, Square{LGC_INPUT(float, call, x)},
               StoreRms{Rms(call), call.rows, call.numbers[outputIndex(record, "rms")]});
  }
  static constexpr Kernels kernels{&onDevice<&run>, nullptr};
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(normalization, RowSweepOp<QkLayerNorm>, RowSweepOp<QkLayerNormBackward>, RowSweepOp<RmsRescale>,
                        RowSweepOp<RmsRescaleBackward>, RmsOp)
}  // namespace logitcore
