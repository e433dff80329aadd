#include "minillm.h"

#include "../engine/elementwise.h"
#include "../engine/family.h"
#include "../engine/wide.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr Input kTokenMask{"mask", "b*t", Kind::mask};
constexpr Input tokens(const char* name, Domain domain = Domain::any) { return {name, "b,t", Kind::real, domain}; }

inline double countKept(const int32_t* mask, size_t n) {
  size_t kept = 0;
  for (size_t i = 0; i < n; ++i) kept += mask[i] != 0;
  return static_cast<double>(kept);
}

enum Whiten { kWhitenMasked, kWhitenAll, kWhitenNone };

struct MinillmAdvantages {
  static bool scales(Call& call) {
    if (LGC_OPTION(call, rewardScaling) != 0) return true;
    __builtin_snprintf(call.error, sizeof call.error, "options.rewardScaling is 0, expected a finite number other than 0");
    return false;
  }
  static constexpr Record record{
      "minillmAdvantages",
      "uld",
      {tokens("teacherLogps", Domain::logProbability), tokens("studentLogps", Domain::logProbability), kTokenMask},
      {number("gamma", 0.95), boolean("lengthNormalize", true), number("rewardScaling", 1), atLeast(number("clipReward", 0), 0),
       choice("whiten", "masked,all,none")},
      {array("rewards", "b,t"), array("advantages", "b,t")},
      false,
      nullptr,
      &scales};

  template <class T> static void run(Call& call) {
    const size_t b = call.dims['b'], t = call.dims['t'], n = b * t;
    const T* teacher = LGC_INPUT(T, call, teacherLogps);
    const T* student = LGC_INPUT(T, call, studentLogps);
    const int32_t* mask = LGC_INPUT(int32_t, call, mask);
    T* rewards = LGC_OUTPUT(T, call, rewards);
    T* advantages = LGC_OUTPUT(T, call, advantages);
    const double gamma = LGC_OPTION(call, gamma), scaling = LGC_OPTION(call, rewardScaling), clip = LGC_OPTION(call, clipReward);
    const bool normalize = LGC_OPTION(call, lengthNormalize) != 0;
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
            reward = (static_cast<double>(teacher[at]) - static_cast<double>(student[at])) / scaling;
            if (clip > 0) reward = reward > clip ? clip : reward < -clip ? -clip : reward;
            count += 1;
          }
          sum = fma(gamma, sum, reward);
          rewards[at] = static_cast<T>(reward);
          r[at] = normalize && count > 0 ? sum / count : sum;
        }
      }
    });
    const int whiten = static_cast<int>(LGC_OPTION(call, whiten));
    double mean = 0, scale = 1;
    if (whiten != kWhitenNone) {
      const bool all = whiten == kWhitenAll;
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
      scale = 1 / sqrt((count > 1 ? squares / (count - 1) : 0.0) + 1e-8);
    }
    for (size_t at = 0; at < n; ++at) advantages[at] = mask[at] ? static_cast<T>((r[at] - mean) * scale) : T(0);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

// max(-A rho, -A clip(rho, 1 - eps, 1 + eps)) with rho = exp(logp - oldLogp) weight
struct MinillmPolicyLoss {
  static constexpr Record record{"minillmPolicyLoss",
                                 "uld",
                                 {tokens("logps", Domain::logProbability), tokens("oldLogps", Domain::logProbability), tokens("advantages"),
                                  tokens("weights", Domain::positive), kTokenMask},
                                 {atLeast(number("clipRange", 0.2), 0), kGrad},
                                 {scalar("loss"), gradient("gradLogps", "b,t", "logps")}};

  template <class T> static void run(Call& call) {
    const size_t n = call.dims['b'] * call.dims['t'];
    const T* logps = LGC_INPUT(T, call, logps);
    const T* old = LGC_INPUT(T, call, oldLogps);
    const T* advantages = LGC_INPUT(T, call, advantages);
    const T* weights = LGC_INPUT(T, call, weights);
    const int32_t* mask = LGC_INPUT(int32_t, call, mask);
    T* grad = LGC_OUTPUT(T, call, gradLogps);
    const f64x8 zero = broadcast<f64x8>(0), low = broadcast<f64x8>(1 - LGC_OPTION(call, clipRange)),
                high = broadcast<f64x8>(1 + LGC_OPTION(call, clipRange));
    const double share = reciprocalOrZero(countKept(mask, n));
    double loss = 0;
    const bool ok = sumOver<double, 1>(call, n, &loss, [&](size_t i, size_t count, f64x8* term) LGC_LAMBDA {
      double marks[8] = {};
      for (size_t k = 0; k < count; ++k) marks[k] = mask[i + k] ? 1.0 : 0.0;
      const auto dropped = load<f64x8>(marks) == zero;
      const f64x8 a = readWide(advantages + i, count);
      const f64x8 rho = exp(readWide(logps + i, count) - readWide(old + i, count)) * readWide(weights + i, count);
      // NaN survives as the second operand.
      const f64x8 plain = -(a * rho), clipped = -(a * max(low, min(high, rho)));
      const auto inside = (rho >= low) & (rho <= high);
      term[0] = select(dropped, zero, select(clipped > plain, clipped, plain));
      if (grad) writeWide(grad + i, select(!dropped & (inside | !(clipped >= plain)), plain * share, zero), count);
    });
    if (ok) LGC_NUMBER(call, loss) = loss * share;
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct MixturePolicyWeightsOp : MixturePolicyWeights, ElementwiseOp<MixturePolicyWeights> {};

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(minillm, MinillmAdvantages, MixturePolicyWeightsOp, MinillmPolicyLoss)
}  // namespace logitcore
