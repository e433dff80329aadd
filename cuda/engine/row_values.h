// What rows give besides arrays with columns: a value a row for each output, or the sum of them.
#pragma once
#include "../../cpp/engine/members.h"
#include "collect.h"
#include "launch.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr int kMostRowValues = 4;

struct RowValues {
  float* array[kMostRowValues];    // of an output that has one entry a row
  double* values[kMostRowValues];  // of one that is reduced, to be added up
  int count;

  LGC_DEVICE void set(int k, size_t row, double x) const {
    if (array[k]) array[k][row] = static_cast<float>(x);
    if (values[k]) values[k][row] = x;
  }
};

struct RowSums {
  const double* from[kMostRowValues];
  double* to[kMostRowValues];
};
constexpr unsigned kSumThreads = 512;
// A block a sum. Threads take every so many rows, so that the order does not depend on the device.
static LGC_KERNEL void sumValues(LGC_ARGUMENT RowSums sums, size_t rows) {
  const double* from = sums.from[blockIdx.x];
  double v[1] = {sumStrided<16>(threadIdx.x, rows, kSumThreads, [&](size_t i) { return from[i]; })};
  Team team(kSumThreads, 1, reinterpret_cast<TeamRoom*>(sharedMemory()));
  team.sum(v);
  if (threadIdx.x == 0) *sums.to[blockIdx.x] = v[0];
}

// Where the values go of those outputs that have no columns, in the order of the record.
class RowOutputs {
 public:
  RowValues values{};

  // `per`: how many values an output has; rows, or the pieces of an array that is cut otherwise.
  void add(DeviceCall& call, int output, int reduction, size_t per) {
    const Output& o = call.record->outputs[output];
    const int k = values.count++;
    const bool summed = o.kind == OutputKind::scalar || (o.kind == OutputKind::reduced && reduction != kReduceNone);
    if (!summed) {
      values.array[k] = static_cast<float*>(call.outputs[output]);
      return;
    }
    if (!call.numbers[output]) return;
    values.values[k] = call.scratch<double>(per);
    sums_.from[count_] = values.values[k];
    sums_.to[count_++] = call.numbers[output];
    per_ = per;
  }
  void finish(DeviceCall& call) const {
    launch(call, {static_cast<size_t>(count_), kSumThreads, sizeof(TeamRoom)}, sumValues, sums_, per_);
  }

 private:
  RowSums sums_{};
  int count_ = 0;
  size_t per_ = 0;
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
