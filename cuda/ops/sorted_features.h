// Features of two graphs compared in descending order, of many pairs of graphs at a time.
#pragma once
#include "../engine/sort.h"
#include "../engine/tasks.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// factor sum_i |f_(i) - g_(i)| of each pair, and its derivatives by f and g where asked for.
struct ComparePair {
  const double *f, *g;
  const uint32_t *first, *second;
  size_t n;
  double factor;
  const double* active;  // 0: the pair has value 0 and no slopes; null: all are
  double *values, *df, *dg;

  LGC_DEVICE void operator()(size_t b, Team& team) const {
    const bool is = !active || active[b] != 0;
    double total = 0;
    for (size_t i = b * n + team.rank; i < (b + 1) * n; i += team.size) {
      const size_t p = b * n + first[i], q = b * n + second[i];
      const double difference = is ? f[p] - g[q] : 0.0;
      const double slope = difference > 0 ? factor : difference < 0 ? -factor : difference;
      total += abs(difference);
      if (df) df[p] = slope;
      if (dg) dg[q] = -slope;
    }
    total = team.sum(total);
    if (team.leads()) values[b] = factor * total;
  }
};
// Equal features keep the order of their nodes.
inline void compareSorted(DeviceCall& call, const double* f, const double* g, size_t pairs, size_t n, double factor, const double* active,
                          double* values, double* df, double* dg) {
  if (call.outOfMemory) return;
  const bool sorts = pairs * n > 0;
  const uint32_t* first = sorts ? orderOf(call, f, Storage::f32, pairs, n, nanLast<double>(true)) : nullptr;
  const uint32_t* second = sorts ? orderOf(call, g, Storage::f32, pairs, n, nanLast<double>(true)) : nullptr;
  forBlocks(call, pairs, ComparePair{f, g, first, second, n, factor, active, values, df, dg});
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
