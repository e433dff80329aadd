// Rows so short that one would leave most lanes empty (a classifier of 2..32 classes): 16 rows at a time (8 in double), one row
// a lane, the columns of all of them in a small transposed buffer. Row scalars are lanes of doubles, in halves.
#pragma once
#include "../simd/transpose.h"
#include "row_exp.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr size_t kTinyColumns = 32;

// A vector of row values in T as halves of eight doubles, and back.
template <class T> struct Halves;
template <> struct Halves<float> {
  static constexpr int count = 2;
  LGC_FN static f64x8 get(f32x16 v, int h) { return h ? high(v) : low(v); }
  LGC_FN static f32x16 join(const f64x8* h) { return narrow(h[0], h[1]); }
};
template <> struct Halves<double> {
  static constexpr int count = 1;
  LGC_FN static f64x8 get(f64x8 v, int) { return v; }
  LGC_FN static f64x8 join(const f64x8* h) { return h[0]; }
};

// Buffers hold one column of L rows a vector. Groups of columns cover the rows; the last one overlaps the one before.
template <size_t Columns, class F> LGC_FN void forGroups(size_t columns, F&& group) {
  size_t j = 0;
  for (; j + Columns <= columns; j += Columns) group(j);
  if (j < columns) group(columns - Columns);
}

template <class T> LGC_SHARED void transposeIn(const T* rows, size_t columns, size_t count, T* buffer) {
  constexpr size_t L = lanes<Vec<T>>, few = kTurned<T>;
  if (count == L && columns >= few) {
    forGroups<few>(columns, [&](size_t j) LGC_LAMBDA {
      Vec<T> column[few];
      loadTurned(rows + j, columns, column);
      for (size_t q = 0; q < few; ++q) store(buffer + (j + q) * L, column[q]);
    });
    return;
  }
  for (size_t j = 0; j < columns; ++j)
    for (size_t r = 0; r < L; ++r) buffer[j * L + r] = r < count ? rows[r * columns + j] : T(0);
}

template <class T> LGC_SHARED void transposeOut(const T* buffer, size_t columns, size_t count, T* rows) {
  constexpr size_t L = lanes<Vec<T>>;
  if (count == L && columns >= 4) {
    for (size_t r = 0; r < L; r += 4)
      forGroups<4>(columns, [&](size_t j) LGC_LAMBDA { transposeFour(buffer + j * L + r, L, rows + r * columns + j, columns); });
    return;
  }
  for (size_t r = 0; r < count; ++r)
    for (size_t j = 0; j < columns; ++j) rows[r * columns + j] = buffer[j * L + r];
}

// The largest of each row, its first column, and the sum of the other exponentials; exponentials stay in `e`.
template <class T> struct TinySum {
  Vec<T> max, argMax, others;
};
template <class T> LGC_SHARED TinySum<T> tinySum(const T* x, size_t columns, double inverseTemperature, T* e) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  const W low = broadcast<W>(-__builtin_huge_val()), zero = broadcast<W>(0),
          s = broadcast<W>(static_cast<T>(inverseTemperature * Base<T>::perNat));
  TinySum<T> t;
  t.max = low;
  for (size_t j = 0; j < columns; ++j) t.max = max(load<W>(x + j * L), t.max);
  t.argMax = zero;
  const W one = broadcast<W>(1);
  W index = broadcast<W>(static_cast<T>(columns));
  for (size_t j = columns; j-- > 0;) {
    index = index - one;
    t.argMax = select(load<W>(x + j * L) == t.max, index, t.argMax);
  }
  const W shift = select(t.max == low, zero, t.max);
  t.others = zero;
  for (size_t j = 0; j < columns; ++j, index = index + one) {
    const W v = Base<T>::power((load<W>(x + j * L) - shift) * s);
    store(e + j * L, v);
    t.others = t.others + select(t.argMax == index, zero, v);
  }
  t.others = select(t.max == broadcast<W>(__builtin_huge_val()), broadcast<W>(__builtin_nan("")), t.others);
  return t;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
