// Quantiles between order statistics.
#pragma once
#include "../simd/simd.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Where the quantile of n values lies among them in ascending order: so far from the one `below` to the next.
struct QuantilePlace {
  size_t below;
  double share;
  LGC_FN QuantilePlace(double q, size_t n) {
    const double at = q * static_cast<double>(n - 1), whole = floor(at);
    below = static_cast<size_t>(whole);
    share = at - whole;
  }
  LGC_FN double between(double a, double b) const { return a == b ? a : fma(b - a, share, a); }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
