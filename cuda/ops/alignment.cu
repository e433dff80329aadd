#include "../../cpp/ops/alignment.h"
#include "../engine/row_wide.h"
#include "../engine/sequences.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

template <class D> Sequences sequencesOf(const DeviceCall& call) {
  return {call.dims['b'], call.dims['t'], rowMarks<D>(call), ignoreIndexOf<D>(call)};
}
LGC_DEVICE double valueOr(Fate fate, double value) { return fate == Fate::kept ? value : fate == Fate::lost ? __builtin_nan("") : 0.0; }

struct TeacherRow {
  AlignTeacher rule;
  void* out;
  float *weight, *coef, *tvd;
  LGC_DEVICE void operator()(Rows<2>& rows) const {
    WideSoftmax s[2];
    wideSoftmax(rows, s);
    double distance[1];
    sumColumnsWide(rows, distance, [&](int, const float(&x)[2], double* t) {
      t[0] = distanceTerm(s[0], static_cast<double>(x[0]), s[1], static_cast<double>(x[1]));
    });
    const double w = rule.weight(distance[0]);
    writeColumns(rows, out, [&](int, const float(&x)[2]) {
      return static_cast<float>(rule.logits(static_cast<double>(x[0]), static_cast<double>(x[1]), w));
    });
    if (!rows.leads()) return;
    weight[rows.row] = static_cast<float>(w);
    coef[rows.row] = static_cast<float>(rule.coefficient(w));
    tvd[rows.row] = static_cast<float>(distance[0]);
  }
};

struct AlignDistilTeacherOp : AlignDistilTeacher {
  static void run(DeviceCall& call) {
    forRows<2>(call, {LGC_INPUT(void, call, logitsDpo), LGC_INPUT(void, call, logitsRef)},
               TeacherRow{AlignTeacher(call), LGC_OUTPUT(void, call, out), LGC_OUTPUT(float, call, weight), LGC_OUTPUT(float, call, coef),
                          LGC_OUTPUT(float, call, tvd)});
  }
};

struct RewardRow {
  RowMarks marks;
  double beta;
  float* tokens;
  double* values;
  void* distribution;
  LGC_DEVICE void operator()(Rows<2>& rows) const {
    const unsigned y = marks.read(rows);
    const Fate fate = rows.fate;
    // The distribution is that of all positions.
    if (distribution && fate == Fate::dropped) rows.fate = Fate::kept;
    WideSoftmax s[2];
    wideSoftmax(rows, s);
    if (rows.leads()) {
      double value = valueOr(fate, 0);
      if (fate == Fate::kept)
        value = beta * logRatio(s[0], static_cast<double>(rows.entry(0, y)), s[1], static_cast<double>(rows.entry(1, y)));
      values[rows.row] = value;
      tokens[rows.row] = static_cast<float>(value);
    }
    if (!distribution) return;
    writeColumns(rows, distribution, [&](int, const float(&x)[2]) {
      return static_cast<float>(logRatio(s[0], static_cast<double>(x[0]), s[1], static_cast<double>(x[1])) * beta);
    });
    if (fate == Fate::lost) rows.fill(distribution, __builtin_nanf(""));
  }
};

struct DpoTokenRewardOp : DpoTokenReward {
  static void run(DeviceCall& call) {
    SequenceOutputs outputs{sequencesOf<DpoTokenReward>(call), {}};
    double* values = call.scratch<double>(outputs.sequences.positions());
    if (!values || !countSequences(call, outputs.sequences)) return;
    forRows<2>(call, outputs.sequences.positions(), call.columns, {LGC_INPUT(void, call, logitsDpo), LGC_INPUT(void, call, logitsRef)},
               RewardRow{marksOf<DpoTokenReward>(call), LGC_OPTION(call, beta), LGC_OUTPUT(float, call, tokenReward), values,
                         LGC_OUTPUT(void, call, distribution)});
    outputs.add(values, false, LGC_OUTPUT(float, call, sequenceReward), nullptr, false);
    joinSequences(call, outputs);
  }
};

// What the two losses of a policy have in common. `loss` says what q is, and what a position gives.
template <class L> struct PolicyRow {
  L loss;
  RowMarks marks;
  Sequences sequences;
  bool lengthNormalize, averaged;
  double* values[L::values];
  void* gradient;

  LGC_DEVICE void operator()(Rows<3>& rows) const {
    marks.read(rows);
    const auto of = loss.position(rows);
    const double scale[2] = {of.studentScale, of.teacherScale};
    WideSoftmax s[2];
    wideSoftmax<2>(
        rows, scale,
        [&](int, const float(&x)[3], double* v) {
          v[0] = static_cast<double>(x[0]);
          v[1] = of.teacher(x);
        },
        s);
    TokenLoss token{s[0], s[1], of.coef, 0, L::rewarded};
    double sums[2];
    sumColumnsWide(rows, sums, [&](int, const float(&x)[3], double* t) {
      t[0] = token.divergenceTerm(static_cast<double>(x[0]), of.teacher(x));
      t[1] = L::rewarded ? token.rewardTerm(static_cast<double>(x[0]), of.reward(x)) : 0.0;
    });
    token.divergence = token.p.inverse * sums[0];
    if (L::rewarded) token.mean = token.p.inverse * sums[1];
    if (rows.leads()) {
      double found[L::values];
      L::fold(token, found);
      for (int k = 0; k < L::values; ++k) values[k][rows.row] = valueOr(rows.fate, found[k]);
    }
    if (!gradient) return;
    if (rows.reads()) token.share = (averaged ? reciprocalOrZero(*sequences.present) : 1.0) * sequences.share(rows.row, lengthNormalize);
    writeColumns(rows, gradient, [&](int, const float(&x)[3]) {
      return static_cast<float>(token.gradient(static_cast<double>(x[0]), of.teacher(x), of.reward(x)));
    });
    if (rows.fate != Fate::kept) rows.fill(gradient, rows.fate == Fate::lost ? __builtin_nanf("") : 0.0f);
  }
};

template <class D, class L>
void runPolicy(DeviceCall& call, const void* const (&inputs)[3], const L& loss, const int (&outputOf)[L::values]) {
  constexpr const Record& record = D::record;
  const int reduction = reductionOf<D>(call);
  const bool lengthNormalize = LGC_OPTION(call, lengthNormalize) != 0, averaged = reduction == kReduceMean;
  SequenceOutputs outputs{sequencesOf<D>(call), {}};
  const size_t positions = outputs.sequences.positions();
  double* values = call.scratch<double>(positions * L::values);
  if (!values || !countSequences(call, outputs.sequences)) return;
  PolicyRow<L> row{loss, marksOf<D>(call), outputs.sequences, lengthNormalize, averaged, {}, LGC_OUTPUT(void, call, gradStudent)};
  for (int k = 0; k < L::values; ++k) {
    row.values[k] = values + static_cast<size_t>(k) * positions;
    const int at = outputOf[k];
    outputs.add(row.values[k], lengthNormalize, static_cast<float*>(call.outputs[at]), call.numbers[at], averaged);
  }
  forRows<3>(call, positions, call.columns, inputs, row);
  joinSequences(call, outputs);
}

// Student, and the two rows of which the teacher is made.
struct AlignDistilPosition {
  const AlignDistilLoss& d;
  double w, coef, studentScale, teacherScale;
  LGC_DEVICE double teacher(const float (&x)[3]) const { return d.rule.logits(static_cast<double>(x[1]), static_cast<double>(x[2]), w); }
  LGC_DEVICE double reward(const float (&)[3]) const { return 0; }
};
struct AlignDistilRow {
  static constexpr int values = 1;
  static constexpr bool rewarded = false;
  AlignDistilLoss d;
  LGC_DEVICE AlignDistilPosition position(Rows<3>& rows) const {
    double distance[1] = {0};
    // The same for all rows of a call.
    if (d.rule.adaptive()) {
      const double one[2] = {1, 1};
      WideSoftmax s[2];
      wideSoftmax<2>(
          rows, one,
          [](int, const float(&x)[3], double* v) {
            v[0] = static_cast<double>(x[1]);
            v[1] = static_cast<double>(x[2]);
          },
          s);
      sumColumnsWide(rows, distance, [&](int, const float(&x)[3], double* t) {
        t[0] = distanceTerm(s[0], static_cast<double>(x[1]), s[1], static_cast<double>(x[2]));
      });
    }
    const double w = d.rule.weight(distance[0]);
    return {d, w, d.rule.coefficient(w), d.studentScale, d.teacherScale};
  }
  LGC_DEVICE static void fold(const TokenLoss& token, double* out) { out[0] = token.coef * token.kl(); }
};
struct AlignDistilLossOp : AlignDistilLoss {
  static void run(DeviceCall& call) {
    runPolicy<AlignDistilLoss>(call, {LGC_INPUT(void, call, student), LGC_INPUT(void, call, logitsDpo), LGC_INPUT(void, call, logitsRef)},
                               AlignDistilRow{AlignDistilLoss(call)}, {outputIndex(record, "loss")});
  }
};

// Student, rewards and reference.
struct RlhfPosition {
  double coef, studentScale, teacherScale;
  LGC_DEVICE double teacher(const float (&x)[3]) const { return static_cast<double>(x[2]); }
  LGC_DEVICE double reward(const float (&x)[3]) const { return static_cast<double>(x[1]); }
};
struct RlhfRow {
  static constexpr int values = 3;
  static constexpr bool rewarded = true;
  double klCoef;
  LGC_DEVICE RlhfPosition position(Rows<3>&) const { return {klCoef, 1, 1}; }
  LGC_DEVICE static void fold(const TokenLoss& token, double* out) {
    out[0] = RlhfTokenLoss::lossOf(token);
    out[1] = token.mean;
    out[2] = token.kl();
  }
};
struct RlhfTokenLossOp : RlhfTokenLoss {
  static void run(DeviceCall& call) {
    runPolicy<RlhfTokenLoss>(call, {LGC_INPUT(void, call, student), LGC_INPUT(void, call, reward), LGC_INPUT(void, call, logitsRef)},
                             RlhfRow{LGC_OPTION(call, klCoef)},
                             {outputIndex(record, "loss"), outputIndex(record, "expectedReward"), outputIndex(record, "kl")});
  }
};

struct StatsRow {
  using Stats = AlignDistilStats;
  RowMarks marks;
  double beta;
  size_t rows_;
  double* values;
  LGC_DEVICE void operator()(Rows<3>& rows) const {
    const unsigned y = marks.read(rows);
    WideSoftmax s[3];
    wideSoftmax(rows, s);
    const WideSoftmax &p = s[0], &q = s[1], &o = s[2];
    // What the student expects, and what the DPO model does.
    double sums[3], own[1];
    sumColumnsWide(rows, sums, [&](int, const float(&x)[3], double* t) {
      const double z = static_cast<double>(x[0]), d = static_cast<double>(x[1]), r = static_cast<double>(x[2]);
      const double a = p.shifted(z), e = expFlush(a);
      t[0] = expected(a == -kInfinity, e, logRatio(q, d, o, r));
      t[1] = expected(a == -kInfinity, e, logRatio(p, z, o, r));
      t[2] = expected(a == -kInfinity, e, logRatio(p, z, q, d));
    });
    sumColumnsWide(rows, own, [&](int, const float(&x)[3], double* t) {
      const double d = static_cast<double>(x[1]), b = q.shifted(d);
      t[0] = expected(b == -kInfinity, expFlush(b), logRatio(q, d, o, static_cast<double>(x[2])));
    });
    if (!rows.leads()) return;
    double found[Stats::kValues] = {};
    if (rows.fate == Fate::kept) {
      found[Stats::kReward] = beta * (p.inverse * sums[0]);
      found[Stats::kDpoReward] = beta * (q.inverse * own[0]);
      found[Stats::kTokenReward] = beta * logRatio(q, static_cast<double>(rows.entry(1, y)), o, static_cast<double>(rows.entry(2, y)));
      found[Stats::kInitKl] = p.inverse * sums[1];
      found[Stats::kTeacherKl] = p.inverse * sums[2];
    }
    for (size_t k = 0; k < Stats::kValues; ++k) values[k * rows_ + rows.row] = valueOr(rows.fate, found[k]);
  }
};

struct AlignDistilStatsOp : AlignDistilStats {
  static void run(DeviceCall& call) {
    SequenceOutputs outputs{sequencesOf<AlignDistilStats>(call), {}};
    const size_t positions = outputs.sequences.positions();
    double* values = call.scratch<double>(positions * kValues);
    if (!values || !countSequences(call, outputs.sequences)) return;
    forRows<3>(call, positions, call.columns,
               {LGC_INPUT(void, call, student), LGC_INPUT(void, call, logitsDpo), LGC_INPUT(void, call, logitsRef)},
               StatsRow{marksOf<AlignDistilStats>(call), LGC_OPTION(call, beta), positions, values});
    for (int k = 0; k < kNumbers; ++k)
      outputs.add(values + static_cast<size_t>(averages[k].of) * positions, averages[k].mean, nullptr, call.numbers[k], true);
    joinSequences(call, outputs);
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(alignment, AlignDistilTeacherOp, DpoTokenRewardOp, AlignDistilLossOp, RlhfTokenLossOp, AlignDistilStatsOp)
}  // namespace logitcore
