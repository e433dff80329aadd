#include "../../cpp/ops/matrix.h"
#include "../engine/matrix.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

struct MatmulOp : Matmul {
  static void run(DeviceCall& call) {
    const auto size = [&](char letter) { return call.dims[static_cast<int>(letter)]; };
    const bool turnA = LGC_OPTION(call, transposeA) != 0, turnB = LGC_OPTION(call, transposeB) != 0;
    const float *a = LGC_INPUT(float, call, a), *b = LGC_INPUT(float, call, b);
    MatrixArguments m{};
    m.a = turnA ? Strided{a, 1, size('j')} : Strided{a, size('j'), 1};
    m.b = turnB ? Strided{b, 1, size('q')} : Strided{b, size('q'), 1};
    m.c = LGC_OUTPUT(float, call, out);
    m.rows = size('m');
    m.columns = size('n');
    m.depth = turnA ? size('i') : size('j');
    m.alpha = static_cast<float>(LGC_OPTION(call, alpha));
    m.beta = static_cast<float>(LGC_OPTION(call, beta));
    multiply(call, m);
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(matrix, MatmulOp)
}  // namespace logitcore
