// The levels of the matrix engine that this machine can run.
#pragma once

#include "matrix_levels.h"
#include "runnable.h"

extern "C" {
#define LGC_DECLARE(level) extern const MatrixLevel matrixLevel_##level;
LGC_COMPILED_LEVELS(LGC_DECLARE)
#undef LGC_DECLARE
}

inline std::vector<const MatrixLevel*> runnableMatrixLevels() {
#define LGC_ADDRESS(level) &matrixLevel_##level,
  return runnable<MatrixLevel>({LGC_COMPILED_LEVELS(LGC_ADDRESS)});
#undef LGC_ADDRESS
}
