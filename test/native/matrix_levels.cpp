// The products of cpp/engine/matrix.h, compiled once per level; see matrix_check.cpp and matrix_bench.cpp.
#include "matrix_levels.h"

#include <atomic>

#include "../../cpp/engine/matrix.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

template <class T> View<T> left(const MatrixCase<T>& p) { return {p.a, p.aRowStep, p.aColumnStep}; }
template <class T> View<T> right(const MatrixCase<T>& p) { return {p.b, p.bRowStep, p.bColumnStep}; }

template <class T> void runMultiply(Call& call, const MatrixCase<T>& p) {
  multiply(call, p.m, p.n, p.k, p.alpha, left(p), right(p), p.beta, p.c, p.stride);
}
template <class T> void runSymmetric(Call& call, const MatrixCase<T>& p) {
  symmetricUpdate(call, p.n, p.k, p.alpha, left(p), right(p), p.beta, p.c, p.stride);
}
template <class T> void runVector(Call& call, const MatrixCase<T>& p) { matrixVector(call, p.m, p.k, p.alpha, left(p), p.b, p.beta, p.c); }

template <class T> bool runTiles(Call& call, const MatrixCase<T>& p) {
  const std::size_t groups = blocksOf(p.m, kEatenRows);
  Scratch<std::size_t> next(call, groups);
  if (!next) return false;
  std::size_t* column = next;
  std::atomic<bool> ordered{true};
  multiplyTiles(call, p.m, p.n, p.k, left(p), right(p),
                [&](std::size_t row, std::size_t from, std::size_t rows, std::size_t columns, const T* tile, std::size_t stride) {
                  const std::size_t group = row / kEatenRows;
                  if (row % kEatenRows != 0 || rows != least(p.m - row, kEatenRows) || from != column[group] ||
                      columns != least(p.n - from, kEatenColumns))
                    ordered = false;
                  column[group] = from + columns;
                  for (std::size_t i = 0; i < rows; ++i)
                    for (std::size_t j = 0; j < columns; ++j) p.c[(row + i) * p.stride + from + j] = tile[i * stride + j];
                });
  for (std::size_t i = 0; i < groups; ++i)
    if (column[i] != p.n) ordered = false;
  return ordered;
}

template <class T> double peak(long steps, T* sink) {
  using W = Vec<T>;
  constexpr int count = static_cast<int>(Tile<T>::rows * Tile<T>::vectors);
  W sum[count];
  for (int i = 0; i < count; ++i) sum[i] = broadcast<W>(sink[i]);
  const W x = broadcast<W>(sink[count]), y = broadcast<W>(sink[count + 1]);
  for (long k = 0; k < steps; ++k)
    for (int i = 0; i < count; ++i) sum[i] = fma(x, sum[i], y);
  for (int i = 0; i < count; ++i) store(sink + i * lanes<W>, sum[i]);
  return static_cast<double>(steps) * count * lanes<W>;
}

template <class T> constexpr MatrixFunctions<T> functions() {
  return {&runMultiply<T>, &runTiles<T>, &runSymmetric<T>, &runVector<T>, &peak<T>};
}

}  // namespace
}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore

#define MATRIX_TEXT_RAW(x) #x
#define MATRIX_TEXT(x) MATRIX_TEXT_RAW(x)

extern "C" {
extern const MatrixLevel LGC_PASTE(matrixLevel_, LOGITCORE_LEVEL);
}

const MatrixLevel LGC_PASTE(matrixLevel_, LOGITCORE_LEVEL) = {MATRIX_TEXT(LOGITCORE_LEVEL), logitcore::LOGITCORE_LEVEL::functions<float>(),
                                                              logitcore::LOGITCORE_LEVEL::functions<double>()};
