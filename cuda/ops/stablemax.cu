#include "../../cpp/ops/stablemax.h"
#include "../engine/tasks.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct ScaleRow {
  float *derivative, *cosine;
  LGC_DEVICE void operator()(Rows<2>& rows) const {
    double sums[3];
    sumColumnsWide(rows, sums, [](int, const float(&x)[2], double* t) {
      LogitScaleDerivative::terms(static_cast<double>(x[0]), static_cast<double>(x[1]), t);
    });
    if (!rows.leads()) return;
    derivative[rows.row] = static_cast<float>(sums[0]);
    cosine[rows.row] = static_cast<float>(LogitScaleDerivative::cosineOf(sums));
  }
};

struct LogitScaleDerivativeOp : LogitScaleDerivative {
  static void run(DeviceCall& call) {
    forRows<2>(call, {LGC_INPUT(void, call, logits), LGC_INPUT(void, call, gradLogits)},
               ScaleRow{LGC_OUTPUT(float, call, derivative), LGC_OUTPUT(float, call, nlmCosine)});
  }
  static constexpr Kernels kernels{&onDevice<&run>, nullptr};
};

}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(stablemax, RowSweepOp<StableMax>, RowSweepOp<LogStableMax>, RowSweepOp<StableMaxBackward>,
                        RowSweepOp<LogStableMaxBackward>, RowSweepOp<StableMaxCrossEntropy>, LogitScaleDerivativeOp)
}  // namespace logitcore
