// Mean and centred sum of squares of a row. Two sweeps a block: a pivot near the block's mean first, then deviations from it,
// so that logits of 4096 +- 1 keep their variance in float32 and a constant row has exactly none.
#pragma once
#include "kernel.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct Moments {
  double mean = 0, m2 = 0, count = 0;
  // Chan, Golub and LeVeque's merge of two disjoint samples.
  LC_FN void merge(double otherMean, double otherM2, double otherCount) {
    const double total = count + otherCount, delta = otherMean - mean;
    if (count == 0) {
      mean = otherMean;
      m2 = otherM2;
    } else {
      mean = fma(delta, otherCount / total, mean);
      m2 += fma(delta * delta, count * (otherCount / total), otherM2);
    }
    count = total;
  }
};

template <class T> LC_FN void blockMoments(const T* x, size_t n, Moments& row) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  const W zero = broadcast<W>(0), origin = broadcast<W>(x[0]);
  W a = zero, b = zero;
  size_t i = 0;
  for (; i + 2 * L <= n; i += 2 * L) {
    a = a + (load<W>(x + i) - origin);
    b = b + (load<W>(x + i + L) - origin);
  }
  for (; i < n; i += L) a = a + (loadFirst<W>(x + i, n - i < L ? n - i : L, x[0]) - origin);
  const double count = static_cast<double>(n);
  const T pivot = static_cast<T>(static_cast<double>(x[0]) + foldSum(a + b) / count);
  const W centre = broadcast<W>(pivot);
  W s = zero, s2 = zero, q = zero, q2 = zero;
  for (i = 0; i + 2 * L <= n; i += 2 * L) {
    const W d = load<W>(x + i) - centre, e = load<W>(x + i + L) - centre;
    s = s + d;
    s2 = s2 + e;
    q = fma(d, d, q);
    q2 = fma(e, e, q2);
  }
  for (; i < n; i += L) {
    const W d = loadFirst<W>(x + i, n - i < L ? n - i : L, pivot) - centre;
    s = s + d;
    q = fma(d, d, q);
  }
  const double sumD = foldSum(s + s2), shift = sumD / count;
  double m2 = fma(-sumD, shift, foldSum(q + q2));
  // The correction can exceed the sum by rounding; NaN must pass.
  if (m2 < 0) m2 = 0;
  row.merge(static_cast<double>(pivot) + shift, m2, count);
}

template <class T> inline Moments rowMoments(const T* x, size_t n) {
  Moments row;
  for (size_t i = 0; i < n; i += kBlock) blockMoments(x + i, n - i < kBlock ? n - i : kBlock, row);
  return row;
}

// Of all entries but the one at `skip`.
template <class T> inline Moments rowMomentsWithout(const T* x, size_t n, size_t skip) {
  Moments row;
  for (size_t i = 0; i < n; i += kBlock) {
    const size_t count = n - i < kBlock ? n - i : kBlock, hole = skip - i;
    if (hole >= count) {
      blockMoments(x + i, count, row);
      continue;
    }
    if (hole > 0) blockMoments(x + i, hole, row);
    if (hole + 1 < count) blockMoments(x + skip + 1, count - hole - 1, row);
  }
  return row;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
