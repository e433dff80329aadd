// AArch64 NEON: four registers per vector.
#pragma once

#include <arm_neon.h>

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct f32x16 {
  float32x4_t v[4];
};
struct f64x8 {
  float64x2_t v[4];
};
struct m32x16 {
  uint32x4_t v[4];
};
struct m64x8 {
  uint64x2_t v[4];
};

#define LGC_FOUR(R, e0, e1, e2, e3) \
  R {                               \
    { e0, e1, e2, e3 }              \
  }

#define LGC_OP1(R, V, name, op) \
  LGC_FN R name(V x) { return LGC_FOUR(R, op(x.v[0]), op(x.v[1]), op(x.v[2]), op(x.v[3])); }
#define LGC_OP2(R, V, name, op) \
  LGC_FN R name(V x, V y) { return LGC_FOUR(R, op(x.v[0], y.v[0]), op(x.v[1], y.v[1]), op(x.v[2], y.v[2]), op(x.v[3], y.v[3])); }
#define LGC_OP3(V, name, op)                                                                                                            \
  LGC_FN V name(V x, V y, V z) {                                                                                                        \
    return LGC_FOUR(V, op(z.v[0], x.v[0], y.v[0]), op(z.v[1], x.v[1], y.v[1]), op(z.v[2], x.v[2], y.v[2]), op(z.v[3], x.v[3], y.v[3])); \
  }
#define LGC_OPB(V, U, name, expr)              \
  LGC_FN V name(V x, U b) {                    \
    V r;                                       \
    for (int i = 0; i < 4; ++i) r.v[i] = expr; \
    return r;                                  \
  }

LGC_FN uint64x2_t notBits(uint64x2_t x) { return vreinterpretq_u64_u32(vmvnq_u32(vreinterpretq_u32_u64(x))); }

// vminq and vmaxq order NaN and the zeros differently from a < b ? a : b.
LGC_FN float32x4_t minLanes(float32x4_t a, float32x4_t b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
LGC_FN float32x4_t maxLanes(float32x4_t a, float32x4_t b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
LGC_FN float64x2_t minLanes(float64x2_t a, float64x2_t b) { return vbslq_f64(vcltq_f64(a, b), a, b); }
LGC_FN float64x2_t maxLanes(float64x2_t a, float64x2_t b) { return vbslq_f64(vcgtq_f64(a, b), a, b); }

#define LGC_NEON(V, M, S, U, F, UI, N, MANTISSA, SIGN)                                                                       \
  template <> LGC_FN V broadcast<V>(S x) {                                                                                   \
    const auto q = vdupq_n_##F(x);                                                                                           \
    return LGC_FOUR(V, q, q, q, q);                                                                                          \
  }                                                                                                                          \
  template <> LGC_FN V load<V>(const S* p) {                                                                                 \
    return LGC_FOUR(V, vld1q_##F(p), vld1q_##F(p + N), vld1q_##F(p + 2 * N), vld1q_##F(p + 3 * N));                          \
  }                                                                                                                          \
  LGC_FN void store(S* p, V w) {                                                                                             \
    vst1q_##F(p, w.v[0]);                                                                                                    \
    vst1q_##F(p + N, w.v[1]);                                                                                                \
    vst1q_##F(p + 2 * N, w.v[2]);                                                                                            \
    vst1q_##F(p + 3 * N, w.v[3]);                                                                                            \
  }                                                                                                                          \
  template <> LGC_FN V loadFirst<V>(const S* p, int count, S fill) {                                                         \
    S lane[4 * N];                                                                                                           \
    for (int i = 0; i < 4 * N; ++i) lane[i] = i < count ? p[i] : fill;                                                       \
    return load<V>(lane);                                                                                                    \
  }                                                                                                                          \
  LGC_FN void storeFirst(S* p, V w, int count) {                                                                             \
    S lane[4 * N];                                                                                                           \
    store(lane, w);                                                                                                          \
    for (int i = 0; i < count; ++i) p[i] = lane[i];                                                                          \
  }                                                                                                                          \
  template <> LGC_FN V laneIndex<V>() {                                                                                      \
    constexpr S lane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};                                           \
    return load<V>(lane);                                                                                                    \
  }                                                                                                                          \
  LGC_OP2(V, V, operator+, vaddq_##F)                                                                                        \
  LGC_OP2(V, V, operator-, vsubq_##F)                                                                                        \
  LGC_OP2(V, V, operator*, vmulq_##F)                                                                                        \
  LGC_OP2(V, V, operator/, vdivq_##F)                                                                                        \
  LGC_OP2(V, V, min, minLanes)                                                                                               \
  LGC_OP2(V, V, max, maxLanes)                                                                                               \
  LGC_OP3(V, fma, vfmaq_##F)                                                                                                 \
  LGC_OP3(V, fnma, vfmsq_##F)                                                                                                \
  LGC_OP1(V, V, sqrt, vsqrtq_##F)                                                                                            \
  LGC_OP1(V, V, floor, vrndmq_##F)                                                                                           \
  LGC_OP1(V, V, roundEven, vrndnq_##F)                                                                                       \
  LGC_OP2(M, V, operator<, vcltq_##F)                                                                                        \
  LGC_OP2(M, V, operator<=, vcleq_##F)                                                                                       \
  LGC_OP2(M, V, operator>, vcgtq_##F)                                                                                        \
  LGC_OP2(M, V, operator>=, vcgeq_##F)                                                                                       \
  LGC_OP2(M, V, operator==, vceqq_##F)                                                                                       \
  LGC_OP2(M, M, operator&, vandq_##UI)                                                                                       \
  LGC_OP2(M, M, operator|, vorrq_##UI)                                                                                       \
  LGC_FN V select(M m, V x, V y) {                                                                                           \
    V r;                                                                                                                     \
    for (int i = 0; i < 4; ++i) r.v[i] = vbslq_##F(m.v[i], x.v[i], y.v[i]);                                                  \
    return r;                                                                                                                \
  }                                                                                                                          \
  LGC_FN V copysign(V mag, V sgn) {                                                                                          \
    V r;                                                                                                                     \
    for (int i = 0; i < 4; ++i) r.v[i] = vbslq_##F(vdupq_n_##UI(SIGN), sgn.v[i], mag.v[i]);                                  \
    return r;                                                                                                                \
  }                                                                                                                          \
  LGC_OPB(V, U, bitAnd, vreinterpretq_##F##_##UI(vandq_##UI(vreinterpretq_##UI##_##F(x.v[i]), vdupq_n_##UI(b))))             \
  LGC_OPB(V, U, bitOr, vreinterpretq_##F##_##UI(vorrq_##UI(vreinterpretq_##UI##_##F(x.v[i]), vdupq_n_##UI(b))))              \
  LGC_OPB(V, U, bitXor, vreinterpretq_##F##_##UI(veorq_##UI(vreinterpretq_##UI##_##F(x.v[i]), vdupq_n_##UI(b))))             \
  LGC_OPB(V, U, bitAdd, vreinterpretq_##F##_##UI(vaddq_##UI(vreinterpretq_##UI##_##F(x.v[i]), vdupq_n_##UI(b))))             \
  LGC_FN V bitsToExponent(V x) {                                                                                             \
    V r;                                                                                                                     \
    for (int i = 0; i < 4; ++i) r.v[i] = vreinterpretq_##F##_##UI(vshlq_n_##UI(vreinterpretq_##UI##_##F(x.v[i]), MANTISSA)); \
    return r;                                                                                                                \
  }                                                                                                                          \
  LGC_FN V exponentToBits(V x) {                                                                                             \
    V r;                                                                                                                     \
    for (int i = 0; i < 4; ++i) r.v[i] = vreinterpretq_##F##_##UI(vshrq_n_##UI(vreinterpretq_##UI##_##F(x.v[i]), MANTISSA)); \
    return r;                                                                                                                \
  }                                                                                                                          \
  template <> LGC_FN M firstLanes<V>(int count) { return laneIndex<V>() < broadcast<V>(static_cast<S>(count)); }

LGC_NEON(f32x16, m32x16, float, std::uint32_t, f32, u32, 4, 23, 0x80000000u)
LGC_NEON(f64x8, m64x8, double, std::uint64_t, f64, u64, 2, 52, 0x8000000000000000ull)

LGC_OP1(m32x16, m32x16, operator~, vmvnq_u32)
LGC_OP1(m64x8, m64x8, operator~, notBits)
LGC_FN m32x16 operator!=(f32x16 x, f32x16 y) { return ~(x == y); }
LGC_FN m64x8 operator!=(f64x8 x, f64x8 y) { return ~(x == y); }

LGC_FN unsigned maskBits(m32x16 m) {
  const uint32x4_t weight = {1u, 2u, 4u, 8u};
  unsigned bits = 0;
  for (int i = 0; i < 4; ++i) bits |= vaddvq_u32(vandq_u32(m.v[i], weight)) << (4 * i);
  return bits;
}
LGC_FN unsigned maskBits(m64x8 m) {
  const uint64x2_t weight = {1u, 2u};
  unsigned bits = 0;
  for (int i = 0; i < 4; ++i) bits |= static_cast<unsigned>(vaddvq_u64(vandq_u64(m.v[i], weight))) << (2 * i);
  return bits;
}

LGC_FN float32x4_t addLanes(float32x4_t a, float32x4_t b) { return vaddq_f32(a, b); }
LGC_FN float64x2_t addLanes(float64x2_t a, float64x2_t b) { return vaddq_f64(a, b); }

// One tree for every level: lane i with lane i+8, then +4, +2, +1.
#define LGC_ACROSS(name, op)                                          \
  LGC_FN float name(f32x16 w) {                                       \
    const float32x4_t q = op(op(w.v[0], w.v[2]), op(w.v[1], w.v[3])); \
    const float32x4_t d = op(q, vextq_f32(q, q, 2));                  \
    return vgetq_lane_f32(op(d, vextq_f32(d, d, 1)), 0);              \
  }                                                                   \
  LGC_FN double name(f64x8 w) {                                       \
    const float64x2_t q = op(op(w.v[0], w.v[2]), op(w.v[1], w.v[3])); \
    return vgetq_lane_f64(op(q, vextq_f64(q, q, 1)), 0);              \
  }
LGC_ACROSS(sum, addLanes)
LGC_ACROSS(maxAcross, maxLanes)
LGC_ACROSS(minAcross, minLanes)
#undef LGC_ACROSS

LGC_FN f64x8 low(f32x16 w) {
  return LGC_FOUR(f64x8, vcvt_f64_f32(vget_low_f32(w.v[0])), vcvt_high_f64_f32(w.v[0]), vcvt_f64_f32(vget_low_f32(w.v[1])),
                  vcvt_high_f64_f32(w.v[1]));
}
LGC_FN f64x8 high(f32x16 w) {
  return LGC_FOUR(f64x8, vcvt_f64_f32(vget_low_f32(w.v[2])), vcvt_high_f64_f32(w.v[2]), vcvt_f64_f32(vget_low_f32(w.v[3])),
                  vcvt_high_f64_f32(w.v[3]));
}
LGC_FN f32x16 narrow(f64x8 lo, f64x8 hi) {
  return LGC_FOUR(f32x16, vcvt_high_f32_f64(vcvt_f32_f64(lo.v[0]), lo.v[1]), vcvt_high_f32_f64(vcvt_f32_f64(lo.v[2]), lo.v[3]),
                  vcvt_high_f32_f64(vcvt_f32_f64(hi.v[0]), hi.v[1]), vcvt_high_f32_f64(vcvt_f32_f64(hi.v[2]), hi.v[3]));
}

#undef LGC_FOUR
#undef LGC_OP1
#undef LGC_OP2
#undef LGC_OP3
#undef LGC_OPB
#undef LGC_NEON

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
