// The levels that this machine can run, the portable one first.
#pragma once

#include <vector>

#include "matrix_levels.h"

extern "C" {
extern const MatrixLevel matrixLevel_portable;
#if defined(__x86_64__)
extern const MatrixLevel matrixLevel_avx2, matrixLevel_avx512;
#elif defined(__aarch64__)
extern const MatrixLevel matrixLevel_neon;
#endif
}

inline std::vector<const MatrixLevel*> runnableMatrixLevels() {
  std::vector<const MatrixLevel*> levels{&matrixLevel_portable};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) levels.push_back(&matrixLevel_avx2);
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    levels.push_back(&matrixLevel_avx512);
#elif defined(__aarch64__)
  levels.push_back(&matrixLevel_neon);
#endif
  return levels;
}
