#include "../../cpp/ops/selection.h"
#include "../engine/select.h"
#include "../engine/sort.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

struct TopKOp : TopK {
  static void run(DeviceCall& call) {
    const void* x = LGC_INPUT(void, call, logits);
    const size_t c = call.columns, k = static_cast<size_t>(LGC_OPTION(call, k));
    float* values = LGC_OUTPUT(float, call, values);
    int32_t* indices = LGC_OUTPUT(int32_t, call, indices);
    if (k <= kMostSelected) {
      launch(call, {call.rows, kSelectThreads, sizeof(SelectRoom)}, selectRows, SelectArguments{x, call.storage, c, k, values, indices});
      return;
    }
    const uint32_t* order = orderOf(call, x, largestFirst<float>());
    if (!order) return;
    launch(call, {sortBlocks(call.rows * k), kSortThreads}, gatherRows,
           GatherArguments{x, call.storage, c, k, call.rows * k, order, values, Storage::f32, indices});
  }
};

struct ArgsortOp : Argsort {
  static void run(DeviceCall& call) {
    const void* x = LGC_INPUT(void, call, x);
    const size_t c = call.columns, count = call.rows * c;
    const uint32_t* order = orderOf(call, x, nanLast<float>(LGC_OPTION(call, descending) != 0));
    if (!order) return;
    launch(call, {sortBlocks(count), kSortThreads}, gatherRows,
           GatherArguments{x, call.storage, c, c, count, order, nullptr, Storage::f32, LGC_OUTPUT(int32_t, call, indices)});
  }
};

struct SortOp : Sort {
  static void run(DeviceCall& call) {
    const void* x = LGC_INPUT(void, call, x);
    void* values = LGC_OUTPUT(void, call, values);
    const size_t c = call.columns, count = call.rows * c;
    const uint32_t* order = orderOf(call, x, nanLast<float>(LGC_OPTION(call, descending) != 0));
    // Entries are taken from where they were.
    const void* from = x;
    if (x == values) {
      const size_t bytes = count * bytesOf(call.storage);
      void* copy = call.scratch<char>(bytes);
      if (copy && call.failure == cudaSuccess) call.failure = cudaMemcpyAsync(copy, x, bytes, cudaMemcpyDeviceToDevice, call.stream);
      from = copy;
    }
    if (!order || !from) return;
    launch(call, {sortBlocks(count), kSortThreads}, gatherRows,
           GatherArguments{from, call.storage, c, c, count, order, values, call.storage, LGC_OUTPUT(int32_t, call, indices)});
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(selection, RowLossOp<NllLoss>, TopKOp, ArgsortOp, SortOp)
}  // namespace logitcore
