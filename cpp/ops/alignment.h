// What AlignDistil's teacher is (Zhang et al. 2025, arXiv 2503.02832): logits extrapolated from two models, token by token.
#pragma once
#include "../engine/row_wide.h"
#include "softmax.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

enum AlignMode { kAlignDistil, kTheorem1, kTheorem1Contrast, kTheorem1Adaptive, kGkd };

constexpr Option kAlignMode = choice("mode", "aligndistil,theorem1,theorem1Contrast,theorem1Adaptive,gkd");
constexpr Option kBeta = above(number("beta", 0.1), 0), kKlCoef = number("klCoef", 0.1);
constexpr Option kTvdScale = atLeast(number("tvdScale", 10), 0), kTvdFloor = atLeast(number("floor", 1e-3), 0);

inline double optionNamed(const Call& call, const char* name) { return call.options[optionIndex(*call.record, name)]; }

inline bool checkTeacher(Call& call) {
  const int mode = static_cast<int>(optionNamed(call, "mode"));
  const double klCoef = optionNamed(call, "klCoef");
  if ((mode == kTheorem1 || mode == kTheorem1Contrast) && !(klCoef > 0)) {
    __builtin_snprintf(call.error, sizeof call.error, "options.klCoef is %.9g, expected a finite number > 0 in mode '%s'", klCoef,
                       mode == kTheorem1 ? "theorem1" : "theorem1Contrast");
    return false;
  }
  if (optionNamed(call, "tvdScale") != 0 || optionNamed(call, "floor") != 0) return true;
  __builtin_snprintf(call.error, sizeof call.error, "options.tvdScale and options.floor are both 0, expected one of them > 0");
  return false;
}

struct AlignTeacher {
  int mode;
  double beta, klCoef, tvdScale, floor;
  explicit AlignTeacher(const Call& call)
      : mode(static_cast<int>(optionNamed(call, "mode"))),
        beta(optionNamed(call, "beta")),
        klCoef(optionNamed(call, "klCoef")),
        tvdScale(optionNamed(call, "tvdScale")),
        floor(optionNamed(call, "floor")) {}
  bool adaptive() const { return mode == kAlignDistil || mode == kTheorem1Adaptive; }

  double weight(double tvd) const { return mode == kGkd ? 0.0 : adaptive() ? fma(tvdScale, tvd, floor) : beta / klCoef; }
  double coefficient(double w) const { return mode == kGkd ? 1.0 : adaptive() ? beta / w : klCoef; }

  // z_d + w (z_d - z_r), or z_r + w (z_d - z_r).
  LGC_FN f64x8 logits(f64x8 dpo, f64x8 ref, double w) const {
    if (mode == kGkd) return dpo;
    const f64x8 dead = broadcast<f64x8>(-kInfinity);
    const bool contrast = mode == kAlignDistil || mode == kTheorem1Contrast;
    f64x8 z = fma(dpo - ref, w, contrast ? dpo : ref);
    // pi_dpo^w pi_ref^(1 - w) where pi_ref is 0.
    if (!contrast) z = select(ref == dead, w == 1 ? dpo : broadcast<f64x8>(w < 1 ? -kInfinity : kInfinity), z);
    return select(dpo == dead, dead, z);
  }
};

// sum_a |pi_dpo(a) - pi_ref(a)|, from 0 to 2.
template <class T> inline double rowDistance(const T* dpo, const T* ref, size_t c) {
  const WideRow<T> d{dpo}, r{ref};
  const WideSoftmax p = wideSoftmax(c, 1, d), q = wideSoftmax(c, 1, r);
  return rowSumWide(c, [&](size_t i, size_t count) LGC_LAMBDA {
    return abs(expFlush(p.shifted(d(i, count))) * p.inverse - expFlush(q.shifted(r(i, count))) * q.inverse);
  });
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

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
