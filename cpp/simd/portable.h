// The level without intrinsics: lanes in an array, loops of known length. It is the
// definition the other levels are checked against.
#pragma once

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Copies are calls: in line, each would be a dozen instructions.
#define LGC_COPIED(V, S, N)                                        \
  struct V {                                                       \
    S v[N];                                                        \
    V() = default;                                                 \
    __attribute__((noinline)) V(const V& a) { copy(a); }           \
    __attribute__((noinline)) V& operator=(const V& a) {           \
      copy(a);                                                     \
      return *this;                                                \
    }                                                              \
                                                                   \
   private:                                                        \
    void copy(const V& a) { __builtin_memmove(v, a.v, sizeof v); } \
  };
LGC_COPIED(f32x16, float, 16)
LGC_COPIED(f64x8, double, 8)
// All bits set or none, as wide as the lane, so that selecting vectorizes.
LGC_COPIED(m32x16, std::int32_t, 16)
LGC_COPIED(m64x8, std::int64_t, 8)
#undef LGC_COPIED

#define LGC_EACH(N) for (int i = 0; i < N; ++i)

// A call of a loop is a tenth of its code, inlined and unrolled, and this level is not about speed.
#define LGC_LANES __attribute__((noinline)) inline

#define LGC_OP2(V, N, name, expr)            \
  LGC_LANES V name(const V& a, const V& b) { \
    V r;                                     \
    LGC_EACH(N) r.v[i] = expr;               \
    return r;                                \
  }
#define LGC_OP1(V, N, name, expr) \
  LGC_LANES V name(const V& a) {  \
    V r;                          \
    LGC_EACH(N) r.v[i] = expr;    \
    return r;                     \
  }
#define LGC_OPB(V, N, U, name, expr)  \
  LGC_LANES V name(const V& a, U b) { \
    V r;                              \
    LGC_EACH(N) r.v[i] = expr;        \
    return r;                         \
  }
#define LGC_CMP(V, M, N, name, op)                  \
  LGC_LANES M name(const V& a, const V& b) {        \
    M r;                                            \
    LGC_EACH(N) r.v[i] = a.v[i] op b.v[i] ? -1 : 0; \
    return r;                                       \
  }

#define LGC_PORTABLE(V, M, S, U, N)                                                                    \
  template <> LGC_LANES V broadcast<V>(S x) {                                                          \
    V r;                                                                                               \
    LGC_EACH(N) r.v[i] = x;                                                                            \
    return r;                                                                                          \
  }                                                                                                    \
  template <> LGC_LANES V load<V>(const S* p) {                                                        \
    V r;                                                                                               \
    LGC_EACH(N) r.v[i] = p[i];                                                                         \
    return r;                                                                                          \
  }                                                                                                    \
  template <> LGC_LANES V loadFirst<V>(const S* p, int count, S fill) {                                \
    V r;                                                                                               \
    LGC_EACH(N) r.v[i] = i < count ? p[i] : fill;                                                      \
    return r;                                                                                          \
  }                                                                                                    \
  template <> LGC_LANES V laneIndex<V>() {                                                             \
    V r;                                                                                               \
    LGC_EACH(N) r.v[i] = static_cast<S>(i);                                                            \
    return r;                                                                                          \
  }                                                                                                    \
  template <> LGC_LANES M firstLanes<V>(int count) {                                                   \
    M r;                                                                                               \
    LGC_EACH(N) r.v[i] = i < count ? -1 : 0;                                                           \
    return r;                                                                                          \
  }                                                                                                    \
  LGC_LANES void store(S* p, const V& w) { LGC_EACH(N) p[i] = w.v[i]; }                                \
  LGC_LANES void storeFirst(S* p, const V& w, int count) { LGC_EACH(N) if (i < count) p[i] = w.v[i]; } \
  LGC_OP2(V, N, operator+, a.v[i] + b.v[i])                                                            \
  LGC_OP2(V, N, operator-, a.v[i] - b.v[i])                                                            \
  LGC_OP2(V, N, operator*, a.v[i] * b.v[i])                                                            \
  LGC_OP2(V, N, operator/, a.v[i] / b.v[i])                                                            \
  LGC_OP2(V, N, min, min(a.v[i], b.v[i]))                                                              \
  LGC_OP2(V, N, max, max(a.v[i], b.v[i]))                                                              \
  LGC_OP2(V, N, copysign, copysign(a.v[i], b.v[i]))                                                    \
  LGC_OP1(V, N, sqrt, sqrt(a.v[i]))                                                                    \
  LGC_OP1(V, N, floor, floor(a.v[i]))                                                                  \
  LGC_OP1(V, N, roundEven, roundEven(a.v[i]))                                                          \
  LGC_OPB(V, N, U, bitAnd, bitAnd(a.v[i], b))                                                          \
  LGC_OPB(V, N, U, bitOr, bitOr(a.v[i], b))                                                            \
  LGC_OPB(V, N, U, bitXor, fromBits(static_cast<U>(toBits(a.v[i]) ^ b)))                               \
  LGC_OPB(V, N, U, bitAdd, bitAdd(a.v[i], b))                                                          \
  LGC_OP1(V, N, bitsToExponent, bitsToExponent(a.v[i]))                                                \
  LGC_OP1(V, N, exponentToBits, exponentToBits(a.v[i]))                                                \
  LGC_LANES V fma(const V& a, const V& b, const V& c) {                                                \
    V r;                                                                                               \
    LGC_EACH(N) r.v[i] = fma(a.v[i], b.v[i], c.v[i]);                                                  \
    return r;                                                                                          \
  }                                                                                                    \
  LGC_LANES V fnma(const V& a, const V& b, const V& c) {                                               \
    V r;                                                                                               \
    LGC_EACH(N) r.v[i] = fnma(a.v[i], b.v[i], c.v[i]);                                                 \
    return r;                                                                                          \
  }                                                                                                    \
  LGC_CMP(V, M, N, operator<, <)                                                                       \
  LGC_CMP(V, M, N, operator<=, <=)                                                                     \
  LGC_CMP(V, M, N, operator>, >)                                                                       \
  LGC_CMP(V, M, N, operator>=, >=)                                                                     \
  LGC_CMP(V, M, N, operator==, ==)                                                                     \
  LGC_CMP(V, M, N, operator!=, !=)                                                                     \
  LGC_OP2(M, N, operator&, a.v[i] & b.v[i])                                                            \
  LGC_OP2(M, N, operator|, a.v[i] | b.v[i])                                                            \
  LGC_OP1(M, N, operator~, ~a.v[i])                                                                    \
  LGC_LANES V select(const M& m, const V& a, const V& b) {                                             \
    V r;                                                                                               \
    LGC_EACH(N) r.v[i] = m.v[i] ? a.v[i] : b.v[i];                                                     \
    return r;                                                                                          \
  }                                                                                                    \
  LGC_LANES unsigned maskBits(const M& m) {                                                            \
    unsigned bits = 0;                                                                                 \
    LGC_EACH(N) bits |= (m.v[i] ? 1u : 0u) << i;                                                       \
    return bits;                                                                                       \
  }                                                                                                    \
  LGC_LANES S sum(V w) {                                                                               \
    for (int half = N / 2; half > 0; half /= 2)                                                        \
      for (int i = 0; i < half; ++i) w.v[i] = w.v[i] + w.v[i + half];                                  \
    return w.v[0];                                                                                     \
  }                                                                                                    \
  LGC_LANES S maxAcross(V w) {                                                                         \
    for (int half = N / 2; half > 0; half /= 2)                                                        \
      for (int i = 0; i < half; ++i) w.v[i] = max(w.v[i], w.v[i + half]);                              \
    return w.v[0];                                                                                     \
  }                                                                                                    \
  LGC_LANES S minAcross(V w) {                                                                         \
    for (int half = N / 2; half > 0; half /= 2)                                                        \
      for (int i = 0; i < half; ++i) w.v[i] = min(w.v[i], w.v[i + half]);                              \
    return w.v[0];                                                                                     \
  }

LGC_PORTABLE(f32x16, m32x16, float, std::uint32_t, 16)
LGC_PORTABLE(f64x8, m64x8, double, std::uint64_t, 8)

LGC_LANES f64x8 low(const f32x16& w) {
  f64x8 r;
  LGC_EACH(8) r.v[i] = w.v[i];
  return r;
}
LGC_LANES f64x8 high(const f32x16& w) {
  f64x8 r;
  LGC_EACH(8) r.v[i] = w.v[i + 8];
  return r;
}
LGC_LANES f32x16 narrow(const f64x8& lo, const f64x8& hi) {
  f32x16 r;
  LGC_EACH(8) {
    r.v[i] = static_cast<float>(lo.v[i]);
    r.v[i + 8] = static_cast<float>(hi.v[i]);
  }
  return r;
}

#undef LGC_EACH
#undef LGC_LANES
#undef LGC_OP1
#undef LGC_OP2
#undef LGC_OPB
#undef LGC_CMP
#undef LGC_PORTABLE

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
