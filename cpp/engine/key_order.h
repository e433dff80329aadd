// Integers that are ordered as the values are: what sorts and selections compare, on the CPU and on a GPU.
#pragma once
#include "../simd/simd.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Which key a value gets; smaller keys come first.
template <class T> struct KeyOrder {
  Bits<T> flip, nan;

  LGC_FN Bits<T> operator()(T x) const {
    constexpr int top = 8 * sizeof(T) - 1;
    const Bits<T> bits = toBits(x == 0 ? T(0) : x), sign = Bits<T>{0} - (bits >> top);
    return x != x ? nan : (bits ^ (sign | Bits<T>{1} << top)) ^ flip;
  }
  // A value with this key: +0 for either zero.
  LGC_FN T value(Bits<T> key) const {
    constexpr Bits<T> top = Bits<T>{1} << (8 * sizeof(T) - 1);
    constexpr int shift = 8 * sizeof(T) - 1;
    const Bits<T> ascending = key ^ flip, sign = (ascending >> shift) - Bits<T>{1};
    return key == nan ? T(__builtin_nan("")) : fromBits(ascending ^ (sign | top));
  }
};
template <class T> constexpr KeyOrder<T> nanLast(bool descending) { return {descending ? ~Bits<T>{0} : Bits<T>{0}, ~Bits<T>{0}}; }
// Descending with NaN above +Infinity.
template <class T> constexpr KeyOrder<T> largestFirst() { return {~Bits<T>{0}, 0}; }

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
