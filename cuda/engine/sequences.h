// Values of positions that are joined to sequences: [b, t] targets, of which those equal to ignoreIndex are outside the response.
#pragma once
#include "collect.h"
#include "tasks.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct Sequences {
  size_t count, length;
  const int32_t* targets;
  int32_t ignore;
  const double* counted = nullptr;  // positions of each
  const double* present = nullptr;  // sequences with a counted position

  size_t positions() const { return count * length; }
  LGC_DEVICE double share(size_t position, bool mean) const { return mean ? reciprocalOrZero(counted[position / length]) : 1.0; }
};

struct CountPositions {
  Sequences sequences;
  double* counted;
  LGC_DEVICE void operator()(size_t i, Team& team) const {
    double kept = 0;
    for (size_t k = team.rank; k < sequences.length; k += team.size)
      kept += sequences.targets[i * sequences.length + k] != sequences.ignore ? 1.0 : 0.0;
    kept = team.sum(kept);
    if (team.leads()) counted[i] = kept;
  }
};
struct CountSequences {
  size_t count;
  const double* counted;
  double* present;
  LGC_DEVICE void operator()() const {
    const double found = sumRows(count, [&](size_t i) { return counted[i] > 0 ? 1.0 : 0.0; });
    if (threadIdx.x == 0) *present = found;
  }
};
// False if memory ran out.
inline bool countSequences(DeviceCall& call, Sequences& s) {
  double *counted = call.scratch<double>(s.count), *present = call.scratch<double>(1);
  if (!counted || !present) return false;
  forBlocks(call, s.count, CountPositions{s, counted});
  once(call, CountSequences{s.count, counted, present});
  s.counted = counted;
  s.present = present;
  return true;
}

// The values of sequences, sums over positions or their means: to an array, or their sum or average to a number.
struct SequenceOutput {
  const double* values;
  bool mean;       // over the positions
  float* array;    // of reduction 'none'
  double* number;  // else
  bool averaged;   // over the sequences
  double* totals;
};
constexpr int kMostSequenceOutputs = 8;
struct SequenceOutputs {
  Sequences sequences;
  SequenceOutput of[kMostSequenceOutputs];
  int count = 0;

  void add(const double* values, bool mean, float* array, double* number, bool averaged) {
    if (array || number) of[count++] = {values, mean, array, number, averaged, nullptr};
  }
};
struct TotalSequences {
  SequenceOutputs outputs;
  LGC_DEVICE void operator()(size_t block, Team& team) const {
    const Sequences& s = outputs.sequences;
    const size_t i = block % s.count;
    const SequenceOutput& o = outputs.of[block / s.count];
    double sum = 0;
    for (size_t k = team.rank; k < s.length; k += team.size) sum += o.values[i * s.length + k];
    sum = team.sum(sum);
    if (!team.leads()) return;
    if (o.mean) sum *= reciprocalOrZero(s.counted[i]);
    if (o.array) o.array[i] = static_cast<float>(sum);
    if (o.totals) o.totals[i] = s.counted[i] > 0 ? sum : 0.0;
  }
};
struct JoinSequences {
  SequenceOutputs outputs;
  LGC_DEVICE void operator()() const {
    for (int k = 0; k < outputs.count; ++k) {
      const SequenceOutput& o = outputs.of[k];
      const double sum = sumRows(outputs.sequences.count, [&](size_t i) { return o.totals[i]; });
      if (threadIdx.x == 0) *o.number = o.averaged ? sum * reciprocalOrZero(*outputs.sequences.present) : sum;
    }
  }
};
// Outputs are all arrays or all numbers.
inline void joinSequences(DeviceCall& call, SequenceOutputs outputs) {
  if (!outputs.count) return;
  const bool numbers = outputs.of[0].number != nullptr;
  for (int k = 0; numbers && k < outputs.count; ++k) {
    outputs.of[k].totals = call.scratch<double>(outputs.sequences.count);
    if (!outputs.of[k].totals) return;
  }
  forBlocks(call, outputs.sequences.count * static_cast<size_t>(outputs.count), TotalSequences{outputs});
  if (numbers) once(call, JoinSequences{outputs});
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
