// Mean and centred sum of squares of a row, from deviations from a pivot near the mean, so that logits of 4096 +- 1 keep their variance in
// float32 and a constant row has exactly none.
#pragma once
#include "kernel.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct Moments {
  double mean = 0, m2 = 0, count = 0;
  // Chan, Golub and LeVeque's merge of two disjoint samples.
  LGC_FN void merge(double otherMean, double otherM2, double otherCount) {
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

// A number near the mean of x, equal to the entries where they are all equal.
template <class T> LGC_SHARED T pivotOf(const T* x, size_t n) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  const W origin = broadcast<W>(x[0]);
  W a = broadcast<W>(0), b = a;
  size_t i = 0;
  for (; i + 2 * L <= n; i += 2 * L) {
    a = a + (load<W>(x + i) - origin);
    b = b + (load<W>(x + i + L) - origin);
  }
  for (; i < n; i += L) a = a + (loadFirst<W>(x + i, n - i < L ? n - i : L, x[0]) - origin);
  return static_cast<T>(static_cast<double>(x[0]) + foldSum(a + b) / static_cast<double>(n));
}

struct BlockMoments {
  double mean, m2;
  bool sound;  // the pivot was near enough to the mean
};
// With `max` also the largest entry, at the cost of one instruction a vector; NaN does not show in it, but does in the moments.
template <bool Max = false, class T> LGC_SHARED BlockMoments momentsAbout(T pivot, const T* x, size_t n, T* max_ = nullptr) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  const W zero = broadcast<W>(0), centre = broadcast<W>(pivot), low = broadcast<W>(-__builtin_huge_val());
  W s[4] = {zero, zero, zero, zero}, q[4] = {zero, zero, zero, zero}, top[4] = {low, low, low, low};
  size_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L)
    for (int k = 0; k < 4; ++k) {
      const W v = load<W>(x + i + static_cast<size_t>(k) * L), d = v - centre;
      if (Max) top[k] = max(v, top[k]);
      s[k] = s[k] + d;
      q[k] = fma(d, d, q[k]);
    }
  for (; i < n; i += L) {
    const size_t count = n - i < L ? n - i : L;
    const W d = loadFirst<W>(x + i, count, pivot) - centre;
    if (Max) top[0] = max(loadFirst<W>(x + i, count, -__builtin_huge_val()), top[0]);
    s[0] = s[0] + d;
    q[0] = fma(d, d, q[0]);
  }
  if (Max) *max_ = maxAcross(max(max(top[0], top[1]), max(top[2], top[3])));
  const double sum = foldSum((s[0] + s[1]) + (s[2] + s[3])), squares = foldSum((q[0] + q[1]) + (q[2] + q[3]));
  const double shift = sum / static_cast<double>(n), lost = sum * shift, m2 = squares - lost;
  // The correction can exceed the sum by rounding; NaN must pass.
  return {static_cast<double>(pivot) + shift, m2 < 0 ? 0.0 : m2, lost <= 4 * m2};
}

// The pivot is carried from block to block, so that most blocks are swept once.
template <class T> struct RowMoments {
  Moments row;
  T pivot = 0;
  template <bool Max = false> void add(const T* x, size_t n, T* max = nullptr) {
    if (row.count == 0) pivot = pivotOf(x, n);
    BlockMoments b = momentsAbout<Max>(pivot, x, n, max);
    if (!b.sound && row.count != 0) {
      pivot = pivotOf(x, n);
      b = momentsAbout(pivot, x, n);
    }
    row.merge(b.mean, b.m2, static_cast<double>(n));
  }
};

template <class T> inline Moments rowMoments(const T* x, size_t n) {
  RowMoments<T> moments;
  for (size_t i = 0; i < n; i += kBlock) moments.add(x + i, n - i < kBlock ? n - i : kBlock);
  return moments.row;
}

// Of all entries but the one at `skip`.
template <class T> inline Moments rowMomentsWithout(const T* x, size_t n, size_t skip) {
  RowMoments<T> moments;
  for (size_t i = 0; i < n; i += kBlock) {
    const size_t count = n - i < kBlock ? n - i : kBlock, hole = skip - i;
    if (hole >= count) {
      moments.add(x + i, count);
      continue;
    }
    if (hole > 0) moments.add(x + i, hole);
    if (hole + 1 < count) moments.add(x + skip + 1, count - hole - 1);
  }
  return moments.row;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
