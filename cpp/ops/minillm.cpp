#include "minillm.h"

#include "../engine/elementwise.h"
#include "../engine/family.h"
#include "../engine/wide.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

inline double countKept(const int32_t* mask, size_t n) {
  size_t kept = 0;
  for (size_t i = 0; i < n; ++i) kept += mask[i] != 0;
  return static_cast<double>(kept);
}

struct MinillmAdvantagesOp : MinillmAdvantages {
  template <class T> static void run(Call& call) {
    const size_t b = call.dims['b'], t = call.dims['t'], n = b * t;
    const T* teacher = LGC_INPUT(T, call, teacherLogps);
    const T* student = LGC_INPUT(T, call, studentLogps);
    const int32_t* mask = LGC_INPUT(int32_t, call, mask);
    T* rewards = LGC_OUTPUT(T, call, rewards);
    T* advantages = LGC_OUTPUT(T, call, advantages);
    const MinillmAdvantages d(call);
    Scratch<double> returns(call, n), perRow(call, b);
    if (!returns || !perRow) return;
    double* r = returns;
    parallel(call, b, rowGrain(t), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        double sum = 0, count = 0;
        for (size_t k = t; k-- > 0;) {
          const size_t at = i * t + k;
          double reward = 0;
          if (mask[at]) {
            reward = d.reward(static_cast<double>(teacher[at]), static_cast<double>(student[at]));
            count += 1;
          }
          sum = fma(d.gamma, sum, reward);
          rewards[at] = static_cast<T>(reward);
          r[at] = d.returned(sum, count);
        }
      }
    });
    double mean = 0, scale = 1;
    if (d.whiten != kWhitenNone) {
      const bool all = d.whiten == kWhitenAll;
      const double count = all ? static_cast<double>(n) : countKept(mask, n);
      // One sum a row, rows in order.
      const auto total = [&](auto&& term) {
        parallel(call, b, rowGrain(t), [&](size_t begin, size_t end) {
          for (size_t i = begin; i < end; ++i) {
            double s = 0;
            for (size_t at = i * t; at < (i + 1) * t; ++at)
              if (all || mask[at]) s += term(r[at]);
            perRow[i] = s;
          }
        });
        return orderedSum(perRow, b);
      };
      mean = count > 0 ? total([](double v) { return v; }) / count : 0.0;
      const double squares = total([mean](double v) { return (v - mean) * (v - mean); });
      scale = inverseDeviation(squares, count);
    }
    for (size_t at = 0; at < n; ++at) advantages[at] = mask[at] ? static_cast<T>((r[at] - mean) * scale) : T(0);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct MinillmPolicyLossOp : MinillmPolicyLoss {
  template <class T> static void run(Call& call) {
    const size_t n = call.dims['b'] * call.dims['t'];
    const T* logps = LGC_INPUT(T, call, logps);
    const T* old = LGC_INPUT(T, call, oldLogps);
    const T* advantages = LGC_INPUT(T, call, advantages);
    const T* weights = LGC_INPUT(T, call, weights);
    const int32_t* mask = LGC_INPUT(int32_t, call, mask);
    T* grad = LGC_OUTPUT(T, call, gradLogps);
    const MinillmPolicyLoss d(call);
    const f64x8 zero = broadcast<f64x8>(0);
    const double share = reciprocalOrZero(countKept(mask, n));
    double loss = 0;
    const bool ok = sumOver<double, 1>(call, n, &loss, [&](size_t i, size_t count, f64x8* term) LGC_LAMBDA {
      double marks[8] = {};
      for (size_t k = 0; k < count; ++k) marks[k] = mask[i + k] ? 1.0 : 0.0;
      const auto dropped = load<f64x8>(marks) == zero;
      f64x8 value, slope;
      d.token(readWide(logps + i, count), readWide(old + i, count), readWide(advantages + i, count), readWide(weights + i, count), value,
              slope);
      term[0] = select(dropped, zero, value);
      if (grad) writeWide(grad + i, select(dropped, zero, slope * share), count);
    });
    if (ok) LGC_NUMBER(call, loss) = loss * share;
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct MixturePolicyWeightsOp : MixturePolicyWeights, ElementwiseOp<MixturePolicyWeights> {};

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(minillm, MinillmAdvantagesOp, MixturePolicyWeightsOp, MinillmPolicyLossOp)
}  // namespace logitcore
