// The innermost part of a matrix product: a tile of the result in registers, and how it enters the result.
#pragma once
#include "kernel.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// A tile has `rows` rows of `vectors` vectors. Its accumulators, one row of B and one element of A fill the registers: 16 of half
// a vector each with AVX2, 32 whole ones with AVX-512, 32 of a quarter with NEON.
template <class T> struct Tile {
#if LC_LEVEL_ID == LC_LEVEL_ID_avx512
  static constexpr size_t rows = 12, vectors = 2;
#elif LC_LEVEL_ID == LC_LEVEL_ID_portable
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

  template <class V> LC_FN V fresh(V sum) const { return broadcast<V>(alpha) * sum; }
  template <class V> LC_FN V added(V sum, V old) const { return fma(broadcast<V>(alpha), sum, broadcast<V>(beta) * old); }
};

template <class T, size_t R> LC_FN void storeTile(const Vec<T> (&sum)[R][Tile<T>::vectors], const Target<T>& to, size_t columns) {
  using W = Vec<T>;
  constexpr size_t V = Tile<T>::vectors, L = Tile<T>::lanes;
  if (to.columnStep == 1) {
    for (size_t r = 0; r < R; ++r)
      for (size_t v = 0; v < V; ++v) {
        T* c = to.c + r * to.rowStep + v * L;
        if (columns >= (v + 1) * L) {
          store(c, to.beta == 0 ? to.fresh(sum[r][v]) : to.added(sum[r][v], load<W>(c)));
        } else if (columns > v * L) {
          const int count = static_cast<int>(columns - v * L);
          storeFirst(c, to.beta == 0 ? to.fresh(sum[r][v]) : to.added(sum[r][v], loadFirst<W>(c, count)), count);
        }
      }
    return;
  }
  T lane[R * V * L];
  for (size_t r = 0; r < R; ++r)
    for (size_t v = 0; v < V; ++v) store(lane + (r * V + v) * L, sum[r][v]);
  for (size_t j = 0; j < columns; ++j)
    for (size_t r = 0; r < R; ++r) {
      T& c = to.c[r * to.rowStep + j * to.columnStep];
      const T s = lane[r * V * L + j];
      c = to.beta == 0 ? to.fresh(s) : to.added(s, c);
    }
}

// R packed rows of A [depth, R] times one packed panel of B [depth, columns], which is padded.
template <class T, size_t R> inline void multiplyTile(const T* a, const T* b, size_t depth, const Target<T>& to, size_t columns) {
  using W = Vec<T>;
  constexpr size_t V = Tile<T>::vectors, L = Tile<T>::lanes;
  W sum[R][V];
  for (size_t r = 0; r < R; ++r)
    for (size_t v = 0; v < V; ++v) sum[r][v] = zero<W>();
  for (size_t k = 0; k < depth; ++k, a += R, b += V * L) {
    W y[V];
    for (size_t v = 0; v < V; ++v) y[v] = load<W>(b + v * L);
    for (size_t r = 0; r < R; ++r) {
      const W x = broadcast<W>(a[r]);
      for (size_t v = 0; v < V; ++v) sum[r][v] = fma(x, y[v], sum[r][v]);
    }
  }
  storeTile<T, R>(sum, to, columns);
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
