#include "../../cpp/ops/optimizer.h"
#include "../engine/flat.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

// A step of one parameter, and the squares of gradient, update and parameter.
struct AdamTerm {
  AdamWStep d;
  const float *param, *grad, *m, *v;
  float *newParam, *newM, *newV;
  LGC_DEVICE void operator()(size_t i, double* t) const {
    const float g = grad[i];
    const AdamLane<float> next = d.lane(param[i], g, m[i], v[i]);
    newParam[i] = next.param;
    newM[i] = next.m;
    newV[i] = next.v;
    const double terms[] = {static_cast<double>(g), static_cast<double>(next.update), static_cast<double>(next.param)};
    for (int k = 0; k < 3; ++k) t[k] = terms[k] * terms[k];
  }
};
struct StoreRms {
  size_t n;
  double* rms[3];
  LGC_DEVICE void operator()(const double* squares) const {
    for (int k = 0; k < 3; ++k) *rms[k] = sqrt(squares[k] / static_cast<double>(n));
  }
};

struct AdamWStepOp : AdamWStep {
  static void run(DeviceCall& call) {
    const AdamTerm term{
        AdamWStep(call),           LGC_INPUT(float, call, param),  LGC_INPUT(float, call, grad), LGC_INPUT(float, call, m),
        LGC_INPUT(float, call, v), LGC_OUTPUT(float, call, param), LGC_OUTPUT(float, call, m),   LGC_OUTPUT(float, call, v)};
    constexpr int first = outputIndex(record, "gradRms");
    sumFlat<3>(call, call.rows, term, StoreRms{call.rows, {call.numbers[first], call.numbers[first + 1], call.numbers[first + 2]}});
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(optimizer, AdamWStepOp)
}  // namespace logitcore
