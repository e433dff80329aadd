// Products of small dense matrices in double. Every entry is summed over the inner size in ascending order, by fused
// multiply-adds, whatever the tiles and threads.
#pragma once
#include "wide.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr size_t kTileRows = 4, kTileColumns = 2 * kWide, kBlockRows = 128, kBlockColumns = 4 * kTileColumns;

// R rows of a against one packed panel [k, kTileColumns] of b; the panel is padded, so that only the store knows the tail.
template <int R> LC_FN void productTile(const double* a, const double* panel, size_t k, double* out, size_t stride, size_t columns) {
  f64x8 acc[R][2];
  for (int r = 0; r < R; ++r) acc[r][0] = acc[r][1] = broadcast<f64x8>(0);
  for (size_t i = 0; i < k; ++i) {
    const f64x8 left = load<f64x8>(panel + i * kTileColumns), right = load<f64x8>(panel + i * kTileColumns + kWide);
    for (int r = 0; r < R; ++r) {
      const f64x8 x = broadcast<f64x8>(a[static_cast<size_t>(r) * k + i]);
      acc[r][0] = fma(x, left, acc[r][0]);
      acc[r][1] = fma(x, right, acc[r][1]);
    }
  }
  for (int r = 0; r < R; ++r) {
    double* row = out + static_cast<size_t>(r) * stride;
    writeWide(row, acc[r][0], columns < kWide ? columns : kWide);
    if (columns > kWide) writeWide(row + kWide, acc[r][1], columns - kWide);
  }
}

// out [n, m] = a [n, k] b [k, m]. Memory running out leaves out unwritten and marks the call.
inline void product(Call& call, const double* a, const double* b, size_t n, size_t k, size_t m, double* out) {
  const size_t rowBlocks = (n + kBlockRows - 1) / kBlockRows, columnBlocks = (m + kBlockColumns - 1) / kBlockColumns;
  const size_t work = (n < kBlockRows ? n : kBlockRows) * (m < kBlockColumns ? m : kBlockColumns) * (k + 1) / 4;
  parallel(call, rowBlocks * columnBlocks, kGrainElements / (work + 1) + 1, [&](size_t begin, size_t end) {
    Scratch<double> packed(call, k * kBlockColumns);
    if (!packed) return;
    for (size_t item = begin; item < end; ++item) {
      const size_t from = item % rowBlocks * kBlockRows, to = n - from < kBlockRows ? n : from + kBlockRows;
      const size_t left = item / rowBlocks * kBlockColumns, right = m - left < kBlockColumns ? m : left + kBlockColumns;
      for (size_t j = left; j < right; j += kTileColumns) {
        double* panel = packed + (j - left) * k;
        const size_t count = right - j < kTileColumns ? right - j : kTileColumns;
        for (size_t i = 0; i < k; ++i)
          for (size_t q = 0; q < kTileColumns; ++q) panel[i * kTileColumns + q] = q < count ? b[i * m + j + q] : 0.0;
      }
      for (size_t i = from; i < to;) {
        const size_t rows = to - i < kTileRows ? 1 : kTileRows;
        for (size_t j = left; j < right; j += kTileColumns) {
          const double* panel = packed + (j - left) * k;
          const size_t count = right - j < kTileColumns ? right - j : kTileColumns;
          if (rows == kTileRows)
            productTile<kTileRows>(a + i * k, panel, k, out + i * m + j, m, count);
          else
            productTile<1>(a + i * k, panel, k, out + i * m + j, m, count);
        }
        i += rows;
      }
    }
  });
}

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
    for (size_t i = begin; i < end; ++i) sums[i] = rowSumWide(m, [&](size_t j, size_t count) LC_LAMBDA { return term(i, j, count); });
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
