// C = alpha op(A) op(B) + beta C in float32, or in double where products that are nearly equal are compared. A block has a tile of C in
// registers, 4 x 4 a thread, and takes the tiles of A and B through its memory. Every entry is summed in the order of k, whatever the
// shapes. Large products are left to cuBLASLt where there is one.
#pragma once
#include "../runtime/blas.h"
#include "launch.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr unsigned kTile = 64, kTileDepth = 16, kTileThreads = 256, kTilePart = 4, kTileStride = kTile + 4;

// Where the entry of row i and column k is: at + i * row + k * column.
template <class T> struct StridedOf {
  const T* at;
  size_t row, column;
};
template <class T> struct MatrixArgumentsOf {
  StridedOf<T> a, b;
  T* c;
  size_t rows, columns, depth;
  T alpha, beta;
};
using Strided = StridedOf<float>;
using MatrixArguments = MatrixArgumentsOf<float>;
template <class T> StridedOf<T> rowMajor(const T* at, size_t columns) { return {at, columns, 1}; }
template <class T> StridedOf<T> transposed(const StridedOf<T>& m) { return {m.at, m.column, m.row}; }

template <class T> struct MatrixRoom {
  T a[kTileDepth][kTileStride], b[kTileDepth][kTileStride];
};

template <class T> LGC_FN size_t tilesOf(const MatrixArgumentsOf<T>& m) {
  return (m.rows + kTile - 1) / kTile * ((m.columns + kTile - 1) / kTile);
}

// A tile of C, by the kTileThreads threads of a block.
template <class T> LGC_DEVICE void multiplyTile(const MatrixArgumentsOf<T>& m, size_t tile, MatrixRoom<T>& room) {
  const size_t across = (m.columns + kTile - 1) / kTile, top = tile / across * kTile, left = tile % across * kTile;
  const unsigned t = threadIdx.x, i0 = t / 16 * kTilePart, j0 = t % 16 * kTilePart;
  T sum[kTilePart][kTilePart] = {};
  // Neighbouring threads read neighbouring entries, whichever way a matrix lies.
  const bool aAlong = m.a.column == 1, bAlong = m.b.column == 1;
  for (size_t k0 = 0; k0 < m.depth; k0 += kTileDepth) {
    for (unsigned q = t; q < kTile * kTileDepth; q += kTileThreads) {
      const unsigned ia = aAlong ? q / kTileDepth : q % kTile, ka = aAlong ? q % kTileDepth : q / kTile;
      const unsigned jb = bAlong ? q % kTile : q / kTileDepth, kb = bAlong ? q / kTile : q % kTileDepth;
      const bool insideA = top + ia < m.rows && k0 + ka < m.depth, insideB = left + jb < m.columns && k0 + kb < m.depth;
      room.a[ka][ia] = insideA ? m.a.at[(top + ia) * m.a.row + (k0 + ka) * m.a.column] : T(0);
      room.b[kb][jb] = insideB ? m.b.at[(k0 + kb) * m.b.row + (left + jb) * m.b.column] : T(0);
    }
    __syncthreads();
    // The rest of a tile would add 0 * 0, which is not nothing to a sum of -0.
    const unsigned depth = m.depth - k0 < kTileDepth ? static_cast<unsigned>(m.depth - k0) : kTileDepth;
    for (unsigned k = 0; k < depth; ++k) {
      T x[kTilePart], y[kTilePart];
      LGC_UNROLL
      for (unsigned i = 0; i < kTilePart; ++i) {
        x[i] = room.a[k][i0 + i];
        y[i] = room.b[k][j0 + i];
      }
      LGC_UNROLL
      for (unsigned i = 0; i < kTilePart; ++i)
        for (unsigned j = 0; j < kTilePart; ++j) sum[i][j] = fma(x[i], y[j], sum[i][j]);
    }
    __syncthreads();
  }
  for (unsigned i = 0; i < kTilePart; ++i)
    for (unsigned j = 0; j < kTilePart; ++j) {
      if (top + i0 + i >= m.rows || left + j0 + j >= m.columns) continue;
      T* to = m.c + (top + i0 + i) * m.columns + left + j0 + j;
      *to = m.beta == 0 ? m.alpha * sum[i][j] : fma(m.alpha, sum[i][j], m.beta * *to);
    }
}

template <class T> LGC_KERNEL void multiplyTiles(LGC_ARGUMENT MatrixArgumentsOf<T> m) {
  multiplyTile(m, blockIdx.x, *reinterpret_cast<MatrixRoom<T>*>(sharedMemory()));
}
template <class T> void multiplyMatrices(DeviceCall& call, const MatrixArgumentsOf<T>& m) {
  const bool turnA = m.a.column != 1, turnB = m.b.column != 1;
  if (multiplyByLibrary(call, {m.a.at, m.b.at, m.c, m.rows, m.columns, m.depth, turnA ? m.a.column : m.a.row, turnB ? m.b.column : m.b.row,
                               turnA, turnB, sizeof(T) == sizeof(double), static_cast<double>(m.alpha), static_cast<double>(m.beta)}))
    return;
  launch(call, {tilesOf(m), kTileThreads, sizeof(MatrixRoom<T>)}, multiplyTiles<T>, m);
}
inline void multiply(DeviceCall& call, const MatrixArguments& m) { multiplyMatrices(call, m); }
inline void multiply(DeviceCall& call, const MatrixArgumentsOf<double>& m) { multiplyMatrices(call, m); }

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
