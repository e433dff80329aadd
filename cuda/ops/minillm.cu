#include "../../cpp/ops/minillm.h"
#include "../engine/flat.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

struct IsKept {
  const int32_t* mask;
  LGC_DEVICE void operator()(size_t i, double* t) const { t[0] = mask[i] ? 1.0 : 0.0; }
};

struct StoreShare {
  double* share;
  LGC_DEVICE void operator()(const double* kept) const { *share = reciprocalOrZero(kept[0]); }
};
struct TokenTerm {
  MinillmPolicyLoss d;
  const float *logps, *old, *advantages, *weights;
  const int32_t* mask;
  const double* share;
  float* gradient;
  LGC_DEVICE void operator()(size_t i, double* t) const {
    double loss = 0, slope = 0;
    const bool kept = mask[i] != 0;
    if (kept)
      d.token(static_cast<double>(logps[i]), static_cast<double>(old[i]), static_cast<double>(advantages[i]),
              static_cast<double>(weights[i]), loss, slope);
    t[0] = loss;
    if (gradient) gradient[i] = kept ? static_cast<float>(slope * *share) : 0.0f;
  }
};
struct StoreMean {
  const double* share;
  double* number;
  LGC_DEVICE void operator()(const double* sum) const { *number = sum[0] * *share; }
};

struct MinillmPolicyLossOp : MinillmPolicyLoss {
  static void run(DeviceCall& call) {
    const size_t n = call.dims['b'] * call.dims['t'];
    const int32_t* mask = LGC_INPUT(int32_t, call, mask);
    double* share = call.scratch<double>(1);
    if (!share || !sumFlat<1>(call, n, IsKept{mask}, StoreShare{share})) return;
    const TokenTerm term{MinillmPolicyLoss(call),
                         LGC_INPUT(float, call, logps),
                         LGC_INPUT(float, call, oldLogps),
                         LGC_INPUT(float, call, advantages),
                         LGC_INPUT(float, call, weights),
                         mask,
                         share,
                         LGC_OUTPUT(float, call, gradLogps)};
    sumFlat<1>(call, n, term, StoreMean{share, LGC_NUMBER_AT(call, loss)});
  }
};

// Of a part of a sequence, what it adds to the returns before it: their sum, the discount over it, and how many rewards it has.
struct Discounted {
  double sum, discount, count;
};
// A sequence from its end, in parts of which each thread has one: first alone, then with what comes after it.
struct ReturnsOf {
  MinillmAdvantages d;
  size_t length;
  const float *teacher, *student;
  const int32_t* mask;
  float* rewards;
  double* returns;
  Discounted* parts;  // kRowThreads a sequence
  LGC_DEVICE void operator()(size_t sequence, Team& team) const {
    const size_t share = (length + team.size - 1) / team.size, first = team.rank * share < length ? team.rank * share : length;
    const size_t start = sequence * length + first, count = length - first < share ? length - first : share;
    Discounted* part = parts + sequence * team.size;
    part[team.rank] = sweep(start, count, {0, 1, 0}, false);
    team.sync();
    Discounted after{0, 1, 0};
    for (unsigned k = team.size - 1; k > team.rank; --k) {
      // A discount may be infinite.
      after.sum = after.sum == 0 ? part[k].sum : fma(part[k].discount, after.sum, part[k].sum);
      after.count += part[k].count;
    }
    sweep(start, count, after, true);
  }
  LGC_DEVICE Discounted sweep(size_t start, size_t count, Discounted s, bool writes) const {
    for (size_t k = count; k-- > 0;) {
      const size_t at = start + k;
      double reward = 0;
      if (mask[at]) {
        reward = d.reward(static_cast<double>(teacher[at]), static_cast<double>(student[at]));
        s.count += 1;
      }
      s.sum = fma(d.gamma, s.sum, reward);
      s.discount *= d.gamma;
      if (!writes) continue;
      rewards[at] = static_cast<float>(reward);
      returns[at] = d.returned(s.sum, s.count);
    }
    return s;
  }
};

struct Whitening {
  double mean, scale, count;
};
struct ReturnTerm {
  const double* returns;
  const int32_t* mask;  // null: all count
  LGC_DEVICE void operator()(size_t i, double* t) const {
    const bool counts = !mask || mask[i];
    t[0] = counts ? returns[i] : 0.0;
    t[1] = counts ? 1.0 : 0.0;
  }
};
struct StoreReturnMean {
  Whitening* whitening;
  LGC_DEVICE void operator()(const double* sums) const { *whitening = {sums[1] > 0 ? sums[0] / sums[1] : 0.0, 1, sums[1]}; }
};
struct SquareTerm {
  const double* returns;
  const int32_t* mask;
  const Whitening* whitening;
  LGC_DEVICE void operator()(size_t i, double* t) const {
    const double away = returns[i] - whitening->mean;
    t[0] = !mask || mask[i] ? away * away : 0.0;
  }
};
struct StoreScale {
  Whitening* whitening;
  LGC_DEVICE void operator()(const double* squares) const {
    whitening->scale = MinillmAdvantages::inverseDeviation(squares[0], whitening->count);
  }
};
struct WhitenAt {
  const double* returns;
  const int32_t* mask;
  const Whitening* whitening;  // null: none
  float* advantages;
  LGC_DEVICE void operator()(size_t i) const {
    const double white = whitening ? (returns[i] - whitening->mean) * whitening->scale : returns[i];
    advantages[i] = mask[i] ? static_cast<float>(white) : 0.0f;
  }
};

struct MinillmAdvantagesOp : MinillmAdvantages {
  static void run(DeviceCall& call) {
    const MinillmAdvantages d(call);
    const size_t b = call.dims['b'], t = call.dims['t'], n = b * t;
    const int32_t* mask = LGC_INPUT(int32_t, call, mask);
    double* returns = call.scratch<double>(n);
    Discounted* parts = call.scratch<Discounted>(b * kRowThreads);
    Whitening* whitening = call.scratch<Whitening>(1);
    if (!returns || !parts || !whitening) return;
    forBlocks(call, b,
              ReturnsOf{d, t, LGC_INPUT(float, call, teacherLogps), LGC_INPUT(float, call, studentLogps), mask,
                        LGC_OUTPUT(float, call, rewards), returns, parts});
    const bool whitens = d.whiten != kWhitenNone;
    const int32_t* counted = d.whiten == kWhitenAll ? nullptr : mask;
    if (whitens && (!sumFlat<2>(call, n, ReturnTerm{returns, counted}, StoreReturnMean{whitening}) ||
                    !sumFlat<1>(call, n, SquareTerm{returns, counted, whitening}, StoreScale{whitening})))
      return;
    forIndices(call, n, WhitenAt{returns, mask, whitens ? whitening : nullptr, LGC_OUTPUT(float, call, advantages)});
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(minillm, ElementOp<MixturePolicyWeights>, MinillmPolicyLossOp, MinillmAdvantagesOp)
}  // namespace logitcore
