// Matrices as views, and their copies in the order in which tiles read them.
#pragma once
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

// [depth, columns] in panels of `width` columns, each [depth, width] without gaps. The last panel is padded with zeros, or as narrow
// as what is left.
template <size_t width, bool padded, class T> void packPanels(View<T> v, size_t depth, size_t columns, T* out) {
  for (size_t j = 0; j < columns; j += width, out += depth * width) {
    const size_t count = columns - j < width ? columns - j : width, wide = padded ? width : count;
    const T* from = v.data + j * v.columnStep;
    for (size_t k = 0; k < depth; ++k)
      for (size_t q = 0; q < wide; ++q) out[k * wide + q] = q < count ? from[k * v.rowStep + q * v.columnStep] : T(0);
  }
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
