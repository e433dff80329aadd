#include "radius.h"

#include "../engine/elementwise.h"
#include "../engine/family.h"
#include "../engine/wide.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// The k-th smallest (from 0) of values that are not negative, whose bits are ordered as they are: eleven bits a pass.
template <class T> T nthSmallest(const T* values, size_t n, size_t k) {
  using U = Bits<T>;
  U prefix = 0, known = 0;
  for (int shift = (static_cast<int>(sizeof(T)) * 8 - 1) / 11 * 11; shift >= 0; shift -= 11) {
    size_t counts[2048] = {};
    for (size_t i = 0; i < n; ++i) {
      const U bits = toBits(values[i]);
      if ((bits & known) == prefix) ++counts[(bits >> shift) & 2047];
    }
    size_t digit = 0;
    while (k >= counts[digit]) k -= counts[digit++];
    prefix |= static_cast<U>(digit) << shift;
    known |= static_cast<U>(2047) << shift;
  }
  return fromBits(prefix);
}

// Interpolated linearly between order statistics at q (n - 1). Values are not negative; one NaN makes it NaN.
template <class T> double quantileOf(const T* values, size_t n, double q) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  W least = broadcast<W>(__builtin_huge_val()), most = broadcast<W>(0);
  auto bad = firstLanes<W>(0);
  for (size_t i = 0; i < n; i += L) {
    const size_t count = n - i < L ? n - i : L;
    const W v = readLanes(values + i, count, static_cast<double>(values[i]));
    bad |= isNan(v);
    least = min(v, least);
    most = max(v, most);
  }
  if (any(bad)) return __builtin_nan("");
  if (q == 0) return static_cast<double>(minAcross(least));
  if (q == 1) return static_cast<double>(maxAcross(most));
  const QuantilePlace place(q, n);
  const double a = static_cast<double>(nthSmallest(values, n, place.below));
  return place.between(a, place.share == 0 ? a : static_cast<double>(nthSmallest(values, n, place.below + 1)));
}

// Largest and smallest entry of a row; NaN if it has one.
struct Range {
  double low, high;
};
template <class T> Range rowRange(const T* x, size_t c) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  W least = broadcast<W>(__builtin_huge_val()), most = -least;
  auto bad = firstLanes<W>(0);
  for (size_t j = 0; j < c; j += L) {
    const W v = readLanes(x + j, c - j < L ? c - j : L, static_cast<double>(x[0]));
    bad |= isNan(v);
    least = min(v, least);
    most = max(v, most);
  }
  if (any(bad)) return {__builtin_nan(""), __builtin_nan("")};
  return {static_cast<double>(minAcross(least)), static_cast<double>(maxAcross(most))};
}
template <class T> double rowSpread(const T* x, size_t c) {
  const Range r = rowRange(x, c);
  return abs(r.high - r.low);
}

// First index of the row that limits the batch: the first NaN, else the first that `better` prefers; -1 without rows.
template <class T, class F> double limitingRow(const T* values, size_t n, F&& better) {
  size_t best = 0;
  for (size_t i = 0; i < n; ++i) {
    if (isNan(values[i])) return static_cast<double>(i);
    if (better(values[i], values[best])) best = i;
  }
  return n ? static_cast<double>(best) : -1.0;
}

template <class T> bool spreads(Call& call, const T* jvp, T* out) {
  const size_t c = call.columns;
  parallel(call, call.rows, rowGrain(c), [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) out[i] = static_cast<T>(rowSpread(jvp + i * c, c));
  });
  return true;
}

struct ConvergenceRadiusOp : ConvergenceRadius {
  template <class T> static void run(Call& call) {
    const double temperature = LGC_OPTION(call, temperature);
    const size_t n = call.rows, c = call.columns;
    const T* jvp = LGC_INPUT(T, call, jvp);
    T* spread = LGC_OUTPUT(T, call, spread);
    T* rho = LGC_OUTPUT(T, call, rho);
    parallel(call, n, rowGrain(c), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const double s = rowSpread(jvp + i * c, c);
        spread[i] = static_cast<T>(s);
        rho[i] = static_cast<T>(spreadRadius(s, temperature));
      }
    });
    const double batch = n ? quantileOf(spread, n, LGC_OPTION(call, quantile)) : 0.0;
    LGC_NUMBER(call, batchSpread) = batch;
    LGC_NUMBER(call, batchRho) = spreadRadius(batch, temperature);
    LGC_NUMBER(call, bottleneck) = limitingRow(spread, n, [](T a, T b) { return a > b; });
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

template <class T> bool hasNan(const T* x, size_t c) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  auto bad = firstLanes<W>(0);
  for (size_t j = 0; j < c; j += L) bad |= isNan(readLanes(x + j, c - j < L ? c - j : L));
  return any(bad);
}

// First index of the largest entry that is not at `skip`.
template <class T> size_t bestExcept(const T* x, size_t c, size_t skip) {
  if (skip >= c) return firstEqual<T>(Plain<T>{x}, c, rowMax<T>(Plain<T>{x}, c));
  const Plain<T> before{x}, after{x + skip + 1};
  const size_t rest = c - skip - 1;
  const T a = rowMax<T>(before, skip), b = rowMax<T>(after, rest);
  if (skip && (a >= b || !rest)) return firstEqual<T>(before, skip, a);
  return skip + 1 + firstEqual<T>(after, rest, b);
}

struct MarginRadiusOp : MarginRadius {
  template <class T> static void run(Call& call) {
    const double temperature = LGC_OPTION(call, temperature);
    const size_t n = call.rows, c = call.columns;
    const T* logits = LGC_INPUT(T, call, logits);
    const T* jvp = LGC_INPUT(T, call, jvp);
    const int32_t* targets = LGC_INPUT(int32_t, call, targets);
    T* rho = LGC_OUTPUT(T, call, rho);
    T* margin = LGC_OUTPUT(T, call, margin);
    T* slope = LGC_OUTPUT(T, call, slope);
    int32_t* competitor = LGC_OUTPUT(int32_t, call, competitor);
    parallel(call, n, rowGrain(c), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const T* z = logits + i * c;
        const T* a = jvp + i * c;
        const size_t y = targets ? static_cast<size_t>(targets[i]) : bestExcept(z, c, c), k = bestExcept(z, c, y);
        const double m = hasNan(z, c) ? __builtin_nan("") : static_cast<double>(z[y]) - static_cast<double>(z[k]);
        const double s = static_cast<double>(a[y]) - static_cast<double>(a[k]);
        rho[i] = static_cast<T>(pairRadius(m, s, temperature));
        margin[i] = static_cast<T>(m);
        slope[i] = static_cast<T>(s);
        competitor[i] = static_cast<int32_t>(k);
      }
    });
    const double at = limitingRow(rho, n, [](T a, T b) { return a < b; });
    LGC_NUMBER(call, bottleneck) = at;
    LGC_NUMBER(call, batchRho) = n ? static_cast<double>(rho[static_cast<size_t>(at)]) : __builtin_huge_val();
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct RadiusControllerOp : RadiusController {
  template <class T> static void run(Call& call) {
    const T* update = LGC_INPUT(T, call, update);
    T* out = LGC_OUTPUT(T, call, out);
    const size_t n = call.rows, size = call.inputLength[Index<inputIndex(record, "update")>::value];
    Scratch<T> spread(call, n);
    double norm = 0;
    if (!spread || !vectorNorm(call, update, size, norm)) return;
    spreads(call, LGC_INPUT(T, call, jvp), static_cast<T*>(spread));
    const Step step = RadiusController(call).stepOf(n ? quantileOf(static_cast<T*>(spread), n, LGC_OPTION(call, quantile)) : 0.0, norm);
    const double scale = step.scale;
    LGC_NUMBER(call, scale) = scale;
    LGC_NUMBER(call, rho) = step.rho;
    LGC_NUMBER(call, stepNorm) = norm;
    LGC_NUMBER(call, rBefore) = step.before;
    LGC_NUMBER(call, r) = scale * step.before;
    forLanes<double>(call, size, [&](size_t i, size_t count) LGC_LAMBDA {
      writeWide(out + i, norm == 0 ? readWide(update + i, count) : readWide(update + i, count) * scale, count);
    });
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

template <class T> double gapOf(const T* x, size_t c, int gap) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  const W masked = broadcast<W>(-__builtin_huge_val());
  if (hasNan(x, c)) return __builtin_nan("");
  if (gap == kTopTwo) {
    const size_t first = bestExcept(x, c, c), second = bestExcept(x, c, first);
    return gapOfTopTwo(static_cast<double>(x[first]), static_cast<double>(x[second]));
  }
  W least = -masked, most = masked;
  for (size_t j = 0; j < c; j += L) {
    const W v = readLanes(x + j, c - j < L ? c - j : L, -kInfinity);
    least = min(select(v == masked, -masked, v), least);
    most = max(v, most);
  }
  return gapOfRange(static_cast<double>(minAcross(least)), static_cast<double>(maxAcross(most)));
}

struct LogitGapRadiusOp : LogitGapRadius {
  template <class T> static void run(Call& call) {
    const size_t n = call.rows, c = call.columns;
    const T* logits = LGC_INPUT(T, call, logits);
    T* rho = LGC_OUTPUT(T, call, rho);
    const int gap = static_cast<int>(LGC_OPTION(call, gap)), reduce = static_cast<int>(LGC_OPTION(call, reduce));
    const LogitGapRadius of(call);
    Scratch<double> gaps(call, reduce == kEveryGap ? 0 : n);
    if (!gaps) return;
    double* values = gaps;
    parallel(call, n, rowGrain(c), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const double g = gapOf(logits + i * c, c, gap);
        if (reduce == kEveryGap)
          rho[i] = static_cast<T>(of.radius(g));
        else
          values[i] = g;
      }
    });
    if (reduce == kEveryGap) return;
    double g = 0;
    if (reduce == kMeanGap)
      g = n ? orderedSum(values, n) / static_cast<double>(n) : 0.0;
    else if (n)
      g = values[static_cast<size_t>(limitingRow(values, n, [](double a, double b) { return a > b; }))];
    LGC_NUMBER(call, rho) = of.radius(g);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct FiniteDifferenceJvpOp : FiniteDifferenceJvp, ElementwiseOp<FiniteDifferenceJvp> {};

struct ActivationRadiusOp : ActivationRadius {
  template <class T> static void run(Call& call) {
    runElementwise<ActivationRadius, T>(call);
    const size_t n = call.inputLength[0];
    const T* rho = LGC_OUTPUT(T, call, rho);
    LGC_NUMBER(call, batchRho) = n && !call.outOfMemory ? quantileOf(rho, n, LGC_OPTION(call, quantile)) : kInfinity;
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL

LOGITCORE_FAMILY(radius, ConvergenceRadiusOp, MarginRadiusOp, RadiusControllerOp, FiniteDifferenceJvpOp, LogitGapRadiusOp,
                 ActivationRadiusOp)
}  // namespace logitcore
