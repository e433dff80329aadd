// Flat arrays read as eight doubles at a time, whatever their type: where squares, long sums or small differences would leave
// float32.
#pragma once
#include "tiny_rows.h"
#include "vector.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr size_t kWide = 8;

LGC_FN f64x8 readWide(const double* p, size_t count, double fill = 0) { return loadFirst<f64x8>(p, static_cast<int>(count), fill); }
LGC_FN f64x8 readWide(const float* p, size_t count, double fill = 0) {
  return low(loadFirst<f32x16>(p, static_cast<int>(count), static_cast<float>(fill)));
}
LGC_FN void writeWide(double* p, f64x8 v, size_t count) { storeFirst(p, v, static_cast<int>(count)); }
LGC_FN void writeWide(float* p, f64x8 v, size_t count) { storeFirst(p, narrow(v, v), static_cast<int>(count)); }

// term(i, count) over one row, in its order; what lies beyond count is ignored.
template <class F> LGC_FN double rowSumWide(size_t n, F&& term) {
  f64x8 acc = broadcast<f64x8>(0);
  for (size_t i = 0; i < n; i += kWide) {
    const size_t count = n - i < kWide ? n - i : kWide;
    const f64x8 t = term(i, count);
    acc = acc + (count == kWide ? t : select(firstLanes<f64x8>(static_cast<int>(count)), t, broadcast<f64x8>(0)));
  }
  return sum(acc);
}

template <class A, class B> inline double dotWide(const A* a, const B* b, size_t n) {
  return rowSumWide(n, [&](size_t i, size_t count) LGC_LAMBDA { return readWide(a + i, count) * readWide(b + i, count); });
}

// A Euclidean norm from squares(scale), the sum of squares of the scaled values: doubles beyond 1e150 or below 1e-140 are
// scaled by a power of two first. Squares of floats cannot leave double.
template <class T, class F> inline double normFrom(F&& squares) {
  const double plain = squares(1.0);
  if (sizeof(T) == 4 || (plain > 1e-280 && plain < 1e300) || isNan(plain)) return sqrt(plain);
  const double scale = plain < 1 ? 0x1p600 : 0x1p-600;
  return sqrt(squares(scale)) / scale;
}
template <class T> inline double rowNorm(const T* x, size_t n) {
  return normFrom<T>([&](double scale) {
    return rowSumWide(n, [&](size_t i, size_t count) LGC_LAMBDA {
      const f64x8 v = readWide(x + i, count) * scale;
      return v * v;
    });
  });
}
// The same over threads, in chunks of a fixed length. False if memory ran out.
template <class T> inline bool vectorNorm(Call& call, const T* x, size_t n, double& norm) {
  using W = Vec<T>;
  using H = Halves<T>;
  constexpr size_t L = lanes<W>;
  const size_t chunks = (n + kChunk - 1) / kChunk;
  Scratch<double> partial(call, chunks);
  if (!partial) return false;
  norm = normFrom<T>([&](double scale) {
    parallel(call, chunks, 1, [&](size_t first, size_t last) {
      for (size_t chunk = first; chunk < last; ++chunk) {
        const size_t end = n - chunk * kChunk < kChunk ? n : (chunk + 1) * kChunk;
        f64x8 squares[2] = {broadcast<f64x8>(0), broadcast<f64x8>(0)};
        for (size_t i = chunk * kChunk; i < end; i += L) {
          const W v = readLanes(x + i, end - i < L ? end - i : L);
          for (int h = 0; h < H::count; ++h) {
            const f64x8 w = H::get(v, h) * scale;
            squares[h] = fma(w, w, squares[h]);
          }
        }
        partial[chunk] = sum(squares[0] + squares[1]);
      }
    });
    return orderedSum(partial, chunks);
  });
  return true;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
