// Losses between a row of logits and a distribution: given (soft cross-entropy), another row's softmax (Kullback-Leibler and
// Jensen-Shannon divergences), or the row's own (entropy). Sources: Hinton et al. 2015 (arXiv 1503.02531, T^2), Liger-Kernel and
// Agarwal et al. 2023 (arXiv 2306.13649, generalised Jensen-Shannon), Ko et al. 2024 (arXiv 2402.03898, maskInf).
#pragma once
#include "softmax.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr Input kStudent{"student", "n,c"}, kTeacher{"teacher", "n,c"};
constexpr Input kRowLabels = optionInput("labels", "n", Domain::any, Kind::mark);
constexpr Option kMaskInf = boolean("maskInf");
constexpr Output kGradStudent = gradient("gradStudent", "n,c", "student");
constexpr Output kGradTeacher = gradient("gradTeacher", "n,c", "teacher", "gradTeacher");

// A class without mass: its logit is -Infinity.
template <class W> LGC_FN Mask<W> isDead(W shifted) { return shifted == broadcast<W>(-__builtin_huge_val()); }

// -sum_j u_j log p_j + zLossWeight lse^2 with u_j = w_j ((1 - eps) t_j + eps / c)
struct CrossEntropySoft {
  static constexpr Record record{"crossEntropySoft",
                                 "core",
                                 {kLogitsInput,
                                  {"targets", "n,c", Kind::real, Domain::probability},
                                  optionInput("weight", "c", Domain::positive),
                                  optionInput("rowWeights", "n")},
                                 {kTemperature, between(number("labelSmoothing", 0), 0, 1), number("zLossWeight", 0), kSoftcap, kReduction,
                                  kGrad, boolean("gradTargets")},
                                 {reduced("loss", "n"), when(reduced("zLoss", "n"), "zLossWeight"), gradient("gradLogits", "n,c", "logits"),
                                  gradient("gradTargets", "n,c", "targets", "gradTargets")}};
  static constexpr int softmaxInputs = 1, sweeps = 1;
  static constexpr int sums[1] = {2};
  struct Row {
    double scale, zScale, logSum, logSumExp, inverseSum, rest, inverseTemperature;
    double weight, loss, z;
  };

  double kept, spread, zWeight, scale, cap;
  bool isDouble;
  const void* rowWeights;

  LGC_FN explicit CrossEntropySoft(const Call& call)
      : kept(1 - LGC_OPTION(call, labelSmoothing)),
        spread(LGC_OPTION(call, labelSmoothing) / static_cast<double>(call.columns)),
        zWeight(LGC_OPTION(call, zLossWeight)),
        scale(meanScale<CrossEntropySoft>(call)),
        cap(0),
        isDouble(call.isDouble),
        rowWeights(LGC_INPUT(void, call, rowWeights)) {
    if (LGC_GIVEN(call, logitSoftcap)) cap = LGC_OPTION(call, logitSoftcap);
  }
  LGC_FN void begin(Row& row, const RowStart& start) const {
    const double r = rowWeights ? scale * numberAt(rowWeights, isDouble, start.index) : scale;
    const RowSum& s = start.softmax[0];
    row.scale = r;
    row.zScale = r * zWeight;
    row.logSum = log1p(s.others);
    row.logSumExp = fma(s.max, start.inverseTemperature, row.logSum);
    row.inverseSum = 1 / (1 + s.others);
    row.rest = s.others * row.inverseSum;
    row.inverseTemperature = start.inverseTemperature;
  }
  template <class W> LGC_FN W target(const Lane<W>& lane) const {
    return lane.column[0] * fma(lane.x[1], broadcast<W>(kept), broadcast<W>(spread));
  }
  template <int, class W> LGC_FN void terms(const Row&, const Lane<W>& lane, W* out) const {
    const W u = target(lane), none = broadcast<W>(0);
    out[0] = u;
    out[1] = select(u == none, none, u * lane.shifted[0]);
  }
  template <int> LGC_FN void fold(Row& row, const double* sum) const {
    row.weight = sum[0];
    const double ce = row.scale == 0 ? 0.0 : row.scale * fma(row.weight, row.logSum, -sum[1]);
    row.z = row.zScale == 0 ? 0.0 : row.zScale * (row.logSumExp * row.logSumExp);
    row.loss = ce + row.z;
  }
  LGC_FN void rowOutputs(const Row& row, double* out) const {
    out[0] = row.loss;
    out[1] = row.z;
  }
  template <class W> LGC_FN void write(const Row& row, const Lane<W>& lane, W* out) const {
    const W zero = broadcast<W>(0), u = target(lane), scaled = broadcast<W>(row.scale);
    const double z = row.zScale == 0 ? 0.0 : 2 * row.zScale * row.logSumExp;
    const double pull = row.scale == 0 ? z : fma(row.scale, row.weight, z);
    const W p = lane.e[0] * broadcast<W>(row.inverseSum);
    // p = 1 - rest at the largest logit: a confident row on its target keeps the small rest as its gradient.
    const W atMax = fma(broadcast<W>(row.weight) - u, scaled, broadcast<W>(fma(-pull, row.rest, z)));
    W g = select(lane.shifted[0] == zero, atMax, fma(p, broadcast<W>(pull), -(u * scaled))) * broadcast<W>(row.inverseTemperature);
    if (cap != 0) {
      // A quotient, not a product with 1 / cap: a masked class sits at -cap exactly and has slope 0.
      const W t = lane.x[0] / broadcast<W>(cap);
      g = g * fnma(t, t, broadcast<W>(1));
    }
    out[0] = g;
    const W minusLogProb = broadcast<W>(row.logSum) - lane.shifted[0];
    out[1] = select(isDead(lane.shifted[0]), zero, minusLogProb * (lane.column[0] * broadcast<W>(kept * row.scale)));
  }
};

// H = -sum_j p_j log p_j
struct Entropy {
  static constexpr Record record{"entropy",
                                 "core",
                                 {kLeadingLogits, optionInput("labels", "*", Domain::any, Kind::mark)},
                                 {kTemperature, kIgnoreIndex, choice("reduction", "mean,sum,none", kReduceNone), kGrad},
                                 {reduced("entropy", "*"), gradient("gradLogits", "*,c", "logits")}};
  static constexpr int softmaxInputs = 1, sweeps = 1;
  static constexpr int sums[1] = {1};
  struct Row {
    double logSum, inverseSum, mean, slope;
  };

  double scale;
  LGC_FN explicit Entropy(const Call& call) : scale(meanScale<Entropy>(call)) {}
  LGC_FN void begin(Row& row, const RowStart& start) const {
    row.logSum = log1p(start.softmax[0].others);
    row.inverseSum = 1 / (1 + start.softmax[0].others);
    row.slope = scale * start.inverseTemperature;
  }
  template <int, class W> LGC_FN void terms(const Row&, const Lane<W>& lane, W* out) const {
    out[0] = select(isDead(lane.shifted[0]), broadcast<W>(0), lane.e[0] * lane.shifted[0]);
  }
  template <int> LGC_FN void fold(Row& row, const double* sum) const { row.mean = sum[0] * row.inverseSum; }
  LGC_FN void rowOutputs(const Row& row, double* out) const { out[0] = scale * (row.logSum - row.mean); }
  // log p_j + H without the normaliser, which both have.
  template <class W> LGC_FN void write(const Row& row, const Lane<W>& lane, W* out) const {
    const W p = lane.e[0] * broadcast<W>(row.inverseSum * row.slope);
    out[0] = select(isDead(lane.shifted[0]), p, p * (broadcast<W>(row.mean) - lane.shifted[0]));
  }
};

// Divergences of two softmaxes p (teacher) and q (student) of one temperature. With maskInf a class that is dead on one side has no
// term, and neither side is renormalised.
struct DivergenceForm {
  enum Form { forward, reverse, mixture };
};
// Mixes: whether the form may be the mixture, whose code other ops do without.
template <bool Mixes> struct PairDivergence : DivergenceForm {
  static constexpr int softmaxInputs = 2, sweeps = 1;
  static constexpr int sums[1] = {2};
  struct Row {
    double inverseSum[2], rest[2];    // of student, teacher
    double logRatio;                  // log of the quotient of the sums: of a over b, or of teacher over student
    double value, mean, dropped;      // KL(a || b), E_a[log-ratio without logRatio], mass of a that maskInf drops
    double studentPart, teacherPart;  // sum q log(q / m), sum p log(p / m)
    double inverseTemperature;
  };

  Form form;
  double beta, logShare[2], scale;  // log(1 - beta), log beta
  bool maskInf, wantTeacher;

  LGC_FN bool mixes() const { return Mixes && form == mixture; }

  LGC_FN PairDivergence(Form f, double share, double s, bool mask, bool teacher)
      : form(f),
        beta(share),
        logShare{mixes() ? log(1 - share) : 0.0, mixes() ? log(share) : 0.0},
        scale(s),
        maskInf(mask),
        wantTeacher(teacher) {}

  LGC_FN void begin(Row& row, const RowStart& start) const {
    double logSum[2];
    for (int k = 0; k < 2; ++k) {
      const double others = start.softmax[k].others;
      logSum[k] = log1p(others);
      row.inverseSum[k] = 1 / (1 + others);
      row.rest[k] = others * row.inverseSum[k];
    }
    row.logRatio = form == reverse ? logSum[0] - logSum[1] : logSum[1] - logSum[0];
    row.inverseTemperature = start.inverseTemperature;
  }

  // a log(a / b): 0 where a is dead, +Infinity where only b is, also where a underflows.
  template <int A, class W> LGC_FN void klTerms(const Lane<W>& lane, W* out) const {
    constexpr int B = 1 - A;
    const W zero = broadcast<W>(0), e = lane.e[A];
    const auto deadA = isDead(lane.shifted[A]), deadB = isDead(lane.shifted[B]);
    const W term = select(deadB, broadcast<W>(maskInf ? 0.0 : __builtin_huge_val()), e * (lane.shifted[A] - lane.shifted[B]));
    out[0] = select(deadA, zero, term);
    out[1] = maskInf ? select(deadB, e, zero) : zero;
  }
  template <int A, class W> LGC_FN void klGradient(const Row& row, const Lane<W>& lane, W* out) const {
    constexpr int B = 1 - A;
    const W zero = broadcast<W>(0), slope = broadcast<W>(scale * row.inverseTemperature);
    const W a = lane.e[A] * broadcast<W>(row.inverseSum[A]), b = lane.e[B] * broadcast<W>(row.inverseSum[B]);
    const auto deadA = isDead(lane.shifted[A]), deadB = isDead(lane.shifted[B]);
    const double kept = 1 - row.dropped;
    if (B == 0 || wantTeacher) {
      // Where both have their largest class, 1 - rest on either side would round the small difference away.
      const W rests = broadcast<W>(fma(-row.rest[B], kept, row.rest[A] - row.dropped));
      const W difference = select((lane.shifted[A] == zero) & (lane.shifted[B] == zero), rests, fma(b, broadcast<W>(kept), -a));
      out[B] = select(deadB, b, difference) * slope;
    }
    if (A == 0 || wantTeacher) {
      const W centre = broadcast<W>(row.mean - row.dropped * (1 - row.logRatio));
      W g = a * ((lane.shifted[A] - lane.shifted[B]) - centre);
      if (maskInf) g = select(deadB, -a * broadcast<W>(row.value + kept), g);
      out[A] = select(deadA, a, g) * slope;
    }
  }

  // log(q / m) and log(p / m) with m = beta p + (1 - beta) q, exact where p and q are close. Either is at most -log of its share.
  template <class W> LGC_FN void mixtureLogs(const Row& row, const Lane<W>& lane, W& student, W& teacher) const {
    const W zero = broadcast<W>(0);
    const W ratio = (lane.shifted[1] - lane.shifted[0]) - broadcast<W>(row.logRatio);
    const auto above = ratio > zero;
    const W lower = select(above, -ratio, ratio), share = select(above, broadcast<W>(1 - beta), broadcast<W>(beta));
    const W least = select(above, broadcast<W>(logShare[1]), broadcast<W>(logShare[0]));
    const W mixed = max(least, log1p(share * expm1(lower))), other = lower - mixed;
    student = select(above, other, -mixed);
    teacher = select(above, -mixed, other);
  }
  template <class W> LGC_FN void mixtureParts(const Row& row, const Lane<W>& lane, W& student, W& teacher) const {
    const W zero = broadcast<W>(0);
    auto deadStudent = isDead(lane.shifted[0]), deadTeacher = isDead(lane.shifted[1]);
    mixtureLogs(row, lane, student, teacher);
    if (maskInf) deadStudent = deadTeacher = deadStudent | deadTeacher;
    student = select(deadStudent, zero, student);
    teacher = select(deadTeacher, zero, teacher);
  }

  template <int, class W> LGC_FN void terms(const Row& row, const Lane<W>& lane, W* out) const {
    if (!mixes()) return form == forward ? klTerms<1>(lane, out) : klTerms<0>(lane, out);
    W student, teacher;
    mixtureParts(row, lane, student, teacher);
    out[0] = lane.e[0] * student;
    out[1] = lane.e[1] * teacher;
  }
  template <int> LGC_FN void fold(Row& row, const double* sum) const {
    if (mixes()) {
      row.studentPart = sum[0] * row.inverseSum[0];
      row.teacherPart = sum[1] * row.inverseSum[1];
      row.value = fma(beta, row.teacherPart, (1 - beta) * row.studentPart);
      return;
    }
    const int a = form == forward ? 1 : 0;
    row.mean = sum[0] * row.inverseSum[a];
    row.dropped = sum[1] * row.inverseSum[a];
    row.value = fma(-row.logRatio, 1 - row.dropped, row.mean);
  }
  LGC_FN void rowOutputs(const Row& row, double* out) const { out[0] = scale * row.value; }
  template <class W> LGC_FN void write(const Row& row, const Lane<W>& lane, W* out) const {
    if (!mixes()) return form == forward ? klGradient<1>(row, lane, out) : klGradient<0>(row, lane, out);
    W student, teacher;
    mixtureParts(row, lane, student, teacher);
    const double slope = scale * row.inverseTemperature;
    const W q = lane.e[0] * broadcast<W>(row.inverseSum[0] * (1 - beta) * slope);
    const W p = lane.e[1] * broadcast<W>(row.inverseSum[1] * beta * slope);
    out[0] = q * (student - broadcast<W>(row.studentPart));
    out[1] = p * (teacher - broadcast<W>(row.teacherPart));
  }
};

LGC_FN double squareIf(double condition, double t) { return condition != 0 ? t * t : 1.0; }

struct KlDiv : PairDivergence<false> {
  static constexpr Record record{"klDiv",
                                 "core",
                                 {kStudent, kTeacher, kRowLabels},
                                 {kTemperature, choice("direction", "forward,reverse"), boolean("scaleByT2", true), kMaskInf, kIgnoreIndex,
                                  kReduction, kGrad, boolean("gradTeacher")},
                                 {reduced("loss", "n"), kGradStudent, kGradTeacher}};

  LGC_FN explicit KlDiv(const Call& call)
      : PairDivergence(LGC_OPTION(call, direction) == 0 ? forward : reverse, 0,
                       meanScale<KlDiv>(call) * squareIf(LGC_OPTION(call, scaleByT2), LGC_OPTION(call, temperature)),
                       LGC_OPTION(call, maskInf) != 0, LGC_OUTPUT(void, call, gradTeacher) != nullptr) {}
};

struct JsDivergence : PairDivergence<true> {
  static constexpr Record record{"jsDivergence",
                                 "core",
                                 {kStudent, kTeacher, kRowLabels},
                                 {between(number("beta", 0.5), 0, 1), kTemperature, boolean("scaleByT2"), kMaskInf, kIgnoreIndex,
                                  kReduction, kGrad, boolean("gradTeacher")},
                                 {reduced("loss", "n"), kGradStudent, kGradTeacher}};

  LGC_FN explicit JsDivergence(const Call& call)
      : PairDivergence(formOf(LGC_OPTION(call, beta)), LGC_OPTION(call, beta),
                       meanScale<JsDivergence>(call) * squareIf(LGC_OPTION(call, scaleByT2), LGC_OPTION(call, temperature)),
                       LGC_OPTION(call, maskInf) != 0, LGC_OUTPUT(void, call, gradTeacher) != nullptr) {}
  // The ends are the plain divergences, not the formula's limit, which is 0 (Liger-Kernel, TRL).
  LGC_FN static Form formOf(double beta) { return beta == 0 ? forward : beta == 1 ? reverse : mixture; }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
