// Pieces of a matrix, turned in registers.
#pragma once
#include <cstddef>

#include "simd.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Columns that loadTurned gives at a time, and the side of transposeSquare.
template <class T> constexpr std::size_t kTurned = 16 / sizeof(T);
template <class T> constexpr std::size_t kSquare = 32 / sizeof(T);

// Four values in one register, and a square of four times four, turned by shuffles that every level has.
template <class T> struct Four;
template <> struct Four<float> {
  typedef float V __attribute__((vector_size(16)));
};
template <> struct Four<double> {
  typedef double V __attribute__((vector_size(32)));
};
template <class T> LGC_FN void transposeFour(const T* from, std::size_t step, T* to, std::size_t toStep) {
  using V = typename Four<T>::V;
  V a, b, c, d;
  __builtin_memcpy(&a, from, sizeof(V));
  __builtin_memcpy(&b, from + step, sizeof(V));
  __builtin_memcpy(&c, from + 2 * step, sizeof(V));
  __builtin_memcpy(&d, from + 3 * step, sizeof(V));
  const V ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const V AB = __builtin_shufflevector(a, b, 2, 6, 3, 7), CD = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  a = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
  b = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
  c = __builtin_shufflevector(AB, CD, 0, 1, 4, 5);
  d = __builtin_shufflevector(AB, CD, 2, 3, 6, 7);
  __builtin_memcpy(to, &a, sizeof(V));
  __builtin_memcpy(to + toStep, &b, sizeof(V));
  __builtin_memcpy(to + 2 * toStep, &c, sizeof(V));
  __builtin_memcpy(to + 3 * toStep, &d, sizeof(V));
}
#if LGC_LEVEL_ID == LGC_LEVEL_ID_avx2 || LGC_LEVEL_ID == LGC_LEVEL_ID_avx512
// The first columns of one register of rows. Halves of rows half a register apart are loaded together, so that no element has to cross
// from half to half.
LGC_FN void turnRegister(const float* from, std::size_t step, __m256 (&out)[4]) {
  __m256 row[4];
  for (std::size_t i = 0; i < 4; ++i)
    row[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(from + i * step)), _mm_loadu_ps(from + (i + 4) * step), 1);
  const __m256 a = _mm256_unpacklo_ps(row[0], row[1]), b = _mm256_unpacklo_ps(row[2], row[3]);
  const __m256 c = _mm256_unpackhi_ps(row[0], row[1]), d = _mm256_unpackhi_ps(row[2], row[3]);
  out[0] = _mm256_shuffle_ps(a, b, 0x44);
  out[1] = _mm256_shuffle_ps(a, b, 0xee);
  out[2] = _mm256_shuffle_ps(c, d, 0x44);
  out[3] = _mm256_shuffle_ps(c, d, 0xee);
}
LGC_FN void turnRegister(const double* from, std::size_t step, __m256d (&out)[2]) {
  __m256d row[2];
  for (std::size_t i = 0; i < 2; ++i)
    row[i] = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(from + i * step)), _mm_loadu_pd(from + (i + 2) * step), 1);
  out[0] = _mm256_unpacklo_pd(row[0], row[1]);
  out[1] = _mm256_unpackhi_pd(row[0], row[1]);
}
LGC_FN void storeRegister(float* p, __m256 v) { _mm256_storeu_ps(p, v); }
LGC_FN void storeRegister(double* p, __m256d v) { _mm256_storeu_pd(p, v); }
template <class T> struct RegisterOf;
template <> struct RegisterOf<float> {
  using type = __m256;
};
template <> struct RegisterOf<double> {
  using type = __m256d;
};
#if LGC_LEVEL_ID == LGC_LEVEL_ID_avx2
LGC_FN f32x16 joinRegisters(__m256 a, __m256 b) { return {a, b}; }
LGC_FN f64x8 joinRegisters(__m256d a, __m256d b) { return {a, b}; }
#else
LGC_FN f32x16 joinRegisters(__m256 a, __m256 b) { return {_mm512_insertf32x8(_mm512_castps256_ps512(a), b, 1)}; }
LGC_FN f64x8 joinRegisters(__m256d a, __m256d b) { return {_mm512_insertf64x4(_mm512_castpd256_pd512(a), b, 1)}; }
#endif

// Lane i of out[j] is from[i * step + j].
template <class T> LGC_FN void loadTurned(const T* from, std::size_t step, Vec<T> (&out)[kTurned<T>]) {
  typename RegisterOf<T>::type a[kTurned<T>], b[kTurned<T>];
  turnRegister(from, step, a);
  turnRegister(from + kSquare<T> * step, step, b);
  for (std::size_t j = 0; j < kTurned<T>; ++j) out[j] = joinRegisters(a[j], b[j]);
}

// to[j * toStep + i] = from[i * step + j] for i, j below kSquare, j in ascending order: packed panels are narrower than a square, so that
// what one row writes too much the next one overwrites.
template <class T> LGC_FN void transposeSquare(const T* from, std::size_t step, T* to, std::size_t toStep) {
  for (std::size_t j = 0; j < kSquare<T>; j += kTurned<T>) {
    typename RegisterOf<T>::type part[kTurned<T>];
    turnRegister(from + j, step, part);
    for (std::size_t q = 0; q < kTurned<T>; ++q) storeRegister(to + (j + q) * toStep, part[q]);
  }
}
#else
template <class T> LGC_FN void loadTurned(const T* from, std::size_t step, Vec<T> (&out)[kTurned<T>]) {
  constexpr std::size_t L = static_cast<std::size_t>(lanes<Vec<T>>);
  for (std::size_t j = 0; j < kTurned<T>; ++j) {
    T lane[L];
    for (std::size_t i = 0; i < L; ++i) lane[i] = from[i * step + j];
    out[j] = load<Vec<T>>(lane);
  }
}
template <class T> LGC_FN void transposeSquare(const T* from, std::size_t step, T* to, std::size_t toStep) {
  for (std::size_t j = 0; j < kSquare<T>; ++j)
    for (std::size_t i = 0; i < kSquare<T>; ++i) to[j * toStep + i] = from[i * step + j];
}
#endif

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
