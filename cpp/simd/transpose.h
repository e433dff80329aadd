// Squares of a matrix, turned in registers.
#pragma once
#include "simd.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// A square of kSquare<T> rows and columns; rows are `step` apart, and `toStep` in the copy: to[j * toStep + i] = from[i * step + j].
// Columns of the copy are written in ascending order.
template <class T> constexpr std::size_t kSquare = 32 / sizeof(T);

#if LC_LEVEL_ID == LC_LEVEL_ID_avx2 || LC_LEVEL_ID == LC_LEVEL_ID_avx512
// Halves of rows four apart share a register, so that no element has to cross from half to half.
LC_FN void transposeSquare(const float* from, std::size_t step, float* to, std::size_t toStep) {
  for (std::size_t j = 0; j < 8; j += 4) {
    __m256 row[4];
    for (std::size_t i = 0; i < 4; ++i) {
      const float* p = from + i * step + j;
      row[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + 4 * step), 1);
    }
    const __m256 a = _mm256_unpacklo_ps(row[0], row[1]), b = _mm256_unpacklo_ps(row[2], row[3]);
    const __m256 c = _mm256_unpackhi_ps(row[0], row[1]), d = _mm256_unpackhi_ps(row[2], row[3]);
    _mm256_storeu_ps(to + j * toStep, _mm256_shuffle_ps(a, b, 0x44));
    _mm256_storeu_ps(to + (j + 1) * toStep, _mm256_shuffle_ps(a, b, 0xee));
    _mm256_storeu_ps(to + (j + 2) * toStep, _mm256_shuffle_ps(c, d, 0x44));
    _mm256_storeu_ps(to + (j + 3) * toStep, _mm256_shuffle_ps(c, d, 0xee));
  }
}
LC_FN void transposeSquare(const double* from, std::size_t step, double* to, std::size_t toStep) {
  for (std::size_t j = 0; j < 4; j += 2) {
    __m256d row[2];
    for (std::size_t i = 0; i < 2; ++i) {
      const double* p = from + i * step + j;
      row[i] = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p)), _mm_loadu_pd(p + 2 * step), 1);
    }
    _mm256_storeu_pd(to + j * toStep, _mm256_unpacklo_pd(row[0], row[1]));
    _mm256_storeu_pd(to + (j + 1) * toStep, _mm256_unpackhi_pd(row[0], row[1]));
  }
}
#else
template <class T> LC_FN void transposeSquare(const T* from, std::size_t step, T* to, std::size_t toStep) {
  for (std::size_t j = 0; j < kSquare<T>; ++j)
    for (std::size_t i = 0; i < kSquare<T>; ++i) to[j * toStep + i] = from[i * step + j];
}
#endif

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
