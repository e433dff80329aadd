// The largest and least of rows and of lists, and what lies between: quantiles.
#pragma once
#include "../../cpp/engine/quantile.h"
#include "sort.h"
#include "tasks.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Both NaN where one of the numbers is.
struct Range {
  double low, high;
};
LGC_DEVICE Range rangeFrom(const double (&most)[3]) {
  const double nan = __builtin_nan("");
  return most[2] > 0 ? Range{nan, nan} : Range{-most[0], most[1]};
}
LGC_DEVICE void extend(double x, double (&most)[3]) {
  most[0] = -x > most[0] ? -x : most[0];
  most[1] = x > most[1] ? x : most[1];
  if (x != x) most[2] = 1;
}
// Of the entries of a row that are used(j, x).
template <int N, class F> LGC_DEVICE Range rangeOf(Rows<N>& rows, int input, F&& used) {
  double most[3] = {-kInfinity, -kInfinity, 0};
  eachColumn(rows, [&](int j, const float(&x)[N]) {
    if (used(j, x)) extend(static_cast<double>(x[input]), most);
  });
  rows.team.most(most);
  return rangeFrom(most);
}
template <int N> LGC_DEVICE Range rangeOf(Rows<N>& rows, int input) {
  return rangeOf(rows, input, [](int, const float(&)[N]) { return true; });
}

// First column of the largest entry that is not in column `except`, which NaN never is.
template <int N> LGC_DEVICE unsigned largestExcept(Rows<N>& rows, int input, unsigned except) {
  Placed top{-__builtin_huge_valf(), 0xffffffffu};
  eachColumn(rows, [&](int j, const float(&x)[N]) {
    const unsigned at = static_cast<unsigned>(j);
    if (at != except) top = Team::larger(top, {x[input], at});
  });
  const unsigned at = rows.team.largest(top).index;
  return at != 0xffffffffu ? at : except == 0 ? 1 : 0;
}

// By all threads of the one block of `once`. Index of the first NaN, else the first of the largest, or with sign -1 of the least. One of no
// values is none.
LGC_DEVICE unsigned limiting(Team& team, const float* values, size_t n, float sign) {
  Placed bad{0, 0xffffffffu}, best{-__builtin_huge_valf(), 0xffffffffu};
  for (size_t i = threadIdx.x; i < n; i += blockDim.x) {
    const unsigned at = static_cast<unsigned>(i);
    const float x = values[i];
    if (x != x) bad = Team::larger(bad, {1, at});
    best = Team::larger(best, {sign * x, at});
  }
  bad = team.largest(bad);
  best = team.largest(best);
  return bad.value > 0 ? bad.index : best.index;
}

// The least radius of the rows, and the row that has it: the batch's.
struct LeastRadius {
  const float* rho;
  size_t n;
  double *batchRho, *bottleneck;
  LGC_DEVICE void operator()() const {
    Team team = wholeBlock();
    const unsigned row = limiting(team, rho, n, -1);
    if (!team.leads()) return;
    give(batchRho, n ? static_cast<double>(rho[row]) : kInfinity);
    give(bottleneck, n ? static_cast<double>(row) : -1.0);
  }
};

// Interpolated linearly between order statistics at q (n - 1); NaN if one of the values is.
struct Quantile {
  const float* values;
  const uint32_t* order;  // null for the least and the largest, which need none
  size_t n;
  double q;
  LGC_DEVICE double of(Team& team) const {
    if (order) {
      if (values[order[n - 1]] != values[order[n - 1]]) return __builtin_nan("");
      const QuantilePlace place(q, n);
      const double a = at(place.below);
      return place.between(a, place.share == 0 ? a : at(place.below + 1));
    }
    double most[3] = {-kInfinity, -kInfinity, 0};
    for (size_t i = threadIdx.x; i < n; i += blockDim.x) extend(static_cast<double>(values[i]), most);
    team.most(most);
    const Range range = rangeFrom(most);
    return q == 0 ? range.low : range.high;
  }

 private:
  LGC_DEVICE double at(size_t k) const { return static_cast<double>(values[order[k]]); }
};
// To be taken by `once`, after the kernels that make the values.
inline Quantile quantileOf(DeviceCall& call, const float* values, size_t n, double q) {
  const bool ends = q == 0 || q == 1 || n == 0;
  return {values, ends ? nullptr : orderOf(call, values, Storage::f32, 1, n, nanLast<float>(false)), n, q};
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
