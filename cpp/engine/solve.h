// Linear systems in double: LU with partial pivoting, in blocks whose far side is one matrix product.
#pragma once
#include "matrix.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr size_t kSolveBlock = 32;

// y += factor x
inline void addRow(double factor, const double* x, double* y, size_t n) {
  constexpr size_t L = lanes<f64x8>;
  const f64x8 f = broadcast<f64x8>(factor);
  size_t j = 0;
  for (; j + L <= n; j += L) store(y + j, fma(f, load<f64x8>(x + j), load<f64x8>(y + j)));
  for (; j < n; ++j) y[j] = fma(factor, x[j], y[j]);
}
inline void scaleRow(double factor, double* x, size_t n) {
  for (size_t j = 0; j < n; ++j) x[j] *= factor;
}
inline void swapRows(double* x, double* y, size_t n) {
  for (size_t j = 0; j < n; ++j) {
    const double t = x[j];
    x[j] = y[j];
    y[j] = t;
  }
}

// Solves A X = B for a [n, n], which is lost, and b [n, m], which becomes X. False if a pivot is 0 or no number: then both are lost.
inline bool solve(Call& call, double* a, size_t n, double* b, size_t m) {
  for (size_t from = 0; from < n; from += kSolveBlock) {
    const size_t to = n - from < kSolveBlock ? n : from + kSolveBlock, rest = n - to;
    for (size_t j = from; j < to; ++j) {
      size_t pivot = j;
      for (size_t i = j + 1; i < n; ++i)
        if (abs(a[i * n + j]) > abs(a[pivot * n + j])) pivot = i;
      const double most = abs(a[pivot * n + j]);
      if (!(most > 0 && most < __builtin_huge_val())) return false;
      if (pivot != j) {
        swapRows(a + j * n, a + pivot * n, n);
        swapRows(b + j * m, b + pivot * m, m);
      }
      for (size_t i = j + 1; i < n; ++i) {
        const double factor = a[i * n + j] / a[j * n + j];
        a[i * n + j] = factor;
        addRow(-factor, a + j * n + j + 1, a + i * n + j + 1, to - j - 1);
      }
    }
    // The block's rows right of it, then all below: A22 -= L21 U12, B2 -= L21 B1.
    for (size_t j = from; j < to; ++j)
      for (size_t i = j + 1; i < to; ++i) {
        addRow(-a[i * n + j], a + j * n + to, a + i * n + to, rest);
        addRow(-a[i * n + j], b + j * m, b + i * m, m);
      }
    const View<double> left = rowMajor<double>(a + to * n + from, n);
    multiply<double>(call, rest, rest, to - from, -1, left, rowMajor<double>(a + from * n + to, n), 1, a + to * n + to, n);
    multiply<double>(call, rest, m, to - from, -1, left, rowMajor<double>(b + from * m, m), 1, b + to * m, m);
    if (call.outOfMemory) return false;
  }
  for (size_t to = n; to > 0;) {
    const size_t from = (to - 1) / kSolveBlock * kSolveBlock;
    for (size_t j = to; j-- > from;) {
      scaleRow(1 / a[j * n + j], b + j * m, m);
      for (size_t i = from; i < j; ++i) addRow(-a[i * n + j], b + j * m, b + i * m, m);
    }
    multiply<double>(call, from, m, to - from, -1, rowMajor<double>(a + from, n), rowMajor<double>(b + from * m, m), 1, b, m);
    to = from;
  }
  return !call.outOfMemory;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
