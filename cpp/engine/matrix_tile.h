// The innermost part of a matrix product: a tile of the result in registers, and how it enters the result.
#pragma once
#include "kernel.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// A tile has `rows` rows of `vectors` vectors. Its accumulators, one row of B and one element of A fill the registers: 16 of half
// a vector each with AVX2, 32 whole ones with AVX-512, 32 of a quarter with NEON.
template <class T> struct Tile {
#if LGC_LEVEL_ID == LGC_LEVEL_ID_avx512
  static constexpr size_t rows = 12, vectors = 2;
#elif LGC_LEVEL_ID == LGC_LEVEL_ID_portable
  static constexpr size_t rows = 4, vectors = 1;
#else
  static constexpr size_t rows = 6, vectors = 1;
#endif
  static constexpr size_t lanes = static_cast<size_t>(logitcore::LOGITCORE_LEVEL::lanes<Vec<T>>), columns = vectors * lanes;
};

// Where tiles go: c = alpha sum + beta c, and c is not read if beta is 0.
template <class T> struct Target {
  T* c;
  size_t rowStep, columnStep;
  T alpha, beta;

  template <class V> LGC_FN V fresh(V sum) const { return broadcast<V>(alpha) * sum; }
  template <class V> LGC_FN V added(V sum, V old) const { return fma(broadcast<V>(alpha), sum, broadcast<V>(beta) * old); }
};

// Sums [rows, columns], `stride` apart, that are not a whole tile or go to places that are not neighbours. Up to a whole vector is read.
template <class T>
__attribute__((noinline)) void storePart(const T* sums, size_t stride, const Target<T>& to, size_t rows, size_t columns) {
  using W = Vec<T>;
  constexpr size_t L = Tile<T>::lanes;
  for (size_t i = 0; i < rows; ++i, sums += stride) {
    T* c = to.c + i * to.rowStep;
    if (to.columnStep == 1) {
      for (size_t j = 0; j < columns; j += L) {
        const int count = static_cast<int>(columns - j < L ? columns - j : L);
        const W sum = load<W>(sums + j);
        storeFirst(c + j, to.beta == 0 ? to.fresh(sum) : to.added(sum, loadFirst<W>(c + j, count)), count);
      }
      continue;
    }
    for (size_t j = 0; j < columns; ++j) {
      T& old = c[j * to.columnStep];
      old = to.beta == 0 ? to.fresh(sums[j]) : to.added(sums[j], old);
    }
  }
}

// R packed rows of A [depth, R] times one packed panel of B [depth, columns], which is padded. Not inlined: everything around it would
// ask for registers. The loops over the tile are unrolled by request, since only then the compiler sees that sums need no memory.
template <class T, size_t R>
__attribute__((noinline)) void multiplyTile(const T* a, const T* b, size_t depth, const Target<T>& to, size_t columns) {
  using W = Vec<T>;
  constexpr size_t V = Tile<T>::vectors, L = Tile<T>::lanes;
  W sum[R][V];
  const bool whole = to.columnStep == 1 && columns == V * L;
#pragma GCC unroll 16
  for (size_t r = 0; r < R; ++r) {
    if (whole) __builtin_prefetch(to.c + r * to.rowStep, 1);
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) sum[r][v] = zero<W>();
  }
#pragma GCC unroll 4
  for (size_t k = 0; k < depth; ++k, a += R, b += V * L) {
    W y[V];
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) y[v] = load<W>(b + v * L);
#pragma GCC unroll 16
    for (size_t r = 0; r < R; ++r) {
      const W x = broadcast<W>(a[r]);
#pragma GCC unroll 4
      for (size_t v = 0; v < V; ++v) sum[r][v] = fma(x, y[v], sum[r][v]);
    }
  }
  if (whole) {
    T* c = to.c;
    const bool fresh = to.beta == 0;
#pragma GCC unroll 16
    for (size_t r = 0; r < R; ++r, c += to.rowStep)
#pragma GCC unroll 4
      for (size_t v = 0; v < V; ++v) store(c + v * L, fresh ? to.fresh(sum[r][v]) : to.added(sum[r][v], load<W>(c + v * L)));
    return;
  }
  T sums[R * V * L];
#pragma GCC unroll 16
  for (size_t r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) store(sums + (r * V + v) * L, sum[r][v]);
  storePart(sums, V * L, to, R, columns);
}

// The rows of the last tile are fewer.
template <class T, size_t R = Tile<T>::rows>
inline void multiplyRows(size_t rows, const T* a, const T* b, size_t depth, const Target<T>& to, size_t columns) {
  if constexpr (R > 1)
    if (rows < R) return multiplyRows<T, R - 1>(rows, a, b, depth, to, columns);
  multiplyTile<T, R>(a, b, depth, to, columns);
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
