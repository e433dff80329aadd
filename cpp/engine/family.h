// Puts a family's ops into one constant table per level. The table has constant initialisation only: no code of a wide level
// runs when the addon is loaded.
#pragma once
#include "row_loss.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// An op is a row-loss definition, or a type with kernels() of its own.
template <class D, class = void> struct KernelsOf {
  static constexpr Kernels value = rowLossKernels<D>();
};
template <class D> struct KernelsOf<D, decltype(void(D::kernels()))> {
  static constexpr Kernels value = D::kernels();
};

template <class... D> struct FamilyTable {
  static constexpr Kernels kernels[] = {KernelsOf<D>::value...};
#if LGC_LEVEL_ID == LGC_LEVEL_ID_portable || LGC_LEVEL_ID == LGC_LEVEL_ID_neon
  static constexpr const StoredRecord* records[] = {&Store<D>::record...};
#else
  // Equal on all levels: those of the lowest are read, and the others left out of the file.
  static constexpr const StoredRecord* const* records = nullptr;
#endif
  static constexpr int count = sizeof...(D);
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore

// LOGITCORE_FAMILY(softmax, CrossEntropy, FocalLoss, ...) at the end of cpp/ops/softmax.cpp, in namespace logitcore.
#define LOGITCORE_FAMILY(name, ...)                                                                        \
  namespace LOGITCORE_LEVEL {                                                                              \
  using name##_table = FamilyTable<__VA_ARGS__>;                                                           \
  extern const Family name##_family;                                                                       \
  const Family name##_family = {#name, name##_table::records, name##_table::kernels, name##_table::count}; \
  }
