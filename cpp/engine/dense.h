// What goes with products of dense matrices in double: transposes, sums of rows and columns, other types.
#pragma once
#include "wide.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// out [m, n] = the transpose of a [n, m], in squares that stay in the first-level cache.
inline void transpose(Call& call, const double* a, size_t n, size_t m, double* out) {
  constexpr size_t side = 32;
  parallel(call, (n + side - 1) / side, kGrainElements / (side * (m + 1)) + 1, [&](size_t begin, size_t end) {
    for (size_t from = begin * side; from < end * side && from < n; from += side)
      for (size_t left = 0; left < m; left += side)
        for (size_t j = left; j < left + side && j < m; ++j)
          for (size_t i = from; i < from + side && i < n; ++i) out[j * n + i] = a[i * m + j];
  });
}

// sums_i = sum_j term(i, j, count) over the rows of a matrix with m columns.
template <class F> inline void sumRows(Call& call, size_t n, size_t m, double* sums, F&& term) {
  parallel(call, n, rowGrain(m), [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) sums[i] = rowSumWide(m, [&](size_t j, size_t count) LGC_LAMBDA { return term(i, j, count); });
  });
}

// write(i, j, count): lanes j .. j + count of every row.
template <class F> inline void forRows(Call& call, size_t n, size_t m, F&& write) {
  parallel(call, n, rowGrain(m), [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i)
      for (size_t j = 0; j < m; j += kWide) write(i, j, m - j < kWide ? m - j : kWide);
  });
}

// Sums of the columns, row after row.
inline void sumColumns(const double* a, size_t n, size_t m, double* sums) {
  for (size_t j = 0; j < m; ++j) sums[j] = 0;
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < m; j += kWide) {
      const size_t count = m - j < kWide ? m - j : kWide;
      writeWide(sums + j, readWide(sums + j, count) + readWide(a + i * m + j, count), count);
    }
}

template <class T> inline void widen(const T* x, size_t n, double* out) {
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<double>(x[i]);
}
template <class T> inline void roundTo(const double* x, size_t n, T* out) {
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<T>(x[i]);
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
