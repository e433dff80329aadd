#include "../../cpp/ops/normalization.h"
#include "../engine/flat.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

struct StoreRms {
  Rms d;
  size_t n;
  double* rms;
  LGC_DEVICE void operator()(const double* squares) const { *rms = d.of(sqrt(squares[0]), n); }
};

struct RmsOp : Rms {
  static void run(DeviceCall& call) {
    sumFlat<1>(call, call.rows, Squares<float>{LGC_INPUT(float, call, x)}, StoreRms{Rms(call), call.rows, LGC_NUMBER_AT(call, rms)});
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(normalization, RowSweepOp<QkLayerNorm>, RowSweepOp<QkLayerNormBackward>, RowSweepOp<RmsRescale>,
                        RowSweepOp<RmsRescaleBackward>, RmsOp)
}  // namespace logitcore
