// The softmax of a row in double, for what would lose its digits in float.
#pragma once
#include "tasks.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// exp((x - max) / T) and what its sum is without the largest.
struct WideSoftmax {
  double max, scale, inverse;
  LGC_DEVICE double of(double x) const { return expFlush((x - max) * scale) * inverse; }
};
template <int N> LGC_DEVICE WideSoftmax softmaxOf(Rows<N>& rows, int input, double scale) {
  Placed top{-__builtin_huge_valf(), 0xffffffffu};
  eachColumn(rows, [&](int j, const float(&x)[N]) { top = Team::larger(top, {x[input], static_cast<unsigned>(j)}); });
  top = rows.team.largest(top);
  const double max = static_cast<double>(top.value);
  double others[1];
  sumColumnsWide(rows, others, [&](int j, const float(&x)[N], double* t) {
    t[0] = static_cast<unsigned>(j) == top.index ? 0.0 : expFlush((static_cast<double>(x[input]) - max) * scale);
  });
  return {max, scale, 1 / (1 + (max - max == 0 ? others[0] : __builtin_nan("")))};
}
}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
