// The levels of the matrix engine that this machine can run.
#pragma once

#include "matrix_levels.h"
#include "runnable.h"

extern "C" {
#define LC_DECLARE(level) extern const MatrixLevel matrixLevel_##level;
LC_COMPILED_LEVELS(LC_DECLARE)
#undef LC_DECLARE
}

inline std::vector<const MatrixLevel*> runnableMatrixLevels() {
#define LC_ADDRESS(level) &matrixLevel_##level,
  return runnable<MatrixLevel>({LC_COMPILED_LEVELS(LC_ADDRESS)});
#undef LC_ADDRESS
}
