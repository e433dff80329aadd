// StableMax: s(x) = x + 1 for x >= 0 and 1 / (1 - x) below, in place of the exponential. Source: Prieto et al. 2025, "Grokking at
// the Edge of Numerical Stability" (arXiv 2501.04697). The sum of a row leaves out the target, or the largest logit: where that is
// all but the whole, loss and gradient are the rest and not a difference that rounds to 0.
#pragma once
#include "../engine/definition.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// s, its derivative, and s' / s = 1 / (1 + |x|). s(-Infinity) is 0: a masked class.
template <class W> struct StableTerm {
  W s, slope, ratio;
};
template <class W> LGC_FN StableTerm<W> stableTerm(W x) {
  const W one = broadcast<W>(1), a = one + abs(x), r = one / a;
  const auto negative = x < broadcast<W>(0);
  return {select(negative, r, a), select(negative, r * r, one), r};
}
template <class W> LGC_FN W stableLog(W x) { return copysign(log1p(abs(x)), x); }
template <class W> LGC_FN Mask<W> isMasked(W x) { return x == broadcast<W>(-__builtin_huge_val()); }

// What all ops of a row share: s and x of the entry left out, the sum of the others, and of both.
struct StableRow {
  double x, s, rest, total, inverse;
  LGC_FN void start(double value) {
    x = value;
    s = stableTerm(value).s;
  }
  LGC_FN void finish(double others) {
    rest = others;
    total = finiteOrNan(s + others);
    inverse = 1.0 / total;
  }
  // -log of the entry's probability
  LGC_FN double loss() const {
    if (!(total > 0)) return __builtin_nan("");
    return rest <= s ? log1p(rest / s) : log(total) - stableLog(x);
  }
};

template <class D> struct StableSweep {
  static constexpr int softmaxInputs = 0, sweeps = 1, sums[1] = {1};
  static constexpr bool wideSums = true;
  template <class R> LGC_FN void rowOutputs(const R&, double*) const {}
};

// s(x_j) / sum_k s(x_k)
struct StableMax : StableSweep<StableMax> {
  static constexpr Record record{"stableMax", "grokking-numerical-stability",           {{"logits", "*,c"}},
                                 {},          {inPlace(array("out", "*,c"), "logits")}, true};
  struct Row {
    double inverse;
  };
  LGC_FN explicit StableMax(const Call&) {}
  LGC_FN void begin(Row&, const RowStart&) const {}
  template <int S, class W> LGC_FN void terms(const Row&, const Lane<W>& lane, W* out) const { out[0] = stableTerm(lane.x[0]).s; }
  template <int S> LGC_FN void fold(Row& row, const double* sum) const { row.inverse = 1.0 / finiteOrNan(sum[0]); }
  template <class W> LGC_FN void write(const Row& row, const Lane<W>& lane, W* out) const {
    out[0] = stableTerm(lane.x[0]).s * broadcast<W>(static_cast<Scalar<W>>(row.inverse));
  }
};

// log(s(x_j) / sum_k s(x_k))
struct LogStableMax : StableSweep<LogStableMax> {
  static constexpr Record record{
      "logStableMax", "grokking-numerical-stability", {{"logits", "*,c"}}, {}, {inPlace(array("out", "*,c"), "logits")}, true};
  static constexpr int pivotInput = 0;
  struct Row : StableRow {
    double top, logSum;
  };
  bool isDouble;
  LGC_FN explicit LogStableMax(const Call& call) : isDouble(call.isDouble) {}
  LGC_FN void begin(Row& row, const RowStart& start) const {
    row.start(start.targetValue[0]);
    // In the type of the lanes, so that entries equal to the largest differ from it by exactly 0.
    row.top = isDouble ? stableLog(row.x) : static_cast<double>(stableLog(static_cast<float>(row.x)));
  }
  template <int S, class W> LGC_FN void terms(const Row&, const Lane<W>& lane, W* out) const {
    out[0] = select(lane.isPivot, broadcast<W>(0), stableTerm(lane.x[0]).s);
  }
  template <int S> LGC_FN void fold(Row& row, const double* sum) const {
    row.finish(sum[0]);
    row.logSum = row.total > 0 ? log1p(row.rest / row.s) : __builtin_nan("");
  }
  template <class W> LGC_FN void write(const Row& row, const Lane<W>& lane, W* out) const {
    const W shifted = stableLog(lane.x[0]) - broadcast<W>(static_cast<Scalar<W>>(row.top));
    out[0] = shifted - broadcast<W>(static_cast<Scalar<W>>(row.logSum));
  }
};

// s'_j / S (g_j - sum_k g_k s_k / S)
struct StableMaxBackward : StableSweep<StableMaxBackward> {
  static constexpr Record record{"stableMaxBackward",
                                 "grokking-numerical-stability",
                                 {{"gradOut", "*,c", Kind::real, Domain::gradient}, {"logits", "*,c"}},
                                 {},
                                 {inPlace(array("gradLogits", "*,c"), "logits")},
                                 true,
                                 "stableMax"};
  static constexpr int pivotInput = 1, sums[1] = {2};
  struct Row : StableRow {
    double gradient, dotRest, mean;
  };
  LGC_FN explicit StableMaxBackward(const Call&) {}
  LGC_FN void begin(Row& row, const RowStart& start) const {
    row.gradient = start.targetValue[0];
    row.start(start.targetValue[1]);
  }
  template <int S, class W> LGC_FN void terms(const Row&, const Lane<W>& lane, W* out) const {
    const W zero = broadcast<W>(0), s = stableTerm(lane.x[1]).s;
    out[0] = select(lane.isPivot, zero, s);
    out[1] = select(lane.isPivot | isMasked(lane.x[1]), zero, lane.x[0] * s);
  }
  template <int S> LGC_FN void fold(Row& row, const double* sum) const {
    row.finish(sum[0]);
    row.dotRest = sum[1];
    row.mean = fma(row.gradient, row.s, row.dotRest) / row.total;
  }
  template <class W> LGC_FN void write(const Row& row, const Lane<W>& lane, W* out) const {
    const W factor = broadcast<W>(static_cast<Scalar<W>>(row.inverse));
    const W g = stableTerm(lane.x[1]).slope * factor * (lane.x[0] - broadcast<W>(static_cast<Scalar<W>>(row.mean)));
    // factor - factor: 0, or NaN in a row that is NaN.
    out[0] = select(isMasked(lane.x[1]), factor - factor, g);
  }
  LGC_FN double atTarget(const Row& row) const {
    const double slope = stableTerm(row.x).slope / row.total;
    return slope * (fma(row.gradient, row.rest, -row.dotRest) / row.total);
  }
};

// s'_j / s_j (g_j - s_j / S sum_k g_k)
struct LogStableMaxBackward : StableSweep<LogStableMaxBackward> {
  static constexpr Record record{"logStableMaxBackward",
                                 "grokking-numerical-stability",
                                 {{"gradOut", "*,c", Kind::real, Domain::gradient}, {"logits", "*,c"}},
                                 {},
                                 {inPlace(array("gradLogits", "*,c"), "logits")},
                                 true,
                                 "logStableMax"};
  static constexpr int pivotInput = 1, sums[1] = {2};
  struct Row : StableRow {
    double gradient, gradientRest, share;
  };
  LGC_FN explicit LogStableMaxBackward(const Call&) {}
  LGC_FN void begin(Row& row, const RowStart& start) const {
    row.gradient = start.targetValue[0];
    row.start(start.targetValue[1]);
  }
  template <int S, class W> LGC_FN void terms(const Row&, const Lane<W>& lane, W* out) const {
    const W zero = broadcast<W>(0);
    out[0] = select(lane.isPivot, zero, stableTerm(lane.x[1]).s);
    out[1] = select(lane.isPivot, zero, lane.x[0]);
  }
  template <int S> LGC_FN void fold(Row& row, const double* sum) const {
    row.finish(sum[0]);
    row.gradientRest = sum[1];
    row.share = (row.gradient + row.gradientRest) / row.total;
  }
  template <class W> LGC_FN void write(const Row& row, const Lane<W>& lane, W* out) const {
    const W share = broadcast<W>(static_cast<Scalar<W>>(row.share));
    const StableTerm<W> t = stableTerm(lane.x[1]);
    out[0] = select(isMasked(lane.x[1]), share - share, t.ratio * fnma(t.s, share, lane.x[0]));
  }
  LGC_FN double atTarget(const Row& row) const {
    return stableTerm(row.x).ratio * (fma(row.gradient, row.rest, -(row.s * row.gradientRest)) / row.total);
  }
};

// -log(s(x_y) / S);  the gradient is s'_j / S - [j = y] / (1 + |x_y|)
struct StableMaxCrossEntropy : StableSweep<StableMaxCrossEntropy> {
  static constexpr Record record{"stableMaxCrossEntropy",
                                 "grokking-numerical-stability",
                                 {{"logits", "n,c"}, {"targets", "n", Kind::target}},
                                 {kIgnoreIndex, kReduction, kGrad},
                                 {reduced("loss", "n"), gradient("gradLogits", "n,c", "logits")},
                                 true};
  using Row = StableRow;
  double scale;
  LGC_FN explicit StableMaxCrossEntropy(const Call& call) : scale(meanScale<StableMaxCrossEntropy>(call)) {}
  LGC_FN void begin(Row& row, const RowStart& start) const { row.start(start.targetValue[0]); }
  template <int S, class W> LGC_FN void terms(const Row&, const Lane<W>& lane, W* out) const {
    out[0] = select(lane.isPivot, broadcast<W>(0), stableTerm(lane.x[0]).s);
  }
  template <int S> LGC_FN void fold(Row& row, const double* sum) const { row.finish(sum[0]); }
  LGC_FN void rowOutputs(const Row& row, double* out) const { out[0] = row.loss() * scale; }
  template <class W> LGC_FN void write(const Row& row, const Lane<W>& lane, W* out) const {
    out[0] = stableTerm(lane.x[0]).slope * broadcast<W>(static_cast<Scalar<W>>(row.inverse * scale));
  }
  LGC_FN double atTarget(const Row& row) const { return (0.0 - row.rest) / row.total * stableTerm(row.x).ratio * scale; }
};

// d/dc L(c x) at c = 1 of every row, and the cosine between -gradient and logits
struct LogitScaleDerivative {
  static constexpr Record record{"logitScaleDerivative",
                                 "grokking-numerical-stability",
                                 {{"logits", "*,c"}, {"gradLogits", "*,c", Kind::real, Domain::gradient}},
                                 {},
                                 {array("derivative", "*"), array("nlmCosine", "*")},
                                 true};

  // The row's sums: logits by gradient, and both squared. A masked class is no direction.
  template <class W> LGC_FN static void terms(W logit, W gradient, W* out) {
    const W v = select(isMasked(logit), broadcast<W>(0), logit);
    out[0] = v * gradient;
    out[1] = v * v;
    out[2] = gradient * gradient;
  }
  LGC_FN static double cosineOf(const double* sums) {
    const double norms = sqrt(sums[1]) * sqrt(sums[2]);
    return norms == 0 ? 0.0 : -sums[0] / norms;
  }
};

// g - (w.g) / (w.w + epsilon) w, rescaled to the norm of g  (equation 12)
struct PerpGrad {
  static constexpr Record record{
      "perpGrad",
      "grokking-numerical-stability",
      {{"grad", "*", Kind::real, Domain::gradient}, {"param", "*"}},
      {boolean("preserveNorm", true), atLeast(number("epsilon", 1e-30), 0), atLeast(number("minRatio", 1e-6), 0)},
      {inPlace(array("out", "*"), "grad"), scalar("parallelNorm"), scalar("perpNorm"), scalar("nlmCosine")},
      true};

  double epsilon, minRatio;
  bool preserveNorm;
  double dot, weights, length, along, again, norm, scale;
  bool still, nothing;

  explicit PerpGrad(const Call& call)
      : epsilon(LGC_OPTION(call, epsilon)), minRatio(LGC_OPTION(call, minRatio)), preserveNorm(LGC_OPTION(call, preserveNorm) != 0) {}
  // From the sums of g w, w^2 and g^2.
  LGC_FN void project(const double* sums) {
    dot = sums[0];
    weights = sums[1];
    length = sqrt(sums[2]);
    still = weights == 0;
    along = still ? 0.0 : dot / (weights + epsilon);
  }
  template <class W> LGC_FN W projected(W g, W w) const { return fnma(broadcast<W>(along), w, g); }
  // A second projection takes what rounding left along the weights: from the sums of p w and p^2 of what was projected.
  LGC_FN void projectAgain(const double* sums) {
    const double left = still ? 0.0 : dot * (epsilon / (weights + epsilon));
    again = still ? 0.0 : (sums[0] - left) / (weights + epsilon);
    const double squares = fma(again, fma(again, weights, -2 * sums[0]), sums[1]);
    norm = squares < 0 ? 0.0 : sqrt(squares);
    scale = 1;
    nothing = norm <= minRatio * length && !(still && norm > 0);
    if (nothing)
      norm = 0;
    else if (preserveNorm && !still)
      scale = length / (norm + epsilon);
  }
  template <class W> LGC_FN W entry(W g, W w) const {
    const W p = fnma(broadcast<W>(again), w, projected(g, w));
    return nothing ? broadcast<W>(0) : p * broadcast<W>(scale);
  }
  LGC_FN double parallelNorm() const { return still ? 0.0 : abs(dot) / sqrt(weights); }
  LGC_FN double cosine() const { return still || length == 0 ? 0.0 : -dot / (sqrt(weights) * length); }
};

// Rows whose sum of exponentials rounds to its largest term in a given precision.
struct SoftmaxCollapse {
  static constexpr Record record{"softmaxCollapse",
                                 "grokking-numerical-stability",
                                 {{"logits", "*,c"}, {"targets", "*", Kind::target, Domain::any, true}},
                                 {choice("precision", "float32,float64,float16,bfloat16"), kIgnoreIndex},
                                 {scalar("fraction"), scalar("count"), array("mask", "*", Kind::index)},
                                 true};

  // 1 + rest rounds to 1 exactly when rest <= limit (ties to even).
  static double limitOf(const Call& call) {
    constexpr double limits[] = {0x1p-24, 0x1p-53, 0x1p-11, 0x1p-8};
    return limits[static_cast<int>(LGC_OPTION(call, precision))];
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
