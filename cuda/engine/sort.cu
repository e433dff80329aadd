#include "sort.h"

#if defined(__CUDACC__)
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/transform_iterator.h>

#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_segmented_sort.cuh>
#else
#include <algorithm>
#include <numeric>
#include <vector>
#endif

namespace logitcore {
namespace LOGITCORE_LEVEL {

#if defined(__CUDACC__)

namespace {

// Rows that fill the device by themselves are sorted one after the other.
constexpr size_t kLongRow = 1 << 18;

struct RowStartAt {
  long long columns;
  __host__ __device__ long long operator()(long long row) const { return row * columns; }
};

template <class K> const uint32_t* sortKeys(DeviceCall& call, K* keys, uint32_t* indices, size_t rows, size_t columns) {
  const size_t count = rows * columns;
  K* sortedKeys = call.scratch<K>(count);
  uint32_t* sorted = call.scratch<uint32_t>(count);
  if (!sortedKeys || !sorted || count == 0) return sorted;
  const bool byRow = rows == 1 || (columns >= kLongRow && rows < 64);
  const auto starts = thrust::make_transform_iterator(thrust::make_counting_iterator(0ll), RowStartAt{static_cast<long long>(columns)});
  const auto sortAll = [&](void* room, size_t& bytes) {
    return cub::DeviceSegmentedSort::StableSortPairs(room, bytes, keys, sortedKeys, indices, sorted, static_cast<long long>(count),
                                                     static_cast<long long>(rows), starts, starts + 1, call.stream);
  };
  const auto sortRow = [&](void* room, size_t& bytes, size_t at) {
    return cub::DeviceRadixSort::SortPairs(room, bytes, keys + at, sortedKeys + at, indices + at, sorted + at,
                                           static_cast<long long>(columns), 0, 8 * sizeof(K), call.stream);
  };
  size_t bytes = 0;
  call.failure = byRow ? sortRow(nullptr, bytes, 0) : sortAll(nullptr, bytes);
  void* room = call.failure == cudaSuccess ? call.scratch<char>(bytes) : nullptr;
  if (!room) return sorted;
  if (!byRow) call.failure = sortAll(room, bytes);
  for (size_t i = 0; byRow && i < rows && call.failure == cudaSuccess; ++i) call.failure = sortRow(room, bytes, i * columns);
  return sorted;
}

}  // namespace

#else

namespace {

template <class K> const uint32_t* sortKeys(DeviceCall& call, K* keys, uint32_t* indices, size_t rows, size_t columns) {
  if (call.failure != cudaSuccess) return indices;
  std::vector<uint32_t> places(columns), sorted(columns);
  for (size_t i = 0; i < rows; ++i) {
    const K* row = keys + i * columns;
    uint32_t* from = indices + i * columns;
    std::iota(places.begin(), places.end(), 0u);
    std::stable_sort(places.begin(), places.end(), [&](uint32_t a, uint32_t b) { return row[a] < row[b]; });
    std::transform(places.begin(), places.end(), sorted.begin(), [&](uint32_t place) { return from[place]; });
    std::copy(sorted.begin(), sorted.end(), from);
  }
  return indices;
}

}  // namespace

#endif

const uint32_t* sortByKey(DeviceCall& call, uint32_t* keys, uint32_t* indices, size_t rows, size_t columns) {
  return sortKeys(call, keys, indices, rows, columns);
}
const uint32_t* sortByKey(DeviceCall& call, uint64_t* keys, uint32_t* indices, size_t rows, size_t columns) {
  return sortKeys(call, keys, indices, rows, columns);
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
