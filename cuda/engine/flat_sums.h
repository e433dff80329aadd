// Sums over all elements of flat arrays: a block leaves the sums of its part, and who uses them adds the parts up.
#pragma once
#include "tasks.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Not by the size of the device: the order of addition is that of the count alone.
constexpr size_t kMostParts = 2048, kLeastPart = 4096;

// S sums, each in so many parts.
template <int S> struct PartialSums {
  double* at;
  size_t parts;
  // Of a whole block, each of whose threads gets them.
  LGC_DEVICE void add(Team& team, double (&total)[S]) const {
    for (int k = 0; k < S; ++k) total[k] = 0;
    for (size_t i = threadIdx.x; i < parts; i += blockDim.x)
      for (int k = 0; k < S; ++k) total[k] += at[static_cast<size_t>(k) * parts + i];
    team.sum(total);
  }
};

template <int S, class F> struct SumPart {
  size_t count;
  F terms;
  PartialSums<S> out;
  LGC_DEVICE void operator()(size_t part, Team& team) const {
    double total[S] = {};
    for (size_t i = part * kRowThreads + threadIdx.x; i < count; i += out.parts * kRowThreads) {
      double t[S];
      terms(i, t);
      for (int k = 0; k < S; ++k) total[k] += t[k];
    }
    team.sum(total);
    if (team.leads())
      for (int k = 0; k < S; ++k) out.at[static_cast<size_t>(k) * out.parts + part] = total[k];
  }
};
// terms(i, t): t[0] to t[S - 1] of element i.
template <int S, class F> PartialSums<S> sumFlat(DeviceCall& call, size_t count, const F& terms) {
  const size_t wanted = (count + kLeastPart - 1) / kLeastPart, parts = wanted < kMostParts ? wanted : kMostParts;
  const PartialSums<S> out{call.scratch<double>(S * parts), parts};
  forBlocks(call, parts, SumPart<S, F>{count, terms, out});
  return out;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
