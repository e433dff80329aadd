// The sums over all rows that a definition's constructor takes. All threads of the one block that runs it get them; on the host, where
// tests work out what is to be expected, a loop does.
#pragma once
#include <cstddef>

#include "team.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

template <class F> LGC_FN double sumRows(size_t rows, F&& term) {
  double v[1] = {0};
  if (!inKernel()) {
    for (size_t i = 0; i < rows; ++i) v[0] += term(i);
    return v[0];
  }
#if !defined(__CUDACC__) || defined(__CUDA_ARCH__)
  // Several reads under way at a time.
  LGC_UNROLL_4
  for (size_t i = threadIdx.x; i < rows; i += blockDim.x) v[0] += term(i);
  // Constructors may ask several times: others may still read what the sum before left.
  __syncthreads();
  Team team(blockDim.x, 1, reinterpret_cast<TeamRoom*>(sharedMemory()));
  team.sum(v);
#endif
  return v[0];
}
template <class F> LGC_FN size_t countRows(size_t rows, F&& holds) {
  return static_cast<size_t>(sumRows(rows, [&](size_t i) { return holds(i) ? 1.0 : 0.0; }));
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
