#include "alignment.h"

#include "../engine/family.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr Input sequenceLogits(const char* name) { return {name, "b,t,c"}; }
constexpr Input kSequenceTargets{"targets", "b*t", Kind::target};
constexpr Input kDpo = sequenceLogits("logitsDpo"), kRef = sequenceLogits("logitsRef"), kPolicy = sequenceLogits("student");
constexpr Output kGradPolicy = gradient("gradStudent", "b,t,c", "student");
constexpr Option kLengthNormalize = boolean("lengthNormalize", true);

// (x - log Z_x) - (y - log Z_y) of shifted logits, 0 where both are dead.
LGC_FN f64x8 logRatio(const WideSoftmax& p, f64x8 x, const WideSoftmax& q, f64x8 y) {
  const f64x8 a = p.shifted(x), b = q.shifted(y), dead = broadcast<f64x8>(-kInfinity);
  return select((a == dead) & (b == dead), broadcast<f64x8>(0), (a - b) - (p.logSum - q.logSum));
}

struct DpoTokenReward {
  static constexpr Record record{
      "dpoTokenReward",
      "align-distil",
      {kDpo, kRef, kSequenceTargets},
      {kBeta, kIgnoreIndex, boolean("distribution")},
      {array("tokenReward", "b,t"), array("sequenceReward", "b"), when(array("distribution", "b,t,c"), "distribution")}};

  template <class T> static void run(Call& call) {
    const Sequences seq(call);
    const size_t c = call.columns;
    const T* dpo = LGC_INPUT(T, call, logitsDpo);
    const T* ref = LGC_INPUT(T, call, logitsRef);
    T* tokens = LGC_OUTPUT(T, call, tokenReward);
    T* sums = LGC_OUTPUT(T, call, sequenceReward);
    T* distribution = LGC_OUTPUT(T, call, distribution);
    const double beta = LGC_OPTION(call, beta);
    Scratch<double> rewards(call, seq.positions());
    if (!rewards) return;
    double* values = rewards;
    parallel(call, seq.positions(), rowGrain(c), [&](size_t begin, size_t end) {
      for (size_t at = begin; at < end; ++at) {
        if (seq.counted(at) || distribution) {
          const WideRow<T> d{dpo + at * c}, r{ref + at * c};
          const WideSoftmax p = wideSoftmax(c, 1, d), q = wideSoftmax(c, 1, r);
          if (seq.counted(at)) {
            const size_t y = static_cast<size_t>(seq.targets[at]);
            values[at] =
                beta * get(logRatio(p, broadcast<f64x8>(static_cast<double>(d.x[y])), q, broadcast<f64x8>(static_cast<double>(r.x[y]))), 0);
          }
          if (distribution)
            for (size_t i = 0; i < c; i += kWide) {
              const size_t count = c - i < kWide ? c - i : kWide;
              writeWide(distribution + at * c + i, logRatio(p, d(i, count), q, r(i, count)) * beta, count);
            }
        }
        tokens[at] = static_cast<T>(values[at]);
      }
    });
    for (size_t i = 0; i < seq.b; ++i) sums[i] = static_cast<T>(seq.total(values, i, false));
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct AlignDistilTeacher {
  static constexpr Record record{"alignDistilTeacher",
                                 "align-distil",
                                 {{"logitsDpo", "*,c"}, {"logitsRef", "*,c"}},
                                 {kAlignMode, kBeta, kKlCoef, kTvdScale, kTvdFloor},
                                 {inPlace(array("out", "*,c"), "logitsDpo"), array("weight", "*"), array("coef", "*"), array("tvd", "*")},
                                 false,
                                 nullptr,
                                 &checkTeacher};

  template <class T> static void run(Call& call) {
    const AlignTeacher rule(call);
    const size_t c = call.columns;
    const T* dpo = LGC_INPUT(T, call, logitsDpo);
    const T* ref = LGC_INPUT(T, call, logitsRef);
    T* out = LGC_OUTPUT(T, call, out);
    T* weight = LGC_OUTPUT(T, call, weight);
    T* coef = LGC_OUTPUT(T, call, coef);
    T* tvd = LGC_OUTPUT(T, call, tvd);
    parallel(call, call.rows, rowGrain(c), [&](size_t begin, size_t end) {
      for (size_t at = begin; at < end; ++at) {
        const double distance = rowDistance(dpo + at * c, ref + at * c, c), w = rule.weight(distance);
        tvd[at] = static_cast<T>(distance);
        weight[at] = static_cast<T>(w);
        coef[at] = static_cast<T>(rule.coefficient(w));
        const TeacherRow<T> teacher{rule, dpo + at * c, ref + at * c, w};
        for (size_t i = 0; i < c; i += kWide) {
          const size_t count = c - i < kWide ? c - i : kWide;
          writeWide(out + at * c + i, teacher(i, count), count);
        }
      }
    });
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct TokenLoss {
  double kl, reward;
};

// coef KL(p || q) - E_p[reward] of one position. The divergence is linear in the logits: no logarithm of a probability, which of a
// peaked teacher would have no digits.
template <class T, class Q> inline TokenLoss tokenLoss(const T* student, const Q& teacher, const T* reward, size_t c, double studentScale,
                                                       double teacherScale, double coef, double share, T* grad) {
  const WideRow<T> z{student};
  const WideSoftmax p = wideSoftmax(c, studentScale, z), q = wideSoftmax(c, teacherScale, teacher);
  const f64x8 dead = broadcast<f64x8>(-kInfinity), zero = broadcast<f64x8>(0);
  const double divergence = p.inverse * rowSumWide(c, [&](size_t i, size_t count) LGC_LAMBDA {
                              const f64x8 x = p.shifted(z(i, count));
                              return expected(x == dead, expFlush(x), x - q.shifted(teacher(i, count)));
                            });
  double mean = 0;
  if (reward)
    mean = p.inverse * rowSumWide(c, [&](size_t i, size_t count) LGC_LAMBDA {
             const f64x8 x = p.shifted(z(i, count));
             return expected(x == dead, expFlush(x), readWide(reward + i, count));
           });
  if (grad) {
    const double scale = p.inverse * studentScale * share;
    for (size_t i = 0; i < c; i += kWide) {
      const size_t count = c - i < kWide ? c - i : kWide;
      const f64x8 x = p.shifted(z(i, count));
      f64x8 slope = zero;
      if (coef != 0) slope = ((x - q.shifted(teacher(i, count))) - divergence) * coef;
      if (reward) slope = slope - (readWide(reward + i, count) - mean);
      const f64x8 g = expFlush(x) * scale * slope;
      // 0 in a dead class, unless the row has no distribution.
      writeWide(grad + i, select(x == dead, broadcast<f64x8>(p.inverse == p.inverse ? 0.0 : p.inverse), g), count);
    }
  }
  return {divergence - p.logSum + q.logSum, mean};
}

// values: one a position; the output is a number or one a sequence.
template <class T> inline void reduceSequences(Call& call, int output, const Sequences& seq, const double* values) {
  const int reduction = static_cast<int>(optionNamed(call, "reduction"));
  const bool mean = optionNamed(call, "lengthNormalize") != 0;
  if (reduction == kReduceNone) {
    for (size_t i = 0; i < seq.b; ++i) static_cast<T*>(call.outputs[output])[i] = static_cast<T>(seq.total(values, i, mean));
    return;
  }
  const double average = seq.average(values, mean);
  call.scalars[output] = reduction == kReduceMean ? average : average * seq.present;
}

// The factor of a position's term in the reduced loss.
struct PositionShare {
  double scale;
  bool mean;
  PositionShare(const Call& call, const Sequences& seq)
      : scale(static_cast<int>(optionNamed(call, "reduction")) == kReduceMean ? reciprocalOrZero(seq.present) : 1.0),
        mean(optionNamed(call, "lengthNormalize") != 0) {}
  double of(const Sequences& seq, size_t at) const { return mean ? scale / seq.count(at / seq.t) : scale; }
};

// body(position) for counted positions; the gradient of the others is 0.
template <class T, class F> inline void forPositions(Call& call, const Sequences& seq, T* grad, F&& body) {
  const size_t c = call.columns;
  parallel(call, seq.positions(), rowGrain(c), [&](size_t begin, size_t end) {
    for (size_t at = begin; at < end; ++at) {
      if (seq.counted(at))
        body(at);
      else if (grad)
        __builtin_memset(static_cast<void*>(grad + at * c), 0, c * sizeof(T));
    }
  });
}

struct AlignDistilLoss {
  static constexpr Record record{"alignDistilLoss",
                                 "align-distil",
                                 {kPolicy, kDpo, kRef, kSequenceTargets},
                                 {kAlignMode, kBeta, kKlCoef, kTvdScale, kTvdFloor, kTemperature, above(number("studentTemperature", 1), 0),
                                  kLengthNormalize, kIgnoreIndex, kReduction, kGrad},
                                 {reduced("loss", "b"), kGradPolicy},
                                 false,
                                 nullptr,
                                 &checkTeacher};

  template <class T> static void run(Call& call) {
    const AlignTeacher rule(call);
    const Sequences seq(call);
    const size_t c = call.columns;
    const T* student = LGC_INPUT(T, call, student);
    const T* dpo = LGC_INPUT(T, call, logitsDpo);
    const T* ref = LGC_INPUT(T, call, logitsRef);
    T* grad = LGC_OUTPUT(T, call, gradStudent);
    const double studentScale = 1 / LGC_OPTION(call, studentTemperature);
    const double teacherScale = rule.mode == kGkd ? 1.0 : 1 / LGC_OPTION(call, temperature);
    const PositionShare share(call, seq);
    Scratch<double> losses(call, seq.positions());
    if (!losses) return;
    double* values = losses;
    forPositions(call, seq, grad, [&](size_t at) {
      const double w = rule.weight(rule.adaptive() ? rowDistance(dpo + at * c, ref + at * c, c) : 0), coef = rule.coefficient(w);
      const TeacherRow<T> teacher{rule, dpo + at * c, ref + at * c, w};
      const T* none = nullptr;
      const TokenLoss loss =
          tokenLoss(student + at * c, teacher, none, c, studentScale, teacherScale, coef, share.of(seq, at), grad ? grad + at * c : grad);
      values[at] = coef * loss.kl;
    });
    reduceSequences<T>(call, outputIndex(record, "loss"), seq, values);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct RlhfTokenLoss {
  static constexpr Record record{"rlhfTokenLoss",
                                 "align-distil",
                                 {kPolicy, sequenceLogits("reward"), kRef, kSequenceTargets},
                                 {atLeast(kKlCoef, 0), kLengthNormalize, kIgnoreIndex, kReduction, kGrad},
                                 {reduced("loss", "b"), reduced("expectedReward", "b"), reduced("kl", "b"), kGradPolicy}};

  template <class T> static void run(Call& call) {
    const Sequences seq(call);
    const size_t c = call.columns, n = seq.positions();
    const T* student = LGC_INPUT(T, call, student);
    const T* reward = LGC_INPUT(T, call, reward);
    const T* ref = LGC_INPUT(T, call, logitsRef);
    T* grad = LGC_OUTPUT(T, call, gradStudent);
    const double klCoef = LGC_OPTION(call, klCoef);
    const PositionShare share(call, seq);
    Scratch<double> values(call, 3 * n);
    if (!values) return;
    double* losses = values;
    double *rewards = losses + n, *divergences = rewards + n;
    forPositions(call, seq, grad, [&](size_t at) {
      const TokenLoss loss = tokenLoss(student + at * c, WideRow<T>{ref + at * c}, reward + at * c, c, 1, 1, klCoef, share.of(seq, at),
                                       grad ? grad + at * c : grad);
      rewards[at] = loss.reward;
      divergences[at] = loss.kl;
      losses[at] = (klCoef == 0 ? 0.0 : klCoef * loss.kl) - loss.reward;
    });
    reduceSequences<T>(call, outputIndex(record, "loss"), seq, losses);
    reduceSequences<T>(call, outputIndex(record, "expectedReward"), seq, rewards);
    reduceSequences<T>(call, outputIndex(record, "kl"), seq, divergences);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct AlignDistilStats {
  static constexpr Record record{"alignDistilStats",
                                 "align-distil",
                                 {kPolicy, kDpo, kRef, kSequenceTargets},
                                 {kBeta, kIgnoreIndex},
                                 {scalar("expectedReward"), scalar("dpoExpectedReward"), scalar("sequenceReward"), scalar("tokenReward"),
                                  scalar("sequenceInitKl"), scalar("tokenInitKl"), scalar("sequenceTeacherKl"), scalar("tokenTeacherKl")}};

  template <class T> static void run(Call& call) {
    const Sequences seq(call);
    const size_t c = call.columns, n = seq.positions();
    const T* student = LGC_INPUT(T, call, student);
    const T* dpo = LGC_INPUT(T, call, logitsDpo);
    const T* ref = LGC_INPUT(T, call, logitsRef);
    const double beta = LGC_OPTION(call, beta);
    Scratch<double> values(call, 5 * n);
    if (!values) return;
    double* reward = values;
    double *dpoReward = reward + n, *tokenReward = dpoReward + n, *initKl = tokenReward + n, *teacherKl = initKl + n;
    T* nothing = nullptr;
    forPositions(call, seq, nothing, [&](size_t at) {
      const WideRow<T> z{student + at * c}, d{dpo + at * c}, r{ref + at * c};
      const WideSoftmax p = wideSoftmax(c, 1, z), q = wideSoftmax(c, 1, d), o = wideSoftmax(c, 1, r);
      const f64x8 dead = broadcast<f64x8>(-kInfinity);
      const auto mean = [&](const WideSoftmax& of, const WideRow<T>& row, auto&& value) LGC_LAMBDA {
        return of.inverse * rowSumWide(c, [&](size_t i, size_t count) LGC_LAMBDA {
                 const f64x8 x = of.shifted(row(i, count));
                 return expected(x == dead, expFlush(x), value(i, count));
               });
      };
      const auto gain = [&](size_t i, size_t count) LGC_LAMBDA { return logRatio(q, d(i, count), o, r(i, count)); };
      reward[at] = beta * mean(p, z, gain);
      dpoReward[at] = beta * mean(q, d, gain);
      initKl[at] = mean(p, z, [&](size_t i, size_t count) LGC_LAMBDA { return logRatio(p, z(i, count), o, r(i, count)); });
      teacherKl[at] = mean(p, z, [&](size_t i, size_t count) LGC_LAMBDA { return logRatio(p, z(i, count), q, d(i, count)); });
      const size_t y = static_cast<size_t>(seq.targets[at]);
      tokenReward[at] =
          beta * get(logRatio(q, broadcast<f64x8>(static_cast<double>(d.x[y])), o, broadcast<f64x8>(static_cast<double>(r.x[y]))), 0);
    });
    LGC_NUMBER(call, expectedReward) = seq.average(reward, false);
    LGC_NUMBER(call, dpoExpectedReward) = seq.average(dpoReward, false);
    LGC_NUMBER(call, sequenceReward) = seq.average(tokenReward, false);
    LGC_NUMBER(call, tokenReward) = seq.average(tokenReward, true);
    LGC_NUMBER(call, sequenceInitKl) = seq.average(initKl, false);
    LGC_NUMBER(call, tokenInitKl) = seq.average(initKl, true);
    LGC_NUMBER(call, sequenceTeacherKl) = seq.average(teacherKl, false);
    LGC_NUMBER(call, tokenTeacherKl) = seq.average(teacherKl, true);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(alignment, DpoTokenReward, AlignDistilTeacher, AlignDistilLoss, RlhfTokenLoss, AlignDistilStats)
}  // namespace logitcore
