// Cross-entropy along a line of logits z + tau a: definitions of one class. Source: Sao 2026, arXiv 2603.13552.
#pragma once
#include "../engine/definition.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// exp(d) - 1 - d, to the last digits also for small d.
template <class W> LGC_FN W expm1MinusArgument(W d) {
  const W one = broadcast<W>(1);
  W series = fma(d, broadcast<W>(static_cast<Scalar<W>>(1.0 / 7)), one);
  for (int k = 6; k >= 3; --k) series = fma(d * series, broadcast<W>(static_cast<Scalar<W>>(1.0 / k)), one);
  const W small = d * d * series * broadcast<W>(static_cast<Scalar<W>>(0.5));
  return select(abs(d) < broadcast<W>(static_cast<Scalar<W>>(0.01)), small, expm1(d) - d);
}

// (z_k - max) + tau a_k, where a masked class stays masked whatever its slope.
template <class W> LGC_FN W alongLine(W z, W top, W slope, W tau) {
  const W masked = broadcast<W>(-__builtin_huge_val());
  return select(z == masked, masked, fma(slope, tau, z - top));
}

struct PartitionZeroRadius {
  static constexpr Record record{"partitionZeroRadius",
                                 "ghosts-of-softmax",
                                 {{"logits", "n,c"}, {"jvp", "n,c"}},
                                 {kTemperature, above(number("searchFactor", 8), 1)},
                                 {array("rho", "n"), array("zeroRe", "n"), array("zeroIm", "n"), scalar("batchRho")}};
};

struct LinearHeadJvp {
  static constexpr Record record{"linearHeadJvp",
                                 "ghosts-of-softmax",
                                 {{"hidden", "n,d"}, {"dWeight", "c,d"}, {"dBias", "c", Kind::real, Domain::any, true}},
                                 {},
                                 {array("jvp", "n,c")}};
};

// Smallest and largest slope of the classes that are not masked; NaN if one of them is.
struct SlopeRange {
  double low, high;
};

// Mean and variance of the slope under the softmax of the row, `shifted` being (z - max) / T.
struct SlopeMoments {
  double total, mean, variance;
};
template <class W> LGC_FN void slopeTerms(W shifted, W slope, W* t) {
  t[0] = exp(shifted);
  t[1] = t[0] * slope;
}
template <class W> LGC_FN W squareTerm(W shifted, W slope, double mean) {
  const W d = slope - broadcast<W>(mean);
  return exp(shifted) * d * d;
}

// With d = tau (a - E_p0 a): K = log E_p0 exp(d) is KL(p0 || p1), and E_p1 d - K is KL(p1 || p0). Near 0 both come from terms
// that do not cancel; beyond exp's range, where they are not small, from log-probabilities.
struct TiltedKl {
  static constexpr Record record{
      "tiltedKl",
      "ghosts-of-softmax",
      {{"logits", "n,c"}, {"jvp", "n,c"}},
      {number("tau", 1)},
      {array("forward", "n"), array("reverse", "n"), array("quadratic", "n"), array("forwardBound", "n"), array("reverseBound", "n")}};

  double tau, top, size, cubed;
  SlopeMoments moments;
  LGC_FN TiltedKl(double along, double most, SlopeRange range, const SlopeMoments& m) : tau(along), top(most), moments(m) {
    size = abs(tau) * (isNan(top) ? top : abs(range.high - range.low));
    cubed = size * size * size;
  }
  LGC_FN bool isNear() const { return size < 500; }
  template <class W> LGC_FN void nearTerms(W shifted, W slope, W* t) const {
    const W p = exp(shifted), d = (slope - broadcast<W>(moments.mean)) * broadcast<W>(tau);
    t[0] = p * expm1MinusArgument(d);
    t[1] = p * d * expm1(d);
  }
  // Exponent of a far term; the largest one of the row is the peak.
  template <class W> LGC_FN W farTerm(W z, W slope) const {
    return alongLine(z, broadcast<W>(top), slope - broadcast<W>(moments.mean), broadcast<W>(tau));
  }
  template <class W> LGC_FN void farTerms(W shifted, W slope, double peak, W* t) const {
    const W off = slope - broadcast<W>(moments.mean), d = off * broadcast<W>(tau);
    t[0] = exp(fma(off, broadcast<W>(tau), shifted) - broadcast<W>(peak));
    t[1] = t[0] * d;
  }
  LGC_FN void outputs(const double* sums, double peak, double* out) const {
    double log0, along;
    if (isNear()) {
      const double grown = sums[0] / moments.total;
      log0 = log1p(grown);
      along = sums[1] / moments.total / (1 + grown);
    } else {
      log0 = peak + log(sums[0] / moments.total);
      along = sums[1] / sums[0];
    }
    const double forward = along - log0;
    out[0] = forward < 0 ? 0.0 : forward;
    out[1] = log0 < 0 ? 0.0 : log0;
    out[2] = tau * tau / 2 * moments.variance;
    out[3] = cubed / (18 * sqrt(3.0));
    out[4] = cubed / (36 * sqrt(3.0));
  }
};

// Cross-entropy of a row at tau, with the largest term kept out of the sum: confident rows keep their loss.
struct LineLoss {
  static constexpr Record record{"lineLoss",
                                 "ghosts-of-softmax",
                                 {{"logits", "n,c"}, {"jvp", "n,c"}, {"targets", "n", Kind::target}, {"taus", "t"}},
                                 {kTemperature},
                                 {array("loss", "t"), scalar("slope"), scalar("curvature")}};

  template <class W> LGC_FN static void terms(W v, double peak, double temperature, W* t) {
    const W zero = broadcast<W>(0), most = broadcast<W>(peak);
    const auto peaks = v == most;
    t[0] = select(peaks, zero, exp((v - most) / broadcast<W>(temperature)));
    t[1] = select(peaks, broadcast<W>(1), zero);
  }
  LGC_FN static double lossOf(double rest, double ties, double peak, double at, double temperature) {
    return (peak - at) / temperature + log1p(rest + (ties - 1));
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
