// Labels of +1 and -1 on the device.
#pragma once
#include "../../cpp/ops/perceptron.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Another label is NaN, and the call has failed.
struct Signs {
  const int32_t* at;
  Faults faults;
  LGC_DEVICE bool isSign(size_t i) const { return at[i] == 1 || at[i] == -1; }
  LGC_DEVICE double read(size_t i) const {
    if (isSign(i)) return static_cast<double>(at[i]);
    faults.raise();
    return __builtin_nan("");
  }
};
template <class D> Signs signsOf(const DeviceCall& call) {
  constexpr int at = inputIndex(D::record, "labels");
  return {static_cast<const int32_t*>(call.inputs[at]), faultsOf(call, at)};
}

constexpr size_t kSamplesOfPiece = 256;

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
