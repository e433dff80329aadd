#include "quantization.h"

#include "../engine/family.h"
#include "../engine/row_wide.h"
#include "guidance.h"
#include "weight_layers.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// A NaN has no code: 0.
LGC_FN void storeCodes(int32_t* p, f64x8 code, size_t count) {
  double lane[8];
  store(lane, select(isNan(code), broadcast<f64x8>(0), code));
  for (size_t k = 0; k < count; ++k) p[k] = static_cast<int32_t>(lane[k]);
}

// Groups of consecutive values, in pieces of a fixed length.
struct GroupPieces : Groups {
  size_t pieces;  // a group
  explicit GroupPieces(const Call& call) : Groups(call), pieces((length + kChunk - 1) / kChunk) {}
  // body(group, begin, end, piece)
  template <class F> void run(Call& call, F&& body) const {
    parallel(call, count * pieces, rowGrain(length < kChunk ? length : kChunk), [&](size_t first, size_t last) {
      for (size_t k = first; k < last; ++k) {
        const size_t group = k / pieces, start = k % pieces * kChunk, rest = length - start;
        body(group, group * length + start, group * length + start + (rest < kChunk ? rest : kChunk), k);
      }
    });
  }
};

// out and codes.
template <class T, class Step> void quantize(Call& call, const GroupPieces& groups, const T* x, T* out, int32_t* codes, Step&& stepOf) {
  groups.run(call, [&](size_t group, size_t begin, size_t end, size_t) {
    const auto step = stepOf(group);
    for (size_t i = begin; i < end; i += kWide) {
      const size_t count = end - i < kWide ? end - i : kWide;
      const f64x8 code = step.of(readWide(x + i, count)).code;
      storeCodes(codes + i, step.stored(code), count);
      writeWide(out + i, step.output(code), count);
    }
  });
}

// gradX, and of each group sums[0] = sum gradOut (code - (inside ? value : 0)), sums[1] = sum of gradOut not inside. False if memory
// ran out.
template <class T, class Step>
bool quantizeBackward(Call& call, const GroupPieces& groups, const T* x, const T* gradOut, T* gradX, double* sums, Step&& stepOf) {
  const size_t pieces = groups.count * groups.pieces;
  Scratch<double> partial(call, 2 * pieces);
  if (!partial) return false;
  double* part = partial;
  groups.run(call, [&](size_t group, size_t begin, size_t end, size_t piece) {
    const auto step = stepOf(group);
    const f64x8 zero = broadcast<f64x8>(0);
    f64x8 scale = zero, offset = zero;
    for (size_t i = begin; i < end; i += kWide) {
      const size_t count = end - i < kWide ? end - i : kWide;
      const f64x8 g = readWide(gradOut + i, count);
      const Quantized<f64x8> q = step.of(readWide(x + i, count));
      const auto in = firstLanes<f64x8>(static_cast<int>(count));
      scale = scale + select(in, g * q.stepSlope(), zero);
      offset = offset + select(q.inside | !in, zero, g);
      writeWide(gradX + i, select(q.inside, g, zero), count);
    }
    part[piece] = sum(scale);
    part[pieces + piece] = sum(offset);
  });
  for (size_t k = 0; k < groups.count; ++k) {
    sums[2 * k] = orderedSum(part + k * groups.pieces, groups.pieces);
    sums[2 * k + 1] = orderedSum(part + pieces + k * groups.pieces, groups.pieces);
  }
  return true;
}

struct ElasticFakeQuantizeOp : ElasticFakeQuantize {
  template <class T> static void run(Call& call) {
    quantize(call, GroupPieces(call), LGC_INPUT(T, call, x), LGC_OUTPUT(T, call, out), LGC_OUTPUT(int32_t, call, codes),
             ElasticTable<T>(call));
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct ElasticFakeQuantizeBackwardOp : ElasticFakeQuantizeBackward {
  template <class T> static void run(Call& call) {
    const GroupPieces groups(call);
    const ElasticTable<T> table(call);
    T* gradScale = LGC_OUTPUT(T, call, gradScale);
    T* gradOffset = LGC_OUTPUT(T, call, gradOffset);
    Scratch<double> sums(call, 2 * groups.count);
    if (!sums || !quantizeBackward(call, groups, LGC_INPUT(T, call, x), LGC_INPUT(T, call, gradOut), LGC_OUTPUT(T, call, gradX),
                                   static_cast<double*>(sums), table))
      return;
    const double factor = factorOf(call, groups, table.levels);
    const size_t size = groups.count * table.width * sizeof(T);
    __builtin_memset(static_cast<void*>(gradScale), 0, size);
    if (gradOffset) __builtin_memset(static_cast<void*>(gradOffset), 0, size);
    for (size_t k = 0; k < groups.count; ++k) {
      const size_t cell = k * table.width + table.column;
      gradScale[cell] = static_cast<T>(factor * signOf(static_cast<double>(table.scale[cell])) * sums[2 * k]);
      if (gradOffset) gradOffset[cell] = static_cast<T>(factor * sums[2 * k + 1]);
    }
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct AffineFakeQuantizeOp : AffineFakeQuantize {
  template <class T> static void run(Call& call) {
    quantize(call, GroupPieces(call), LGC_INPUT(T, call, x), LGC_OUTPUT(T, call, out), LGC_OUTPUT(int32_t, call, codes),
             AffineTable<T>(call));
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct AffineFakeQuantizeBackwardOp : AffineFakeQuantizeBackward {
  template <class T> static void run(Call& call) {
    const GroupPieces groups(call);
    const AffineTable<T> table(call);
    T* gradScale = LGC_OUTPUT(T, call, gradScale);
    Scratch<double> sums(call, 2 * groups.count);
    if (!sums || !quantizeBackward(call, groups, LGC_INPUT(T, call, x), LGC_INPUT(T, call, gradOut), LGC_OUTPUT(T, call, gradX),
                                   static_cast<double*>(sums), table))
      return;
    const double factor = factorOf(call, groups, table.levels);
    for (size_t k = 0; k < groups.count; ++k)
      gradScale[k] = static_cast<T>(factor * signOf(static_cast<double>(table.scale[k])) * sums[2 * k]);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct InitQuantScaleOp : InitQuantScale {
  // sumOf(term) adds term(lanes) over the group.
  template <class F> static Found search(const InitQuantScale& d, double least, double most, double count, F&& sumOf) {
    Found best;
    for (int i = 0; i < d.steps && count > 0 && !best.ended; ++i) {
      const ElasticStep quantizer = d.quantizer(i, least, most);
      if (quantizer.step <= 0) continue;
      d.consider(i, quantizer, sumOf([&](f64x8 x) LGC_LAMBDA { return d.term(quantizer, x); }) / count, best);
    }
    d.finish(best);
    return best;
  }

  template <class T> static void run(Call& call) {
    const size_t channels = call.dims['m'], total = channels * call.dims['*'];
    const bool perChannel = LGC_OPTION(call, perChannel) != 0;
    const InitQuantScale d(call);
    const T* x = LGC_INPUT(T, call, x);
    const auto store = [&](size_t group, const Found& f) {
      LGC_OUTPUT(T, call, scale)[group] = static_cast<T>(f.scale);
      LGC_OUTPUT(T, call, offset)[group] = static_cast<T>(f.offset);
      LGC_OUTPUT(T, call, score)[group] = static_cast<T>(f.score);
      LGC_OUTPUT(int32_t, call, index)[group] = static_cast<int32_t>(f.index);
    };
    if (perChannel) {
      const size_t length = call.dims['*'];
      parallel(call, channels, rowGrain(length), [&](size_t begin, size_t end) {
        for (size_t k = begin; k < end; ++k) {
          const T* row = x + k * length;
          double least = 0, most = 0;
          rangeOf(row, length, least, most);
          store(k, search(d, least, most, static_cast<double>(length), [&](auto&& term) {
                  return rowSumWide(length, [&](size_t i, size_t count) LGC_LAMBDA { return term(readWide(row + i, count)); });
                }));
        }
      });
      return;
    }
    double least = 0, most = 0;
    rangeOf(x, total, least, most);
    bool ok = true;
    const Found found = search(d, least, most, static_cast<double>(total), [&](auto&& term) {
      double sum = 0;
      ok = ok && sumOver<double, 1>(call, total, &sum,
                                    [&](size_t i, size_t count, f64x8* out) LGC_LAMBDA { out[0] = term(readWide(x + i, count)); });
      return sum;
    });
    if (ok) store(0, found);
  }

  // NaN if there is one.
  template <class T> static void rangeOf(const T* x, size_t n, double& least, double& most) {
    if (!n) return;
    f64x8 low = broadcast<f64x8>(kInfinity), high = broadcast<f64x8>(-kInfinity), bad = broadcast<f64x8>(0);
    for (size_t i = 0; i < n; i += kWide) {
      const f64x8 v = readWide(x + i, n - i < kWide ? n - i : kWide, static_cast<double>(x[i]));
      low = min(v, low);
      high = max(v, high);
      bad = bad + select(isNan(v), v, broadcast<f64x8>(0));
    }
    least = minAcross(low) + sum(bad);
    most = maxAcross(high) + sum(bad);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct GroupProgressiveGuidanceOp : GroupProgressiveGuidance {
  // `teacher` is null in the first plane.
  template <class T> static double row(const GroupProgressiveGuidance& d, const T* x, size_t c, size_t y, const WideSoftmax& own,
                                       const T* teacher, const WideSoftmax& guide, T* grad) {
    const WideRow<T> z{x}, t{teacher ? teacher : x};
    // Read before the gradient may take its place.
    const double target = static_cast<double>(x[y]);
    GuidedRow r(d, teacher != nullptr);
    r.own = own;
    r.guide = guide;
    r.hard = d.temperature == 1 ? own : wideSoftmax(c, 1, z);
    double divergence = 0;
    if (r.soft != 0)
      divergence = rowSumWide(c, [&](size_t i, size_t count) LGC_LAMBDA { return r.divergenceTerm(z(i, count), t(i, count)); });
    for (size_t i = 0; grad && i < c; i += kWide) {
      const size_t count = c - i < kWide ? c - i : kWide;
      const f64x8 v = z(i, count);
      f64x8 p = broadcast<f64x8>(0);
      if (r.labels != 0) {
        p = r.probability(v);
        if (y >= i && y - i < kWide) p = withLane(p, static_cast<int>(y - i), r.atTarget(y, get(p, static_cast<int>(y - i))));
      }
      writeWide(grad + i, r.gradient(p, v, t(i, count)), count);
    }
    return r.loss(target, divergence);
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
          v[k * n + i] = row(d, x, c, static_cast<size_t>(targets[i]), own, teacher, guide, grad ? grad + (k * n + i) * c : grad);
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
LOGITCORE_FAMILY(quantization, ElasticFakeQuantizeOp, ElasticFakeQuantizeBackwardOp, AffineFakeQuantizeOp, AffineFakeQuantizeBackwardOp,
                 InitQuantScaleOp, WeightMomentsOp, WdrLossOp, GroupProgressiveGuidanceOp)
}  // namespace logitcore
