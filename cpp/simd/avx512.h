// AVX-512 (F, BW, DQ, VL): one register per vector, mask registers as masks.
#pragma once

// GCC 12 marks the undefined pass-through operands in its own header as used
// uninitialized (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct f32x16 {
  __m512 v;
};
struct f64x8 {
  __m512d v;
};
struct m32x16 {
  __mmask16 m;
};
struct m64x8 {
  __mmask8 m;
};

LGC_FN unsigned maskBits(m32x16 m) { return m.m; }
LGC_FN unsigned maskBits(m64x8 m) { return m.m; }

template <> LGC_FN f32x16 broadcast<f32x16>(float x) { return {_mm512_set1_ps(x)}; }
template <> LGC_FN f64x8 broadcast<f64x8>(double x) { return {_mm512_set1_pd(x)}; }
template <> LGC_FN f32x16 load<f32x16>(const float* p) { return {_mm512_loadu_ps(p)}; }
template <> LGC_FN f64x8 load<f64x8>(const double* p) { return {_mm512_loadu_pd(p)}; }
template <> LGC_FN m32x16 firstLanes<f32x16>(int count) { return {static_cast<__mmask16>((1u << count) - 1u)}; }
template <> LGC_FN m64x8 firstLanes<f64x8>(int count) { return {static_cast<__mmask8>((1u << count) - 1u)}; }
template <> LGC_FN f32x16 loadFirst<f32x16>(const float* p, int count, float fill) {
  return {_mm512_mask_loadu_ps(_mm512_set1_ps(fill), firstLanes<f32x16>(count).m, p)};
}
template <> LGC_FN f64x8 loadFirst<f64x8>(const double* p, int count, double fill) {
  return {_mm512_mask_loadu_pd(_mm512_set1_pd(fill), firstLanes<f64x8>(count).m, p)};
}
template <> LGC_FN f32x16 laneIndex<f32x16>() { return {_mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)}; }
template <> LGC_FN f64x8 laneIndex<f64x8>() { return {_mm512_setr_pd(0, 1, 2, 3, 4, 5, 6, 7)}; }

LGC_FN void store(float* p, f32x16 w) { _mm512_storeu_ps(p, w.v); }
LGC_FN void store(double* p, f64x8 w) { _mm512_storeu_pd(p, w.v); }
LGC_FN void storeFirst(float* p, f32x16 w, int count) { _mm512_mask_storeu_ps(p, firstLanes<f32x16>(count).m, w.v); }
LGC_FN void storeFirst(double* p, f64x8 w, int count) { _mm512_mask_storeu_pd(p, firstLanes<f64x8>(count).m, w.v); }

#define LGC_OP2(name, op)                                                         \
  LGC_FN f32x16 name(f32x16 a, f32x16 b) { return {_mm512_##op##_ps(a.v, b.v)}; } \
  LGC_FN f64x8 name(f64x8 a, f64x8 b) { return {_mm512_##op##_pd(a.v, b.v)}; }
LGC_OP2(operator+, add)
LGC_OP2(operator-, sub)
LGC_OP2(operator*, mul)
LGC_OP2(operator/, div)
LGC_OP2(min, min)
LGC_OP2(max, max)
#undef LGC_OP2

LGC_FN f32x16 fma(f32x16 a, f32x16 b, f32x16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
LGC_FN f64x8 fma(f64x8 a, f64x8 b, f64x8 c) { return {_mm512_fmadd_pd(a.v, b.v, c.v)}; }
LGC_FN f32x16 fnma(f32x16 a, f32x16 b, f32x16 c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
LGC_FN f64x8 fnma(f64x8 a, f64x8 b, f64x8 c) { return {_mm512_fnmadd_pd(a.v, b.v, c.v)}; }

LGC_FN f32x16 sqrt(f32x16 a) { return {_mm512_sqrt_ps(a.v)}; }
LGC_FN f64x8 sqrt(f64x8 a) { return {_mm512_sqrt_pd(a.v)}; }
LGC_FN f32x16 floor(f32x16 a) { return {_mm512_roundscale_ps(a.v, 0x09)}; }
LGC_FN f64x8 floor(f64x8 a) { return {_mm512_roundscale_pd(a.v, 0x09)}; }
LGC_FN f32x16 roundEven(f32x16 a) { return {_mm512_roundscale_ps(a.v, 0x08)}; }
LGC_FN f64x8 roundEven(f64x8 a) { return {_mm512_roundscale_pd(a.v, 0x08)}; }

LGC_FN f32x16 select(m32x16 m, f32x16 a, f32x16 b) { return {_mm512_mask_blend_ps(m.m, b.v, a.v)}; }
LGC_FN f64x8 select(m64x8 m, f64x8 a, f64x8 b) { return {_mm512_mask_blend_pd(m.m, b.v, a.v)}; }

#define LGC_CMP(op, how)                                                                        \
  LGC_FN m32x16 operator op(f32x16 a, f32x16 b) { return {_mm512_cmp_ps_mask(a.v, b.v, how)}; } \
  LGC_FN m64x8 operator op(f64x8 a, f64x8 b) { return {_mm512_cmp_pd_mask(a.v, b.v, how)}; }
LGC_CMP(<, _CMP_LT_OQ)
LGC_CMP(<=, _CMP_LE_OQ)
LGC_CMP(>, _CMP_GT_OQ)
LGC_CMP(>=, _CMP_GE_OQ)
LGC_CMP(==, _CMP_EQ_OQ)
LGC_CMP(!=, _CMP_NEQ_UQ)
#undef LGC_CMP

LGC_FN m32x16 operator&(m32x16 a, m32x16 b) { return {_kand_mask16(a.m, b.m)}; }
LGC_FN m32x16 operator|(m32x16 a, m32x16 b) { return {_kor_mask16(a.m, b.m)}; }
LGC_FN m32x16 operator~(m32x16 a) { return {_knot_mask16(a.m)}; }
LGC_FN m64x8 operator&(m64x8 a, m64x8 b) { return {_kand_mask8(a.m, b.m)}; }
LGC_FN m64x8 operator|(m64x8 a, m64x8 b) { return {_kor_mask8(a.m, b.m)}; }
LGC_FN m64x8 operator~(m64x8 a) { return {_knot_mask8(a.m)}; }

LGC_FN __m512i asInt(f32x16 a) { return _mm512_castps_si512(a.v); }
LGC_FN __m512i asInt(f64x8 a) { return _mm512_castpd_si512(a.v); }
LGC_FN __m512i spread(std::uint32_t b) { return _mm512_set1_epi32(static_cast<int>(b)); }
LGC_FN __m512i spread(std::uint64_t b) { return _mm512_set1_epi64(static_cast<long long>(b)); }

#define LGC_BITS(V, U, CAST, EPI, MANTISSA, SIGN)                                        \
  LGC_FN V bitAnd(V a, U b) { return {CAST(_mm512_and_si512(asInt(a), spread(b)))}; }    \
  LGC_FN V bitOr(V a, U b) { return {CAST(_mm512_or_si512(asInt(a), spread(b)))}; }      \
  LGC_FN V bitXor(V a, U b) { return {CAST(_mm512_xor_si512(asInt(a), spread(b)))}; }    \
  LGC_FN V bitAdd(V a, U b) { return {CAST(_mm512_add_##EPI(asInt(a), spread(b)))}; }    \
  LGC_FN V bitsToExponent(V a) { return {CAST(_mm512_slli_##EPI(asInt(a), MANTISSA))}; } \
  LGC_FN V exponentToBits(V a) { return {CAST(_mm512_srli_##EPI(asInt(a), MANTISSA))}; } \
  /* 0xe4: bits of the second where the third is set, else bits of the first. */         \
  LGC_FN V copysign(V mag, V sgn) { return {CAST(_mm512_ternarylogic_##EPI(asInt(sgn), asInt(mag), spread(SIGN), 0xe4))}; }
LGC_BITS(f32x16, std::uint32_t, _mm512_castsi512_ps, epi32, 23, std::uint32_t{0x80000000u})
LGC_BITS(f64x8, std::uint64_t, _mm512_castsi512_pd, epi64, 52, std::uint64_t{0x8000000000000000ull})
#undef LGC_BITS

// One tree for every level: lane i with lane i+8, then +4, +2, +1.
#define LGC_ACROSS(name, op)                                                                         \
  LGC_FN float name(f32x16 w) {                                                                      \
    const __m256 h = _mm256_##op##_ps(_mm512_castps512_ps256(w.v), _mm512_extractf32x8_ps(w.v, 1));  \
    const __m128 q = _mm_##op##_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));          \
    const __m128 d = _mm_##op##_ps(q, _mm_movehl_ps(q, q));                                          \
    return _mm_cvtss_f32(_mm_##op##_ss(d, _mm_shuffle_ps(d, d, 1)));                                 \
  }                                                                                                  \
  LGC_FN double name(f64x8 w) {                                                                      \
    const __m256d h = _mm256_##op##_pd(_mm512_castpd512_pd256(w.v), _mm512_extractf64x4_pd(w.v, 1)); \
    const __m128d q = _mm_##op##_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));         \
    return _mm_cvtsd_f64(_mm_##op##_sd(q, _mm_unpackhi_pd(q, q)));                                   \
  }
LGC_ACROSS(sum, add)
LGC_ACROSS(maxAcross, max)
LGC_ACROSS(minAcross, min)
#undef LGC_ACROSS

LGC_FN f64x8 low(f32x16 w) { return {_mm512_cvtps_pd(_mm512_castps512_ps256(w.v))}; }
LGC_FN f64x8 high(f32x16 w) { return {_mm512_cvtps_pd(_mm512_extractf32x8_ps(w.v, 1))}; }
LGC_FN f32x16 narrow(f64x8 lo, f64x8 hi) {
  return {_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(lo.v)), _mm512_cvtpd_ps(hi.v), 1)};
}

// Overloads of templates in math.h where the instruction set has a shorter way to
// the same bits; a non-template is preferred by overload resolution.
LGC_FN f32x16 scaleByPowerOfTwo(f32x16 w, f32x16 n) { return {_mm512_scalef_ps(w.v, n.v)}; }
LGC_FN f64x8 scaleByPowerOfTwo(f64x8 w, f64x8 n) { return {_mm512_scalef_pd(w.v, n.v)}; }
LGC_FN f32x16 scaleNearOne(f32x16 w, f32x16 n) { return {_mm512_scalef_ps(w.v, n.v)}; }
LGC_FN f64x8 scaleNearOne(f64x8 w, f64x8 n) { return {_mm512_scalef_pd(w.v, n.v)}; }

LGC_FN f32x16 mulUnlessLess(f32x16 a, f32x16 b, f32x16 x, f32x16 limit) {
  return {_mm512_maskz_mul_ps(_mm512_cmp_ps_mask(x.v, limit.v, _CMP_NLT_UQ), a.v, b.v)};
}
LGC_FN f64x8 mulUnlessLess(f64x8 a, f64x8 b, f64x8 x, f64x8 limit) {
  return {_mm512_maskz_mul_pd(_mm512_cmp_pd_mask(x.v, limit.v, _CMP_NLT_UQ), a.v, b.v)};
}

LGC_FN void exponentAndMantissa(f32x16 x, f32x16& m, f32x16& k) {
  m = {_mm512_getmant_ps(x.v, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_src)};
  const __m512 one = _mm512_set1_ps(1.0f);
  const __m512 e = _mm512_getexp_ps(x.v);
  k = {_mm512_mask_add_ps(e, _mm512_cmp_ps_mask(m.v, one, _CMP_LT_OQ), e, one)};
}
LGC_FN void exponentAndMantissa(f64x8 x, f64x8& m, f64x8& k) {
  m = {_mm512_getmant_pd(x.v, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_src)};
  const __m512d one = _mm512_set1_pd(1.0);
  const __m512d e = _mm512_getexp_pd(x.v);
  k = {_mm512_mask_add_pd(e, _mm512_cmp_pd_mask(m.v, one, _CMP_LT_OQ), e, one)};
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
