// Matrix products by cuBLASLt, NVIDIA's library, where this machine has it. It is looked for when the first large product is asked for, so
// that the addon starts without it; the kernel of cuda/engine/matrix.h multiplies what it does not.
#pragma once
#include "../engine/call.h"

namespace logitcore {

// C = alpha op(A) op(B) + beta C, all row-major: [rows, columns] of depth terms each.
struct Product {
  const void *a, *b;
  void* c;
  size_t rows, columns, depth;
  size_t aStride, bStride;  // from a row to the next, as the matrix lies in memory
  bool turnA, turnB;
  bool wide;  // double, else float
  double alpha, beta;
};

// False where it has to be done otherwise: nothing was put on the stream then.
bool multiplyByLibrary(DeviceCall& call, const Product& product);

// The number of the library's version (130101 is 13.1.1); 0 where there is none. The environment variable LOGITCORE_CUBLASLT names its
// file, or is empty for none.
size_t libraryVersion();

}  // namespace logitcore
