// Binary logistic loss and gate of a margin. Source: Tyurin 2024, arXiv 2412.08424.
#pragma once
#include "../engine/definition.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// softplus(-t m) / t, and its slope without the sign: sigma(-t m). For t to infinity the perceptron loss max(0, -m) and its step.
template <class W> LGC_FN W marginLoss(W margin, W sharpness) { return softplus(-(margin * sharpness)) / sharpness; }
template <class W> LGC_FN W marginGate(W margin, W sharpness) { return sigmoid(-(margin * sharpness)); }
// log sigma(-t m), which stays finite where the gate underflows.
template <class W> LGC_FN W logGate(W margin, W sharpness) { return -softplus(margin * sharpness); }

constexpr double kLargest = 1.7976931348623157e308;
constexpr Input kFeatures{"features", "n,d"}, kSigns{"labels", "n", Kind::sign}, kTheta{"theta", "d"};

// A sample that is not shown to be right counts as wrong: a margin of 0, and one of NaN.
LGC_FN bool isWrong(double margin) { return !(margin > 0); }

// Everything here is in double: n margins are few beside the n x d features, and a rounded margin may change its sign.
struct Gates {
  double lossSum = 0, wrong = 0;
  double beta = 1;      // n over the sum of gates
  double logTotal = 0;  // log of the sum of gates

  // From the largest log gate, and the sum of the gates relative to it. With every margin infinite no gate is open.
  LGC_FN void normalize(double top, double sum, size_t n) {
    logTotal = top == -kInfinity ? top : top + log(sum);
    const double inverse = exp(log(static_cast<double>(n)) - logTotal);
    beta = inverse > kLargest ? kLargest : inverse;
  }
  // What the gradient of sample i is in front of -y_i: its share of all gates, or its gate times `scale`.
  template <class W> LGC_FN W weight(W margin, double sharpness, bool normalized, double scale) const {
    const W t = broadcast<W>(sharpness);
    if (!normalized) return marginGate(margin, t) * broadcast<W>(scale);
    if (logTotal == -kInfinity) return broadcast<W>(0);
    return exp(logGate(margin, t) - broadcast<W>(logTotal));
  }
};

// The share of a sample in a step of the batch perceptron, of all samples in the first step unless it is normalised.
struct PerceptronShare {
  bool all;
  double share;
  LGC_FN PerceptronShare(double wrong, double n, bool first, bool normalized)
      : all(first && !normalized), share(1.0 / (normalized ? wrong : n * (all ? 2 : 1))) {}
  LGC_FN double weight(double margin, double label) const { return all || isWrong(margin) ? label * share : 0.0; }
};

struct BinaryLogisticLoss {
  static constexpr Record record{"binaryLogisticLoss",
                                 "lr-to-perceptron",
                                 {{"logits", "n"}, kSigns},
                                 {above(number("sharpness", 1), 0), boolean("normalized"), kReduction, kGrad},
                                 {reduced("loss", "n"), when(scalar("beta"), "normalized"), gradient("gradLogits", "n", "logits")},
                                 true};
};

struct LogisticRegression {
  static constexpr Record record{"logisticRegression",
                                 "lr-to-perceptron",
                                 {kFeatures, kSigns, kTheta},
                                 {above(number("sharpness", 1), 0), boolean("normalized"), kGrad},
                                 {scalar("loss"), scalar("misclassified"), scalar("accuracy"), when(scalar("beta"), "normalized"),
                                  gradient("gradTheta", "d", "theta")},
                                 true};
};

struct LogisticGdStep {
  static constexpr Record record{
      "logisticGdStep",
      "lr-to-perceptron",
      {kFeatures, kSigns, kTheta},
      {above(number("stepSize", 1), 0), boolean("normalized")},
      {inPlace(array("theta", "d"), "theta"), scalar("loss"), scalar("misclassified"), when(scalar("beta"), "normalized")},
      true};
};

struct BatchPerceptronStep {
  static constexpr Record record{"batchPerceptronStep",
                                 "lr-to-perceptron",
                                 {kFeatures, kSigns, kTheta},
                                 {boolean("first"), boolean("normalized")},
                                 {inPlace(array("theta", "d"), "theta"), scalar("misclassified")},
                                 true};
};

struct PerceptronStep {
  static bool indexInside(Call& call) {
    if (!LGC_GIVEN(call, index) || LGC_OPTION(call, index) < static_cast<double>(call.rows)) return true;
    __builtin_snprintf(call.error, sizeof call.error, "options.index is %.0f, expected an integer in [0, %.0f]", LGC_OPTION(call, index),
                       static_cast<double>(call.rows) - 1);
    return false;
  }
  static constexpr Record record{"perceptronStep",
                                 "lr-to-perceptron",
                                 {kFeatures, kSigns, kTheta},
                                 {atLeast(integer("index", __builtin_nan("")), 0)},
                                 {inPlace(array("theta", "d"), "theta"), scalar("index"), scalar("misclassified")},
                                 true,
                                 nullptr,
                                 &indexInside};
};

struct SeparationStats {
  static constexpr Record record{"separationStats",
                                 "lr-to-perceptron",
                                 {kFeatures, kSigns, kTheta},
                                 {above(optionalNumber("stepSize"), 0)},
                                 {array("margins", "n"), scalar("minMargin"), scalar("radius"), scalar("misclassified"), scalar("accuracy"),
                                  scalar("perceptronBound"), scalar("batchPerceptronBound"), scalar("normalizedBound")},
                                 true};

  // From the least margin of samples and their largest norm. Without a margin there is no bound.
  double stepSize;  // NaN: not given
  explicit SeparationStats(const Call& call) : stepSize(LGC_GIVEN(call, stepSize) ? LGC_OPTION(call, stepSize) : __builtin_nan("")) {}
  struct Bounds {
    double margin, perceptron, batchPerceptron, normalized;
  };
  LGC_FN Bounds bounds(double least, double norm, double radius, double n) const {
    const double mu = norm == 0 ? 0.0 : least / norm, nan = __builtin_nan(""), ratio = radius / mu;
    if (!(mu > 0)) return {mu, nan, nan, nan};
    const double squared = ratio * ratio;
    return {mu, squared, n * squared, stepSize == stepSize ? squared + 2 * log(2 * n - 1) / (stepSize * mu * mu) : nan};
  }
};

enum SeparateMethod { kNormalizedLogistic, kPlainLogistic, kBatchPerceptron, kNormalizedBatchPerceptron, kPerceptron };

struct Separate {
  static constexpr Record record{"separate",
                                 "lr-to-perceptron",
                                 {kFeatures, kSigns},
                                 {choice("method", "normalizedLogistic,logistic,batchPerceptron,normalizedBatchPerceptron,perceptron"),
                                  above(number("stepSize", 1), 0), atLeast(integer("maxSteps", 1000), 0)},
                                 {array("theta", "d"), scalar("steps"), scalar("separated")},
                                 true};
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
