// Matrices as views, and their copies in the order in which tiles read them.
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

// One panel [depth, width] of a matrix whose columns are contiguous. What squares write beyond the width is overwritten by the next
// row of the panel, if they are taken from right to left, and by the next panel.
template <size_t width, class T> void turnPanel(const T* from, size_t columnStep, size_t depth, T* out) {
  constexpr size_t side = kSquare<T>, squares = (width + side - 1) / side;
  size_t k = 0;
  for (; k + side <= depth; k += side)
    for (size_t q = squares; q-- > 0;) transposeSquare(from + q * side * columnStep + k, columnStep, out + k * width + q * side, width);
  for (; k < depth; ++k)
    for (size_t q = 0; q < width; ++q) out[k * width + q] = from[q * columnStep + k];
}

// [depth, columns] in panels of `width` columns, each [depth, width] without gaps. The last panel is padded with zeros, or as narrow
// as what is left. kPackSlack elements behind the last one may be overwritten.
constexpr size_t kPackSlack = 16;
template <size_t width, bool padded, class T> void packPanels(View<T> v, size_t depth, size_t columns, T* out) {
  size_t done = columns / width * width;
  if (v.columnStep == 1) {
    // A few rows at a time: long runs of both what is read and what is written.
    constexpr size_t few = 8;
    for (size_t k = 0; k < depth; k += few)
      for (size_t j = 0; j < done; j += width)
        for (size_t i = k; i < depth && i < k + few; ++i)
          __builtin_memcpy(out + j * depth + i * width, v.data + i * v.rowStep + j, width * sizeof(T));
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
