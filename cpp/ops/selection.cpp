#include "selection.h"

#include "../engine/family.h"
#include "../engine/select.h"
#include "../engine/value_sort.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct TopKOp : TopK {
  template <class T> static void run(Call& call) {
    const T* logits = LGC_INPUT(T, call, logits);
    T* values = LGC_OUTPUT(T, call, values);
    int32_t* indices = LGC_OUTPUT(int32_t, call, indices);
    const size_t c = call.columns, k = static_cast<size_t>(LGC_OPTION(call, k));
    parallel(call, call.rows, rowGrain(c), [&](size_t begin, size_t end) {
      const size_t capacity = selectCapacity(c, k);
      Scratch<SortItem> list(call, capacity), spare(call, capacity);
      if (!list || !spare) return;
      for (size_t i = begin; i < end; ++i) {
        const T* x = logits + i * c;
        const SortItem* top = selectLargest<T>(x, c, k, list, spare);
        for (size_t r = 0; r < k; ++r) {
          values[i * k + r] = x[top[r].index];
          indices[i * k + r] = static_cast<int32_t>(top[r].index);
        }
      }
    });
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

// Rows by threads; a few long rows one after another, each by all threads.
template <class F> inline void eachRow(Call& call, F&& sortRow) {
  const size_t c = call.columns;
  if (c >= kSplitSort && call.rows < 8) {
    Scratch<SortItem> scratch(call, 2 * c, false);
    if (!scratch) return;
    for (size_t i = 0; i < call.rows; ++i) sortRow(i, scratch, &call);
    return;
  }
  parallel(call, call.rows, rowGrain(c), [&](size_t begin, size_t end) {
    Scratch<SortItem> scratch(call, 2 * c, false);
    if (!scratch) return;
    for (size_t i = begin; i < end; ++i) sortRow(i, scratch, nullptr);
  });
}
template <class T> inline void orderOfRow(Call* threads, const T* x, size_t c, bool descending, int32_t* indices, SortItem* scratch) {
  uint32_t* order = reinterpret_cast<uint32_t*>(indices);
  if (threads)
    argsort(*threads, x, c, descending, order, scratch);
  else
    argsort(x, c, descending, order, scratch);
}

struct ArgsortOp : Argsort {
  template <class T> static void run(Call& call) {
    const T* x = LGC_INPUT(T, call, x);
    int32_t* indices = LGC_OUTPUT(int32_t, call, indices);
    const size_t c = call.columns;
    const bool descending = LGC_OPTION(call, descending) != 0;
    eachRow(call,
            [&](size_t i, SortItem* scratch, Call* threads) { orderOfRow(threads, x + i * c, c, descending, indices + i * c, scratch); });
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct SortOp : Sort {
  template <class T> static void run(Call& call) {
    const T* x = LGC_INPUT(T, call, x);
    T* values = LGC_OUTPUT(T, call, values);
    int32_t* indices = LGC_OUTPUT(int32_t, call, indices);
    const size_t c = call.columns;
    const bool descending = LGC_OPTION(call, descending) != 0;
    eachRow(call, [&](size_t i, SortItem* scratch, Call* threads) {
      const T* row = x + i * c;
      T* to = values + i * c;
      if (!indices) {
        if (threads)
          sortValues(*threads, row, c, descending, to, scratch);
        else
          sortValues(row, c, descending, to, scratch);
        return;
      }
      int32_t* order = indices + i * c;
      orderOfRow(threads, row, c, descending, order, scratch);
      // By way of the scratch memory, since `to` may be the row itself.
      T* gathered = reinterpret_cast<T*>(scratch);
      auto gather = [&](size_t begin, size_t end) {
        for (size_t j = begin; j < end; ++j) gathered[j] = row[order[j]];
      };
      auto copy = [&](size_t begin, size_t end) { __builtin_memcpy(to + begin, gathered + begin, (end - begin) * sizeof(T)); };
      if (threads) {
        parallel(call, c, kGrainElements, [&](size_t begin, size_t end) { gather(begin, end); });
        parallel(call, c, kGrainElements, [&](size_t begin, size_t end) { copy(begin, end); });
      } else {
        gather(0, c);
        copy(0, c);
      }
    });
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(selection, NllLoss, TopKOp, ArgsortOp, SortOp)
}  // namespace logitcore
