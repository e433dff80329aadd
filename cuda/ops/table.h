// A family's ops that have device kernels: as LOGITCORE_FAMILY does on the CPU, with the very same definitions and records.
#pragma once
#include "../engine/elements.h"
#include "../engine/row_loss.h"
#include "../engine/row_pair.h"
#include "../engine/row_sweeps.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

template <class D> struct RowLossOp : D {
  static void run(DeviceCall& call) { runRowLoss<D>(call); }
};
template <class D> struct RowSweepOp : D {
  static void run(DeviceCall& call) { runRowSweeps<D>(call); }
};
template <class D> struct RowPairOp : D {
  static void run(DeviceCall& call) { runRowPair<D>(call); }
};
template <class D> struct ElementOp : D {
  static void run(DeviceCall& call) { runElements<D>(call); }
};

// Of ops: a record, and run(DeviceCall&).
template <class... D> struct DeviceTable {
  static constexpr Kernels kernels[] = {{&onDevice<&D::run>, nullptr}...};
  static constexpr const StoredRecord* records[] = {&Store<D>::record...};
  static constexpr int count = sizeof...(D);
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore

// A family may come in several files: the part names the file.
#define LOGITCORE_DEVICE_FAMILY(name, ...) LOGITCORE_DEVICE_PART(name, name, __VA_ARGS__)
#define LOGITCORE_DEVICE_PART(name, part, ...)                                                             \
  namespace LOGITCORE_LEVEL {                                                                              \
  using part##_table = DeviceTable<__VA_ARGS__>;                                                           \
  extern const Family part##_family;                                                                       \
  const Family part##_family = {#name, part##_table::records, part##_table::kernels, part##_table::count}; \
  }
