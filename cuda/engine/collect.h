// The sums over all rows that a definition's constructor takes. All threads of the one block that runs it get them; on the host, where
// tests work out what is to be expected, a loop does.
#pragma once
#include <cstddef>

#include "team.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Of every so many from the first on. Several reads are under way at a time: none waits for the question whether there is a next.
template <int AtOnce, class F> LGC_DEVICE double sumStrided(size_t first, size_t end, size_t step, const F& term) {
  double sum = 0;
  for (size_t i = first; i < end; i += AtOnce * step) {
    double x[AtOnce];
    LGC_UNROLL
    for (int k = 0; k < AtOnce; ++k) {
      const size_t j = i + static_cast<size_t>(k) * step;
      x[k] = term(j < end ? j : end - 1);
    }
    LGC_UNROLL
    for (int k = 0; k < AtOnce; ++k)
      if (i + static_cast<size_t>(k) * step < end) sum += x[k];
  }
  return sum;
}

template <class F> LGC_FN double sumRows(size_t rows, F&& term) {
  double v[1] = {0};
  if (!inKernel()) {
    for (size_t i = 0; i < rows; ++i) v[0] += term(i);
    return v[0];
  }
#if !defined(__CUDACC__) || defined(__CUDA_ARCH__)
  v[0] = sumStrided<8>(threadIdx.x, rows, blockDim.x, term);
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
