// Streams over flat arrays: sums in fixed chunks, and elementwise maps. Chunks, not threads, decide the order of addition.
#pragma once
#include "kernel.h"
#include "tiny_rows.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr size_t kChunk = 16 * kBlock;

template <class T> LGC_FN Vec<T> readLanes(const T* p, size_t count, double fill = 0) {
  return count == lanes<Vec<T>> ? load<Vec<T>>(p) : loadFirst<Vec<T>>(p, count, static_cast<T>(fill));
}
template <class T> LGC_FN void writeLanes(T* p, Vec<T> v, size_t count) {
  if (count == lanes<Vec<T>>)
    store(p, v);
  else
    storeFirst(p, v, count);
}

// terms(i, count, W* out): K terms of the lanes i .. i + count; what lies beyond count is ignored. False if memory ran out.
template <class T, int K, class F> inline bool sumOver(Call& call, size_t n, double* sums, F&& terms) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  const size_t chunks = (n + kChunk - 1) / kChunk;
  Scratch<double> partial(call, chunks * K);
  if (!partial) return false;
  parallel(call, chunks, 1, [&](size_t first, size_t last) {
    for (size_t chunk = first; chunk < last; ++chunk) {
      const size_t stop = n - chunk * kChunk < kChunk ? n : (chunk + 1) * kChunk;
      for (size_t start = chunk * kChunk; start < stop; start += kBlock) {
        const size_t end = stop - start < kBlock ? stop : start + kBlock;
        W acc[K];
        for (int k = 0; k < K; ++k) acc[k] = broadcast<W>(0);
        for (size_t i = start; i < end; i += L) {
          const size_t count = end - i < L ? end - i : L;
          W term[K];
          terms(i, count, term);
          for (int k = 0; k < K; ++k) acc[k] = acc[k] + (count == L ? term[k] : select(firstLanes<W>(count), term[k], broadcast<W>(0)));
        }
        for (int k = 0; k < K; ++k) partial[static_cast<size_t>(k) * chunks + chunk] += foldSum(acc[k]);
      }
    }
  });
  for (int k = 0; k < K; ++k) sums[k] = orderedSum(partial + static_cast<size_t>(k) * chunks, chunks);
  return true;
}

// sums[k] += terms over [begin, end) of I arrays in double lanes, where products of float32 numbers are exact. terms(const f64x8* x,
// f64x8* out) of zeros must be zeros.
template <class T, int I, int K, class F> LGC_FN void wideSums(const T* const* arrays, size_t begin, size_t end, double* sums, F&& terms) {
  using W = Vec<T>;
  using H = Halves<T>;
  constexpr size_t L = lanes<W>;
  f64x8 acc[K][H::count];
  for (int k = 0; k < K; ++k)
    for (int h = 0; h < H::count; ++h) acc[k][h] = broadcast<f64x8>(0);
  for (size_t i = begin; i < end; i += L) {
    const size_t count = end - i < L ? end - i : L;
    W x[I];
    for (int a = 0; a < I; ++a) x[a] = readLanes(arrays[a] + i, count);
    for (int h = 0; h < H::count; ++h) {
      f64x8 half[I], term[K];
      for (int a = 0; a < I; ++a) half[a] = H::get(x[a], h);
      terms(half, term);
      for (int k = 0; k < K; ++k) acc[k][h] = acc[k][h] + term[k];
    }
  }
  for (int k = 0; k < K; ++k) sums[k] += sum(H::count == 2 ? acc[k][0] + acc[k][H::count - 1] : acc[k][0]);
}

// The same over flat arrays, in chunks. False if memory ran out.
template <class T, int I, int K, class F> inline bool wideSumsOver(Call& call, const T* const* arrays, size_t n, double* sums, F&& terms) {
  const size_t chunks = (n + kChunk - 1) / kChunk;
  Scratch<double> partial(call, chunks * K);
  if (!partial) return false;
  parallel(call, chunks, 1, [&](size_t first, size_t last) {
    for (size_t chunk = first; chunk < last; ++chunk) {
      const size_t end = n - chunk * kChunk < kChunk ? n : (chunk + 1) * kChunk;
      double part[K] = {};
      wideSums<T, I, K>(arrays, chunk * kChunk, end, part, terms);
      for (int k = 0; k < K; ++k) partial[static_cast<size_t>(k) * chunks + chunk] = part[k];
    }
  });
  for (int k = 0; k < K; ++k) sums[k] = orderedSum(partial + static_cast<size_t>(k) * chunks, chunks);
  return true;
}

// body(i, count) for every vector of lanes.
template <class T, class F> inline void forLanes(Call& call, size_t n, F&& body) {
  constexpr size_t L = lanes<Vec<T>>;
  const size_t chunks = (n + kChunk - 1) / kChunk;
  parallel(call, chunks, 1, [&](size_t first, size_t last) {
    const size_t end = n - (last - 1) * kChunk < kChunk ? n : last * kChunk;
    for (size_t i = first * kChunk; i < end; i += L) body(i, end - i < L ? end - i : L);
  });
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
