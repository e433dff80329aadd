// The divergences of distillation that are built on those of divergence.h. Sources: Ko et al. 2024 (arXiv 2402.03898, skew
// Kullback-Leibler and the maskInf semantics), Gu et al. 2023 (arXiv 2306.08543, reverse Kullback-Leibler).
#pragma once
#include "divergence.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr Option belowOne(Option o) {
  o.low = 0;
  o.high = 1;
  o.highOpen = true;
  return o;
}

// (1 - lam) KL(teacher || student) + lam KL(student || teacher). A share of 0 leaves its divergence out, be it infinite.
struct SymmetricKl {
  static constexpr Record record{
      "symmetricKl",
      "uld",
      {kStudent, kTeacher, kRowLabels},
      {between(number("lam", 0.9), 0, 1), kTemperature, boolean("scaleByT2"), kMaskInf, kIgnoreIndex, kReduction, kGrad},
      {reduced("loss", "n"), kGradStudent}};
  static constexpr int softmaxInputs = 2, sweeps = 1;
  static constexpr int sums[1] = {4};
  struct Row {
    PairDivergence<false>::Row forward, reverse;
  };

  double lam;
  PairDivergence<false> forward, reverse;

  LGC_FN explicit SymmetricKl(const Call& call)
      : lam(LGC_OPTION(call, lam)),
        forward(DivergenceForm::forward, 0, (1 - lam) * scaleOf(call), LGC_OPTION(call, maskInf) != 0, false),
        reverse(DivergenceForm::reverse, 0, lam * scaleOf(call), LGC_OPTION(call, maskInf) != 0, false) {}
  LGC_FN static double scaleOf(const Call& call) {
    return meanScale<SymmetricKl>(call) * squareIf(LGC_OPTION(call, scaleByT2), LGC_OPTION(call, temperature));
  }
  LGC_FN void begin(Row& row, const RowStart& start) const {
    forward.begin(row.forward, start);
    reverse.begin(row.reverse, start);
  }
  template <int S, class W> LGC_FN void terms(const Row& row, const Lane<W>& lane, W* out) const {
    forward.template terms<S>(row.forward, lane, out);
    reverse.template terms<S>(row.reverse, lane, out + 2);
  }
  template <int S> LGC_FN void fold(Row& row, const double* sum) const {
    forward.template fold<S>(row.forward, sum);
    reverse.template fold<S>(row.reverse, sum + 2);
  }
  LGC_FN void rowOutputs(const Row& row, double* out) const {
    double a = 0, b = 0;
    if (lam != 1) forward.rowOutputs(row.forward, &a);
    if (lam != 0) reverse.rowOutputs(row.reverse, &b);
    out[0] = a + b;
  }
  template <class W> LGC_FN void write(const Row& row, const Lane<W>& lane, W* out) const {
    W a[2] = {broadcast<W>(0), broadcast<W>(0)}, b[2] = {broadcast<W>(0), broadcast<W>(0)};
    if (lam != 1) forward.write(row.forward, lane, a);
    if (lam != 0) reverse.write(row.reverse, lane, b);
    out[0] = a[0] + b[0];
  }
};

// KL(q || alpha q + (1 - alpha) p), or KL(p || (1 - alpha) q + alpha p) for 'reverse'; q is the teacher's softmax, p the student's.
struct SkewKl {
  static constexpr Record record{"skewKl",
                                 "uld",
                                 {kStudent, kTeacher, kRowLabels},
                                 {belowOne(number("alpha", 0.1)), choice("direction", "forward,reverse"), kTemperature,
                                  boolean("scaleByT2"), kMaskInf, kIgnoreIndex, kReduction, kGrad},
                                 {reduced("loss", "n"), kGradStudent}};
  static constexpr int softmaxInputs = 2, sweeps = 1;
  static constexpr int sums[1] = {3};
  struct Row {
    PairDivergence<true>::Row pair;
    double value, centre, dropped;  // of the student's mass: E_p[slope of the kept classes], what maskInf drops
  };

  double alpha;
  bool reverse;
  PairDivergence<true> pair;

  LGC_FN explicit SkewKl(const Call& call)
      : alpha(LGC_OPTION(call, alpha)),
        reverse(LGC_OPTION(call, direction) != 0),
        pair(alpha != 0 ? DivergenceForm::mixture
             : reverse  ? DivergenceForm::reverse
                        : DivergenceForm::forward,
             reverse ? 1 - alpha : alpha, meanScale<SkewKl>(call) * squareIf(LGC_OPTION(call, scaleByT2), LGC_OPTION(call, temperature)),
             LGC_OPTION(call, maskInf) != 0, false) {}
  LGC_FN void begin(Row& row, const RowStart& start) const { pair.begin(row.pair, start); }

  // `log` is the log-ratio to the mixture of the side that the expectation is of. The slope of p_j, without its constant 1 - alpha
  // (and its sign, forward): expm1(log(q / m)), or log(p / m) - alpha expm1(log(p / m)).
  template <class W> struct Parts {
    W log, slope;
    Mask<W> dropped, deadSide;
  };
  template <class W> LGC_FN Parts<W> partsOf(const Row& row, const Lane<W>& lane) const {
    W student, teacher;
    pair.mixtureLogs(row.pair, lane, student, teacher);
    const auto deadStudent = isDead(lane.shifted[0]), deadTeacher = isDead(lane.shifted[1]);
    Parts<W> p;
    p.log = reverse ? student : teacher;
    // Where the student is dead the slope is multiplied by 0 and must be finite.
    p.log = select(reverse ? deadStudent : deadStudent & deadTeacher, broadcast<W>(0), p.log);
    p.slope = reverse ? fma(broadcast<W>(-alpha), expm1(p.log), p.log) : expm1(p.log);
    p.deadSide = reverse ? deadStudent : deadTeacher;
    p.dropped = deadStudent | deadTeacher;
    return p;
  }
  template <int S, class W> LGC_FN void terms(const Row& row, const Lane<W>& lane, W* out) const {
    const W zero = broadcast<W>(0);
    if (alpha == 0) {
      out[2] = zero;
      return pair.template terms<S>(row.pair, lane, out);
    }
    const Parts<W> p = partsOf(row, lane);
    const auto noTerm = maskInf() ? p.dropped : p.deadSide;
    out[0] = select(noTerm, zero, lane.e[reverse ? 0 : 1] * p.log);
    out[1] = lane.e[0] * p.slope;
    out[2] = zero;
    if (!maskInf()) return;
    out[1] = select(p.dropped, zero, out[1]);
    out[2] = select(p.dropped, lane.e[0], zero);
  }
  LGC_FN bool maskInf() const { return pair.maskInf; }
  template <int S> LGC_FN void fold(Row& row, const double* sum) const {
    if (alpha == 0) {
      pair.template fold<S>(row.pair, sum);
      row.value = row.pair.value;
      return;
    }
    row.value = sum[0] * row.pair.inverseSum[reverse ? 0 : 1];
    row.centre = sum[1] * row.pair.inverseSum[0];
    row.dropped = sum[2] * row.pair.inverseSum[0];
  }
  LGC_FN void rowOutputs(const Row& row, double* out) const { out[0] = pair.scale * row.value; }
  template <class W> LGC_FN void write(const Row& row, const Lane<W>& lane, W* out) const {
    if (alpha == 0) return pair.write(row.pair, lane, out);
    const Parts<W> parts = partsOf(row, lane);
    const double scale = pair.scale * row.pair.inverseTemperature, kept = 1 - row.dropped, constant = 1 - alpha;
    const double weight = reverse ? 1 : constant, own = reverse ? constant : 1;
    // p_j (g_j - sum_k p_k g_k) with the constants cancelled where nothing is dropped.
    W g = parts.slope - broadcast<W>(row.centre - own * row.dropped);
    if (maskInf()) g = select(parts.dropped, broadcast<W>(-(row.centre + own * kept)), g);
    out[0] = lane.e[0] * broadcast<W>(row.pair.inverseSum[0] * scale * (reverse ? weight : -weight)) * g;
  }
};

// sum_j |p_j - q_j| / 2
struct TotalVariation {
  static constexpr Record record{"totalVariation",
                                 "uld",
                                 {kStudent, kTeacher, kRowLabels},
                                 {kTemperature, boolean("scaleByT2"), kMaskInf, kIgnoreIndex, kReduction, kGrad},
                                 {reduced("loss", "n"), kGradStudent}};
  static constexpr int softmaxInputs = 2, sweeps = 1;
  static constexpr int sums[1] = {4};
  struct Row {
    double inverseSum[2], logRatio, inverseTemperature;
    double distance, above, below, equal;  // sum |p - q|, and the student's mass where p > q, p < q and neither
  };

  double scale;
  bool maskInf;

  LGC_FN explicit TotalVariation(const Call& call)
      : scale(0.5 * meanScale<TotalVariation>(call) * squareIf(LGC_OPTION(call, scaleByT2), LGC_OPTION(call, temperature))),
        maskInf(LGC_OPTION(call, maskInf) != 0) {}
  LGC_FN void begin(Row& row, const RowStart& start) const {
    const double student = start.softmax[0].others, teacher = start.softmax[1].others;
    row.inverseSum[0] = 1 / (1 + student);
    row.inverseSum[1] = 1 / (1 + teacher);
    row.logRatio = log1p(teacher) - log1p(student);
    row.inverseTemperature = start.inverseTemperature;
  }
  // log(q / p); 0 where the class has no part in the sum.
  template <class W> LGC_FN W ratioOf(const Row& row, const Lane<W>& lane) const {
    const auto deadStudent = isDead(lane.shifted[0]), deadTeacher = isDead(lane.shifted[1]);
    const W ratio = (lane.shifted[1] - lane.shifted[0]) - broadcast<W>(row.logRatio);
    return select(maskInf ? deadStudent | deadTeacher : deadStudent & deadTeacher, broadcast<W>(0), ratio);
  }
  template <int, class W> LGC_FN void terms(const Row& row, const Lane<W>& lane, W* out) const {
    const W zero = broadcast<W>(0), ratio = ratioOf(row, lane);
    const W p = lane.e[0] * broadcast<W>(row.inverseSum[0]), q = lane.e[1] * broadcast<W>(row.inverseSum[1]);
    const auto above = ratio<zero, below = ratio> zero;
    // The difference of nearly equal numbers from their ratio.
    out[0] = select(below, q, p) * -expm1(-abs(ratio));
    out[1] = select(above, p, zero);
    out[2] = select(below, p, zero);
    out[3] = select(above | below, zero, p);
  }
  template <int> LGC_FN void fold(Row& row, const double* sum) const {
    row.distance = sum[0];
    row.above = sum[1];
    row.below = sum[2];
    row.equal = sum[3];
  }
  LGC_FN void rowOutputs(const Row& row, double* out) const { out[0] = scale * row.distance; }
  // p_j (s_j - sum_k p_k s_k) with 1 - sum_k p_k s_k from the other terms: a confident row keeps its digits.
  template <class W> LGC_FN void write(const Row& row, const Lane<W>& lane, W* out) const {
    const W zero = broadcast<W>(0), ratio = ratioOf(row, lane);
    const W up = broadcast<W>(2 * row.below + row.equal), down = broadcast<W>(-(2 * row.above + row.equal));
    const W g = select(ratio < zero, up, select(ratio > zero, down, broadcast<W>(row.below - row.above)));
    out[0] = lane.e[0] * broadcast<W>(row.inverseSum[0] * scale * row.inverseTemperature) * g;
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
