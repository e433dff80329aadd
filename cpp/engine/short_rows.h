// Rows too long to transpose and too short to hide their scalar arithmetic (a classifier of 100 or 1000 classes): eight rows at a
// time, each summed by itself, and what follows from the sums done in eight lanes.
#pragma once
#include "row_exp.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr size_t kShortColumns = 2048, kGroup = 8;

template <class T> struct RowGroup {
  alignas(64) double max[kGroup] = {}, sum[kGroup] = {}, missing[kGroup] = {};
  size_t argMax[kGroup] = {};

  // Row r of the group. Exponentials go to `out` with Store; `beside` is done on the way.
  template <bool Store, class Beside> LGC_FN void add(size_t r, const Plain<T>& x, size_t n, T scale, T* out, const Beside& beside) {
    const Block<T> b = blockSum<Store>(x, n, scale, out, beside);
    max[r] = static_cast<double>(b.max);
    argMax[r] = b.argMax;
    missing[r] = b.missing;
    sum[r] = b.max == __builtin_huge_val() ? __builtin_nan("") : b.sum;
  }
  // What stored exponentials are short of, and the sums without the largest.
  LGC_FN f64x8 adjust() const { return exp(load<f64x8>(missing)); }
  LGC_FN f64x8 others(f64x8 adjust) const { return adjust * load<f64x8>(sum); }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
