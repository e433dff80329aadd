// A loss is a function of row statistics. Its definition is evaluated once a row on dual numbers with one partial derivative a
// statistic; the partials are the coefficients of the gradient sweep. Nothing here loops over columns.
#pragma once
#include "dual.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

enum Need : unsigned {
  kLogSumExp = 1,     // log sum_j exp(x_j / T)                 d/dx_j = p_j / T
  kLogProb = 2,       // log p_y, exact for confident rows        (delta_jy - p_j) / T
  kSmooth = 4,        // sum_j w_j (lse - x_j / T)                (W p_j - w_j) / T
  kMean = 8,          // mean of x                                1 / c
  kVariance = 16,     // population variance of x                 2 (x_j - mean) / c
  kTargetLogit = 32,  // x_y                                      delta_jy
  kSum = 64,          // sum of x                                 1
  kSquares = 128,     // sum of squares of x                      2 x_j
  // Not a statistic: the four moments leave the target out. A loss of a confident row, where the target's share of a sum is all
  // but the whole, keeps its digits and those of its gradient.
  kWithoutTarget = 256,
};
constexpr unsigned kExponentials = kLogSumExp | kLogProb | kSmooth;
constexpr unsigned kMoments = kMean | kVariance | kSum | kSquares;
// Moments about the mean: their gradient is taken from x_j - mean, that of the raw sums from x_j.
constexpr unsigned kCentred = kMean | kVariance;
constexpr int kMaxParameters = 4;

constexpr int bitsBelow(unsigned needs, unsigned bit) {
  int n = 0;
  for (unsigned b = 1; b < bit; b <<= 1) n += (needs & b) != 0;
  return n;
}
constexpr int bitCount(unsigned needs) { return bitsBelow(needs, kWithoutTarget); }

// What a definition sees. T is a number, lanes of numbers (many rows at once), or a dual of either.
template <class T> struct Statistics {
  using V = ValueOf<T>;
  T logSumExp, logProb, smooth, mean, variance, target, sum, squares;
  V parameter[kMaxParameters];  // per-row numbers of the definition: class weight, upstream gradient ...
  V classes;
};

// What the sweeps found in a row. `others` is the sum of exp((x_j - max) / T) without the (first) largest term, so that a
// confident row keeps its loss: log1p(others) does not round to 0.
template <class V> struct Facts {
  V max, others, target, smoothShift, mean, m2;
  Mask<V> targetIsMax;
  V parameter[kMaxParameters];
};

// The gradient of a row: e_j * e + (x_j - centre) * x + constant + w_j * w, and atTarget instead at j = y. The centre is the mean
// for centred moments, else 0.
template <class V> struct Coefficients {
  V e, x, constant, w, atTarget;
};

// Constants of a call.
struct RowShape {
  double classes, inverseTemperature, weightSum;
};

template <unsigned needs, class T> struct Seed {
  LGC_FN static T of(T v, unsigned) { return v; }
};
template <unsigned needs, class W, int K> struct Seed<needs, Dual<W, K>> {
  LGC_FN static Dual<W, K> of(W v, unsigned bit) {
    return (needs & bit) ? Dual<W, K>::variable(v, bitsBelow(needs, bit)) : Dual<W, K>::constant(v);
  }
};

template <unsigned needs, class T> LGC_FN Statistics<T> statisticsOf(const Facts<ValueOf<T>>& f, const RowShape& shape) {
  using V = ValueOf<T>;
  using S = Seed<needs, T>;
  Statistics<T> s;
  const V zero = broadcast<V>(0), invT = broadcast<V>(shape.inverseTemperature);
  const V minusInfinity = broadcast<V>(-__builtin_huge_val());
  V logSum = zero, logProb = zero;
  if (needs & kExponentials) {
    // A row without a finite logit has no distribution (NaN); its log-sum-exp is still the limit.
    logSum = log1pInline(f.others);
    const Mask<V> noMass = f.max == minusInfinity;
    V lse = fma(f.max, invT, logSum);
    lse = select(f.max == broadcast<V>(__builtin_huge_val()), f.max, lse);
    s.logSumExp = S::of(lse, kLogSumExp);
    if (needs & kLogProb) {
      logProb = select(f.targetIsMax, -logSum, fma(f.target - f.max, invT, -logSum));
      logProb = select(noMass, broadcast<V>(__builtin_nan("")), logProb);
    }
    if (needs & kSmooth) s.smooth = S::of(fma(broadcast<V>(shape.weightSum), logSum, -f.smoothShift), kSmooth);
  }
  if (!(needs & kExponentials)) s.logSumExp = S::of(zero, 0);
  if (!(needs & kSmooth)) s.smooth = S::of(zero, 0);
  s.logProb = S::of(logProb, kLogProb);
  s.mean = S::of(f.mean, kMean);
  const double counted = (needs & kWithoutTarget) ? shape.classes - 1 : shape.classes;
  s.variance = S::of(f.m2 / broadcast<V>(counted == 0 ? 1.0 : counted), kVariance);
  const V total = f.mean * broadcast<V>(counted);
  s.sum = S::of(total, kSum);
  s.squares = S::of(fma(total, f.mean, f.m2), kSquares);
  s.target = S::of(f.target, kTargetLogit);
  for (int i = 0; i < kMaxParameters; ++i) s.parameter[i] = f.parameter[i];
  s.classes = broadcast<V>(shape.classes);
  return s;
}

// Turns the partials of a loss into the coefficients of the gradient sweep. e_j is exp((x_j - max) / T).
template <unsigned needs, class V>
LGC_FN Coefficients<V> coefficientsOf(const V* partial, const Facts<V>& f, const RowShape& shape, V targetWeight) {
  const V zero = broadcast<V>(0), one = broadcast<V>(1), invT = broadcast<V>(shape.inverseTemperature);
  auto at = [&](unsigned bit) -> V { return (needs & bit) ? partial[bitsBelow(needs, bit)] : zero; };
  Coefficients<V> c;
  c.e = c.x = c.constant = c.w = c.atTarget = zero;
  if (needs & kExponentials) {
    const V total = one + f.others;
    const V mass = fma(at(kSmooth), broadcast<V>(shape.weightSum), at(kLogSumExp));
    const V scale = invT / total;
    c.e = (mass - at(kLogProb)) * scale;
    c.e = select(f.max == broadcast<V>(-__builtin_huge_val()), broadcast<V>(__builtin_nan("")), c.e);
    c.w = -at(kSmooth) * invT;
    const V ey = expInline((f.target - f.max) * invT);
    // 1 - p_y from the other terms: p_y - 1 would round to 0 in a confident row.
    const V complement = select(f.targetIsMax, f.others, total - ey);
    c.atTarget = fma(at(kLogProb), complement, mass * ey) * scale;
    // 0 * Infinity: a target without rivals has no gradient, whatever the slope.
    if (needs & kLogProb) c.atTarget = select(complement == zero, mass * ey * scale, c.atTarget);
    c.atTarget = fma(c.w, targetWeight, c.atTarget);
  }
  if (needs & kMoments) {
    static_assert(!(needs & kCentred) || !(needs & (kSum | kSquares)), "a gradient has one centre");
    const double counted = (needs & kWithoutTarget) ? shape.classes - 1 : shape.classes;
    const V share = broadcast<V>(counted == 0 ? 0.0 : 1.0 / counted), squares = at(kSquares);
    c.x = fma(at(kVariance), share + share, squares + squares);
    c.constant = fma(at(kMean), share, at(kSum));
    if (!(needs & kWithoutTarget)) c.atTarget = c.atTarget + fma(c.x, (needs & kCentred) ? f.target - f.mean : f.target, c.constant);
  }
  c.atTarget = c.atTarget + at(kTargetLogit);
  return c;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
