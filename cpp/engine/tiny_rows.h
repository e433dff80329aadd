// Rows so short that one would leave most lanes empty (a classifier of 2..32 classes): 16 rows at a time (8 in double), one row
// a lane, the columns of all of them in a small transposed buffer. Row scalars are lanes of doubles, in halves.
#pragma once
#include "row_exp.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr size_t kTinyColumns = 32;

// A vector of row values in T as halves of eight doubles, and back.
template <class T> struct Halves;
template <> struct Halves<float> {
  static constexpr int count = 2;
  LC_FN static f64x8 get(f32x16 v, int h) { return h ? high(v) : low(v); }
  LC_FN static f32x16 join(const f64x8* h) { return narrow(h[0], h[1]); }
};
template <> struct Halves<double> {
  static constexpr int count = 1;
  LC_FN static f64x8 get(f64x8 v, int) { return v; }
  LC_FN static f64x8 join(const f64x8* h) { return h[0]; }
};

// Four values of a row in one register: the sides of a square that is transposed without touching single values.
template <class T> struct Four;
template <> struct Four<float> {
  typedef float V __attribute__((vector_size(16)));
};
template <> struct Four<double> {
  typedef double V __attribute__((vector_size(32)));
};
template <class T> LC_FN void transposeSquare(const T* from, size_t fromStride, T* to, size_t toStride) {
  using V = typename Four<T>::V;
  V a, b, c, d;
  __builtin_memcpy(&a, from, sizeof(V));
  __builtin_memcpy(&b, from + fromStride, sizeof(V));
  __builtin_memcpy(&c, from + 2 * fromStride, sizeof(V));
  __builtin_memcpy(&d, from + 3 * fromStride, sizeof(V));
  const V ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const V AB = __builtin_shufflevector(a, b, 2, 6, 3, 7), CD = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  a = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
  b = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
  c = __builtin_shufflevector(AB, CD, 0, 1, 4, 5);
  d = __builtin_shufflevector(AB, CD, 2, 3, 6, 7);
  __builtin_memcpy(to, &a, sizeof(V));
  __builtin_memcpy(to + toStride, &b, sizeof(V));
  __builtin_memcpy(to + 2 * toStride, &c, sizeof(V));
  __builtin_memcpy(to + 3 * toStride, &d, sizeof(V));
}
// The squares of a matrix [., columns] cover it; the last one overlaps the one before.
template <class F> LC_FN void forSquares(size_t columns, F&& square) {
  size_t j = 0;
  for (; j + 4 <= columns; j += 4) square(j);
  if (j < columns) square(columns - 4);
}

template <class T> LC_FN void transposeIn(const T* rows, size_t columns, size_t count, T* buffer) {
  constexpr size_t L = lanes<Vec<T>>;
  if (count == L && columns >= 4) {
    for (size_t r = 0; r < L; r += 4)
      forSquares(columns, [&](size_t j) LC_LAMBDA { transposeSquare(rows + r * columns + j, columns, buffer + j * L + r, L); });
    return;
  }
  for (size_t j = 0; j < columns; ++j)
    for (size_t r = 0; r < L; ++r) buffer[j * L + r] = r < count ? rows[r * columns + j] : T(0);
}

template <class T> LC_FN void transposeOut(const T* buffer, size_t columns, size_t count, T* rows) {
  constexpr size_t L = lanes<Vec<T>>;
  if (count == L && columns >= 4) {
    for (size_t r = 0; r < L; r += 4)
      forSquares(columns, [&](size_t j) LC_LAMBDA { transposeSquare(buffer + j * L + r, L, rows + r * columns + j, columns); });
    return;
  }
  for (size_t r = 0; r < count; ++r)
    for (size_t j = 0; j < columns; ++j) rows[r * columns + j] = buffer[j * L + r];
}

// The largest of each row, its first column, and the sum of the other exponentials; exponentials stay in `e`.
template <class T> struct TinySum {
  Vec<T> max, argMax, others;
};
template <class T> LC_FN TinySum<T> tinySum(const T* x, size_t columns, double inverseTemperature, T* e) {
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
