// The ops of the CUDA addon. The CPU's addon has a table of its own (cpp/dispatch/table.cpp).
#include <initializer_list>

#include "../../cpp/dispatch/dispatch.h"

#ifndef LOGITCORE_LEVEL
#define LOGITCORE_LEVEL device
#endif

#define LOGITCORE_DEVICE_FAMILIES(X) \
  X(softmax)                         \
  X(divergence)                      \
  X(binary)                          \
  X(selection)                       \
  X(spherical)                       \
  X(stablemax)                       \
  X(normalization)                   \
  X(radius)                          \
  X(lineprobe)                       \
  X(minillm)                         \
  X(monitors)                        \
  X(optimizer)                       \
  X(perceptron)                      \
  X(quantization)                    \
  X(distillation)                    \
  X(uld)                             \
  X(gld)                             \
  X(gld_loss)                        \
  X(heads)                           \
  X(alignment)                       \
  X(matrix)                          \
  X(ranking)                         \
  X(transport)                       \
  X(graph_bounds)                    \
  X(gw)                              \
  X(entropic_gw)                     \
  X(separate)

namespace logitcore {
namespace LOGITCORE_LEVEL {
#define LGC_DECLARE(name) extern const Family name##_family;
LOGITCORE_DEVICE_FAMILIES(LGC_DECLARE)
#undef LGC_DECLARE
}  // namespace LOGITCORE_LEVEL

OpTable opTable() {
  constexpr int kMost = 256;
  static Op ops[kMost];
  static const int count = [] {
    int n = 0;
#define LGC_FAMILY(name) &LOGITCORE_LEVEL::name##_family,
    for (const Family* family : {LOGITCORE_DEVICE_FAMILIES(LGC_FAMILY)})
#undef LGC_FAMILY
      for (int i = 0; i < family->count && n < kMost; ++i) ops[n++] = {family->name, family->records[i], family->kernels[i]};
    return n;
  }();
  return {ops, count};
}

}  // namespace logitcore
