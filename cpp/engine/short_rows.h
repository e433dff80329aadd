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
  template <bool Store, class Beside> LC_FN void add(size_t r, const Plain<T>& x, size_t n, T scale, T* out, const Beside& beside) {
    const T top = rowMax<T>(x, n);
    argMax[r] = firstEqual<T>(x, n, top);
    max[r] = static_cast<double>(top);
    const T shift = top == -__builtin_huge_val() ? T(0) : top;
    if (__builtin_expect(canFuse(shift), 1)) {
      const T product = shift * scale;
      missing[r] = fma(-static_cast<double>(shift), static_cast<double>(scale), static_cast<double>(product)) / Base<T>::perNat;
      sum[r] = sumExp<true, Store, false>(x, n, product, scale, argMax[r], out, beside).value;
    } else {
      missing[r] = 0;
      sum[r] = sumExp<false, Store, false>(x, n, shift, scale, argMax[r], out, beside).value;
    }
    if (top == __builtin_huge_val()) sum[r] = __builtin_nan("");
  }
  // What stored exponentials are short of, and the sums without the largest.
  LC_FN f64x8 adjust() const { return exp(load<f64x8>(missing)); }
  LC_FN f64x8 others(f64x8 adjust) const { return adjust * load<f64x8>(sum); }
};

// Stored rows of the group before, which wait for this group's exponentials.
template <class T> struct WaitingGroup {
  alignas(64) double slope[kGroup] = {}, atTarget[kGroup] = {};
  T* out[kGroup] = {};
  size_t target[kGroup] = {};

  Scaling<T> of(size_t r) const {
    static const double one = 1;
    return {out[r], slope[r], &one};
  }
  void finish(size_t r, bool targeted) {
    if (targeted) out[r][target[r]] = static_cast<T>(atTarget[r]);
    out[r] = nullptr;
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
