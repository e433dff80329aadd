// Normalisation of the vectors that attention logits are made of: LayerNorm of queries and keys over the head dimension, and
// rescaling to a root mean square. Source: Wortsman et al. 2023 (arXiv 2309.14322; the root mean square form: appendix C).
#pragma once
#include "../engine/definition.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// A power of two near 1 / size, so that squares of rows of 1e-25 and of 1e25 stay in float32.
LGC_FN double rangeScale(double size, bool isDouble) {
  const double most = isDouble ? 0x1p1000 : 0x1p120;
  const double scale = 1.0 / bitAnd(size, 0x7ff0000000000000ull);
  return scale > most ? most : scale < 1.0 / most ? 1.0 / most : scale;
}

// x_hat = (x - mean) / sqrt(mean((x - mean)^2) + epsilon); without `center` the mean is taken as 0. Two sweeps: the size and mean
// of the row, then deviations from the rounded mean, which also tell what its rounding took.
struct RowNorm {
  struct Row {
    double scale, centre;    // deviations are (x - centre) * scale
    double inverse, offset;  // x_hat = deviation * inverse + offset
    double mean, rstd;
    double meanH, meanHx;  // of the backward pass: mean(h) and mean(h x_hat)
  };
  bool center, isDouble;
  double epsilon, columns, share, least;

  LGC_FN RowNorm(const Call& call, bool centered, double eps)
      : center(centered),
        isDouble(call.isDouble),
        epsilon(eps),
        columns(static_cast<double>(call.columns)),
        share(1.0 / columns),
        least(sqrt(eps)) {}

  template <class W> LGC_FN void sizes(W x, W* out) const {
    // Divided term by term: the sum of a block of 1e38 would overflow.
    const W part = x * broadcast<W>(static_cast<Scalar<W>>(share));
    out[0] = part;
    out[1] = abs(part);
  }
  LGC_FN void foldSizes(Row& row, const double* sum) const {
    row.centre = !center ? 0.0 : isDouble ? sum[0] : static_cast<double>(static_cast<float>(sum[0]));
    row.scale = rangeScale(sum[1] > least ? sum[1] : least, isDouble);
  }
  template <class W> LGC_FN W deviation(const Row& row, W x) const {
    return (x - broadcast<W>(static_cast<Scalar<W>>(row.centre))) * broadcast<W>(static_cast<Scalar<W>>(row.scale));
  }
  // sum: of the deviations, and of their squares
  LGC_FN void foldDeviations(Row& row, const double* sum) const {
    const double shift = center ? sum[0] / columns : 0.0;
    double square = fma(-shift, shift, sum[1] / columns);
    if (square < 0) square = 0;
    const double root = sqrt(fma(epsilon * row.scale, row.scale, square));
    // A row without any spread stays without: 0 / 0 would be NaN.
    row.inverse = root == 0 ? 0.0 : 1.0 / root;
    row.offset = -shift * row.inverse;
    row.mean = row.centre + shift / row.scale;
    row.rstd = row.scale * row.inverse;
  }
  template <class W> LGC_FN W normalized(const Row& row, W x) const {
    return fma(deviation(row, x), broadcast<W>(static_cast<Scalar<W>>(row.inverse)), broadcast<W>(static_cast<Scalar<W>>(row.offset)));
  }
};

// out = gamma * factor * x_hat
struct NormForward : RowNorm {
  static constexpr int softmaxInputs = 0, sweeps = 2, sums[2] = {2, 2};
  double factor;

  LGC_FN NormForward(const Call& call, bool centered, double eps, double k) : RowNorm(call, centered, eps), factor(k) {}
  LGC_FN void begin(Row&, const RowStart&) const {}
  template <int S, class W> LGC_FN void terms(const Row& row, const Lane<W>& lane, W* out) const {
    if (S == 0) return sizes(lane.x[0], out);
    out[0] = deviation(row, lane.x[0]);
    out[1] = out[0] * out[0];
  }
  template <int S> LGC_FN void fold(Row& row, const double* sum) const {
    if (S == 0)
      foldSizes(row, sum);
    else
      foldDeviations(row, sum);
  }
  template <class W> LGC_FN void write(const Row& row, const Lane<W>& lane, W* out) const {
    const W d = deviation(row, lane.x[0]), inverse = broadcast<W>(static_cast<Scalar<W>>(row.inverse * factor));
    out[0] = lane.column[0] * fma(d, inverse, broadcast<W>(static_cast<Scalar<W>>(row.offset * factor)));
  }
};

// With h = gradOut * gamma: factor * rstd * (h - mean(h) [center only] - x_hat * mean(h x_hat))
struct NormBackward : RowNorm {
  static constexpr int softmaxInputs = 0, sweeps = 2, sums[2] = {2, 4};
  double factor;

  LGC_FN NormBackward(const Call& call, bool centered, double eps, double k) : RowNorm(call, centered, eps), factor(k) {}
  LGC_FN void begin(Row&, const RowStart&) const {}
  template <int S, class W> LGC_FN void terms(const Row& row, const Lane<W>& lane, W* out) const {
    if (S == 0) return sizes(lane.x[1], out);
    const W h = lane.x[0] * lane.column[0] * broadcast<W>(static_cast<Scalar<W>>(share));
    out[0] = deviation(row, lane.x[1]);
    out[1] = out[0] * out[0];
    out[2] = h;
    out[3] = h * out[0];
  }
  template <int S> LGC_FN void fold(Row& row, const double* sum) const {
    if (S == 0) return foldSizes(row, sum);
    foldDeviations(row, sum);
    row.meanHx = fma(sum[3], row.inverse, sum[2] * row.offset);
    row.meanH = center ? sum[2] : 0.0;
  }
  LGC_FN void rowOutputs(const Row&, double*) const {}
  template <class W> LGC_FN void write(const Row& row, const Lane<W>& lane, W* out) const {
    const W h = lane.x[0] * lane.column[0] - broadcast<W>(static_cast<Scalar<W>>(row.meanH));
    out[0] = fnma(normalized(row, lane.x[1]), broadcast<W>(static_cast<Scalar<W>>(row.meanHx)), h) *
             broadcast<W>(static_cast<Scalar<W>>(row.rstd * factor));
  }
};

constexpr Option kNormEpsilon = atLeast(number("epsilon", 1e-6), 0);

struct QkLayerNorm : NormForward {
  static constexpr Record record{"qkLayerNorm",
                                 "small-scale-proxies",
                                 {{"x", "*,c"}, {"gamma", "c"}},
                                 {kNormEpsilon, boolean("center", true)},
                                 {inPlace(array("out", "*,c"), "x"), array("mean", "*"), array("rstd", "*")}};
  LGC_FN explicit QkLayerNorm(const Call& call) : NormForward(call, LGC_OPTION(call, center) != 0, LGC_OPTION(call, epsilon), 1) {}
  LGC_FN void rowOutputs(const Row& row, double* out) const {
    out[0] = row.mean;
    out[1] = row.rstd;
  }
};

struct QkLayerNormBackward : NormBackward {
  static constexpr Record record{"qkLayerNormBackward",
                                 "small-scale-proxies",
                                 {{"gradOut", "*,c", Kind::real, Domain::gradient}, {"x", "*,c"}, {"gamma", "c"}},
                                 {kNormEpsilon, boolean("center", true)},
                                 {inPlace(array("gradX", "*,c"), "x"), array("gradGamma", "c")},
                                 false,
                                 "qkLayerNorm"};
  static constexpr int columnSums = 1;
  LGC_FN explicit QkLayerNormBackward(const Call& call) : NormBackward(call, LGC_OPTION(call, center) != 0, LGC_OPTION(call, epsilon), 1) {}
  template <class W> LGC_FN void columnTerms(const Row& row, const Lane<W>& lane, W* out) const {
    out[0] = lane.x[0] * normalized(row, lane.x[1]);
  }
};

// sqrt(kappa) z / sqrt(mean(z^2) + epsilon)
constexpr Option kKappa = atLeast(number("kappa", 1), 0);
constexpr Option kRescaleEpsilon = atLeast(number("epsilon", 0), 0);

struct RmsRescale : NormForward {
  static constexpr Record record{"rmsRescale",
                                 "small-scale-proxies",
                                 {{"z", "*,c"}},
                                 {kKappa, kRescaleEpsilon},
                                 {inPlace(array("out", "*,c"), "z"), array("scale", "*")}};
  LGC_FN explicit RmsRescale(const Call& call) : NormForward(call, false, LGC_OPTION(call, epsilon), sqrt(LGC_OPTION(call, kappa))) {}
  LGC_FN void rowOutputs(const Row& row, double* out) const { out[0] = row.rstd * factor; }
};

struct RmsRescaleBackward : NormBackward {
  static constexpr Record record{"rmsRescaleBackward",
                                 "small-scale-proxies",
                                 {{"gradOut", "*,c", Kind::real, Domain::gradient}, {"z", "*,c"}},
                                 {kKappa, kRescaleEpsilon},
                                 {inPlace(array("gradZ", "*,c"), "z")},
                                 false,
                                 "rmsRescale"};
  LGC_FN explicit RmsRescaleBackward(const Call& call)
      : NormBackward(call, false, LGC_OPTION(call, epsilon), sqrt(LGC_OPTION(call, kappa))) {}
};

// max(sqrt(mean(x^2)), floor)
struct Rms {
  static constexpr Record record{"rms", "small-scale-proxies", {{"x", "*"}}, {atLeast(number("floor", 0), 0)}, {scalar("rms")}, true};

  double floor;
  explicit Rms(const Call& call) : floor(LGC_OPTION(call, floor)) {}
  LGC_FN double of(double norm, size_t n) const { return max(floor, norm / sqrt(static_cast<double>(n))); }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
