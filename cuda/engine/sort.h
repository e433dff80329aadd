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

LGC_DEVICE float sortedEntry(const void* x, Storage storage, size_t i, float) { return readOne(x, storage, i); }
LGC_DEVICE double sortedEntry(const void* x, Storage, size_t i, double) { return static_cast<const double*>(x)[i]; }

template <class T> struct KeyArguments {
  const void* x;
  Storage storage;
  size_t columns, count;
  KeyOrder<T> order;
  Bits<T>* keys;
  uint32_t* indices;
};
template <class T> LGC_KERNEL void makeKeys(LGC_ARGUMENT KeyArguments<T> a) {
  for (size_t i = static_cast<size_t>(blockIdx.x) * kSortThreads + threadIdx.x; i < a.count;
       i += static_cast<size_t>(gridDim.x) * kSortThreads) {
    a.keys[i] = a.order(sortedEntry(a.x, a.storage, i, T{}));
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

// Of every row, the indices by key. Both lists are working memory; the one that is returned has the result. Null if memory ran out.
const uint32_t* sortByKey(DeviceCall& call, uint32_t* keys, uint32_t* indices, size_t rows, size_t columns);
const uint32_t* sortByKey(DeviceCall& call, uint64_t* keys, uint32_t* indices, size_t rows, size_t columns);

// The indices of the rows of x in the order of their keys: of logits, or of doubles.
template <class T>
const uint32_t* orderOf(DeviceCall& call, const void* x, Storage storage, size_t rows, size_t columns, KeyOrder<T> order) {
  const size_t count = rows * columns;
  Bits<T>* keys = call.scratch<Bits<T>>(count);
  uint32_t* indices = call.scratch<uint32_t>(count);
  if (!keys || !indices) return nullptr;
  launch(call, {sortBlocks(count), kSortThreads}, makeKeys<T>, KeyArguments<T>{x, storage, columns, count, order, keys, indices});
  return sortByKey(call, keys, indices, rows, columns);
}
inline const uint32_t* orderOf(DeviceCall& call, const void* x, KeyOrder<float> order) {
  return orderOf(call, x, call.storage, call.rows, call.columns, order);
}
// Of rows of doubles, ascending, NaN last.
inline const uint32_t* orderOf(DeviceCall& call, const double* x, size_t rows, size_t columns) {
  return orderOf(call, x, Storage::f32, rows, columns, nanLast<double>(false));
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
