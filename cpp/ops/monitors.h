// Statistics that show a run going wrong before its loss does: of attention logits and of output logits. Source: Wortsman et al.
// 2023 (arXiv 2309.14322).
#pragma once
#include "../engine/definition.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// One row of logits and its softmax.
struct LogitRow {
  double count, max, min, mean, m2;  // of the entries that count
  double logZ, maxProb, entropy;
};

// What follows from the row's largest logit and from sums relative to it: the other exponentials, and sum e_j (x_j - max) / T over
// all. Both terms of the entropy are positive: a confident row keeps its digits.
LGC_FN void softmaxOf(LogitRow& row, const RowSum& sum, double weighted, double inverseTemperature) {
  const bool finite = sum.max - sum.max == 0;
  const double logSum = log1p(sum.others), nan = __builtin_nan("");
  row.logZ = finite ? fma(sum.max, inverseTemperature, logSum) : sum.max;
  row.maxProb = finite ? 1.0 / (1.0 + sum.others) : nan;
  row.entropy = finite ? logSum - weighted / (1.0 + sum.others) : nan;
}

// The largest and the smallest, once NaN always NaN.
LGC_FN double largest(double a, double b) { return a != a || a > b ? a : b; }
LGC_FN double smallest(double a, double b) { return a != a || a < b ? a : b; }

struct OutputLogitStats {
  static constexpr Record record{"outputLogitStats",
                                 "small-scale-proxies",
                                 {{"logits", "*,c"}},
                                 {kTemperature},
                                 {scalar("max"), scalar("min"), scalar("mean"), scalar("std"), scalar("rms"), scalar("meanLogZ"),
                                  scalar("maxAbsLogZ"), scalar("meanSquaredLogZ"), scalar("meanMaxProb"), scalar("meanEntropy")},
                                 true};
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
