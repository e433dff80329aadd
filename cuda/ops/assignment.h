// The least total cost of a matching of rows and columns, by one block.
#pragma once
#include "../../cpp/ops/graph_bounds.h"
#include "../engine/collect.h"
#include "../engine/tasks.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Shortest augmenting paths as in cpp/ops/lines.h (Jonker and Volgenant 1987), with a column a thread: what a row costs is looked up by
// all columns at once. O(n^2) steps of a block at worst, each as long as n / 512 columns take.
struct Assignment {
  double* cost;  // [n][n]
  size_t n;
  double *u, *v, *length;           // [n + 1]: column 0 and row 0 stand for none
  uint32_t *match, *way, *reached;  // of a column: its row, the column before it on the path, whether it is on one

  Assignment(DeviceCall& call, double* costs, size_t size)
      : cost(costs),
        n(size),
        u(call.scratch<double>(size + 1)),
        v(call.scratch<double>(size + 1)),
        length(call.scratch<double>(size + 1)),
        match(call.scratch<uint32_t>(size + 1)),
        way(call.scratch<uint32_t>(size + 1)),
        reached(call.scratch<uint32_t>(size + 1)) {}

  // By all threads of the block, which all get it. NaN if a cost is.
  LGC_DEVICE double run() const {
    const size_t all = n * n;
    const bool none = countRows(all, [&](size_t k) { return isNan(cost[k]); }) > 0;
    const double top = most(), scale = GwThirdLowerBound::scaleOf(top), instead = GwThirdLowerBound::forInfinity(top * scale, n);
    for (size_t k = threadIdx.x; k < all; k += blockDim.x) cost[k] = cost[k] == kInfinity ? instead : cost[k] * scale;
    for (size_t j = threadIdx.x; j <= n; j += blockDim.x) {
      u[j] = v[j] = 0;
      match[j] = 0;
    }
    __syncthreads();
    bool found = !none;
    for (size_t row = 1; found && row <= n; ++row) found = matchRow(static_cast<uint32_t>(row));
    const double total = sumRows(found ? n : 0, [&](size_t j) {
      const double c = cost[(match[j + 1] - 1) * n + j];
      return c == instead ? kInfinity : c;
    });
    return found ? total / scale : __builtin_nan("");
  }

 private:
  // The largest finite cost, 0 at least.
  LGC_DEVICE double most() const {
    double top = 0;
    for (size_t k = threadIdx.x; k < n * n; k += blockDim.x) top = cost[k] < kInfinity && cost[k] > top ? cost[k] : top;
    // Others may still read what a sum before left.
    __syncthreads();
    return wholeBlock().most(top);
  }
  // False if no path was found, which takes costs that are no numbers.
  LGC_DEVICE bool matchRow(uint32_t row) const {
    for (size_t j = threadIdx.x; j <= n; j += blockDim.x) {
      length[j] = kInfinity;
      reached[j] = 0;
    }
    if (threadIdx.x == 0) match[0] = row;
    __syncthreads();
    Team team = wholeBlock();
    uint32_t at = 0;
    do {
      const uint32_t from = match[at];
      const double* c = cost + static_cast<size_t>(from - 1) * n;
      PlacedValue<double> next{-kInfinity, 0};
      for (size_t j = threadIdx.x; j <= n; j += blockDim.x) {
        if (j == at) reached[j] = 1;
        if (reached[j] || j == 0) continue;
        const double reduced = c[j - 1] - u[from] - v[j];
        if (reduced < length[j]) {
          length[j] = reduced;
          way[j] = at;
        }
        if (-length[j] > next.value) next = {-length[j], static_cast<unsigned>(j)};
      }
      next = team.largest(next);
      if (next.index == 0) return false;
      for (size_t j = threadIdx.x; j <= n; j += blockDim.x) {
        if (reached[j]) {
          u[match[j]] -= next.value;
          v[j] += next.value;
        } else {
          length[j] += next.value;
        }
      }
      at = next.index;
      __syncthreads();
    } while (match[at] != 0);
    // All have seen that.
    __syncthreads();
    while (threadIdx.x == 0 && at != 0) {
      match[at] = match[way[at]];
      at = way[at];
    }
    __syncthreads();
    return true;
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
