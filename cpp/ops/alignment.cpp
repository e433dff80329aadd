#include "alignment.h"

#include "../engine/family.h"
#include "../engine/row_wide.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// sum_a |pi_dpo(a) - pi_ref(a)|
template <class T> inline double rowDistance(const T* dpo, const T* ref, size_t c) {
  const WideRow<T> d{dpo}, r{ref};
  const WideSoftmax p = wideSoftmax(c, 1, d), q = wideSoftmax(c, 1, r);
  return rowSumWide(c, [&](size_t i, size_t count) LGC_LAMBDA { return distanceTerm(p, d(i, count), q, r(i, count)); });
}

template <class T> struct TeacherRow {
  const AlignTeacher& rule;
  const T* dpo;
  const T* ref;
  double w;
  LGC_FN f64x8 operator()(size_t i, size_t count) const {
    return rule.logits(readWide(dpo + i, count, -kInfinity), readWide(ref + i, count, -kInfinity), w);
  }
};

// Positions of [b, t] sequences; those whose target is ignoreIndex are outside the response.
struct Sequences {
  size_t b, t;
  const int32_t* targets;
  int32_t ignore;
  double present = 0;  // sequences with a counted position

  explicit Sequences(const Call& call)
      : b(call.dims['b']),
        t(call.dims['t']),
        targets(static_cast<const int32_t*>(call.inputs[inputIndex(*call.record, "targets")])),
        ignore(static_cast<int32_t>(optionNamed(call, "ignoreIndex"))) {
    for (size_t i = 0; i < b; ++i) present += count(i) > 0;
  }
  size_t positions() const { return b * t; }
  bool counted(size_t at) const { return targets[at] != ignore; }
  double count(size_t sequence) const {
    size_t n = 0;
    for (size_t k = 0; k < t; ++k) n += counted(sequence * t + k);
    return static_cast<double>(n);
  }
  // The sum over the positions of a sequence, or their mean.
  double total(const double* values, size_t sequence, bool mean) const {
    const double sum = orderedSum(values + sequence * t, t);
    return mean ? sum * reciprocalOrZero(count(sequence)) : sum;
  }
  // Mean over the sequences that have a counted position.
  double average(const double* values, bool mean) const {
    double sum = 0;
    for (size_t i = 0; i < b; ++i) sum += count(i) > 0 ? total(values, i, mean) : 0.0;
    return sum * reciprocalOrZero(present);
  }
};

struct DpoTokenRewardOp : DpoTokenReward {
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

struct AlignDistilTeacherOp : AlignDistilTeacher {
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

// `teacher`: of the logits of q. `reward` may be null, and so may `grad`.
template <class T, class Q> inline TokenLoss tokenLoss(const T* student, const Q& teacher, const T* reward, size_t c, double studentScale,
                                                       double teacherScale, double coef, double share, T* grad) {
  const WideRow<T> z{student};
  TokenLoss token{wideSoftmax(c, studentScale, z), wideSoftmax(c, teacherScale, teacher), coef, share, reward != nullptr};
  token.divergence = token.p.inverse *
                     rowSumWide(c, [&](size_t i, size_t count) LGC_LAMBDA { return token.divergenceTerm(z(i, count), teacher(i, count)); });
  if (reward)
    token.mean = token.p.inverse * rowSumWide(c, [&](size_t i, size_t count)
                                                     LGC_LAMBDA { return token.rewardTerm(z(i, count), readWide(reward + i, count)); });
  for (size_t i = 0; grad && i < c; i += kWide) {
    const size_t count = c - i < kWide ? c - i : kWide;
    const f64x8 gain = reward ? readWide(reward + i, count) : broadcast<f64x8>(0);
    writeWide(grad + i, token.gradient(z(i, count), teacher(i, count), gain), count);
  }
  return token;
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

struct AlignDistilLossOp : AlignDistilLoss {
  template <class T> static void run(Call& call) {
    const AlignDistilLoss d(call);
    const AlignTeacher& rule = d.rule;
    const Sequences seq(call);
    const size_t c = call.columns;
    const T* student = LGC_INPUT(T, call, student);
    const T* dpo = LGC_INPUT(T, call, logitsDpo);
    const T* ref = LGC_INPUT(T, call, logitsRef);
    T* grad = LGC_OUTPUT(T, call, gradStudent);
    const PositionShare share(call, seq);
    Scratch<double> losses(call, seq.positions());
    if (!losses) return;
    double* values = losses;
    forPositions(call, seq, grad, [&](size_t at) {
      const double w = rule.weight(rule.adaptive() ? rowDistance(dpo + at * c, ref + at * c, c) : 0), coef = rule.coefficient(w);
      const TeacherRow<T> teacher{rule, dpo + at * c, ref + at * c, w};
      const T* none = nullptr;
      const TokenLoss loss = tokenLoss(student + at * c, teacher, none, c, d.studentScale, d.teacherScale, coef, share.of(seq, at),
                                       grad ? grad + at * c : grad);
      values[at] = coef * loss.kl();
    });
    reduceSequences<T>(call, outputIndex(record, "loss"), seq, values);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct RlhfTokenLossOp : RlhfTokenLoss {
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
      rewards[at] = loss.mean;
      divergences[at] = loss.kl();
      losses[at] = lossOf(loss);
    });
    reduceSequences<T>(call, outputIndex(record, "loss"), seq, losses);
    reduceSequences<T>(call, outputIndex(record, "expectedReward"), seq, rewards);
    reduceSequences<T>(call, outputIndex(record, "kl"), seq, divergences);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct AlignDistilStatsOp : AlignDistilStats {
  template <class T> static void run(Call& call) {
    const Sequences seq(call);
    const size_t c = call.columns, n = seq.positions();
    const T* student = LGC_INPUT(T, call, student);
    const T* dpo = LGC_INPUT(T, call, logitsDpo);
    const T* ref = LGC_INPUT(T, call, logitsRef);
    const double beta = LGC_OPTION(call, beta);
    Scratch<double> values(call, kValues * n);
    if (!values) return;
    double* of[kValues];
    for (size_t k = 0; k < kValues; ++k) of[k] = values + k * n;
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
      of[kReward][at] = beta * mean(p, z, gain);
      of[kDpoReward][at] = beta * mean(q, d, gain);
      of[kInitKl][at] = mean(p, z, [&](size_t i, size_t count) LGC_LAMBDA { return logRatio(p, z(i, count), o, r(i, count)); });
      of[kTeacherKl][at] = mean(p, z, [&](size_t i, size_t count) LGC_LAMBDA { return logRatio(p, z(i, count), q, d(i, count)); });
      const size_t y = static_cast<size_t>(seq.targets[at]);
      of[kTokenReward][at] =
          beta * get(logRatio(q, broadcast<f64x8>(static_cast<double>(d.x[y])), o, broadcast<f64x8>(static_cast<double>(r.x[y]))), 0);
    });
    for (int k = 0; k < kNumbers; ++k) call.scalars[k] = seq.average(of[averages[k].of], averages[k].mean);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(alignment, DpoTokenRewardOp, AlignDistilTeacherOp, AlignDistilLossOp, RlhfTokenLossOp, AlignDistilStatsOp)
}  // namespace logitcore
