// Products of matrices, blocked for caches and registers, in float and double.
//
// Element (i, j) of a product is a sum over k in ascending order by fused multiply-adds from 0, over blocks of kDepthBlock, and
// each block enters the result by one formula (Target). So it depends on row i of A, column j of B and the result's own old value
// only: not on the level, the threads, the tiles, the other rows and columns, nor on which of the two matrices is transposed.
#pragma once
#include "matrix_thin.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// A panel of B [kDepthBlock, Tile::columns] stays in the first-level cache while all tiles of a block of A, which stays in the
// second-level cache, pass over it. None of this is seen in results. Rows are a multiple of every level's tile.
constexpr size_t kWideColumns = 1024, kRunColumns = 4096, kItemColumns = 256;
template <class T> constexpr size_t kRowsOfBlock = 768 / sizeof(T);
// Fused multiply-adds that are worth a thread.
constexpr size_t kGrainProducts = size_t{1} << 19;

// One block of packed rows, which begins with `row`, times packed columns from `column` on.
template <class T>
void multiplyPanels(const Product<T>& p, const T* a, const T* b, size_t k, size_t row, size_t rows, size_t column, size_t columns) {
  using Size = Tile<T>;
  const size_t depth = least(p.k - k, kDepthBlock);
  for (size_t j = 0; j < columns; j += Size::columns)
    for (size_t i = 0; i < rows; i += Size::rows) {
      const size_t width = least(columns - j, Size::columns);
      if (p.upper && row + i >= column + j + width) break;
      multiplyRows<T>(rows - i, a + i * depth, b + j * depth, depth, p.target(row + i, column + j, k), width);
    }
}

// The result's rows [row, lastRow) and columns [column, lastColumn), by one thread. If the rows are one block, it is packed once for all
// columns, and these, packed for it alone, stay in the nearest cache.
template <class T> void multiplyBlocks(Call& call, const Product<T>& p, size_t row, size_t lastRow, size_t column, size_t lastColumn) {
  using Size = Tile<T>;
  const bool once = lastRow - row <= kRowsOfBlock<T>;
  const size_t depthMost = least(p.k, kDepthBlock), rowsMost = least(lastRow - row, kRowsOfBlock<T>),
               wide = least(lastColumn - column, once ? kRunColumns : kWideColumns),
               columnsMost = once ? least(wide, kNarrowColumns) : wide;
  Scratch<T> a(call, depthMost * rowsMost + kPackSlack, false),
      b(call, depthMost * blocksOf(columnsMost, Size::columns) * Size::columns + kPackSlack, false);
  if (!a || !b) return;
  const auto packRows = [&](size_t i, size_t k, size_t rows, size_t depth) {
    packPanels<Size::rows, false>(transposed(p.a.from(i, k)), depth, rows, static_cast<T*>(a));
  };
  for (size_t from = column; from < lastColumn; from += wide)
    for (size_t k = 0; k == 0 || k < p.k; k += kDepthBlock) {
      const size_t depth = least(p.k - k, kDepthBlock), to = least(lastColumn, from + wide);
      if (once) packRows(row, k, rowsMost, depth);
      for (size_t j = from; j < to; j += columnsMost) {
        const size_t columns = least(to - j, columnsMost);
        if (p.upper && row >= j + columns) continue;
        packPanels<Size::columns, true>(p.b.from(k, j), depth, columns, static_cast<T*>(b));
        for (size_t i = row; i < lastRow; i += rowsMost) {
          const size_t rows = least(lastRow - i, rowsMost);
          if (p.upper && i >= j + columns) break;
          if (!once) packRows(i, k, rows, depth);
          multiplyPanels<T>(p, a, b, k, i, rows, j, columns);
        }
      }
    }
}

// Threads take runs of items, which are blocks of rows and of columns, rows first: a run has a part of a column of blocks in front and
// one behind, and between them whole columns of blocks, which share what is packed.
template <class T> void multiplyAll(Call& call, Product<T> p) {
  if (p.m == 0 || p.n == 0) return;
  if (p.m <= kThinRows && p.n >= Tile<T>::lanes && !p.upper) {
    const size_t done = multiplyThin(call, p);
    p.b = p.b.from(0, done);
    p.c += done * p.columnStep;
    p.n -= done;
    if (p.n == 0) return;
  }
  constexpr size_t tall = kRowsOfBlock<T>;
  const size_t high = blocksOf(p.m, tall), wide = blocksOf(p.n, kItemColumns);
  const size_t work = least(p.m, tall) * least(p.n, kItemColumns) * (p.k + 1);
  parallel(call, high * wide, kGrainProducts / work + 1, [&](size_t begin, size_t end) {
    while (begin < end) {
      const size_t from = begin % high, whole = from == 0 ? (end - begin) / high : 0,
                   count = whole ? whole * high : least(high - from, end - begin);
      const size_t column = begin / high * kItemColumns, columns = (whole ? whole : 1) * kItemColumns;
      multiplyBlocks(call, p, from * tall, least(p.m, (from + count) * tall), column, least(p.n, column + columns));
      begin += count;
    }
  });
}

// c [m, n] = alpha a [m, k] b [k, n] + beta c. With beta 0 c is not read. Memory running out leaves c half written and marks the call.
template <class T>
void multiply(Call& call, size_t m, size_t n, size_t k, double alpha, View<T> a, View<T> b, double beta, T* c, size_t stride) {
  const T scale = static_cast<T>(alpha), keep = static_cast<T>(beta);
  // Lanes are columns. A result with fewer columns than lanes is computed transposed.
  if (n < Tile<T>::lanes && n < m)
    multiplyAll<T>(call, {n, m, k, transposed(b), transposed(a), c, 1, stride, scale, keep, false});
  else
    multiplyAll<T>(call, {m, n, k, a, b, c, stride, 1, scale, keep, false});
}

// c [m, n] = a [m, k] b [k, n], without gaps.
template <class T> void multiply(Call& call, size_t m, size_t n, size_t k, View<T> a, View<T> b, T* c) {
  multiply<T>(call, m, n, k, 1, a, b, 0, c, n);
}

// Hands a [m, k] b [k, n] over in finished tiles, eat(row, column, rows, columns, const T* tile, stride), and stores no more of it than
// a slab. Rows go in groups of kEatenRows (the last one smaller). The tiles of a group come one after another, from left to right, each
// kEatenColumns wide but the last; those of different groups come at the same time. Sizes and order depend on nothing else, and the bits
// are those of multiply.
constexpr size_t kEatenRows = 8, kEatenColumns = 1024, kSlab = size_t{1} << 19, kSlabRows = 256;
template <class T, class Eat> void multiplyTiles(Call& call, size_t m, size_t n, size_t k, View<T> a, View<T> b, Eat&& eat) {
  if (m == 0 || n == 0) return;
  const size_t high = least(m, kSlabRows), wide = least(n, kSlab / high / kEatenColumns * kEatenColumns);
  Scratch<T> slab(call, high * wide, false);
  if (!slab) return;
  for (size_t i = 0; i < m; i += high)
    for (size_t j = 0; j < n; j += wide) {
      const size_t rows = least(m - i, high), columns = least(n - j, wide);
      multiply<T>(call, rows, columns, k, 1, a.from(i, 0), b.from(0, j), 0, slab, wide);
      if (call.outOfMemory) return;
      parallel(call, blocksOf(rows, kEatenRows), kGrainElements / (kEatenRows * columns) + 1, [&](size_t begin, size_t end) {
        for (size_t r = begin * kEatenRows; r < rows && r < end * kEatenRows; r += kEatenRows)
          for (size_t q = 0; q < columns; q += kEatenColumns)
            eat(i + r, j + q, least(rows - r, kEatenRows), least(columns - q, kEatenColumns), static_cast<const T*>(slab) + r * wide + q,
                wide);
      });
    }
}

// c [n, n] = alpha (a b + (a b)^T) + beta c for a [n, k] and b [k, n]. Only the upper triangle of c is read, and with beta 0 none of it;
// the result is symmetric to the bit. An element is summed over a b first, then over its transpose.
template <class T>
void symmetricUpdate(Call& call, size_t n, size_t k, double alpha, View<T> a, View<T> b, double beta, T* c, size_t stride) {
  const T scale = static_cast<T>(alpha);
  multiplyAll<T>(call, {n, n, k, a, b, c, stride, 1, scale, static_cast<T>(beta), true});
  multiplyAll<T>(call, {n, n, k, transposed(b), transposed(a), c, stride, 1, scale, T(1), true});
  constexpr size_t side = 32;
  parallel(call, blocksOf(n, side), kGrainElements / (side * (n + 1)) + 1, [&](size_t begin, size_t end) {
    for (size_t from = begin * side; from < n && from < end * side; from += side)
      for (size_t left = 0; left <= from; left += side)
        for (size_t i = from; i < n && i < from + side; ++i)
          for (size_t j = left; j < i && j < left + side; ++j) c[i * stride + j] = c[j * stride + i];
  });
}

// y [m] = alpha a [m, n] x + beta y. The bits are those of multiply with x as its only column.
template <class T> void matrixVector(Call& call, size_t m, size_t n, double alpha, View<T> a, const T* x, double beta, T* y) {
  multiply<T>(call, m, 1, n, alpha, a, rowMajor(x, 1), beta, y, 1);
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
