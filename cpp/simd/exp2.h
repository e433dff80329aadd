// 2^y for the inner loop of softmax sums, y <= 0: error below 2 units in the last place, results below 2^-126 are 0, NaN stays
// NaN, 2^0 is exactly 1. Base 2 because log2(e)/T folds into the multiplication that scales a logit, and because the integer part
// of y is its floor: one instruction less than rounding to nearest on every level.
#pragma once
#include "simd.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Minimax in relative error on [0, 1] with the constant term fixed at 1 (2e-9).
template <class W> LGC_FN W exp2Fraction(W r) {
  W p = broadcast<W>(0.00021612914971427366f);
  p = fma(p, r, broadcast<W>(0.0012467846450165431f));
  p = fma(p, r, broadcast<W>(0.00967545156530116f));
  p = fma(p, r, broadcast<W>(0.05548528062012108f));
  p = fma(p, r, broadcast<W>(0.24022930555176125f));
  p = fma(p, r, broadcast<W>(0.6931470444433635f));
  return fma(p, r, broadcast<W>(1.0f));
}

#if LGC_LEVEL_ID == LGC_LEVEL_ID_device
LGC_FN float exp2Flush(float y) {
  const float n = floor(y);
  const float e = exp2Fraction(y - n) * fromBits(static_cast<std::uint32_t>(static_cast<int>(n) + 127) << 23);
  return y < -126.0f ? 0.0f : e;
}
#else

// p * 2^n for p in [1, 2] and whole n in [-126, 0]: an addition to the exponent field.
#if LGC_LEVEL_ID == LGC_LEVEL_ID_avx2
LGC_FN f32x16 addExponent(f32x16 p, f32x16 n) {
  const auto add = [](__m256 v, __m256 k) {
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(v), _mm256_slli_epi32(_mm256_cvttps_epi32(k), 23)));
  };
  return {add(p.a, n.a), add(p.b, n.b)};
}
// An and with the inverted comparison is one instruction shorter than a selection.
LGC_FN f32x16 flushed(f32x16 e, f32x16 y) {
  const __m256 limit = _mm256_set1_ps(-126.0f);
  return {_mm256_and_ps(e.a, _mm256_cmp_ps(y.a, limit, _CMP_NLT_UQ)), _mm256_and_ps(e.b, _mm256_cmp_ps(y.b, limit, _CMP_NLT_UQ))};
}
#elif LGC_LEVEL_ID == LGC_LEVEL_ID_neon
LGC_FN f32x16 addExponent(f32x16 p, f32x16 n) {
  f32x16 r;
  for (int i = 0; i < 4; ++i)
    r.v[i] = vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(p.v[i]), vshlq_n_s32(vcvtq_s32_f32(n.v[i]), 23)));
  return r;
}
#elif LGC_LEVEL_ID == LGC_LEVEL_ID_portable
LGC_FN f32x16 addExponent(f32x16 p, f32x16 n) {
  f32x16 r;
  for (int i = 0; i < 16; ++i) {
    // Out of range (or NaN) only where the caller replaces the result (or p is NaN already).
    const float k = n.v[i] >= -127.0f ? n.v[i] : 0.0f;
    r.v[i] = fromBits(toBits(p.v[i]) + (static_cast<std::uint32_t>(static_cast<std::int32_t>(k)) << 23));
  }
  return r;
}
#endif
#if LGC_LEVEL_ID == LGC_LEVEL_ID_neon || LGC_LEVEL_ID == LGC_LEVEL_ID_portable
LGC_FN f32x16 flushed(f32x16 e, f32x16 y) { return select(y < broadcast<f32x16>(-126.0f), broadcast<f32x16>(0), e); }
#endif

LGC_FN f32x16 exp2Flush(f32x16 y) {
#if LGC_LEVEL_ID == LGC_LEVEL_ID_avx512
  // The scaling takes the floor by itself, and its mask flushes: "not less" keeps NaN. (vreduceps would give the fraction in one
  // instruction, but it rounds the difference down, where the other levels round to nearest.)
  const __m512 p = exp2Fraction(y - floor(y)).v;
  return {_mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(y.v, _mm512_set1_ps(-126.0f), _CMP_NLT_UQ), p, y.v)};
#else
  const f32x16 n = floor(y);
  return flushed(addExponent(exp2Fraction(y - n), n), y);
#endif
}

#endif

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
