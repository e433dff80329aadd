// What is found in one row of a pair before its exponentials: the largest logit, where it is, and the moments.
#pragma once
#include "pair_facts.h"
#include "row_exp.h"
#include "row_moments.h"
#include "tiny_rows.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Far enough from all indices to be near none after a subtraction.
constexpr size_t kNowhere = size_t{1} << 62;

template <class T> struct PairScan {
  T top;
  size_t argMax;
  double mean, m2;
  bool finite;  // of plain rows: their sum is a number
};

template <class T> LGC_SHARED double sumAndMax(const T* x, size_t n, T& max_) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  const W low = broadcast<W>(-__builtin_huge_val()), zero = broadcast<W>(0);
  W a[4] = {zero, zero, zero, zero}, top[4] = {low, low, low, low};
  size_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L)
    for (int k = 0; k < 4; ++k) {
      const W v = load<W>(x + i + static_cast<size_t>(k) * L);
      top[k] = max(v, top[k]);
      a[k] = a[k] + v;
    }
  for (; i < n; i += L) {
    const size_t count = n - i < L ? n - i : L;
    top[0] = max(loadFirst<W>(x + i, count, -__builtin_huge_val()), top[0]);
    a[0] = a[0] + loadFirst<W>(x + i, count, 0);
  }
  max_ = maxAcross(max(max(top[0], top[1]), max(top[2], top[3])));
  return foldSum((a[0] + a[1]) + (a[2] + a[3]));
}

template <class T> LGC_SHARED void topWithout(const T* x, size_t n, size_t hole, PairScan<T>& s) {
  const size_t rest = n - hole - 1;
  const Plain<T> before{x}, after{x + hole + 1};
  const T a = rowMax<T>(before, hole), b = rowMax<T>(after, rest);
  const bool first = a > b || rest == 0;
  s.top = first ? a : b;
  s.argMax = first ? firstEqual<T>(before, hole, a) : hole + 1 + firstEqual<T>(after, rest, b);
}

// Rows of any length, block by block. The hole counts among the moments only.
template <class T> LGC_SHARED PairScan<T> scanBlocks(const T* x, size_t c, size_t hole, bool moments) {
  PairScan<T> s{static_cast<T>(-__builtin_huge_val()), 0, 0, 0, true};
  RowMoments<T> row;
  double total = 0;
  size_t best = 0;
  for (size_t i = 0; i < c; i += kBlock) {
    const size_t n = c - i < kBlock ? c - i : kBlock;
    T most = static_cast<T>(-__builtin_huge_val());
    if (moments)
      row.template add<true>(x + i, n, &most);
    else
      total += sumAndMax(x + i, n, most);
    if (most > s.top) {
      s.top = most;
      best = i;
    }
  }
  if (hole == kNowhere)
    s.argMax = best + firstEqual<T>(Plain<T>{x + best}, c - best < kBlock ? c - best : kBlock, s.top);
  else
    topWithout(x, c, hole, s);
  s.mean = row.row.mean;
  s.m2 = row.row.m2;
  s.finite = total - total == 0;
  return s;
}

// Rows of at least one vector and at most one block, in one sweep: the mean of the first vector is the pivot of the moments, and every
// lane remembers where it found its largest entry.
template <bool Moments, bool Targeted, class T> LGC_SHARED PairScan<T> scanShort(const T* x, size_t c, size_t hole) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  const W low = broadcast<W>(-__builtin_huge_val()), zero = broadcast<W>(0), step = broadcast<W>(static_cast<T>(L));
  const W without = broadcast<W>(Targeted ? static_cast<T>(hole) : T(0));
  T pivot = Moments ? sum(load<W>(x)) * (T(1) / static_cast<T>(L)) : T(0);
  PairScan<T> s;
  for (int again = 0;; ++again) {
    const W centre = broadcast<W>(pivot);
    W top = low, where = laneIndex<W>(), index = where, a = zero, q = zero;
    const auto add = [&](W v, W d) LGC_LAMBDA {
      if (Targeted) v = select(index == without, low, v);
      where = select(v > top, index, where);
      top = max(v, top);
      index = index + step;
      a = a + d;
      if (Moments) q = fma(d, d, q);
    };
    size_t i = 0;
    for (; i + L <= c; i += L) {
      const W v = load<W>(x + i);
      add(v, Moments ? v - centre : v);
    }
    if (i < c) {
      const auto in = firstLanes<W>(static_cast<int>(c - i));
      const W v = loadFirst<W>(x + i, static_cast<int>(c - i), 0);
      add(select(in, v, low), Moments ? select(in, v - centre, zero) : v);
    }
    s.top = maxAcross(top);
    s.argMax = static_cast<size_t>(minAcross(select(top == broadcast<W>(s.top), where, broadcast<W>(static_cast<T>(c)))));
    const double total = foldSum(a);
    s.finite = total - total == 0;
    s.mean = s.m2 = 0;
    if (!Moments) return s;
    const double squares = foldSum(q), shift = total / static_cast<double>(c), lost = total * shift, m2 = squares - lost;
    s.mean = static_cast<double>(pivot) + shift;
    s.m2 = m2 < 0 ? 0.0 : m2;
    // Once more where the row is far from its first entries.
    if (lost <= m2 || again || !s.finite) return s;
    pivot = static_cast<T>(s.mean);
  }
}
template <class T> LGC_FN PairScan<T> scanRow(const T* x, size_t c, size_t hole, bool moments) {
  if (c < lanes<Vec<T>> || c > kBlock) return scanBlocks(x, c, hole, moments);
  if (hole != kNowhere && c <= 1024) return moments ? scanShort<true, true>(x, c, hole) : scanShort<false, true>(x, c, hole);
  PairScan<T> s = moments ? scanShort<true, false>(x, c, hole) : scanShort<false, false>(x, c, hole);
  // In longer rows a second look where the hole leads costs less than a mask in every vector.
  if (s.argMax == hole) topWithout(x, c, hole, s);
  return s;
}

// The moments of a row with masked entries, which do not count, or out of the range of T. Deviations from the largest entry, in double:
// their difference loses at most count ulps.
struct MaskedMoments {
  double mean, m2, count;
};
template <class T> LGC_SHARED MaskedMoments maskedMoments(const T* x, size_t c, T pivot) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  const f64x8 masked = broadcast<f64x8>(-__builtin_huge_val()), zero = broadcast<f64x8>(0);
  const f64x8 origin = broadcast<f64x8>(static_cast<double>(pivot));
  f64x8 deviations = zero, squares = zero;
  size_t counted = 0;
  for (size_t i = 0; i < c; i += L) {
    const W v = loadFirst<W>(x + i, c - i < L ? c - i : L, -__builtin_huge_val());
    for (int h = 0; h < Halves<T>::count; ++h) {
      const f64x8 u = Halves<T>::get(v, h);
      const auto in = u != masked;
      const f64x8 d = select(in, u - origin, zero);
      counted += static_cast<size_t>(count(in));
      deviations = deviations + d;
      squares = fma(d, d, squares);
    }
  }
  const double n = static_cast<double>(counted), total = sum(deviations), shift = counted ? total / n : 0.0;
  const double m2 = fma(-total, shift, sum(squares));
  return {static_cast<double>(pivot) + shift, m2 < 0 ? 0.0 : m2, n};
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
