// What is known of a row's softmax in double, for losses that compare several rows: where the difference of two distributions or of their
// normalisers counts, float32 sums would leave nothing of it. On the CPU row_wide.h finds it, on a GPU cuda/engine/row_wide.h.
#pragma once
#include "definition.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct WideSoftmax {
  double max, others;  // of exp((x - max) * scale), without the first largest entry; NaN for a row without a distribution
  size_t argMax;
  double scale, logSum, inverse;
  LGC_FN void finish() {
    if (!(max - max == 0)) others = __builtin_nan("");
    logSum = log1p(others);
    inverse = 1 / (1 + others);
  }
  template <class W> LGC_FN W shifted(W v) const { return (v - broadcast<W>(max)) * broadcast<W>(scale); }
  template <class W> LGC_FN W probability(W v) const { return expFlush(shifted(v)) * broadcast<W>(inverse); }
};

// A term of an expectation: 0 * Infinity is Infinity, since the probability is 0 by underflow alone. What is dead is left out.
template <class W> LGC_FN W expected(Mask<W> dead, W e, W value) {
  return select(dead, broadcast<W>(0), select(abs(value) == broadcast<W>(kInfinity), value, e * value));
}

// (x - log Z_x) - (y - log Z_y), 0 where both are dead.
template <class W> LGC_FN W logRatio(const WideSoftmax& p, W x, const WideSoftmax& q, W y) {
  const W a = p.shifted(x), b = q.shifted(y), dead = broadcast<W>(-kInfinity);
  return select((a == dead) & (b == dead), broadcast<W>(0), (a - b) - broadcast<W>(p.logSum - q.logSum));
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
