// Stable sorts of rows by key: equal values keep their order in both directions, NaN comes last. The order of keys and indices is that of
// the CPU, so that the result is the same.
#pragma once
#include "../../cpp/engine/key_order.h"
#include "launch.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr unsigned kSortThreads = 256;
constexpr size_t kMostSortBlocks = 65536;
inline size_t sortBlocks(size_t count) {
  const size_t blocks = (count + kSortThreads - 1) / kSortThreads;
  return blocks < kMostSortBlocks ? blocks : kMostSortBlocks;
}

struct KeyArguments {
  const void* x;
  Storage storage;
  size_t columns, count;
  KeyOrder<float> order;
  uint32_t* keys;
  uint32_t* indices;
};
static LGC_KERNEL void makeKeys(LGC_ARGUMENT KeyArguments a) {
  for (size_t i = static_cast<size_t>(blockIdx.x) * kSortThreads + threadIdx.x; i < a.count;
       i += static_cast<size_t>(gridDim.x) * kSortThreads) {
    a.keys[i] = a.order(readOne(a.x, a.storage, i));
    a.indices[i] = static_cast<uint32_t>(i % a.columns);
  }
}

// The first `taken` entries of every row in their order.
struct GatherArguments {
  const void* x;
  Storage storage;
  size_t columns, taken, count;
  const uint32_t* order;
  void* values;
  Storage valueStorage;
  int32_t* indices;
};
static LGC_KERNEL void gatherRows(LGC_ARGUMENT GatherArguments a) {
  for (size_t i = static_cast<size_t>(blockIdx.x) * kSortThreads + threadIdx.x; i < a.count;
       i += static_cast<size_t>(gridDim.x) * kSortThreads) {
    const size_t row = i / a.taken, j = a.order[row * a.columns + i % a.taken];
    if (a.values) writeOne(a.values, a.valueStorage, i, readOne(a.x, a.storage, row * a.columns + j));
    if (a.indices) a.indices[i] = static_cast<int32_t>(j);
  }
}

// Of every row, the indices by key. Both lists are working memory; the one that is returned has the result.
const uint32_t* sortByKey(DeviceCall& call, uint32_t* keys, uint32_t* indices, size_t rows, size_t columns);

// The indices of the rows of x in the order of their keys.
inline const uint32_t* orderOf(DeviceCall& call, const void* x, Storage storage, size_t rows, size_t columns, KeyOrder<float> order) {
  const size_t count = rows * columns;
  uint32_t *keys = call.scratch<uint32_t>(count), *indices = call.scratch<uint32_t>(count);
  if (!keys || !indices) return nullptr;
  launch(call, {sortBlocks(count), kSortThreads}, makeKeys, KeyArguments{x, storage, columns, count, order, keys, indices});
  return sortByKey(call, keys, indices, rows, columns);
}
inline const uint32_t* orderOf(DeviceCall& call, const void* x, KeyOrder<float> order) {
  return orderOf(call, x, call.storage, call.rows, call.columns, order);
}

// Half of the keys of doubles: of their entries in order, or of those that `order` names.
struct HalfKeyArguments {
  const double* x;
  size_t columns, count;
  const uint32_t* order;  // null: as they stand
  unsigned shift;
  uint32_t* keys;
  uint32_t* indices;
};
static LGC_KERNEL void makeHalfKeys(LGC_ARGUMENT HalfKeyArguments a) {
  const KeyOrder<double> order = nanLast<double>(false);
  for (size_t i = static_cast<size_t>(blockIdx.x) * kSortThreads + threadIdx.x; i < a.count;
       i += static_cast<size_t>(gridDim.x) * kSortThreads) {
    const uint32_t j = a.order ? a.order[i] : static_cast<uint32_t>(i % a.columns);
    a.keys[i] = static_cast<uint32_t>(order(a.x[i - i % a.columns + j]) >> a.shift);
    a.indices[i] = j;
  }
}

// The indices of rows of doubles in ascending order, NaN last: by the lower half of the keys, then by the upper.
inline const uint32_t* orderOf(DeviceCall& call, const double* x, size_t rows, size_t columns) {
  const size_t count = rows * columns;
  const uint32_t* order = nullptr;
  for (unsigned shift = 0; shift < 64; shift += 32) {
    uint32_t *keys = call.scratch<uint32_t>(count), *indices = call.scratch<uint32_t>(count);
    if (!keys || !indices) return nullptr;
    launch(call, {sortBlocks(count), kSortThreads}, makeHalfKeys, HalfKeyArguments{x, columns, count, order, shift, keys, indices});
    order = sortByKey(call, keys, indices, rows, columns);
    if (!order) return nullptr;
  }
  return order;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
