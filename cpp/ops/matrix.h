// Products of two matrices.
#pragma once
#include "../engine/definition.h"

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
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
