#include "selection.h"

#include "../engine/family.h"
#include "../engine/select.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

inline bool checkK(Call& call) {
  const double k = call.options[optionIndex(*call.record, "k")], most = static_cast<double>(call.columns);
  if (k <= most) return true;
  __builtin_snprintf(call.error, sizeof call.error, "options.k is %.0f, expected an integer in [1, %.0f]", k, most);
  return false;
}

struct TopK {
  static constexpr Record record{"topK",
                                 "core",
                                 {kLeadingLogits},
                                 {required(between(integer("k", 1), 1, 2147483647.0))},
                                 {array("values", "*,k"), array("indices", "*,k", Kind::index)},
                                 false,
                                 nullptr,
                                 &checkK};

  template <class T> static void run(Call& call) {
    const T* logits = LC_INPUT(T, call, logits);
    T* values = LC_OUTPUT(T, call, values);
    int32_t* indices = LC_OUTPUT(int32_t, call, indices);
    const size_t c = call.columns, k = static_cast<size_t>(LC_OPTION(call, k));
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

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(selection, NllLoss, TopK)
}  // namespace logitcore
