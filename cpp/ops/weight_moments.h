// Mean, deviation, skewness and kurtosis of the weights of every layer, and the loss that makes them uniform-like (Xu et al. 2023,
// arXiv 2308.07650).
#pragma once
#include "softmax.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr Input kWeights{"weights", "n"}, kSegments = optionInput("segments", "l+1", Domain::any, Kind::mark);
constexpr Option kDdof = between(integer("ddof", 1), 0, 1);

// From the first weight, so that a constant layer has deviation 0 and a far mean costs no digits.
struct LayerMoments {
  double first, shift, sd, skewness, kurtosis;  // the mean is first + shift
  template <class W> LGC_FN W standardized(W fromFirst) const {
    return sd == 0 ? broadcast<W>(0) : (fromFirst - broadcast<W>(shift)) / broadcast<W>(sd);
  }
};

struct WeightMoments {
  static constexpr Record record{"weightMoments",
                                 "eq-net",
                                 {kWeights, kSegments},
                                 {kDdof},
                                 {array("mean", "l"), array("std", "l"), array("skewness", "l"), array("kurtosis", "l")}};
};

// skewWeight mean_l (skewness - target)^2 + kurtWeight mean_l (kurtosis - target)^2
struct WdrLoss {
  static constexpr Record record{
      "wdrLoss",
      "eq-net",
      {kWeights, kSegments},
      {number("skewTarget", 0), number("kurtTarget", 1.8), number("skewWeight", 1), number("kurtWeight", 0.015), kDdof, kGrad},
      {scalar("loss"), scalar("skewLoss"), scalar("kurtLoss"), array("skewness", "l"), array("kurtosis", "l"),
       gradient("gradWeights", "n", "weights")}};

  double skewTarget, kurtTarget, skewWeight, kurtWeight, ddof, share;
  WdrLoss(const Call& call, size_t layers)
      : skewTarget(LGC_OPTION(call, skewTarget)),
        kurtTarget(LGC_OPTION(call, kurtTarget)),
        skewWeight(LGC_OPTION(call, skewWeight)),
        kurtWeight(LGC_OPTION(call, kurtWeight)),
        ddof(LGC_OPTION(call, ddof)),
        share(reciprocalOrZero(static_cast<double>(layers))) {}
  LGC_FN double skewTerm(const LayerMoments& m) const { return square(m.skewness - skewTarget) * share; }
  LGC_FN double kurtTerm(const LayerMoments& m) const { return square(m.kurtosis - kurtTarget) * share; }
  LGC_FN double loss(double skew, double kurt) const { return fma(skewWeight, skew, kurtWeight * kurt); }
  // By a weight of a layer of n that has a deviation.
  // d mean(u^r) / dw = r / (N sd) (u^(r-1) - m_(r-1) - m_r N u / (N - ddof)), with mean(u^2) = (N - ddof) / N.
  template <class W> LGC_FN W slope(const LayerMoments& m, double n, W fromFirst) const {
    const double third = 6 * skewWeight * share * (m.skewness - skewTarget) / (n * m.sd);
    const double fourth = 8 * kurtWeight * share * (m.kurtosis - kurtTarget) / (n * m.sd);
    const double stretch = n / (n - ddof), second = (n - ddof) / n;
    const W u = m.standardized(fromFirst), squared = u * u;
    const W skewSlope = squared - broadcast<W>(second) - u * broadcast<W>(m.skewness * stretch);
    const W kurtSlope = squared * u - broadcast<W>(m.skewness) - u * broadcast<W>(m.kurtosis * stretch);
    return skewSlope * broadcast<W>(third) + kurtSlope * broadcast<W>(fourth);
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
