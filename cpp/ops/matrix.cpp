// Products of two matrices.
#include "../engine/matrix.h"

#include "../engine/family.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct Matmul {
  // Which sizes have to agree, and those of the result, depend on the transposes.
  static bool sizes(Call& call) {
    const bool turnA = LGC_OPTION(call, transposeA) != 0, turnB = LGC_OPTION(call, transposeB) != 0;
    const auto size = [&](char letter) { return call.dims[static_cast<unsigned char>(letter)]; };
    const size_t inner = size(turnA ? 'i' : 'j'), other = size(turnB ? 'q' : 'p');
    call.dims[static_cast<int>('m')] = size(turnA ? 'j' : 'i');
    call.dims[static_cast<int>('n')] = size(turnB ? 'p' : 'q');
    if (inner == other) return true;
    __builtin_snprintf(call.error, sizeof call.error, "b has %zu %s, expected %zu, as many as a has %s", other, turnB ? "columns" : "rows",
                       inner, turnA ? "rows" : "columns");
    return false;
  }
  static constexpr Record record{"matmul",
                                 "matrix",
                                 {{"a", "i,j"}, {"b", "p,q"}},
                                 {boolean("transposeA"), boolean("transposeB"), number("alpha", 1), number("beta", 0)},
                                 {array("out", "m,n")},
                                 false,
                                 nullptr,
                                 &sizes};

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
LOGITCORE_FAMILY(matrix, Matmul)
}  // namespace logitcore
