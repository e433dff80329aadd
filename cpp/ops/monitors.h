// Statistics that show a run going wrong before its loss does: of attention logits and of output logits. Source: Wortsman et al.
// 2023 (arXiv 2309.14322).
#pragma once
#include "../engine/definition.h"
#include "normalization.h"

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

inline bool checkAttention(Call& call);

struct AttentionLogitStats {
  static constexpr Record record{
      "attentionLogitStats",
      "small-scale-proxies",
      {{"q", "n,c"},
       {"k", "m,c"},
       {"gammaQ", "c", Kind::real, Domain::any, true, true},
       {"gammaK", "c", Kind::real, Domain::any, true, true}},
      {choice("scale", "sqrt,linear"), optionalNumber("scale"), boolean("causal"), kNormEpsilon},
      {scalar("max"), scalar("min"), scalar("mean"), scalar("rms"), scalar("maxAbs"), scalar("meanEntropy"), scalar("minEntropy"),
       scalar("meanMaxProb"), scalar("queryNorm"), scalar("keyNorm"), scalar("meanCosine")},
      true,
      nullptr,
      &checkAttention};

  // Factor of the logits.
  static double scaleOf(const Call& call) {
    const int rule = static_cast<int>(LGC_OPTION(call, scale));
    const double width = static_cast<double>(call.columns), ruled = rule == 0 ? 1.0 / sqrt(width) : 1.0 / width;
    constexpr int number = optionIndex(record, "scale") + 1;
    return call.given[number] ? call.options[number] : ruled;
  }
};

inline bool checkAttention(Call& call) {
  constexpr const Record& record = AttentionLogitStats::record;
  const bool hasQ = LGC_INPUT(void, call, gammaQ) != nullptr, hasK = LGC_INPUT(void, call, gammaK) != nullptr;
  if (hasQ != hasK) {
    __builtin_snprintf(call.error, sizeof call.error, "options.%s is missing, expected both gammaQ and gammaK or neither",
                       hasQ ? "gammaK" : "gammaQ");
    return false;
  }
  const size_t n = call.dims[static_cast<int>('n')], m = call.dims[static_cast<int>('m')];
  if (LGC_OPTION(call, causal) == 0 || n == m) return true;
  __builtin_snprintf(call.error, sizeof call.error, "k has %.0f rows, expected %.0f as in q with options.causal", static_cast<double>(m),
                     static_cast<double>(n));
  return false;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
