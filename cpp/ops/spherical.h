// The spherical family: losses that are functions of the sum, the sum of squares and the target's logit. Sources: de Brebisson and
// Vincent 2016 (Z-loss, arXiv 1604.08859), 2015 (log-Taylor and log-spherical softmax, arXiv 1511.05042). Moments leave the target
// out: at a confident row the loss and the target's gradient are the small rest, not a difference of two near-equal sums.
#pragma once
#include "softmax.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr unsigned kOtherMoments = kMean | kVariance | kTargetLogit | kWithoutTarget;
constexpr unsigned kOtherSums = kSum | kSquares | kTargetLogit | kWithoutTarget;

// The losses' own options; the factored layer takes the same.
constexpr Option kZSharpness = above(number("a", 1), 0), kZOffset = number("b", 0);
constexpr double kZEpsilon = 1e-12, kSphericalEpsilon = 1e-3;
constexpr Option kTargetValue = number("targetValue", 1);

// A NaN or infinite logit makes the whole row NaN, also slopes that do not depend on it.
template <class T> LGC_FN T scaledOrNan(const T& loss, const T& target, double scale) {
  using V = ValueOf<T>;
  const V value = valueOf(loss), t = valueOf(target);
  return loss * (broadcast<V>(scale) + select(value == value, t - t, value));
}

// softplus(a (b - z)) / a with z the standardised target logit (x_y - mean) / (sigma + epsilon)
struct ZLoss {
  static constexpr Record record{"zLoss",
                                 "z-loss",
                                 {kLogitsInput, kTargets},
                                 {kZSharpness, kZOffset, atLeast(number("epsilon", kZEpsilon), 0), kIgnoreIndex, kReduction, kGrad},
                                 {reduced("loss", "n"), gradient("gradLogits", "n,c", "logits")}};
  static constexpr unsigned needs = kOtherMoments;

  double a, b, epsilon, scale;
  LGC_FN explicit ZLoss(const Call& call)
      : ZLoss(LGC_OPTION(call, a), LGC_OPTION(call, b), LGC_OPTION(call, epsilon), meanScale<ZLoss>(call)) {}
  LGC_FN ZLoss(double sharpness, double offset, double added, double rowScale)
      : a(sharpness), b(offset), epsilon(added), scale(rowScale / sharpness) {}
  template <class T> LGC_FN T loss(const Statistics<T>& s) const {
    using V = ValueOf<T>;
    const V zero = broadcast<V>(0), share = (s.classes - broadcast<V>(1)) / s.classes;
    const T ahead = s.target - s.mean;
    const T variance = (s.variance + square(ahead) / s.classes) * share;
    // A constant row has no scale: z is 0 and has no slope.
    const T z = select(valueOf(variance) == zero, lift<T>(zero), ahead * share / (sqrt(variance) + broadcast<V>(epsilon)));
    return softplus((broadcast<V>(b) - z) * broadcast<V>(a)) * broadcast<V>(scale);
  }
};

// -log p_y with p proportional to 1 + x + x^2 / 2
struct TaylorSoftmaxLoss {
  static constexpr Record record{"taylorSoftmaxLoss",
                                 "z-loss",
                                 {kLogitsInput, kTargets},
                                 {kIgnoreIndex, kReduction, kGrad},
                                 {reduced("loss", "n"), gradient("gradLogits", "n,c", "logits")}};
  static constexpr unsigned needs = kOtherSums;

  double scale;
  LGC_FN explicit TaylorSoftmaxLoss(const Call& call) : scale(meanScale<TaylorSoftmaxLoss>(call)) {}
  explicit TaylorSoftmaxLoss(double rowScale) : scale(rowScale) {}
  template <class T> LGC_FN T loss(const Statistics<T>& s) const {
    using V = ValueOf<T>;
    const V one = broadcast<V>(1), half = broadcast<V>(0.5);
    const T others = s.squares * half + s.sum + (s.classes - one);
    const T own = square(s.target + one) * half + half;
    return scaledOrNan(log1p(others / own), s.target, scale);
  }
};

// -log p_y with p proportional to x^2 + epsilon
struct SphericalSoftmaxLoss {
  static constexpr Record record{"sphericalSoftmaxLoss",
                                 "z-loss",
                                 {kLogitsInput, kTargets},
                                 {above(number("epsilon", kSphericalEpsilon), 0), kIgnoreIndex, kReduction, kGrad},
                                 {reduced("loss", "n"), gradient("gradLogits", "n,c", "logits")}};
  static constexpr unsigned needs = kOtherSums;

  double epsilon, scale;
  LGC_FN explicit SphericalSoftmaxLoss(const Call& call)
      : SphericalSoftmaxLoss(LGC_OPTION(call, epsilon), meanScale<SphericalSoftmaxLoss>(call)) {}
  LGC_FN SphericalSoftmaxLoss(double added, double rowScale) : epsilon(added), scale(rowScale) {}
  template <class T> LGC_FN T loss(const Statistics<T>& s) const {
    using V = ValueOf<T>;
    const V e = broadcast<V>(epsilon);
    const T others = s.squares + (s.classes - broadcast<V>(1)) * e;
    return scaledOrNan(log1p(others / (square(s.target) + e)), s.target, scale);
  }
};

// sum_k (x_k - targetValue [k = y])^2
struct OneHotSquaredError {
  static constexpr Record record{"oneHotSquaredError",
                                 "z-loss",
                                 {kLogitsInput, kTargets},
                                 {kTargetValue, kIgnoreIndex, kReduction, kGrad},
                                 {reduced("loss", "n"), gradient("gradLogits", "n,c", "logits")}};
  static constexpr unsigned needs = kOtherSums;

  double targetValue, scale;
  LGC_FN explicit OneHotSquaredError(const Call& call)
      : OneHotSquaredError(LGC_OPTION(call, targetValue), meanScale<OneHotSquaredError>(call)) {}
  LGC_FN OneHotSquaredError(double value, double rowScale) : targetValue(value), scale(rowScale) {}
  template <class T> LGC_FN T loss(const Statistics<T>& s) const {
    using V = ValueOf<T>;
    return scaledOrNan(square(s.target - broadcast<V>(targetValue)) + s.squares, s.target, scale);
  }
};

// (1 + x + x^2 / 2) / sum
struct TaylorSoftmax {
  static constexpr Record record{"taylorSoftmax", "z-loss", {kLeadingLogits}, {}, {inPlace(array("out", "*,c"), "logits")}};
  static constexpr int softmaxInputs = 0, sweeps = 1, sums[1] = {1};
  struct Row {
    double inverse;
  };
  LGC_FN explicit TaylorSoftmax(const Call&) {}
  template <class W> LGC_FN static W weight(W x) {
    const W half = broadcast<W>(0.5), above = x + broadcast<W>(1);
    return fma(above * half, above, half);
  }
  LGC_FN void begin(Row&, const RowStart&) const {}
  template <int S, class W> LGC_FN void terms(const Row&, const Lane<W>& lane, W* out) const { out[0] = weight(lane.x[0]); }
  template <int S> LGC_FN void fold(Row& row, const double* total) const { row.inverse = 1.0 / finiteOrNan(total[0]); }
  LGC_FN void rowOutputs(const Row&, double*) const {}
  template <class W> LGC_FN void write(const Row& row, const Lane<W>& lane, W* out) const {
    out[0] = weight(lane.x[0]) * broadcast<W>(static_cast<Scalar<W>>(row.inverse));
  }
};

// (x^2 + epsilon) / sum
struct SphericalSoftmax {
  static constexpr Record record{"sphericalSoftmax",
                                 "z-loss",
                                 {kLeadingLogits},
                                 {above(number("epsilon", kSphericalEpsilon), 0)},
                                 {inPlace(array("out", "*,c"), "logits")}};
  static constexpr int softmaxInputs = 0, sweeps = 1, sums[1] = {1};
  struct Row {
    double columns, root, constant;
  };
  double epsilon;
  LGC_FN explicit SphericalSoftmax(const Call& call) : epsilon(LGC_OPTION(call, epsilon)) {}
  LGC_FN void begin(Row& row, const RowStart& start) const { row.columns = static_cast<double>(start.columns); }
  template <int S, class W> LGC_FN void terms(const Row&, const Lane<W>& lane, W* out) const { out[0] = lane.x[0] * lane.x[0]; }
  template <int S> LGC_FN void fold(Row& row, const double* total) const {
    const double all = finiteOrNan(fma(row.columns, epsilon, total[0]));
    row.constant = epsilon / all;
    row.root = 1.0 / sqrt(all);
  }
  LGC_FN void rowOutputs(const Row&, double*) const {}
  // Neither 1 / sum nor epsilon need fit into float32.
  template <class W> LGC_FN void write(const Row& row, const Lane<W>& lane, W* out) const {
    const W scaled = lane.x[0] * broadcast<W>(static_cast<Scalar<W>>(row.root));
    out[0] = fma(scaled, scaled, broadcast<W>(static_cast<Scalar<W>>(row.constant)));
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
