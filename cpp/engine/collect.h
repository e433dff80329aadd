// What the constructor of a definition may ask of all rows of a call. It is the only place where one looks at more than a row: on a GPU
// all threads of a block run it and take their share of the rows.
#pragma once
#include "../simd/simd.h"

#if LGC_LEVEL_ID == LGC_LEVEL_ID_device
#include "../../cuda/engine/collect.h"
#else
#include <cstddef>

namespace logitcore {
namespace LOGITCORE_LEVEL {

template <class F> LGC_FN size_t countRows(size_t rows, F&& holds) {
  size_t count = 0;
  for (size_t i = 0; i < rows; ++i) count += holds(i);
  return count;
}
template <class F> LGC_FN double sumRows(size_t rows, F&& term) {
  double total = 0;
  for (size_t i = 0; i < rows; ++i) total += term(i);
  return total;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
#endif
