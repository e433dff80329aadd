// Group progressive guidance (Xu et al. 2023, arXiv 2308.07650): a chain of soft labels from the widest subnet to the narrowest.
#pragma once
#include "../engine/row_wide.h"
#include "softmax.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct GroupProgressiveGuidance {
  static constexpr Record record{"groupProgressiveGuidance",
                                 "eq-net",
                                 {{"logits", "g,n,c"}, kTargets},
                                 {between(number("alpha", 0.5), 0, 1), kTemperature, kIgnoreIndex, choice("reduction", "mean,sum"), kGrad},
                                 {scalar("loss"), array("losses", "g"), gradient("gradLogits", "g,n,c", "logits")}};

  double alpha, temperature, scale;
  explicit GroupProgressiveGuidance(const Call& call)
      : alpha(LGC_OPTION(call, alpha)), temperature(LGC_OPTION(call, temperature)), scale(meanScale<GroupProgressiveGuidance>(call)) {}

  // One row of one plane. `own` and `guide` are at the temperature; `guide` is null in the first plane. A term of weight 0 is left out,
  // be it infinite.
  template <class T>
  double row(const T* x, size_t c, size_t y, const WideSoftmax& own, const T* teacher, const WideSoftmax& guide, T* grad) const {
    const WideRow<T> z{x}, t{teacher};
    const WideSoftmax hard = temperature == 1 ? own : wideSoftmax(c, 1, z);
    const double labels = teacher ? 1 - alpha : 1, soft = teacher ? alpha : 0;
    const f64x8 dead = broadcast<f64x8>(-kInfinity), zero = broadcast<f64x8>(0);
    double loss = 0;
    if (labels != 0) loss = labels * (hard.logSum - (static_cast<double>(x[y]) - hard.max));
    if (soft != 0) {
      const double divergence = guide.inverse * rowSumWide(c, [&](size_t i, size_t count) LGC_LAMBDA {
                                  const f64x8 v = guide.shifted(t(i, count));
                                  return expected(v == dead, expFlush(v), v - own.shifted(z(i, count)));
                                });
      loss += soft * temperature * temperature * (divergence - guide.logSum + own.logSum);
    }
    if (!grad) return loss;
    for (size_t i = 0; i < c; i += kWide) {
      const size_t count = c - i < kWide ? c - i : kWide;
      const f64x8 v = z(i, count);
      f64x8 g = zero;
      if (labels != 0) {
        f64x8 p = expFlush(hard.shifted(v)) * hard.inverse;
        if (y >= i && y - i < kWide) {
          const int lane = static_cast<int>(y - i);
          // From the other terms: p_y - 1 of a confident row would be 0.
          p = withLane(p, lane, y == hard.argMax ? -hard.others * hard.inverse : get(p, lane) - 1);
        }
        g = p * labels;
      }
      if (soft != 0) {
        const f64x8 p = expFlush(own.shifted(v)) * own.inverse;
        const f64x8 q = expFlush(guide.shifted(t(i, count))) * guide.inverse;
        g = g + select((v == dead) & (q == q), p, p - q) * (soft * temperature);
      }
      writeWide(grad + i, g * scale, count);
    }
    return loss;
  }

  template <class T> static void run(Call& call) {
    const GroupProgressiveGuidance d(call);
    const size_t planes = call.dims['g'], n = call.rows, c = call.columns;
    const T* logits = LGC_INPUT(T, call, logits);
    const int32_t* targets = LGC_INPUT(int32_t, call, targets);
    const int32_t ignore = ignoreIndexOf<GroupProgressiveGuidance>(call);
    T* losses = LGC_OUTPUT(T, call, losses);
    T* grad = LGC_OUTPUT(T, call, gradLogits);
    Scratch<double> values(call, planes * n);
    if (!values) return;
    double* v = values;
    parallel(call, n, rowGrain(planes * c), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        if (targets[i] == ignore) {
          for (size_t k = 0; grad && k < planes; ++k) __builtin_memset(static_cast<void*>(grad + (k * n + i) * c), 0, c * sizeof(T));
          continue;
        }
        // From the last plane down: a gradient written over the logits is of a plane that guides no other any more.
        WideSoftmax own{};
        for (size_t k = planes; k-- > 0;) {
          const T* x = logits + (k * n + i) * c;
          const T* teacher = k ? x - n * c : nullptr;
          if (k + 1 == planes) own = wideSoftmax(c, 1 / d.temperature, WideRow<T>{x});
          const WideSoftmax guide = teacher ? wideSoftmax(c, 1 / d.temperature, WideRow<T>{teacher}) : own;
          v[k * n + i] = d.row(x, c, static_cast<size_t>(targets[i]), own, teacher, guide, grad ? grad + (k * n + i) * c : grad);
          own = guide;
        }
      }
    });
    double total = 0;
    for (size_t k = 0; k < planes; ++k) {
      const double loss = d.scale * orderedSum(v + k * n, n);
      losses[k] = static_cast<T>(loss);
      total += loss;
    }
    LGC_NUMBER(call, loss) = total;
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
