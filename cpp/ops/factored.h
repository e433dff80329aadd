// The output layer whose training step does not touch the D rows of its weights: W = V U + 1 omega^T, with Q = W^T W and wbar = W^T 1
// (Vincent, de Brebisson and Bouthillier 2015, arXiv 1412.7091). Its losses are those of spherical.h.
#pragma once
#include "spherical.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

enum LayerLoss { kLayerZ, kLayerSquaredError, kLayerTaylor, kLayerSpherical };

constexpr Input kLayerV{"V", "c,d", Kind::real, Domain::gradient}, kLayerU{"U", "d,d", Kind::real64},
    kLayerInverse{"inverseU", "d,d", Kind::real64}, kLayerOmega{"omega", "d", Kind::real64}, kLayerQ{"Q", "d,d", Kind::real64},
    kLayerWbar{"wbar", "d", Kind::real64}, kLayerHidden{"hidden", "n,d", Kind::real, Domain::gradient};

constexpr Output stateOf(const Input& in) { return inPlace(array(in.name, in.dims, in.kind), in.name); }

constexpr Input optionalOf(Input in) {
  in.optional = true;
  return in;
}

// An input among the options that only makes a call faster.
constexpr Input hintOf(Input in) {
  in = optionalOf(in);
  in.fromOptions = true;
  return in;
}
constexpr Input kLayerDelayed = hintOf({"delayed", "m", Kind::real64});

// A loss of a row and its derivatives by the sum s of all logits, the sum q of their squares and the target's logit t, each times
// the factor of the reduction: d loss / d x_k = 2 byQ x_k + byS + [k = y] byT.
struct SphericalSlopes {
  double loss, byS, byQ, byT;
};

// sigma^2 = q / D - (s / D)^2 is a difference of rounded sums: what is below this share of q / D is rounding, and no scale.
constexpr double kNoVariance = 0x1p-44;

template <class D> LGC_FN SphericalSlopes slopesOf(const D& definition, double classes, double s, double q, double t) {
  using N = Dual<double, 3>;
  const N sum = N::variable(s, 0), squares = N::variable(q, 1), target = N::variable(t, 2);
  const double others = classes > 1 ? classes - 1 : 1, mean = s / classes, square2 = q / classes;
  Statistics<N> row;
  row.classes = classes;
  row.target = target;
  row.sum = sum - target;
  row.squares = squares - square(target);
  if (row.squares.value < 0) row.squares.value = 0;
  row.mean = row.sum / others;
  row.variance = row.squares / others - square(row.mean);
  if (row.variance.value < 0) row.variance.value = 0;
  if (classes == 1 || square2 - mean * mean <= kNoVariance * square2) {
    row.variance = N::constant(0);
    row.mean = row.target = N::constant(t);
  }
  if (!(D::needs & kVariance)) {
    row.target = target;
    if (classes == 1) row.sum = row.squares = N::constant(0);
  }
  const N loss = definition.template loss<N>(row);
  return {loss.value, loss.partial[0], loss.partial[1], loss.partial[2]};
}

struct LayerLosses {
  int kind;
  double a, b, epsilon, targetValue;

  LGC_FN SphericalSlopes at(double classes, double s, double q, double t, double scale) const {
    switch (kind) {
      case kLayerZ: return slopesOf(ZLoss(a, b, epsilon, scale), classes, s, q, t);
      case kLayerSquaredError: return slopesOf(OneHotSquaredError(targetValue, scale), classes, s, q, t);
      case kLayerTaylor: return slopesOf(TaylorSoftmaxLoss(scale), classes, s, q, t);
      default: return slopesOf(SphericalSoftmaxLoss(epsilon, scale), classes, s, q, t);
    }
  }
};

// Loss, gradient and, with a learning rate, the state after the step.
struct SphericalLayerStep {
  static bool check(Call& call);
  static constexpr Record record{
      "sphericalLayerStep",
      "z-loss",
      {kLayerV, kLayerU, kLayerInverse, kLayerOmega, kLayerQ, kLayerWbar, kLayerHidden, kTargets, kLayerDelayed},
      {choice("loss", "z,mse,taylor,spherical"), kZSharpness, kZOffset, atLeast(optionalNumber("epsilon"), 0), kTargetValue,
       atLeast(number("learningRate", 0), 0), atLeast(number("weightDecay", 0), 0), kIgnoreIndex, choice("reduction", "mean,sum"),
       boolean("flush")},
      {scalar("loss"), array("gradHidden", "n,d"), stateOf(kLayerV), stateOf(kLayerU), stateOf(kLayerInverse), stateOf(kLayerOmega),
       stateOf(kLayerQ), stateOf(kLayerWbar), when(stateOf(kLayerDelayed), "delayed"), scalar("restarted"), scalar("condition")},
      false,
      nullptr,
      &check};

  LayerLosses losses;
  double rate, keep;  // keep: what weight decay leaves of the weights

  explicit SphericalLayerStep(const Call& call)
      : losses{static_cast<int>(LGC_OPTION(call, loss)), LGC_OPTION(call, a), LGC_OPTION(call, b), LGC_OPTION(call, epsilon),
               LGC_OPTION(call, targetValue)},
        rate(LGC_OPTION(call, learningRate)),
        keep(1 - LGC_OPTION(call, learningRate) * LGC_OPTION(call, weightDecay)) {
    if (!LGC_GIVEN(call, epsilon)) losses.epsilon = losses.kind == kLayerSpherical ? kSphericalEpsilon : kZEpsilon;
  }
};

inline bool SphericalLayerStep::check(Call& call) {
  if (LGC_OPTION(call, loss) == kLayerSpherical && LGC_GIVEN(call, epsilon) && LGC_OPTION(call, epsilon) == 0) {
    __builtin_snprintf(call.error, sizeof call.error, "options.epsilon is 0, expected a finite number > 0 for loss 'spherical'");
    return false;
  }
  const double decay = LGC_OPTION(call, learningRate) * LGC_OPTION(call, weightDecay);
  if (decay < 1) return true;
  __builtin_snprintf(call.error, sizeof call.error, "options.learningRate * options.weightDecay is %.9g, expected less than 1", decay);
  return false;
}

// V and U with singular values of U within [low, high], of the same W.
struct SphericalLayerStabilize {
  static constexpr Record record{"sphericalLayerStabilize",
                                 "z-loss",
                                 {kLayerV, kLayerU, kLayerOmega, kLayerQ, kLayerWbar, hintOf(kLayerInverse)},
                                 {between(above(number("low", 0.5), 0), 0, 1), atLeast(number("high", 2), 1)},
                                 {stateOf(kLayerV), stateOf(kLayerU), stateOf(kLayerInverse), stateOf(kLayerOmega), stateOf(kLayerQ),
                                  stateOf(kLayerWbar), scalar("fixed"), scalar("restarted")}};
};

// W, or with V's own array a restart of the layer; and what the layer keeps of W.
struct SphericalLayerWeight {
  static constexpr Record record{"sphericalLayerWeight",
                                 "z-loss",
                                 {kLayerV, optionalOf(kLayerU), optionalOf(kLayerOmega)},
                                 {boolean("gram")},
                                 {inPlace(array("weight", "c,d"), "V"), when(array("Q", "d,d", Kind::real64), "gram"),
                                  when(array("wbar", "d", Kind::real64), "gram")}};
};

struct SphericalLayerScores {
  static constexpr Record record{"sphericalLayerScores",
                                 "z-loss",
                                 {kLayerV, kLayerU, kLayerOmega, kLayerHidden, {"classes", "m", Kind::target}},
                                 {},
                                 {array("scores", "n,m")}};
};

struct SphericalLayerTopK {
  static bool check(Call& call);
  static constexpr Record record{"sphericalLayerTopK",
                                 "z-loss",
                                 {kLayerV, kLayerU, kLayerOmega, kLayerHidden},
                                 {required(between(integer("k", 1), 1, 2147483647.0))},
                                 {array("values", "n,k"), array("indices", "n,k", Kind::index)},
                                 false,
                                 nullptr,
                                 &check};
};

inline bool SphericalLayerTopK::check(Call& call) {
  const double k = LGC_OPTION(call, k), most = static_cast<double>(call.columns);
  if (k <= most && most <= 2147483647.0) return true;
  if (k > most)
    __builtin_snprintf(call.error, sizeof call.error, "options.k is %.0f, expected an integer in [1, %.0f]", k, most);
  else
    __builtin_snprintf(call.error, sizeof call.error, "V has %.0f rows, expected at most 2147483647", most);
  return false;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
