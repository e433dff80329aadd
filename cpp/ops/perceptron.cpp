#include "perceptron.h"

#include "../engine/family.h"
#include "../engine/matvec.h"
#include "../engine/wide.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// beta and the log of the sum of gates from log gates: chunks keep their own maximum, so no gate underflows alone.
inline bool sumGates(Call& call, const double* margins, size_t n, double sharpness, Gates& gates) {
  const size_t chunks = (n + kChunk - 1) / kChunk;
  Scratch<double> tops(call, chunks), sums(call, chunks);
  if (!tops || !sums) return false;
  const f64x8 t = broadcast<f64x8>(sharpness);
  parallel(call, chunks, 1, [&](size_t first, size_t last) {
    for (size_t chunk = first; chunk < last; ++chunk) {
      const double* m = margins + chunk * kChunk;
      const size_t count = n - chunk * kChunk < kChunk ? n - chunk * kChunk : kChunk;
      f64x8 least = broadcast<f64x8>(kInfinity);
      for (size_t i = 0; i < count; i += kWide) least = min(readWide(m + i, count - i < kWide ? count - i : kWide, kInfinity), least);
      const double top = logGate(minAcross(least), sharpness);
      tops[chunk] = top;
      sums[chunk] = rowSumWide(count, [&](size_t i, size_t k) LGC_LAMBDA { return exp(logGate(readWide(m + i, k), t) - top); });
    }
  });
  double top = -kInfinity;
  for (size_t k = 0; k < chunks; ++k) top = tops[k] > top ? tops[k] : top;
  for (size_t k = 0; k < chunks; ++k) sums[k] *= exp(tops[k] - top);
  gates.normalize(top, orderedSum(sums, chunks), n);
  return true;
}

inline bool gatesOf(Call& call, const double* margins, size_t n, double sharpness, bool normalized, Gates& gates) {
  const f64x8 t = broadcast<f64x8>(sharpness);
  double sums[2] = {};
  const bool ok = sumOver<double, 2>(call, n, sums, [&](size_t i, size_t count, f64x8* term) LGC_LAMBDA {
    const f64x8 m = readWide(margins + i, count);
    term[0] = marginLoss(m, t);
    term[1] = select(m > broadcast<f64x8>(0), broadcast<f64x8>(0), broadcast<f64x8>(1));
  });
  gates.lossSum = sums[0];
  gates.wrong = sums[1];
  return ok && (!normalized || sumGates(call, margins, n, sharpness, gates));
}

LGC_FN f64x8 readSigns(const int32_t* labels, size_t count) {
  double y[8] = {};
  for (size_t k = 0; k < count; ++k) y[k] = static_cast<double>(labels[k]);
  return load<f64x8>(y);
}

struct BinaryLogisticLossOp : BinaryLogisticLoss {
  template <class T> static void run(Call& call) {
    const size_t n = call.rows;
    const T* logits = LGC_INPUT(T, call, logits);
    const int32_t* labels = LGC_INPUT(int32_t, call, labels);
    T* loss = LGC_OUTPUT(T, call, loss);
    T* grad = LGC_OUTPUT(T, call, gradLogits);
    const double sharpness = LGC_OPTION(call, sharpness);
    const bool normalized = LGC_OPTION(call, normalized) != 0, mean = LGC_OPTION(call, reduction) == 0;
    Scratch<double> margins(call, n);
    if (!margins) return;
    double* m = margins;
    forLanes<double>(call, n, [&](size_t i, size_t count) LGC_LAMBDA {
      writeWide(m + i, readWide(logits + i, count) * readSigns(labels + i, count), count);
    });
    Gates gates;
    if (!gatesOf(call, m, n, sharpness, normalized, gates)) return;
    const double share = mean ? 1.0 / static_cast<double>(n) : 1.0;
    LGC_NUMBER(call, loss) = gates.lossSum * share;
    LGC_NUMBER(call, beta) = gates.beta;
    if (!loss && !grad) return;
    forLanes<double>(call, n, [&](size_t i, size_t count) LGC_LAMBDA {
      const f64x8 margin = readWide(m + i, count);
      if (loss) writeWide(loss + i, marginLoss(margin, broadcast<f64x8>(sharpness)), count);
      if (grad) writeWide(grad + i, -(gates.weight(margin, sharpness, normalized, share) * readSigns(labels + i, count)), count);
    });
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

// The data of a call with features, and memory for its margins, weights and sums.
template <class T> struct Samples {
  Call& call;
  const T* features;
  const int32_t* labels;
  size_t n, d;
  Scratch<double> theta, margins, weights, partial, sums;
  Samples(Call& k, const T* a, const int32_t* y)
      : call(k),
        features(a),
        labels(y),
        n(k.rows),
        d(k.dims[static_cast<int>('d')]),
        theta(k, d),
        margins(k, n),
        weights(k, n),
        partial(k, pieces(n) * d),
        sums(k, d) {}
  explicit operator bool() const { return theta && margins && weights && partial && sums; }

  void start(const T* from) {
    for (size_t j = 0; j < d; ++j) theta[j] = static_cast<double>(from[j]);
    measure();
  }
  void measure() {
    rowProducts(call, features, static_cast<double*>(theta), n, d, static_cast<double*>(margins));
    for (size_t i = 0; i < n; ++i) margins[i] *= static_cast<double>(labels[i]);
  }
  size_t wrongCount() {
    size_t count = 0;
    for (size_t i = 0; i < n; ++i) count += isWrong(margins[i]);
    return count;
  }
  size_t firstWrong() {
    size_t i = 0;
    while (i < n && !isWrong(margins[i])) ++i;
    return i;
  }
  void combine() {
    weightedRows(call, features, static_cast<double*>(weights), n, d, static_cast<double*>(partial), static_cast<double*>(sums));
  }
  // Minus the gradient of the (mean) logistic loss, or of the normalized one, into `sums`.
  bool descend(double sharpness, bool normalized, Gates& gates) {
    if (!gatesOf(call, margins, n, sharpness, normalized, gates)) return false;
    double* w = weights;
    const double* m = margins;
    const double share = 1.0 / static_cast<double>(n);
    forLanes<double>(call, n, [&](size_t i, size_t count) LGC_LAMBDA {
      writeWide(w + i, gates.weight(readWide(m + i, count), sharpness, normalized, share) * readSigns(labels + i, count), count);
    });
    combine();
    return true;
  }
  void add(double step) {
    for (size_t j = 0; j < d; ++j) theta[j] = fma(step, sums[j], theta[j]);
  }
  void perceptron(size_t wrong, bool first, bool normalized) {
    const PerceptronShare rule(static_cast<double>(wrong), static_cast<double>(n), first, normalized);
    if (!wrong && !rule.all) return;
    for (size_t i = 0; i < n; ++i) weights[i] = rule.weight(margins[i], static_cast<double>(labels[i]));
    combine();
    add(1);
  }
  void one(size_t i) {
    const T* a = features + i * d;
    for (size_t j = 0; j < d; ++j) theta[j] = fma(static_cast<double>(labels[i]), static_cast<double>(a[j]), theta[j]);
  }
  void round(T* out) {
    for (size_t j = 0; j < d; ++j) out[j] = static_cast<T>(theta[j]);
  }
};

struct LogisticRegressionOp : LogisticRegression {
  template <class T> static void run(Call& call) {
    Samples<T> s(call, LGC_INPUT(T, call, features), LGC_INPUT(int32_t, call, labels));
    if (!s) return;
    s.start(LGC_INPUT(T, call, theta));
    T* grad = LGC_OUTPUT(T, call, gradTheta);
    const double sharpness = LGC_OPTION(call, sharpness), n = static_cast<double>(s.n);
    const bool normalized = LGC_OPTION(call, normalized) != 0;
    Gates gates;
    if (grad ? !s.descend(sharpness, normalized, gates) : !gatesOf(call, s.margins, s.n, sharpness, normalized, gates)) return;
    LGC_NUMBER(call, loss) = gates.lossSum / n;
    LGC_NUMBER(call, misclassified) = gates.wrong;
    LGC_NUMBER(call, accuracy) = 1 - gates.wrong / n;
    LGC_NUMBER(call, beta) = gates.beta;
    if (grad)
      for (size_t j = 0; j < s.d; ++j) grad[j] = static_cast<T>(-s.sums[j]);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct LogisticGdStepOp : LogisticGdStep {
  template <class T> static void run(Call& call) {
    Samples<T> s(call, LGC_INPUT(T, call, features), LGC_INPUT(int32_t, call, labels));
    if (!s) return;
    s.start(LGC_INPUT(T, call, theta));
    Gates gates;
    if (!s.descend(1, LGC_OPTION(call, normalized) != 0, gates)) return;
    LGC_NUMBER(call, loss) = gates.lossSum / static_cast<double>(s.n);
    LGC_NUMBER(call, misclassified) = gates.wrong;
    LGC_NUMBER(call, beta) = gates.beta;
    s.add(LGC_OPTION(call, stepSize));
    s.round(LGC_OUTPUT(T, call, theta));
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct BatchPerceptronStepOp : BatchPerceptronStep {
  template <class T> static void run(Call& call) {
    Samples<T> s(call, LGC_INPUT(T, call, features), LGC_INPUT(int32_t, call, labels));
    if (!s) return;
    s.start(LGC_INPUT(T, call, theta));
    const size_t wrong = s.wrongCount();
    LGC_NUMBER(call, misclassified) = static_cast<double>(wrong);
    s.perceptron(wrong, LGC_OPTION(call, first) != 0, LGC_OPTION(call, normalized) != 0);
    s.round(LGC_OUTPUT(T, call, theta));
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct PerceptronStepOp : PerceptronStep {
  template <class T> static void run(Call& call) {
    Samples<T> s(call, LGC_INPUT(T, call, features), LGC_INPUT(int32_t, call, labels));
    if (!s) return;
    s.start(LGC_INPUT(T, call, theta));
    LGC_NUMBER(call, misclassified) = static_cast<double>(s.wrongCount());
    const size_t i = LGC_GIVEN(call, index) ? static_cast<size_t>(LGC_OPTION(call, index)) : s.firstWrong();
    const bool found = i < s.n && isWrong(s.margins[i]);
    LGC_NUMBER(call, index) = found ? static_cast<double>(i) : -1.0;
    if (found) s.one(i);
    s.round(LGC_OUTPUT(T, call, theta));
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct SeparationStatsOp : SeparationStats {
  template <class T> static void run(Call& call) {
    Samples<T> s(call, LGC_INPUT(T, call, features), LGC_INPUT(int32_t, call, labels));
    if (!s) return;
    s.start(LGC_INPUT(T, call, theta));
    double* lengths = s.weights;
    parallel(call, s.n, rowGrain(s.d), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) lengths[i] = rowNorm(s.features + i * s.d, s.d);
    });
    T* margins = LGC_OUTPUT(T, call, margins);
    double least = s.margins[0], radius = lengths[0];
    for (size_t i = 0; i < s.n; ++i) {
      const double m = s.margins[i];
      margins[i] = static_cast<T>(m);
      if (m < least || isNan(m)) least = m;
      if (lengths[i] > radius || isNan(lengths[i])) radius = lengths[i];
    }
    const double norm = rowNorm(static_cast<double*>(s.theta), s.d), n = static_cast<double>(s.n),
                 wrong = static_cast<double>(s.wrongCount());
    const Bounds found = SeparationStats(call).bounds(least, norm, radius, n);
    LGC_NUMBER(call, minMargin) = found.margin;
    LGC_NUMBER(call, radius) = radius;
    LGC_NUMBER(call, misclassified) = wrong;
    LGC_NUMBER(call, accuracy) = 1 - wrong / n;
    LGC_NUMBER(call, perceptronBound) = found.perceptron;
    LGC_NUMBER(call, batchPerceptronBound) = found.batchPerceptron;
    LGC_NUMBER(call, normalizedBound) = found.normalized;
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct SeparateOp : Separate {
  template <class T> static void run(Call& call) {
    Samples<T> s(call, LGC_INPUT(T, call, features), LGC_INPUT(int32_t, call, labels));
    if (!s) return;
    const int method = static_cast<int>(LGC_OPTION(call, method));
    const double stepSize = LGC_OPTION(call, stepSize), most = LGC_OPTION(call, maxSteps);
    double steps = 0;
    s.measure();
    size_t wrong = s.wrongCount();
    for (; wrong && steps < most; ++steps) {
      if (method == kNormalizedLogistic || method == kPlainLogistic) {
        Gates gates;
        if (!s.descend(1, method == kNormalizedLogistic, gates)) return;
        s.add(stepSize);
      } else if (method == kPerceptron) {
        s.one(s.firstWrong());
      } else {
        s.perceptron(wrong, steps == 0, method == kNormalizedBatchPerceptron);
      }
      s.measure();
      wrong = s.wrongCount();
    }
    s.round(LGC_OUTPUT(T, call, theta));
    LGC_NUMBER(call, steps) = steps;
    LGC_NUMBER(call, separated) = wrong ? 0 : 1;
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL

LOGITCORE_FAMILY(perceptron, BinaryLogisticLossOp, LogisticRegressionOp, LogisticGdStepOp, BatchPerceptronStepOp, PerceptronStepOp,
                 SeparationStatsOp, SeparateOp)
}  // namespace logitcore
