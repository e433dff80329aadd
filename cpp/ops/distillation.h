// Distillation of logits: z-scores of rows, divergences of standardised rows, and the decoupled divergence. Sources: Sun et al. 2024
// (logit standardization, arXiv 2403.01427), and the losses it is put into (decoupled, multi-level and curriculum distillation).
#pragma once
#include "heads.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr Option kDdof = between(integer("ddof", 1), 0, 1);
constexpr Option kDeviationEps = atLeast(number("eps", 1e-7), 0);
constexpr Option kZeroVarianceGrad = choice("zeroVarianceGrad", "formula,zero");

// Mean and deviation of the classes that are not masked. The first sweep finds the mean, the second the deviations from it, so that
// nothing is lost where the largest logit is far from the rest.
struct RowDeviation {
  static constexpr int softmaxInputs = 0, sweeps = 2, pivotInput = 0;
  static constexpr bool wideSums = true;
  struct Row {
    double pivot, count, mean, sd, inverse;  // inverse: 1 / (sd + eps), 0 where that is 0
    double grain;                            // deviations are multiplied by it
    double slopes, along;                    // mean of the upstream gradient, and its product with the deviations
  };
  double ddof, eps, inverseTemperature;
  bool isDouble;

  LGC_FN RowDeviation(double degrees, double epsilon, double temperature, bool wide)
      : ddof(degrees), eps(epsilon), inverseTemperature(1 / temperature), isDouble(wide) {}
  LGC_FN double rounded(double x) const { return isDouble ? x : static_cast<double>(static_cast<float>(x)); }
  LGC_FN void begin(Row& row, const RowStart& start) const { row.pivot = start.targetValue[0]; }
  // The difference of logits of either sign and any size would overflow without the factor.
  template <class W> LGC_FN W from(W x, double origin, double factor) const {
    using T = Scalar<W>;
    return x * broadcast<W>(static_cast<T>(factor)) - broadcast<W>(static_cast<T>(origin * factor));
  }
  template <class W> LGC_FN W deviation(const Row& row, W x) const {
    return select(isDead(x), broadcast<W>(0), from(x, rounded(row.mean), row.grain));
  }
  template <class W> LGC_FN void countTerms(const Row& row, W x, W* out) const {
    const auto dead = isDead(x);
    const W zero = broadcast<W>(0);
    out[0] = select(dead, zero, broadcast<W>(1));
    out[1] = select(dead, zero, from(x, row.pivot, 0.25));
    out[2] = abs(out[1]);
  }
  LGC_FN void foldCount(Row& row, const double* sum) const {
    row.count = sum[0];
    row.mean = row.pivot + 4 * (sum[1] / sum[0]);
    row.grain = grainOf(4 * (sum[2] / sum[0]), isDouble);
  }
  // sum: deviations from the rounded mean, and their squares. The mean gets back what rounding it left out.
  LGC_FN void foldDeviations(Row& row, const double* sum) const {
    const double shift = sum[0] / row.count, m2 = fma(-sum[0], shift, sum[1]);
    row.sd = row.count > ddof || !(m2 == m2) ? sqrt((m2 < 0 ? 0.0 : m2) / (row.count - ddof)) / row.grain : 0.0;
    row.inverse = reciprocalOrZero(row.sd + eps);
    row.mean = rounded(row.mean) + shift / row.grain;
  }
};

// (z - mean) / (sd + eps) / T
struct StandardizeLogits : RowDeviation {
  static constexpr Record record{"standardizeLogits",
                                 "logit-standardization",
                                 {kLogitsInput},
                                 {kTemperature, kDdof, kDeviationEps},
                                 {inPlace(array("out", "n,c"), "logits"), array("mean", "n"), array("std", "n")}};
  static constexpr int sums[2] = {3, 2};

  LGC_FN explicit StandardizeLogits(const Call& call)
      : RowDeviation(LGC_OPTION(call, ddof), LGC_OPTION(call, eps), LGC_OPTION(call, temperature), call.isDouble) {}
  template <int S, class W> LGC_FN void terms(const Row& row, const Lane<W>& lane, W* out) const {
    if (S == 0) return countTerms(row, lane.x[0], out);
    out[0] = deviation(row, lane.x[0]);
    out[1] = out[0] * out[0];
  }
  template <int S> LGC_FN void fold(Row& row, const double* sum) const {
    if (S == 0) return foldCount(row, sum);
    foldDeviations(row, sum);
  }
  LGC_FN void rowOutputs(const Row& row, double* out) const {
    out[0] = row.mean;
    out[1] = row.sd;
  }
  template <class W> LGC_FN void write(const Row& row, const Lane<W>& lane, W* out) const {
    using T = Scalar<W>;
    const double unit = row.inverse * inverseTemperature, origin = rounded(row.mean);
    const W x = lane.x[0];
    const W z = fma(from(x, origin, row.grain), broadcast<W>(static_cast<T>(unit / row.grain)),
                    broadcast<W>(static_cast<T>((origin - row.mean) * unit)));
    out[0] = select(isDead(x), x, z);
  }
};

// [g - mean(g) - u sum(g a) / (count - ddof)] / (sd + eps) / T
struct StandardizeLogitsBackward : RowDeviation {
  static constexpr Record record{"standardizeLogitsBackward",
                                 "logit-standardization",
                                 {kLogitsInput, {"gradOut", "n,c", Kind::real, Domain::gradient}},
                                 {kTemperature, kDdof, kDeviationEps, kZeroVarianceGrad},
                                 {inPlace(array("gradLogits", "n,c"), "gradOut")},
                                 false,
                                 "standardizeLogits"};
  static constexpr int sums[2] = {4, 3};

  bool flatGradient;
  LGC_FN explicit StandardizeLogitsBackward(const Call& call)
      : RowDeviation(LGC_OPTION(call, ddof), LGC_OPTION(call, eps), LGC_OPTION(call, temperature), call.isDouble),
        flatGradient(LGC_OPTION(call, zeroVarianceGrad) == 0) {}
  template <int S, class W> LGC_FN void terms(const Row& row, const Lane<W>& lane, W* out) const {
    const W zero = broadcast<W>(0);
    if (S == 0) {
      countTerms(row, lane.x[0], out);
      out[3] = select(isDead(lane.x[0]), zero, lane.x[1]);
      return;
    }
    const W d = deviation(row, lane.x[0]);
    out[0] = d;
    out[1] = d * d;
    out[2] = select(isDead(lane.x[0]), zero, from(lane.x[1], row.slopes, 1)) * d;
  }
  template <int S> LGC_FN void fold(Row& row, const double* sum) const {
    if (S == 0) {
      foldCount(row, sum);
      row.slopes = sum[3] / sum[0];
      return;
    }
    foldDeviations(row, sum);
    // The upstream gradient is taken from its own mean: its sum with any constant shift of the deviations is 0.
    const double flat = row.sd == 0 ? 1.0 : 0.0;
    row.along = flat != 0 ? 0.0 : sum[2] * (row.inverse / row.grain) / (row.sd * row.grain * (row.count - ddof));
    if (flat != 0 && !flatGradient) row.inverse = 0;
  }
  LGC_FN void rowOutputs(const Row&, double*) const {}
  template <class W> LGC_FN void write(const Row& row, const Lane<W>& lane, W* out) const {
    using T = Scalar<W>;
    const double unit = row.inverse * inverseTemperature, origin = rounded(row.mean), slopes = rounded(row.slopes);
    // What rounding both means to T left out.
    const double rest = (slopes - row.slopes) - row.along * ((origin - row.mean) * row.grain);
    const W x = lane.x[0], d = from(x, origin, row.grain), g = from(lane.x[1], slopes, 1);
    const W centred = fma(d, broadcast<W>(static_cast<T>(-row.along)), g + broadcast<W>(static_cast<T>(rest)));
    out[0] =
        select(isDead(x), broadcast<W>(0), unit == 0 ? broadcast<W>(0) : centred * broadcast<W>(static_cast<T>(unit > 3e38 ? 3e38 : unit)));
  }
};

// T^2 KL(q || p) of the softmaxes of standardised (or plain) rows.
struct StandardizedKlDiv {
  static constexpr Record record{"standardizedKlDiv",
                                 "logit-standardization",
                                 {kStudent, kTeacher, kRowLabels},
                                 {kPairTemperature, kDdof, kDeviationEps, boolean("standardize", true), kIgnoreIndex, kReduction, kGrad,
                                  boolean("gradTemperature"), kZeroVarianceGrad},
                                 {reduced("loss", "n"), kGradStudent, when(scalar("gradTemperature"), "gradTemperature")}};

  PairScaling scaling;
  bool covariance;
  double scale;

  LGC_FN explicit StandardizedKlDiv(const Call& call)
      : scaling{LGC_OPTION(call, standardize) != 0, LGC_OPTION(call, ddof), LGC_OPTION(call, eps), LGC_OPTION(call, temperature),
                LGC_OPTION(call, zeroVarianceGrad) == 0},
        covariance(LGC_OPTION(call, gradTemperature) != 0),
        scale(meanScale<StandardizedKlDiv>(call)) {}
  template <class V> LGC_FN PairSlopes<V> fold(const PairFacts<V>& f, V* out) const {
    const double t = f.temperature, slope = scale * t * t;
    const V divergence = f.divergence();
    out[0] = divergence * slope;
    out[1] = (divergence * 2.0 + f.crossed - f.own - f.covariance) * (scale * t);
    return {broadcast<V>(slope), broadcast<V>(-slope), broadcast<V>(0)};
  }
};

inline bool needsTwoClasses(Call& call) {
  if (call.columns >= 2) return true;
  __builtin_snprintf(call.error, sizeof call.error, "student has 1 column, expected at least 2");
  return false;
}

// alpha TCKD + beta NCKD: the divergence of (p_y, 1 - p_y), and that of the classes other than y among themselves.
struct DecoupledKd {
  static constexpr Record record{"decoupledKd",
                                 "logit-standardization",
                                 {kStudent, kTeacher, kTargets},
                                 {number("alpha", 1), number("beta", 8), above(number("temperature", 4), 0), boolean("standardize"), kDdof,
                                  kDeviationEps, kIgnoreIndex, kReduction, kGrad},
                                 {reduced("loss", "n"), reduced("tckd", "n"), reduced("nckd", "n"), kGradStudent},
                                 false,
                                 nullptr,
                                 &needsTwoClasses};

  PairScaling scaling;
  static constexpr bool covariance = false;
  double alpha, beta, scale;

  LGC_FN explicit DecoupledKd(const Call& call)
      : scaling{LGC_OPTION(call, standardize) != 0, LGC_OPTION(call, ddof), LGC_OPTION(call, eps), LGC_OPTION(call, temperature), true},
        alpha(LGC_OPTION(call, alpha)),
        beta(LGC_OPTION(call, beta)),
        scale(meanScale<DecoupledKd>(call)) {}
  template <class V> LGC_FN PairSlopes<V> fold(const PairFacts<V>& f, V* out) const {
    // The target against all others together, as a binary choice with these logits.
    const V zero = broadcast<V>(0), a = f.target[0] - f.logSum[0], b = f.target[1] - f.logSum[1];
    // Equal infinities have no difference.
    const auto equal = a == b;
    const V d = select(equal, zero, a - b);
    const double slope = scale * f.temperature * f.temperature;
    const V own = select(equal, zero, bernoulliDivergence(a, b, d)) * slope, others = f.divergence() * slope;
    // A term of weight 0 is 0, also where it is infinite.
    out[0] = (alpha == 0 ? zero : own * alpha) + (beta == 0 ? zero : others * beta);
    out[1] = own;
    out[2] = others;
    const V pull = select(equal, zero, sigmoidDifference(a, b, d)) * (slope * alpha);
    return {broadcast<V>(slope * beta) - pull, broadcast<V>(-slope * beta), pull};
  }
};

// ||P_s P_s^T - P_t P_t^T||_F^2 / n (rows) and ||P_s^T P_s - P_t^T P_t||_F^2 / c (classes) of the softmaxes P.
constexpr Option kCorrelationTemperature = above(number("temperature", 4), 0);
template <bool ByClass> struct Correlation {
  static constexpr bool byClass = ByClass;
  static constexpr Record record{ByClass ? "classCorrelation" : "batchCorrelation",
                                 "logit-standardization",
                                 {kStudent, kTeacher},
                                 {kCorrelationTemperature, kGrad},
                                 {scalar("loss"), kGradStudent}};
};
// Of more classes than rows: from the squares of P_t P_t^T, P_s P_s^T and P_s P_t^T.
LGC_FN double classSquares(double teacher, double student, double across) {
  const double sum = teacher + (student - 2 * across);
  return sum < 0 ? 0.0 : sum;
}

inline bool checkTemperatures(Call& call) {
  const int at = inputIndex(*call.record, "temperatures");
  if (!call.inputs[at]) return true;
  const double* values = static_cast<const double*>(call.inputs[at]);
  for (size_t i = 0; i < call.inputLength[at]; ++i)
    if (!(values[i] > 0)) {
      __builtin_snprintf(call.error, sizeof call.error, "options.temperatures[%.0f] is %.9g, expected a finite number > 0",
                         static_cast<double>(i), values[i]);
      return false;
    }
  if (call.inputLength[at] > 0) return true;
  __builtin_snprintf(call.error, sizeof call.error, "options.temperatures is empty, expected at least one temperature");
  return false;
}

// weight (fs instance + fs batch + fc class), each a sum over temperatures.
struct MultiLevelKd {
  static constexpr Record record{
      "multiLevelKd",
      "logit-standardization",
      {kStudent, kTeacher, optionInput("temperatures", "t", Domain::positive, Kind::numbers)},
      {boolean("standardize"), kDdof, kDeviationEps, number("weight", 1), choice("maskMode", "none,fraction"), kGrad},
      {scalar("loss"), scalar("instance"), scalar("batch"), scalar("class"), scalar("sampleFraction"), scalar("classFraction"),
       // Not in place of the student, which every temperature reads.
       Output{"gradStudent", "n,c", OutputKind::array, Kind::real, "grad", "student"}},
      false,
      nullptr,
      &checkTemperatures};

  static constexpr double usual[] = {4, 3, 5, 2, 6};
  // The temperatures of a call and how many.
  static size_t temperaturesOf(const Call& call, const double*& at) {
    const double* given = LGC_INPUT(double, call, temperatures);
    at = given ? given : usual;
    return given ? call.inputLength[inputIndex(record, "temperatures")] : sizeof usual / sizeof *usual;
  }
  // What a divergence at that temperature counts for.
  LGC_FN static double instanceScale(double temperature, size_t rows) { return temperature * temperature / static_cast<double>(rows); }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
