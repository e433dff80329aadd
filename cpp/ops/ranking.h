// Agreement of two orders.
#pragma once
#include "../engine/definition.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

LGC_FN double pairsOf(double n) { return n * (n - 1) / 2; }

struct KendallTau {
  static bool several(Call& call) {
    if (call.dims['n'] >= 2) return true;
    __builtin_snprintf(call.error, sizeof call.error, "predicted has %.0f values, expected at least 2",
                       static_cast<double>(call.dims['n']));
    return false;
  }
  static constexpr Record record{
      "kendallTau",
      "eq-net",
      {{"predicted", "n"}, {"actual", "n"}},
      {choice("variant", "b,a")},
      {scalar("tau"), scalar("rmse"), scalar("concordant"), scalar("discordant"), scalar("tiesA"), scalar("tiesB")},
      true,
      nullptr,
      &several};

  // Of `all` pairs: those that are tied in the first, the second and both arrays, and those in opposite order.
  struct Counts {
    double all, tiesA, tiesB, tiesBoth, discordant;
    LGC_FN double concordant() const { return all - tiesA - tiesB + tiesBoth - discordant; }
    LGC_FN double tau(bool corrected) const {
      const double difference = concordant() - discordant, untied = sqrt((all - tiesA) * (all - tiesB));
      return !corrected ? difference / all : untied == 0 ? 0.0 : difference / untied;
    }
  };
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
