// Losses that are functions of the log-sum-exp and the target's log-probability. Sources: core semantics of PyTorch
// (cross_entropy), Liger-Kernel (z-loss, softcap), Lin et al. 2017 (focal loss), Wortsman et al. 2023 (z-loss regulariser).
#pragma once
#include "../engine/definition.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr Input kLogitsInput{"logits", "n,c"};
constexpr Input kLeadingLogits{"logits", "*,c"};
constexpr Input kTargets{"targets", "n", Kind::target};
constexpr Input optionInput(const char* name, const char* dims, Domain domain = Domain::any, Kind kind = Kind::real) {
  return {name, dims, kind, domain, true, true};
}
constexpr Option kSoftcap = above(optionalNumber("logitSoftcap"), 0);

// ce = (1 - eps) w_y (lse - x_y) + eps / c sum_j w_j (lse - x_j);  z = zLossWeight lse^2
struct CrossEntropy {
  static constexpr Record record{
      "crossEntropy",
      "core",
      {kLogitsInput, kTargets, optionInput("weight", "c", Domain::positive), optionInput("rowWeights", "n")},
      {kTemperature, between(number("labelSmoothing", 0), 0, 1), kIgnoreIndex, number("zLossWeight", 0), kSoftcap, kReduction, kGrad},
      {reduced("loss", "n"), when(reduced("zLoss", "n"), "zLossWeight"), gradient("gradLogits", "n,c", "logits")}};
  static constexpr unsigned needs = kLogSumExp | kLogProb | kSmooth;

  double smoothing, own, spread, regularizer;  // the last three: factors of the row's terms
  bool isDouble;
  const void* weight;
  const void* rowWeights;

  LGC_FN explicit CrossEntropy(const Call& call)
      : smoothing(LGC_OPTION(call, labelSmoothing)),
        isDouble(call.isDouble),
        weight(LGC_INPUT(void, call, weight)),
        rowWeights(LGC_INPUT(void, call, rowWeights)) {
    const double zScale = reductionOf<CrossEntropy>(call) == kReduceMean ? meanScale<CrossEntropy>(call) : 1.0;
    // Class weights enter the divisor of the cross-entropy, not of the z-loss (PyTorch, Liger-Kernel).
    const double scale = weight && reductionOf<CrossEntropy>(call) == kReduceMean ? reciprocalOrZero(totalWeight(call)) : zScale;
    own = scale * (1 - smoothing);
    spread = scale * smoothing / static_cast<double>(call.columns);
    regularizer = zScale * LGC_OPTION(call, zLossWeight);
  }
  LGC_FN double totalWeight(const Call& call) const {
    const int32_t* targets = LGC_INPUT(int32_t, call, targets);
    const int32_t ignore = ignoreIndexOf<CrossEntropy>(call);
    return sumRows(call.rows, [&](size_t i) {
      const int32_t y = targets[i];
      return y == ignore || !isClass(call, y) ? 0.0 : at(weight, static_cast<size_t>(y));
    });
  }
  LGC_FN double at(const void* p, size_t i) const { return numberAt(p, isDouble, i); }
  LGC_FN bool smooths() const { return smoothing != 0; }
  LGC_FN void rowParameters(size_t i, int32_t y, double* p) const {
    const double r = rowWeights ? at(rowWeights, i) : 1.0;
    p[0] = r * own * (weight ? at(weight, static_cast<size_t>(y)) : 1.0);
    p[1] = r * spread;
    p[2] = r * regularizer;
  }
  template <class T> LGC_FN T loss(const Statistics<T>& s) const {
    using V = ValueOf<T>;
    // A term of weight 0 is 0, also where the target is masked and its loss infinite.
    const V none = broadcast<V>(0);
    const T zero = lift<T>(none);
    const T ce = select(s.parameter[0] == none, zero, -s.logProb * s.parameter[0]);
    const T smooth = select(s.parameter[1] == none, zero, s.smooth * s.parameter[1]);
    const T z = select(s.parameter[2] == none, zero, square(s.logSumExp) * s.parameter[2]);
    return ce + smooth + z;
  }
  template <class S> LGC_FN auto extra(const S& s) const { return square(s.logSumExp) * s.parameter[2]; }
};

// alpha_y (1 - p_y)^gamma (-log p_y)
struct FocalLoss {
  static constexpr Record record{"focalLoss",
                                 "core",
                                 {kLogitsInput, kTargets, optionInput("alpha", "c", Domain::positive)},
                                 {atLeast(number("gamma", 2), 0), number("alpha", 1), kIgnoreIndex, kReduction, kGrad},
                                 {reduced("loss", "n"), gradient("gradLogits", "n,c", "logits")}};
  static constexpr unsigned needs = kLogProb;

  double gamma, alpha, scale;
  bool isDouble;
  const void* alphas;

  LGC_FN explicit FocalLoss(const Call& call)
      : gamma(LGC_OPTION(call, gamma)),
        alpha(LGC_OPTION(call, alpha)),
        scale(meanScale<FocalLoss>(call)),
        isDouble(call.isDouble),
        alphas(LGC_INPUT(void, call, alpha)) {}
  LGC_FN void rowParameters(size_t, int32_t y, double* p) const {
    p[0] = (alphas ? numberAt(alphas, isDouble, static_cast<size_t>(y)) : alpha) * scale;
  }
  template <class T> LGC_FN T loss(const Statistics<T>& s) const {
    using V = ValueOf<T>;
    const V zero = broadcast<V>(0), g = broadcast<V>(gamma), lp = valueOf(s.logProb);
    const V rest = -expm1(lp);
    const V value = select(lp == zero, zero, -pow(rest, g) * lp);
    // Both powers of (1 - p) in one, and p log p = 0 at p = 0: no 0 * Infinity for gamma < 1 or a masked target.
    const V plogp = select(lp < broadcast<V>(-745.0), zero, exp(lp) * lp);
    const V slope = select(rest == zero, zero, -pow(rest, g - broadcast<V>(1)) * fnma(g, plogp, rest));
    return chain(s.logProb, value, slope) * s.parameter[0];
  }
};

// weight log^2 Z  (Wortsman et al. 2023; Chowdhery et al. 2022)
struct ZLossRegularizer {
  static constexpr Record record{"zLossRegularizer",
                                 "small-scale-proxies",
                                 {kLeadingLogits, optionInput("labels", "*", Domain::any, Kind::mark)},
                                 {number("weight", 1e-4), kTemperature, kIgnoreIndex, kReduction, kGrad},
                                 {reduced("loss", "*"), array("logZ", "*"), gradient("gradLogits", "*,c", "logits")}};
  static constexpr unsigned needs = kLogSumExp;

  double weight;
  LGC_FN explicit ZLossRegularizer(const Call& call) : weight(LGC_OPTION(call, weight) * meanScale<ZLossRegularizer>(call)) {}
  template <class T> LGC_FN T loss(const Statistics<T>& s) const { return square(s.logSumExp) * broadcast<ValueOf<T>>(weight); }
  template <class S> LGC_FN auto extra(const S& s) const { return s.logSumExp; }
};

struct LogSumExp {
  static constexpr Record record{"logSumExp", "core", {kLeadingLogits}, {kTemperature}, {array("out", "*")}};
  static constexpr unsigned needs = kLogSumExp;
  LGC_FN explicit LogSumExp(const Call&) {}
  template <class T> LGC_FN T loss(const Statistics<T>& s) const { return s.logSumExp; }
};

// Vector-Jacobian products: the upstream gradient is a per-row parameter.
template <class D> struct Upstream {
  const void* gradOut;
  bool isDouble;
  LGC_FN explicit Upstream(const Call& call)
      : gradOut(call.inputs[Index<inputIndex(D::record, "gradOut")>::value]), isDouble(call.isDouble) {}
  LGC_FN void rowParameters(size_t i, int32_t, double* p) const { p[0] = numberAt(gradOut, isDouble, i); }
};

struct LogSumExpBackward : Upstream<LogSumExpBackward> {
  static constexpr Record record{"logSumExpBackward",
                                 "core",
                                 {{"gradOut", "*", Kind::real, Domain::gradient}, kLeadingLogits},
                                 {kTemperature},
                                 {inPlace(array("gradLogits", "*,c"), "logits")},
                                 false,
                                 "logSumExp"};
  static constexpr unsigned needs = kLogSumExp;
  using Upstream::Upstream;
  template <class T> LGC_FN T loss(const Statistics<T>& s) const { return s.logSumExp * s.parameter[0]; }
};

struct GatherLogProbs {
  static constexpr Record record{"gatherLogProbs",
                                 "core",
                                 {kLogitsInput, kTargets},
                                 {kTemperature, kSoftcap, kIgnoreIndex},
                                 {array("logProbs", "n"), array("logSumExp", "n")}};
  static constexpr unsigned needs = kLogSumExp | kLogProb;
  LGC_FN explicit GatherLogProbs(const Call&) {}
  template <class T> LGC_FN T loss(const Statistics<T>& s) const { return s.logProb; }
  template <class S> LGC_FN auto extra(const S& s) const { return s.logSumExp; }
};

struct GatherLogProbsBackward : Upstream<GatherLogProbsBackward> {
  static constexpr Record record{"gatherLogProbsBackward",
                                 "core",
                                 {{"gradOut", "n", Kind::real, Domain::gradient}, kLogitsInput, kTargets},
                                 {kTemperature, kSoftcap, kIgnoreIndex},
                                 {inPlace(array("gradLogits", "n,c"), "logits")},
                                 false,
                                 "gatherLogProbs"};
  static constexpr unsigned needs = kLogProb;
  using Upstream::Upstream;
  template <class T> LGC_FN T loss(const Statistics<T>& s) const { return s.logProb * s.parameter[0]; }
};

// exp((x_j - max) / T) / sum_k exp((x_k - max) / T), or its logarithm.
template <bool Log> struct Softmax {
  static constexpr Record record{
      Log ? "logSoftmax" : "softmax", "core", {kLeadingLogits}, {kTemperature}, {inPlace(array("out", "*,c"), "logits")}};
  static constexpr bool log = Log;
  static constexpr int softmaxInputs = 1, sweeps = 0;
  static constexpr int sums[1] = {0};
  struct Row {
    double normaliser;
  };

  LGC_FN explicit Softmax(const Call&) {}
  template <class V> LGC_FN static V normaliserOf(V others) { return Log ? -log1p(others) : broadcast<V>(1) / (broadcast<V>(1) + others); }
  LGC_FN void begin(Row& row, const RowStart& start) const { row.normaliser = normaliserOf(start.softmax[0].others); }
  LGC_FN void rowOutputs(const Row&, double*) const {}
  // (x - max) - log(sum): x - lse would lose the normaliser of logits beyond 1e4.
  template <class W> LGC_FN void write(const Row& row, const Lane<W>& lane, W* out) const {
    const W n = broadcast<W>(static_cast<Scalar<W>>(row.normaliser));
    out[0] = Log ? lane.shifted[0] + n : lane.e[0] * n;
  }
};

// p_j (g_j - sum_k g_k p_k) / T from the forward output; with Log (g_j - exp(out_j) sum_k g_k) / T.
template <bool Log> struct SoftmaxBackward {
  static constexpr Record record{
      Log ? "logSoftmaxBackward" : "softmaxBackward",
      "core",
      {{"gradOut", "*,c", Kind::real, Domain::gradient}, {"out", "*,c", Kind::real, Log ? Domain::logProbability : Domain::probability}},
      {kTemperature},
      {inPlace(array("gradLogits", "*,c"), "gradOut")},
      false,
      Log ? "logSoftmax" : "softmax"};
  static constexpr int softmaxInputs = 0, sweeps = 1;
  static constexpr int sums[1] = {1};
  struct Row {
    double inverseTemperature, sum;
  };

  LGC_FN explicit SoftmaxBackward(const Call&) {}
  LGC_FN void begin(Row& row, const RowStart& start) const { row.inverseTemperature = start.inverseTemperature; }
  // A class without mass takes no part, whatever its upstream gradient.
  template <int, class W> LGC_FN void terms(const Row&, const Lane<W>& lane, W* out) const {
    const W zero = broadcast<W>(0);
    out[0] = Log ? lane.x[0] : select(lane.x[1] == zero, zero, lane.x[0] * lane.x[1]);
  }
  template <int> LGC_FN void fold(Row& row, const double* sum) const { row.sum = sum[0]; }
  LGC_FN void rowOutputs(const Row&, double*) const {}
  template <class W> LGC_FN void write(const Row& row, const Lane<W>& lane, W* out) const {
    const W zero = broadcast<W>(0), sum = broadcast<W>(row.sum), scale = broadcast<W>(row.inverseTemperature);
    if (Log) {
      const W p = exp(lane.x[1]);
      out[0] = select(p == zero, lane.x[0], fnma(p, sum, lane.x[0])) * scale;
    } else {
      out[0] = select(lane.x[1] == zero, zero, lane.x[1] * (lane.x[0] - sum)) * scale;
    }
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
