// Memoli's lower bounds of the Gromov-Wasserstein distance of two graphs, by transport on lines.
#pragma once
#include "transport.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr Option kOrder = atLeast(number("order", 1), 1);
constexpr Input kGraphC{"C", "n,n"}, kGraphD{"D", "m,m"};
constexpr Input kWeightsC = optionInput("weightsC", "n", Domain::positive), kWeightsD = optionInput("weightsD", "m", Domain::positive);

inline bool checkGraphWeights(Call& call) { return checkWeights(call, "weightsC") && checkWeights(call, "weightsD"); }

// Eccentricities (sum_j p_j |C_ij|^r)^(1/r), or means sum_j p_j C_ij.
struct GwFirstLowerBound {
  static constexpr Record record{"gwFirstLowerBound",
                                 "infigfusion-gw",
                                 {kGraphC, kGraphD, kWeightsC, kWeightsD},
                                 {kOrder, choice("eccentricity", "norm,mean"), kGrad},
                                 {scalar("value"), scalar("distance"), array("eccC", "n"), array("eccD", "m"),
                                  gradient("gradC", "n,n", "C"), gradient("gradD", "m,m", "D")},
                                 true,
                                 nullptr,
                                 &checkGraphWeights};

  double r;
  bool mean;
  explicit GwFirstLowerBound(const Call& call) : r(LGC_OPTION(call, order)), mean(LGC_OPTION(call, eccentricity) == 1) {}

  LGC_FN double term(double share, double c) const { return share * (mean ? c : costOf(abs(c), r)); }
  LGC_FN double eccentricity(double sum) const { return mean ? sum : rootOf(sum, r); }
  // The gradient of an entry is that of its row's eccentricity e, which is g, times both.
  LGC_FN double rowSlope(double g, double e) const { return mean ? g : e == 0 ? 0.0 : g * (r == 1 ? 1.0 : pow(e, 1 - r)) / r; }
  LGC_FN double entrySlope(double c) const {
    const double slope = mean ? 1.0 : costSlope(abs(c), r);
    return c < 0 && !mean ? -slope : slope;
  }
};

// All entries of both matrices, with weights p_i p_j.
struct GwSecondLowerBound {
  static constexpr Record record{"gwSecondLowerBound",
                                 "infigfusion-gw",
                                 {kGraphC, kGraphD, kWeightsC, kWeightsD},
                                 {kOrder, kGrad},
                                 {scalar("value"), scalar("distance"), gradient("gradC", "n,n", "C"), gradient("gradD", "m,m", "D")},
                                 true,
                                 nullptr,
                                 &checkGraphWeights};
};

inline bool checkAssignment(Call& call) {
  if (!checkGraphWeights(call)) return false;
  if (call.options[optionIndex(*call.record, "method")] != 1) return true;
  const size_t n = call.dims[static_cast<int>('n')], m = call.dims[static_cast<int>('m')];
  if (n != m) {
    __builtin_snprintf(call.error, sizeof call.error, "D is %zu x %zu, expected %zu x %zu as C for options.method 'assignment'", m, m, n,
                       n);
    return false;
  }
  const char* const names[] = {"weightsC", "weightsD"};
  for (const char* name : names)
    if (call.inputs[findInput(*call.record, name)]) {
      __builtin_snprintf(call.error, sizeof call.error, "options.%s is given, expected none with options.method 'assignment'", name);
      return false;
    }
  return true;
}

// cost_ij is W_r^r of row i of C and row j of D.
struct GwThirdLowerBound {
  static constexpr Record record{"gwThirdLowerBound",
                                 "infigfusion-gw",
                                 {kGraphC, kGraphD, kWeightsC, kWeightsD},
                                 {kOrder, choice("method", "relaxed,assignment")},
                                 {scalar("value"), scalar("distance"), array("cost", "n,m")},
                                 true,
                                 nullptr,
                                 &checkAssignment};

  // A NaN stays.
  LGC_FN static double least(double a, double b) { return isNan(a) || a < b ? a : b; }
  // What costs of an assignment are multiplied by, so that what stands for an infinite one stays finite.
  LGC_FN static double scaleOf(double most) { return most > 0x1p900 ? 0x1p-64 : 1.0; }
  // No finite matching costs more than that.
  LGC_FN static double forInfinity(double most, size_t n) { return (most + 1) * static_cast<double>(n + 1); }
  LGC_FN static double relaxed(double byRow, double byColumn) { return byRow > byColumn || isNan(byRow) ? byRow : byColumn; }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
