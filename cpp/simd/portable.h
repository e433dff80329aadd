// The level without intrinsics: lanes in an array, loops of known length. It is the
// definition the other levels are checked against.
#pragma once

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Copies are calls: in line, each would be a dozen instructions.
#define LC_COPIED(V, S, N)                                         \
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
LC_COPIED(f32x16, float, 16)
LC_COPIED(f64x8, double, 8)
// All bits set or none, as wide as the lane, so that selecting vectorizes.
LC_COPIED(m32x16, std::int32_t, 16)
LC_COPIED(m64x8, std::int64_t, 8)
#undef LC_COPIED

#define LC_EACH(N) for (int i = 0; i < N; ++i)

// A call of a loop is a tenth of its code, inlined and unrolled, and this level is not about speed.
#define LC_LANES __attribute__((noinline)) inline

#define LC_OP2(V, N, name, expr)            \
  LC_LANES V name(const V& a, const V& b) { \
    V r;                                    \
    LC_EACH(N) r.v[i] = expr;               \
    return r;                               \
  }
#define LC_OP1(V, N, name, expr) \
  LC_LANES V name(const V& a) {  \
    V r;                         \
    LC_EACH(N) r.v[i] = expr;    \
    return r;                    \
  }
#define LC_OPB(V, N, U, name, expr)  \
  LC_LANES V name(const V& a, U b) { \
    V r;                             \
    LC_EACH(N) r.v[i] = expr;        \
    return r;                        \
  }
#define LC_CMP(V, M, N, name, op)                  \
  LC_LANES M name(const V& a, const V& b) {        \
    M r;                                           \
    LC_EACH(N) r.v[i] = a.v[i] op b.v[i] ? -1 : 0; \
    return r;                                      \
  }

#define LC_PORTABLE(V, M, S, U, N)                                                                   \
  template <> LC_LANES V broadcast<V>(S x) {                                                         \
    V r;                                                                                             \
    LC_EACH(N) r.v[i] = x;                                                                           \
    return r;                                                                                        \
  }                                                                                                  \
  template <> LC_LANES V load<V>(const S* p) {                                                       \
    V r;                                                                                             \
    LC_EACH(N) r.v[i] = p[i];                                                                        \
    return r;                                                                                        \
  }                                                                                                  \
  template <> LC_LANES V loadFirst<V>(const S* p, int count, S fill) {                               \
    V r;                                                                                             \
    LC_EACH(N) r.v[i] = i < count ? p[i] : fill;                                                     \
    return r;                                                                                        \
  }                                                                                                  \
  template <> LC_LANES V laneIndex<V>() {                                                            \
    V r;                                                                                             \
    LC_EACH(N) r.v[i] = static_cast<S>(i);                                                           \
    return r;                                                                                        \
  }                                                                                                  \
  template <> LC_LANES M firstLanes<V>(int count) {                                                  \
    M r;                                                                                             \
    LC_EACH(N) r.v[i] = i < count ? -1 : 0;                                                          \
    return r;                                                                                        \
  }                                                                                                  \
  LC_LANES void store(S* p, const V& w) { LC_EACH(N) p[i] = w.v[i]; }                                \
  LC_LANES void storeFirst(S* p, const V& w, int count) { LC_EACH(N) if (i < count) p[i] = w.v[i]; } \
  LC_OP2(V, N, operator+, a.v[i] + b.v[i])                                                           \
  LC_OP2(V, N, operator-, a.v[i] - b.v[i])                                                           \
  LC_OP2(V, N, operator*, a.v[i] * b.v[i])                                                           \
  LC_OP2(V, N, operator/, a.v[i] / b.v[i])                                                           \
  LC_OP2(V, N, min, min(a.v[i], b.v[i]))                                                             \
  LC_OP2(V, N, max, max(a.v[i], b.v[i]))                                                             \
  LC_OP2(V, N, copysign, copysign(a.v[i], b.v[i]))                                                   \
  LC_OP1(V, N, sqrt, sqrt(a.v[i]))                                                                   \
  LC_OP1(V, N, floor, floor(a.v[i]))                                                                 \
  LC_OP1(V, N, roundEven, roundEven(a.v[i]))                                                         \
  LC_OPB(V, N, U, bitAnd, bitAnd(a.v[i], b))                                                         \
  LC_OPB(V, N, U, bitOr, bitOr(a.v[i], b))                                                           \
  LC_OPB(V, N, U, bitXor, fromBits(static_cast<U>(toBits(a.v[i]) ^ b)))                              \
  LC_OPB(V, N, U, bitAdd, bitAdd(a.v[i], b))                                                         \
  LC_OP1(V, N, bitsToExponent, bitsToExponent(a.v[i]))                                               \
  LC_OP1(V, N, exponentToBits, exponentToBits(a.v[i]))                                               \
  LC_LANES V fma(const V& a, const V& b, const V& c) {                                               \
    V r;                                                                                             \
    LC_EACH(N) r.v[i] = fma(a.v[i], b.v[i], c.v[i]);                                                 \
    return r;                                                                                        \
  }                                                                                                  \
  LC_LANES V fnma(const V& a, const V& b, const V& c) {                                              \
    V r;                                                                                             \
    LC_EACH(N) r.v[i] = fnma(a.v[i], b.v[i], c.v[i]);                                                \
    return r;                                                                                        \
  }                                                                                                  \
  LC_CMP(V, M, N, operator<, <)                                                                      \
  LC_CMP(V, M, N, operator<=, <=)                                                                    \
  LC_CMP(V, M, N, operator>, >)                                                                      \
  LC_CMP(V, M, N, operator>=, >=)                                                                    \
  LC_CMP(V, M, N, operator==, ==)                                                                    \
  LC_CMP(V, M, N, operator!=, !=)                                                                    \
  LC_OP2(M, N, operator&, a.v[i] & b.v[i])                                                           \
  LC_OP2(M, N, operator|, a.v[i] | b.v[i])                                                           \
  LC_OP1(M, N, operator~, ~a.v[i])                                                                   \
  LC_LANES V select(const M& m, const V& a, const V& b) {                                            \
    V r;                                                                                             \
    LC_EACH(N) r.v[i] = m.v[i] ? a.v[i] : b.v[i];                                                    \
    return r;                                                                                        \
  }                                                                                                  \
  LC_LANES unsigned maskBits(const M& m) {                                                           \
    unsigned bits = 0;                                                                               \
    LC_EACH(N) bits |= (m.v[i] ? 1u : 0u) << i;                                                      \
    return bits;                                                                                     \
  }                                                                                                  \
  LC_LANES S sum(V w) {                                                                              \
    for (int half = N / 2; half > 0; half /= 2)                                                      \
      for (int i = 0; i < half; ++i) w.v[i] = w.v[i] + w.v[i + half];                                \
    return w.v[0];                                                                                   \
  }                                                                                                  \
  LC_LANES S maxAcross(V w) {                                                                        \
    for (int half = N / 2; half > 0; half /= 2)                                                      \
      for (int i = 0; i < half; ++i) w.v[i] = max(w.v[i], w.v[i + half]);                            \
    return w.v[0];                                                                                   \
  }                                                                                                  \
  LC_LANES S minAcross(V w) {                                                                        \
    for (int half = N / 2; half > 0; half /= 2)                                                      \
      for (int i = 0; i < half; ++i) w.v[i] = min(w.v[i], w.v[i + half]);                            \
    return w.v[0];                                                                                   \
  }

LC_PORTABLE(f32x16, m32x16, float, std::uint32_t, 16)
LC_PORTABLE(f64x8, m64x8, double, std::uint64_t, 8)

LC_LANES f64x8 low(const f32x16& w) {
  f64x8 r;
  LC_EACH(8) r.v[i] = w.v[i];
  return r;
}
LC_LANES f64x8 high(const f32x16& w) {
  f64x8 r;
  LC_EACH(8) r.v[i] = w.v[i + 8];
  return r;
}
LC_LANES f32x16 narrow(const f64x8& lo, const f64x8& hi) {
  f32x16 r;
  LC_EACH(8) {
    r.v[i] = static_cast<float>(lo.v[i]);
    r.v[i + 8] = static_cast<float>(hi.v[i]);
  }
  return r;
}

#undef LC_EACH
#undef LC_LANES
#undef LC_OP1
#undef LC_OP2
#undef LC_OPB
#undef LC_CMP
#undef LC_PORTABLE

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
