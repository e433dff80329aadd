// Matrices as views, what a product is made of, and copies in the order in which tiles read them.
#pragma once
#include "../simd/transpose.h"
#include "matrix_tile.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Element (i, j) is data[i * rowStep + j * columnStep]; at least one step is 1.
template <class T> struct View {
  const T* data;
  size_t rowStep, columnStep;

  View from(size_t row, size_t column) const { return {data + row * rowStep + column * columnStep, rowStep, columnStep}; }
};
template <class T> View<T> rowMajor(const T* data, size_t stride) { return {data, stride, 1}; }
template <class T> View<T> transposed(View<T> v) { return {v.data, v.columnStep, v.rowStep}; }

inline size_t blocksOf(size_t n, size_t size) { return (n + size - 1) / size; }
inline size_t least(size_t a, size_t b) { return a < b ? a : b; }

// Sums enter the result a block of this depth at a time, on every level: the order of addition.
constexpr size_t kDepthBlock = 256;

template <class T> struct Product {
  size_t m, n, k;
  View<T> a, b;
  T* c;
  size_t rowStep, columnStep;
  T alpha, beta;
  bool upper;  // only tiles that touch the upper triangle

  // Where the sums of the block of depth that begins with k go.
  Target<T> target(size_t row, size_t column, size_t depth) const {
    return {c + row * rowStep + column * columnStep, rowStep, columnStep, alpha, depth == 0 ? beta : T(1)};
  }
};

// One panel [depth, width] of a matrix whose columns are contiguous, a cache line of each column at a time: columns a power of two
// apart share a place in the first-level cache, which holds few of them. What squares write beyond the width is overwritten by the
// next row of the panel, if they are taken from right to left, and by the next panel, whose columns are fetched meanwhile.
template <size_t width, class T> void turnPanel(const T* from, size_t columnStep, size_t depth, T* out) {
  constexpr size_t side = kSquare<T>, squares = (width + side - 1) / side, line = 2 * side;
  size_t k = 0;
  for (; k + line <= depth; k += line) {
    for (size_t q = 0; q < width; ++q) __builtin_prefetch(from + (width + q) * columnStep + k);
    for (size_t q = squares; q-- > 0;)
      for (size_t i = k; i < k + line; i += side)
        transposeSquare(from + q * side * columnStep + i, columnStep, out + i * width + q * side, width);
  }
  for (; k < depth; ++k)
    for (size_t q = 0; q < width; ++q) out[k * width + q] = from[q * columnStep + k];
}

// [depth, columns] in panels of `width` columns, each [depth, width] without gaps. The last panel is padded with zeros, or as narrow
// as what is left. kPackSlack elements behind the last one may be overwritten.
constexpr size_t kPackSlack = 16;
// So few columns are packed at a time where they meet one block of rows only.
constexpr size_t kNarrowColumns = 64;
template <size_t width, bool padded, class T> void packPanels(View<T> v, size_t depth, size_t columns, T* out) {
  size_t done = columns / width * width;
  if (v.columnStep == 1) {
    // A few rows at a time: long runs of both what is read and what is written. Where those that are read are short all the same, the
    // processor does not see that they continue with the next call.
    constexpr size_t few = 8;
    const bool fetch = columns <= kNarrowColumns;
    for (size_t k = 0; k < depth; k += few)
      for (size_t j = 0; j < done; j += width)
        for (size_t i = k; i < depth && i < k + few; ++i) {
          const T* from = v.data + i * v.rowStep + j;
          if (fetch) __builtin_prefetch(from + columns);
          __builtin_memcpy(out + j * depth + i * width, from, width * sizeof(T));
        }
  } else {
    // Squares reach as far as a multiple of their side.
    constexpr size_t reach = (width + kSquare<T> - 1) / kSquare<T> * kSquare<T>;
    size_t j = 0;
    for (; j + reach <= columns; j += width) turnPanel<width>(v.data + j * v.columnStep, v.columnStep, depth, out + j * depth);
    done = j;
  }
  for (size_t j = done; j < columns; j += width) {
    const size_t count = columns - j < width ? columns - j : width, wide = padded ? width : count;
    const T* from = v.data + j * v.columnStep;
    T* to = out + j * depth;
    for (size_t k = 0; k < depth; ++k)
      for (size_t q = 0; q < wide; ++q) to[k * wide + q] = q < count ? from[k * v.rowStep + q * v.columnStep] : T(0);
  }
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
