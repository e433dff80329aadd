// Products of a matrix [n, d] of rows with vectors, in double: the logits of a linear model and the sum of its weighted samples.
#pragma once
#include "wide.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// products_i = a_i . x
template <class T> void rowProducts(Call& call, const T* rows, const double* x, size_t n, size_t d, double* products) {
  parallel(call, n, rowGrain(d), [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) products[i] = dotWide(rows + i * d, x, d);
  });
}

// out = sum_i weights_i a_i, in pieces of rows and of columns that are fixed; rows of weight 0 are not read. `partial` holds
// pieces(n) * d numbers.
constexpr size_t kRowPiece = 1024, kColumnPiece = 4096;
inline size_t pieces(size_t n) { return (n + kRowPiece - 1) / kRowPiece; }
template <class T> void weightedRows(Call& call, const T* matrix, const double* weights, size_t n, size_t d, double* partial, double* out) {
  const size_t rows = pieces(n), columns = (d + kColumnPiece - 1) / kColumnPiece, width = d < kColumnPiece ? d : kColumnPiece;
  parallel(call, rows * columns, kGrainElements / (kRowPiece * width + 1) + 1, [&](size_t begin, size_t end) {
    for (size_t item = begin; item < end; ++item) {
      const size_t piece = item / columns, from = item % columns * kColumnPiece, to = d - from < kColumnPiece ? d : from + kColumnPiece;
      const size_t last = n - piece * kRowPiece < kRowPiece ? n : (piece + 1) * kRowPiece;
      double* sums = partial + piece * d;
      for (size_t j = from; j < to; ++j) sums[j] = 0;
      for (size_t i = piece * kRowPiece; i < last; ++i) {
        if (weights[i] == 0) continue;
        const f64x8 w = broadcast<f64x8>(weights[i]);
        for (size_t j = from; j < to; j += kWide) {
          const size_t count = to - j < kWide ? to - j : kWide;
          writeWide(sums + j, fma(readWide(matrix + i * d + j, count), w, readWide(sums + j, count)), count);
        }
      }
    }
  });
  for (size_t j = 0; j < d; ++j) {
    double total = 0;
    for (size_t k = 0; k < rows; ++k) total += partial[k * d + j];
    out[j] = total;
  }
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
