// What every vector level derives the same way from its own few operations.
#pragma once

namespace logitcore {
namespace LOGITCORE_LEVEL {

#define LGC_DERIVED(V, M, S, SIGN)                                                       \
  LGC_FN V operator-(V a) { return bitXor(a, SIGN); }                                    \
  LGC_FN V operator+(V a, S b) { return a + broadcast<V>(b); }                           \
  LGC_FN V operator-(V a, S b) { return a - broadcast<V>(b); }                           \
  LGC_FN V operator*(V a, S b) { return a * broadcast<V>(b); }                           \
  LGC_FN V operator/(V a, S b) { return a / broadcast<V>(b); }                           \
  LGC_FN V operator+(S a, V b) { return broadcast<V>(a) + b; }                           \
  LGC_FN V operator-(S a, V b) { return broadcast<V>(a) - b; }                           \
  LGC_FN V operator*(S a, V b) { return broadcast<V>(a) * b; }                           \
  LGC_FN V operator/(S a, V b) { return broadcast<V>(a) / b; }                           \
  LGC_FN V& operator+=(V& a, V b) { return a = a + b; }                                  \
  LGC_FN V& operator-=(V& a, V b) { return a = a - b; }                                  \
  LGC_FN V& operator*=(V& a, V b) { return a = a * b; }                                  \
  LGC_FN V& operator/=(V& a, V b) { return a = a / b; }                                  \
  LGC_FN V& operator+=(V& a, S b) { return a = a + b; }                                  \
  LGC_FN V& operator-=(V& a, S b) { return a = a - b; }                                  \
  LGC_FN V& operator*=(V& a, S b) { return a = a * b; }                                  \
  LGC_FN V& operator/=(V& a, S b) { return a = a / b; }                                  \
  LGC_FN M operator<(V a, S b) { return a < broadcast<V>(b); }                           \
  LGC_FN M operator<=(V a, S b) { return a <= broadcast<V>(b); }                         \
  LGC_FN M operator>(V a, S b) { return a > broadcast<V>(b); }                           \
  LGC_FN M operator>=(V a, S b) { return a >= broadcast<V>(b); }                         \
  LGC_FN M operator==(V a, S b) { return a == broadcast<V>(b); }                         \
  LGC_FN M operator!=(V a, S b) { return a != broadcast<V>(b); }                         \
  LGC_FN V min(V a, S b) { return min(a, broadcast<V>(b)); }                             \
  LGC_FN V min(S a, V b) { return min(broadcast<V>(a), b); }                             \
  LGC_FN V max(V a, S b) { return max(a, broadcast<V>(b)); }                             \
  LGC_FN V max(S a, V b) { return max(broadcast<V>(a), b); }                             \
  LGC_FN V fma(V a, S b, V c) { return fma(a, broadcast<V>(b), c); }                     \
  LGC_FN V fma(V a, V b, S c) { return fma(a, b, broadcast<V>(c)); }                     \
  LGC_FN V fma(V a, S b, S c) { return fma(a, broadcast<V>(b), broadcast<V>(c)); }       \
  LGC_FN V fnma(V a, S b, V c) { return fnma(a, broadcast<V>(b), c); }                   \
  LGC_FN V select(M m, V a, S b) { return select(m, a, broadcast<V>(b)); }               \
  LGC_FN V select(M m, S a, V b) { return select(m, broadcast<V>(a), b); }               \
  LGC_FN V select(M m, S a, S b) { return select(m, broadcast<V>(a), broadcast<V>(b)); } \
  LGC_FN V abs(V a) { return bitAnd(a, ~(SIGN)); }                                       \
  LGC_FN M isNan(V a) { return a != a; }                                                 \
  LGC_FN M operator!(M m) { return ~m; }                                                 \
  LGC_FN M& operator&=(M& a, M b) { return a = a & b; }                                  \
  LGC_FN M& operator|=(M& a, M b) { return a = a | b; }                                  \
  LGC_FN bool any(M m) { return maskBits(m) != 0; }                                      \
  LGC_FN bool none(M m) { return maskBits(m) == 0; }                                     \
  LGC_FN bool all(M m) { return maskBits(m) == (1u << lanes<V>)-1u; }                    \
  LGC_FN int count(M m) { return __builtin_popcount(maskBits(m)); }                      \
  LGC_FN int firstTrue(M m) { return __builtin_ctz(maskBits(m) | (1u << lanes<V>)); }    \
  /* Through memory: neither is meant for an inner loop. */                              \
  LGC_FN S get(V w, int i) {                                                             \
    S lane[lanes<V>];                                                                    \
    store(lane, w);                                                                      \
    return lane[i];                                                                      \
  }                                                                                      \
  LGC_FN V withLane(V w, int i, S x) {                                                   \
    S lane[lanes<V>];                                                                    \
    store(lane, w);                                                                      \
    lane[i] = x;                                                                         \
    return load<V>(lane);                                                                \
  }

LGC_DERIVED(f32x16, m32x16, float, 0x80000000u)
LGC_DERIVED(f64x8, m64x8, double, 0x8000000000000000ull)
#undef LGC_DERIVED

LGC_FN f64x8 widenSum(f32x16 w) { return low(w) + high(w); }

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
