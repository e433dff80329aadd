#include "stablemax.h"

#include "../engine/family.h"
#include "../engine/row_sweeps.h"
#include "../engine/vector.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct PerpGradOp : PerpGrad {
  template <class T> static void run(Call& call) {
    const T* arrays[] = {LGC_INPUT(T, call, grad), LGC_INPUT(T, call, param)};
    const size_t n = call.rows;
    PerpGrad d(call);
    double sums[3];
    if (!wideSumsOver<T, 2, 3>(call, arrays, n, sums, [](const f64x8* x, f64x8* out) LGC_LAMBDA {
          out[0] = x[0] * x[1];
          out[1] = x[1] * x[1];
          out[2] = x[0] * x[0];
        }))
      return;
    d.project(sums);
    if (!wideSumsOver<T, 2, 2>(call, arrays, n, sums, [&](const f64x8* x, f64x8* out) LGC_LAMBDA {
          const f64x8 p = d.projected(x[0], x[1]);
          out[0] = p * x[1];
          out[1] = p * p;
        }))
      return;
    d.projectAgain(sums);
    T* out = LGC_OUTPUT(T, call, out);
    forLanes<T>(call, n, [&](size_t i, size_t count) LGC_LAMBDA {
      using H = Halves<T>;
      const Vec<T> g = readLanes(arrays[0] + i, count), w = readLanes(arrays[1] + i, count);
      f64x8 half[2];
      for (int h = 0; h < H::count; ++h) half[h] = d.entry(H::get(g, h), H::get(w, h));
      writeLanes(out + i, H::join(half), count);
    });
    LGC_NUMBER(call, parallelNorm) = d.parallelNorm();
    LGC_NUMBER(call, perpNorm) = d.norm;
    LGC_NUMBER(call, nlmCosine) = d.cosine();
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct SoftmaxCollapseOp : SoftmaxCollapse {
  // The sum only grows: a row is settled once it is past the limit.
  template <class T> static bool collapsed(const T* x, size_t c, size_t top, double limit) {
    using W = Vec<T>;
    using H = Halves<T>;
    constexpr size_t L = lanes<W>;
    const double low = -__builtin_huge_val();
    const f64x8 largest = broadcast<f64x8>(static_cast<double>(x[top]));
    double rest = 0;
    for (size_t start = 0; start < c && !(rest > limit); start += kBlock) {
      const size_t end = c - start < kBlock ? c : start + kBlock;
      f64x8 sums[2] = {broadcast<f64x8>(0), broadcast<f64x8>(0)};
      for (size_t j = start; j < end; j += L) {
        const auto isTop = laneIndex<W>() == broadcast<W>(static_cast<T>(static_cast<int64_t>(top) - static_cast<int64_t>(j)));
        const W v = select(isTop, broadcast<W>(static_cast<T>(low)), readLanes(x + j, end - j < L ? end - j : L, low));
        for (int h = 0; h < H::count; ++h) sums[h] = sums[h] + exp(H::get(v, h) - largest);
      }
      rest += sum(sums[0] + sums[1]);
    }
    return rest <= limit;
  }

  template <class T> static void run(Call& call) {
    const T* logits = LGC_INPUT(T, call, logits);
    const int32_t* targets = LGC_INPUT(int32_t, call, targets);
    const int32_t ignore = ignoreIndexOf<SoftmaxCollapse>(call);
    int32_t* mask = LGC_OUTPUT(int32_t, call, mask);
    const double limit = limitOf(call);
    const size_t c = call.columns;
    parallel(call, call.rows, rowGrain(c), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        mask[i] = 0;
        if (targets && targets[i] == ignore) continue;
        const T* x = logits + i * c;
        const Plain<T> r{x};
        const T most = rowMax<T>(r, c);
        const size_t top = firstEqual<T>(r, c, most);
        if (most - most != 0 || (targets && static_cast<size_t>(targets[i]) != top)) continue;
        mask[i] = collapsed(x, c, top, limit) ? 1 : 0;
      }
    });
    double count = 0;
    for (size_t i = 0; i < call.rows; ++i) count += mask[i];
    LGC_NUMBER(call, count) = count;
    LGC_NUMBER(call, fraction) = count * reciprocalOrZero(keptRows<SoftmaxCollapse>(call));
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct LogitScaleDerivativeOp : LogitScaleDerivative {
  template <class T> static void run(Call& call) {
    const T* logits = LGC_INPUT(T, call, logits);
    const T* gradient = LGC_INPUT(T, call, gradLogits);
    T* derivative = LGC_OUTPUT(T, call, derivative);
    T* cosine = LGC_OUTPUT(T, call, nlmCosine);
    const size_t c = call.columns;
    parallel(call, call.rows, rowGrain(c), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const T* arrays[] = {logits + i * c, gradient + i * c};
        double sums[3] = {};
        wideSums<T, 2, 3>(arrays, 0, c, sums, [](const f64x8* x, f64x8* out) LGC_LAMBDA { terms(x[0], x[1], out); });
        derivative[i] = static_cast<T>(sums[0]);
        cosine[i] = static_cast<T>(cosineOf(sums));
      }
    });
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct StableMaxOp : StableMax, RowSweepOp<StableMax> {};
struct LogStableMaxOp : LogStableMax, RowSweepOp<LogStableMax> {};
struct StableMaxBackwardOp : StableMaxBackward, RowSweepOp<StableMaxBackward> {};
struct LogStableMaxBackwardOp : LogStableMaxBackward, RowSweepOp<LogStableMaxBackward> {};
struct StableMaxCrossEntropyOp : StableMaxCrossEntropy, RowSweepOp<StableMaxCrossEntropy> {};

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(stablemax, StableMaxOp, LogStableMaxOp, StableMaxBackwardOp, LogStableMaxBackwardOp, StableMaxCrossEntropyOp, PerpGradOp,
                 SoftmaxCollapseOp, LogitScaleDerivativeOp)
}  // namespace logitcore
