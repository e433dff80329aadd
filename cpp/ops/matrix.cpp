#include "matrix.h"

#include "../engine/family.h"
#include "../engine/matrix.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct MatmulOp : Matmul {
  template <class T> static void run(Call& call) {
    const bool turnA = LGC_OPTION(call, transposeA) != 0, turnB = LGC_OPTION(call, transposeB) != 0;
    const size_t i = call.dims[static_cast<int>('i')], j = call.dims[static_cast<int>('j')], q = call.dims[static_cast<int>('q')];
    const size_t n = call.dims[static_cast<int>('n')];
    const View<T> a = rowMajor(LGC_INPUT(T, call, a), j), b = rowMajor(LGC_INPUT(T, call, b), q);
    multiply<T>(call, turnA ? j : i, n, turnA ? i : j, LGC_OPTION(call, alpha), turnA ? transposed(a) : a, turnB ? transposed(b) : b,
                LGC_OPTION(call, beta), LGC_OUTPUT(T, call, out), n);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(matrix, MatmulOp)
}  // namespace logitcore
