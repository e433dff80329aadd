// AVX2 with FMA: a pair of registers per vector. Pairs rather than GCC's 64-byte
// vector types, which it breaks into scalars without AVX-512.
#pragma once

#include <immintrin.h>

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct f32x16 {
  __m256 a, b;
};
struct f64x8 {
  __m256d a, b;
};
struct m32x16 {
  __m256 a, b;
};
struct m64x8 {
  __m256d a, b;
};

LGC_FN unsigned maskBits(m32x16 m) {
  return static_cast<unsigned>(_mm256_movemask_ps(m.a)) | static_cast<unsigned>(_mm256_movemask_ps(m.b)) << 8;
}
LGC_FN unsigned maskBits(m64x8 m) {
  return static_cast<unsigned>(_mm256_movemask_pd(m.a)) | static_cast<unsigned>(_mm256_movemask_pd(m.b)) << 4;
}

template <> LGC_FN f32x16 broadcast<f32x16>(float x) {
  const __m256 v = _mm256_set1_ps(x);
  return {v, v};
}
template <> LGC_FN f64x8 broadcast<f64x8>(double x) {
  const __m256d v = _mm256_set1_pd(x);
  return {v, v};
}
template <> LGC_FN f32x16 load<f32x16>(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
template <> LGC_FN f64x8 load<f64x8>(const double* p) { return {_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4)}; }
template <> LGC_FN m32x16 firstLanes<f32x16>(int count) {
  const __m256i n = _mm256_set1_epi32(count);
  return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(n, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))),
          _mm256_castsi256_ps(_mm256_cmpgt_epi32(n, _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15)))};
}
template <> LGC_FN m64x8 firstLanes<f64x8>(int count) {
  const __m256i n = _mm256_set1_epi64x(count);
  return {_mm256_castsi256_pd(_mm256_cmpgt_epi64(n, _mm256_setr_epi64x(0, 1, 2, 3))),
          _mm256_castsi256_pd(_mm256_cmpgt_epi64(n, _mm256_setr_epi64x(4, 5, 6, 7)))};
}
template <> LGC_FN f32x16 laneIndex<f32x16>() {
  return {_mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7), _mm256_setr_ps(8, 9, 10, 11, 12, 13, 14, 15)};
}
template <> LGC_FN f64x8 laneIndex<f64x8>() { return {_mm256_setr_pd(0, 1, 2, 3), _mm256_setr_pd(4, 5, 6, 7)}; }

LGC_FN f32x16 select(m32x16 m, f32x16 a, f32x16 b) { return {_mm256_blendv_ps(b.a, a.a, m.a), _mm256_blendv_ps(b.b, a.b, m.b)}; }
LGC_FN f64x8 select(m64x8 m, f64x8 a, f64x8 b) { return {_mm256_blendv_pd(b.a, a.a, m.a), _mm256_blendv_pd(b.b, a.b, m.b)}; }

template <> LGC_FN f32x16 loadFirst<f32x16>(const float* p, int count, float fill) {
  const m32x16 m = firstLanes<f32x16>(count);
  const f32x16 r = {_mm256_maskload_ps(p, _mm256_castps_si256(m.a)), _mm256_maskload_ps(p + 8, _mm256_castps_si256(m.b))};
  return select(m, r, broadcast<f32x16>(fill));
}
template <> LGC_FN f64x8 loadFirst<f64x8>(const double* p, int count, double fill) {
  const m64x8 m = firstLanes<f64x8>(count);
  const f64x8 r = {_mm256_maskload_pd(p, _mm256_castpd_si256(m.a)), _mm256_maskload_pd(p + 4, _mm256_castpd_si256(m.b))};
  return select(m, r, broadcast<f64x8>(fill));
}

LGC_FN void store(float* p, f32x16 w) {
  _mm256_storeu_ps(p, w.a);
  _mm256_storeu_ps(p + 8, w.b);
}
LGC_FN void store(double* p, f64x8 w) {
  _mm256_storeu_pd(p, w.a);
  _mm256_storeu_pd(p + 4, w.b);
}
// In powers of two: a masked store takes as long as thirty others on some processors.
LGC_MATH void storeFew(float* p, __m256 a, __m256 b, int count) {
  if (count & 8) {
    _mm256_storeu_ps(p, a);
    p += 8;
    a = b;
  }
  __m128 part = _mm256_castps256_ps128(a);
  if (count & 4) {
    _mm_storeu_ps(p, part);
    p += 4;
    part = _mm256_extractf128_ps(a, 1);
  }
  if (count & 2) {
    _mm_storel_pi(reinterpret_cast<__m64*>(p), part);
    p += 2;
    part = _mm_movehl_ps(part, part);
  }
  if (count & 1) _mm_store_ss(p, part);
}
LGC_MATH void storeFew(double* p, __m256d a, __m256d b, int count) {
  if (count & 4) {
    _mm256_storeu_pd(p, a);
    p += 4;
    a = b;
  }
  __m128d part = _mm256_castpd256_pd128(a);
  if (count & 2) {
    _mm_storeu_pd(p, part);
    p += 2;
    part = _mm256_extractf128_pd(a, 1);
  }
  if (count & 1) _mm_store_sd(p, part);
}
LGC_FN void storeFirst(float* p, f32x16 w, int count) { count < 16 ? storeFew(p, w.a, w.b, count) : store(p, w); }
LGC_FN void storeFirst(double* p, f64x8 w, int count) { count < 8 ? storeFew(p, w.a, w.b, count) : store(p, w); }

#define LGC_OP2(name, op)                                                                                     \
  LGC_FN f32x16 name(f32x16 x, f32x16 y) { return {_mm256_##op##_ps(x.a, y.a), _mm256_##op##_ps(x.b, y.b)}; } \
  LGC_FN f64x8 name(f64x8 x, f64x8 y) { return {_mm256_##op##_pd(x.a, y.a), _mm256_##op##_pd(x.b, y.b)}; }
LGC_OP2(operator+, add)
LGC_OP2(operator-, sub)
LGC_OP2(operator*, mul)
LGC_OP2(operator/, div)
LGC_OP2(min, min)
LGC_OP2(max, max)
#undef LGC_OP2

#define LGC_OP3(name, op)                                                                                                         \
  LGC_FN f32x16 name(f32x16 x, f32x16 y, f32x16 z) { return {_mm256_##op##_ps(x.a, y.a, z.a), _mm256_##op##_ps(x.b, y.b, z.b)}; } \
  LGC_FN f64x8 name(f64x8 x, f64x8 y, f64x8 z) { return {_mm256_##op##_pd(x.a, y.a, z.a), _mm256_##op##_pd(x.b, y.b, z.b)}; }
LGC_OP3(fma, fmadd)
LGC_OP3(fnma, fnmadd)
#undef LGC_OP3

LGC_FN f32x16 sqrt(f32x16 x) { return {_mm256_sqrt_ps(x.a), _mm256_sqrt_ps(x.b)}; }
LGC_FN f64x8 sqrt(f64x8 x) { return {_mm256_sqrt_pd(x.a), _mm256_sqrt_pd(x.b)}; }
LGC_FN f32x16 floor(f32x16 x) { return {_mm256_round_ps(x.a, 0x09), _mm256_round_ps(x.b, 0x09)}; }
LGC_FN f64x8 floor(f64x8 x) { return {_mm256_round_pd(x.a, 0x09), _mm256_round_pd(x.b, 0x09)}; }
LGC_FN f32x16 roundEven(f32x16 x) { return {_mm256_round_ps(x.a, 0x08), _mm256_round_ps(x.b, 0x08)}; }
LGC_FN f64x8 roundEven(f64x8 x) { return {_mm256_round_pd(x.a, 0x08), _mm256_round_pd(x.b, 0x08)}; }

#define LGC_CMP(op, how)                                                                                                 \
  LGC_FN m32x16 operator op(f32x16 x, f32x16 y) { return {_mm256_cmp_ps(x.a, y.a, how), _mm256_cmp_ps(x.b, y.b, how)}; } \
  LGC_FN m64x8 operator op(f64x8 x, f64x8 y) { return {_mm256_cmp_pd(x.a, y.a, how), _mm256_cmp_pd(x.b, y.b, how)}; }
LGC_CMP(<, _CMP_LT_OQ)
LGC_CMP(<=, _CMP_LE_OQ)
LGC_CMP(>, _CMP_GT_OQ)
LGC_CMP(>=, _CMP_GE_OQ)
LGC_CMP(==, _CMP_EQ_OQ)
LGC_CMP(!=, _CMP_NEQ_UQ)
#undef LGC_CMP

#define LGC_BITS(V, M, U, PS, EPI, SPREAD, MANTISSA, SIGN)                                                 \
  LGC_FN decltype(V::a) spread(U b) { return _mm256_castsi256_##PS(SPREAD); }                              \
  LGC_FN V bitAnd(V x, U b) { return {_mm256_and_##PS(x.a, spread(b)), _mm256_and_##PS(x.b, spread(b))}; } \
  LGC_FN V bitOr(V x, U b) { return {_mm256_or_##PS(x.a, spread(b)), _mm256_or_##PS(x.b, spread(b))}; }    \
  LGC_FN V bitXor(V x, U b) { return {_mm256_xor_##PS(x.a, spread(b)), _mm256_xor_##PS(x.b, spread(b))}; } \
  LGC_FN V bitAdd(V x, U b) {                                                                              \
    const __m256i c = _mm256_cast##PS##_si256(spread(b));                                                  \
    return {_mm256_castsi256_##PS(_mm256_add_##EPI(_mm256_cast##PS##_si256(x.a), c)),                      \
            _mm256_castsi256_##PS(_mm256_add_##EPI(_mm256_cast##PS##_si256(x.b), c))};                     \
  }                                                                                                        \
  LGC_FN V bitsToExponent(V x) {                                                                           \
    return {_mm256_castsi256_##PS(_mm256_slli_##EPI(_mm256_cast##PS##_si256(x.a), MANTISSA)),              \
            _mm256_castsi256_##PS(_mm256_slli_##EPI(_mm256_cast##PS##_si256(x.b), MANTISSA))};             \
  }                                                                                                        \
  LGC_FN V exponentToBits(V x) {                                                                           \
    return {_mm256_castsi256_##PS(_mm256_srli_##EPI(_mm256_cast##PS##_si256(x.a), MANTISSA)),              \
            _mm256_castsi256_##PS(_mm256_srli_##EPI(_mm256_cast##PS##_si256(x.b), MANTISSA))};             \
  }                                                                                                        \
  LGC_FN V copysign(V mag, V sgn) {                                                                        \
    const auto s = spread(SIGN);                                                                           \
    return {_mm256_or_##PS(_mm256_andnot_##PS(s, mag.a), _mm256_and_##PS(s, sgn.a)),                       \
            _mm256_or_##PS(_mm256_andnot_##PS(s, mag.b), _mm256_and_##PS(s, sgn.b))};                      \
  }                                                                                                        \
  LGC_FN M operator&(M x, M y) { return {_mm256_and_##PS(x.a, y.a), _mm256_and_##PS(x.b, y.b)}; }          \
  LGC_FN M operator|(M x, M y) { return {_mm256_or_##PS(x.a, y.a), _mm256_or_##PS(x.b, y.b)}; }            \
  LGC_FN M operator~(M x) {                                                                                \
    const auto ones = spread(static_cast<U>(-1));                                                          \
    return {_mm256_xor_##PS(x.a, ones), _mm256_xor_##PS(x.b, ones)};                                       \
  }                                                                                                        \
  /* math.h has the template; an and with the inverted comparison is shorter. */                           \
  LGC_FN V mulUnlessLess(V x, V y, V t, V limit) {                                                         \
    return {_mm256_and_##PS(_mm256_mul_##PS(x.a, y.a), _mm256_cmp_##PS(t.a, limit.a, _CMP_NLT_UQ)),        \
            _mm256_and_##PS(_mm256_mul_##PS(x.b, y.b), _mm256_cmp_##PS(t.b, limit.b, _CMP_NLT_UQ))};       \
  }
LGC_BITS(f32x16, m32x16, std::uint32_t, ps, epi32, _mm256_set1_epi32(static_cast<int>(b)), 23, std::uint32_t{0x80000000u})
LGC_BITS(f64x8, m64x8, std::uint64_t, pd, epi64, _mm256_set1_epi64x(static_cast<long long>(b)), 52, std::uint64_t{0x8000000000000000ull})
#undef LGC_BITS

// One tree for every level: lane i with lane i+8, then +4, +2, +1.
#define LGC_ACROSS(name, op)                                                                 \
  LGC_FN float name(f32x16 w) {                                                              \
    const __m256 h = _mm256_##op##_ps(w.a, w.b);                                             \
    const __m128 q = _mm_##op##_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));  \
    const __m128 d = _mm_##op##_ps(q, _mm_movehl_ps(q, q));                                  \
    return _mm_cvtss_f32(_mm_##op##_ss(d, _mm_shuffle_ps(d, d, 1)));                         \
  }                                                                                          \
  LGC_FN double name(f64x8 w) {                                                              \
    const __m256d h = _mm256_##op##_pd(w.a, w.b);                                            \
    const __m128d q = _mm_##op##_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1)); \
    return _mm_cvtsd_f64(_mm_##op##_sd(q, _mm_unpackhi_pd(q, q)));                           \
  }
LGC_ACROSS(sum, add)
LGC_ACROSS(maxAcross, max)
LGC_ACROSS(minAcross, min)
#undef LGC_ACROSS

LGC_FN f64x8 widen(__m256 v) { return {_mm256_cvtps_pd(_mm256_castps256_ps128(v)), _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1))}; }
LGC_FN f64x8 low(f32x16 w) { return widen(w.a); }
LGC_FN f64x8 high(f32x16 w) { return widen(w.b); }
LGC_FN f32x16 narrow(f64x8 lo, f64x8 hi) {
  return {_mm256_set_m128(_mm256_cvtpd_ps(lo.b), _mm256_cvtpd_ps(lo.a)), _mm256_set_m128(_mm256_cvtpd_ps(hi.b), _mm256_cvtpd_ps(hi.a))};
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
