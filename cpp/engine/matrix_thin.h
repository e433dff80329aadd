// Products with a few rows on the left (a vector times a matrix): as fast as the matrix is read, which is not worth packing. The bits
// are those of the blocked product.
#pragma once
#include "matrix_pack.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr size_t kThinRows = 4;

// Sums of one block of depth for R rows, with the columns of B contiguous: lanes are columns, turned in registers.
template <class T, size_t R> LGC_FN void thinSumsOfColumns(View<T> a, View<T> b, size_t depth, Vec<T> (&sum)[R]) {
  using W = Vec<T>;
  constexpr size_t L = Tile<T>::lanes;
  const auto add = [&](size_t k, W y) LGC_LAMBDA {
#pragma GCC unroll 4
    for (size_t r = 0; r < R; ++r) sum[r] = fma(broadcast<W>(a.data[r * a.rowStep + k * a.columnStep]), y, sum[r]);
  };
  size_t k = 0;
  for (; k + kTurned<T> <= depth; k += kTurned<T>) {
    W y[kTurned<T>];
    loadTurned(b.data + k, b.columnStep, y);
#pragma GCC unroll 4
    for (size_t q = 0; q < kTurned<T>; ++q) add(k + q, y[q]);
  }
  for (; k < depth; ++k) {
    T lane[L];
    for (size_t i = 0; i < L; ++i) lane[i] = b.data[k + i * b.columnStep];
    add(k, load<W>(lane));
  }
}

// K rows of B at a time, which are contiguous, into sums [R, stride].
template <class T, size_t R, size_t K> LGC_FN void addThinRows(View<T> a, View<T> b, size_t columns, T* sums, size_t stride) {
  using W = Vec<T>;
  constexpr size_t L = Tile<T>::lanes;
  const auto add = [&](size_t j, const W(&y)[K]) LGC_LAMBDA {
#pragma GCC unroll 4
    for (size_t r = 0; r < R; ++r) {
      W sum = load<W>(sums + r * stride + j);
#pragma GCC unroll 4
      for (size_t q = 0; q < K; ++q) sum = fma(broadcast<W>(a.data[r * a.rowStep + q * a.columnStep]), y[q], sum);
      store(sums + r * stride + j, sum);
    }
  };
  W y[K];
  size_t j = 0;
  for (; j + L <= columns; j += L) {
#pragma GCC unroll 4
    for (size_t q = 0; q < K; ++q) y[q] = load<W>(b.data + q * b.rowStep + j);
    add(j, y);
  }
  if (j == columns) return;
  for (size_t q = 0; q < K; ++q) y[q] = loadFirst<W>(b.data + q * b.rowStep + j, static_cast<int>(columns - j));
  add(j, y);
}
template <class T, size_t R> void thinSumsOfRows(View<T> a, View<T> b, size_t depth, size_t columns, T* sums, size_t stride) {
  __builtin_memset(sums, 0, R * stride * sizeof(T));
  size_t k = 0;
  for (; k + 4 <= depth; k += 4) addThinRows<T, R, 4>(a.from(0, k), b.from(k, 0), columns, sums, stride);
  for (; k < depth; ++k) addThinRows<T, R, 1>(a.from(0, k), b.from(k, 0), columns, sums, stride);
}

// One run of columns from `column` on, whose sums fill a part of the first-level cache: shorter runs are read half as fast from memory.
template <class T, size_t R> constexpr size_t kThinRun = 8192 / (R * sizeof(T)) / 16 * 16;
template <class T, size_t R> void multiplyThinRun(const Product<T>& p, size_t column, size_t columns) {
  T sums[R * kThinRun<T, R>];
  for (size_t k = 0; k == 0 || k < p.k; k += kDepthBlock) {
    const size_t depth = least(p.k - k, kDepthBlock);
    const View<T> a = p.a.from(0, k), b = p.b.from(k, column);
    if (b.columnStep == 1) {
      thinSumsOfRows<T, R>(a, b, depth, columns, sums, kThinRun<T, R>);
    } else {
      Vec<T> sum[R];
      for (size_t r = 0; r < R; ++r) sum[r] = zero<Vec<T>>();
      thinSumsOfColumns<T, R>(a, b, depth, sum);
      for (size_t r = 0; r < R; ++r) store(sums + r * kThinRun<T, R>, sum[r]);
    }
    storePart(sums, kThinRun<T, R>, p.target(0, column, k), R, columns);
  }
}

// Columns of B that are contiguous are done as far as they make whole vectors. Returns how many are done.
template <class T, size_t R> size_t multiplyThinRows(Call& call, const Product<T>& p) {
  constexpr size_t L = Tile<T>::lanes;
  const bool byRows = p.b.columnStep == 1;
  const size_t done = byRows ? p.n : p.n / L * L, run = byRows ? kThinRun<T, R> : L;
  parallel(call, blocksOf(done, run), kGrainElements / (run * (p.k + 1)) + 1, [&](size_t begin, size_t end) {
    for (size_t j = begin * run; j < done && j < end * run; j += run) multiplyThinRun<T, R>(p, j, least(done - j, run));
  });
  return done;
}
template <class T> size_t multiplyThin(Call& call, const Product<T>& p) {
  switch (p.m) {
    case 1: return multiplyThinRows<T, 1>(call, p);
    case 2: return multiplyThinRows<T, 2>(call, p);
    case 3: return multiplyThinRows<T, 3>(call, p);
    default: return multiplyThinRows<T, 4>(call, p);
  }
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
