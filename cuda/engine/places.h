// The largest entries of rows in descending order, NaN before all of them, equal ones by index: selected where they are few, else sorted.
#pragma once
#include "select.h"
#include "sort.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct Places {
  const float* values = nullptr;    // [rows, count]
  const uint32_t* order = nullptr;  // their columns, [rows, stride]
  size_t count = 0, stride = 0;
};

// Of rows of logits, as the call stores them. Without values where memory ran out.
inline Places largestPlaces(DeviceCall& call, const void* x, size_t rows, size_t columns, size_t count) {
  Places p;
  p.count = count;
  float* values = call.scratch<float>(rows * count);
  if (count <= kMostSelected) {
    p.stride = count;
    uint32_t* order = call.scratch<uint32_t>(rows * count);
    if (!values || !order) return p;
    launch(call, {rows, kSelectThreads, sizeof(SelectRoom)}, selectRows,
           SelectArguments{x, call.storage, columns, count, values, reinterpret_cast<int32_t*>(order)});
    p.order = order;
  } else {
    p.stride = columns;
    p.order = orderOf(call, x, call.storage, rows, columns, largestFirst<float>());
    if (!values || !p.order) return p;
    launch(call, {sortBlocks(rows * count), kSortThreads}, gatherRows,
           GatherArguments{x, call.storage, columns, count, rows * count, p.order, values, Storage::f32, nullptr});
  }
  p.values = values;
  return p;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
