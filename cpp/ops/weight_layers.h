// The layers of a flat array of weights on the CPU.
#pragma once
#include "../engine/wide.h"
#include "weight_moments.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// The layers of a flat array of weights, in pieces of a fixed length.
template <class T> struct Layers {
  Call& call;
  const T* weights;
  const int32_t* segments;
  size_t n, count, pieces;
  double ddof;
  Scratch<LayerMoments> moments;
  Scratch<size_t> firstPiece, layerOf;
  Scratch<double> partial;
  bool ready = false;

  static size_t mostPieces(const Call& call) {
    const size_t layers = call.dims['l'] ? call.dims['l'] : 1;
    return call.dims['n'] / kChunk + layers;
  }
  explicit Layers(Call& k)
      : call(k),
        weights(static_cast<const T*>(k.inputs[inputIndex(*k.record, "weights")])),
        segments(static_cast<const int32_t*>(k.inputs[inputIndex(*k.record, "segments")])),
        n(k.dims['n']),
        count(segments ? k.dims['l'] : 1),
        pieces(0),
        ddof(k.options[optionIndex(*k.record, "ddof")]),
        moments(k, count),
        firstPiece(k, count + 1),
        layerOf(k, mostPieces(k)),
        partial(k, 2 * mostPieces(k)) {
    if (!moments || !firstPiece || !layerOf || !partial || !covers()) return;
    for (size_t l = 0; l < count; ++l) {
      firstPiece[l] = pieces;
      for (size_t i = begin(l); i < begin(l + 1); i += kChunk) layerOf[pieces++] = l;
    }
    firstPiece[count] = pieces;
    ready = true;
    measure();
  }

  size_t begin(size_t l) const { return segments ? static_cast<size_t>(segments[l]) : l ? n : 0; }
  double size(size_t l) const { return static_cast<double>(begin(l + 1) - begin(l)); }

  // Offsets decide what memory is read, so they are checked where no other thread can change them any more.
  bool covers() {
    if (!segments) return true;
    int32_t before = 0;
    for (size_t l = 0; l <= count; ++l) {
      const double at = static_cast<double>(segments[l]), end = static_cast<double>(n);
      if (segments[l] < before || at > end || (l == 0 && at != 0) || (l == count && at != end)) {
        const double low = l == count ? end : before, high = l == 0 ? 0.0 : end;
        __builtin_snprintf(call.error, sizeof call.error, "options.segments[%.0f] is %.0f, expected an offset in [%.0f, %.0f]",
                           static_cast<double>(l), at, low, high);
        return false;
      }
      before = segments[l];
    }
    return true;
  }

  // body(layer, begin, end, piece) over all pieces.
  template <class F> void over(F&& body) {
    const size_t* layers = layerOf;
    const size_t* firsts = firstPiece;
    parallel(call, pieces, rowGrain(pieces ? n / pieces : 0), [&](size_t from, size_t to) {
      for (size_t k = from; k < to; ++k) {
        const size_t l = layers[k], start = begin(l) + (k - firsts[l]) * kChunk, stop = begin(l + 1);
        body(l, start, stop - start < kChunk ? stop : start + kChunk, k);
      }
    });
  }
  // Sums of K terms(layer, weights - first weight of the layer, out), then fold(layer, sums).
  template <int K, class F, class G> void sums(F&& terms, G&& fold) {
    double* part = partial;
    over([&](size_t l, size_t from, size_t to, size_t piece) {
      f64x8 acc[K];
      for (int k = 0; k < K; ++k) acc[k] = broadcast<f64x8>(0);
      const double first = moments[l].first;
      for (size_t i = from; i < to; i += kWide) {
        const size_t lanes_ = to - i < kWide ? to - i : kWide;
        f64x8 term[K];
        terms(l, readWide(weights + i, lanes_) - first, term);
        for (int k = 0; k < K; ++k) acc[k] = acc[k] + select(firstLanes<f64x8>(static_cast<int>(lanes_)), term[k], broadcast<f64x8>(0));
      }
      for (int k = 0; k < K; ++k) part[static_cast<size_t>(k) * pieces + piece] = sum(acc[k]);
    });
    for (size_t l = 0; l < count; ++l) {
      double total[K];
      for (int k = 0; k < K; ++k)
        total[k] = orderedSum(part + static_cast<size_t>(k) * pieces + firstPiece[l], firstPiece[l + 1] - firstPiece[l]);
      fold(l, total);
    }
  }

  void measure() {
    LayerMoments* m = moments;
    for (size_t l = 0; l < count; ++l) m[l].first = size(l) > 0 ? static_cast<double>(weights[begin(l)]) : 0.0;
    sums<1>([](size_t, f64x8 d, f64x8* term) { term[0] = d; },
            [&](size_t l, const double* sum) { m[l].shift = sum[0] * reciprocalOrZero(size(l)); });
    sums<1>(
        [&](size_t l, f64x8 d, f64x8* term) {
          d = d - m[l].shift;
          term[0] = d * d;
        },
        [&](size_t l, const double* sum) { m[l].sd = size(l) > ddof ? sqrt(sum[0] / (size(l) - ddof)) : 0.0; });
    sums<2>(
        [&](size_t l, f64x8 d, f64x8* term) {
          const f64x8 u = m[l].standardized(d), square = u * u;
          term[0] = square * u;
          term[1] = square * square;
        },
        [&](size_t l, const double* sum) {
          m[l].skewness = sum[0] * reciprocalOrZero(size(l));
          m[l].kurtosis = sum[1] * reciprocalOrZero(size(l));
        });
  }
};

struct WeightMomentsOp : WeightMoments {
  template <class T> static void run(Call& call) {
    Layers<T> layers(call);
    for (size_t l = 0; layers.ready && l < layers.count; ++l) {
      const LayerMoments& m = layers.moments[l];
      LGC_OUTPUT(T, call, mean)[l] = static_cast<T>(m.first + m.shift);
      LGC_OUTPUT(T, call, std)[l] = static_cast<T>(m.sd);
      LGC_OUTPUT(T, call, skewness)[l] = static_cast<T>(m.skewness);
      LGC_OUTPUT(T, call, kurtosis)[l] = static_cast<T>(m.kurtosis);
    }
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct WdrLossOp : WdrLoss {
  template <class T> static void run(Call& call) {
    Layers<T> layers(call);
    if (!layers.ready) return;
    const WdrLoss d(call, layers.count);
    double skew = 0, kurt = 0;
    for (size_t l = 0; l < layers.count; ++l) {
      const LayerMoments& m = layers.moments[l];
      LGC_OUTPUT(T, call, skewness)[l] = static_cast<T>(m.skewness);
      LGC_OUTPUT(T, call, kurtosis)[l] = static_cast<T>(m.kurtosis);
      skew += d.skewTerm(m);
      kurt += d.kurtTerm(m);
    }
    LGC_NUMBER(call, skewLoss) = skew;
    LGC_NUMBER(call, kurtLoss) = kurt;
    LGC_NUMBER(call, loss) = d.loss(skew, kurt);
    T* grad = LGC_OUTPUT(T, call, gradWeights);
    if (!grad) return;
    const T* weights = layers.weights;
    layers.over([&](size_t l, size_t from, size_t to, size_t) {
      const LayerMoments& m = layers.moments[l];
      const double n = layers.size(l);
      if (m.sd == 0) {
        __builtin_memset(static_cast<void*>(grad + from), 0, (to - from) * sizeof(T));
        return;
      }
      for (size_t i = from; i < to; i += kWide) {
        const size_t count = to - i < kWide ? to - i : kWide;
        writeWide(grad + i, d.slope(m, n, readWide(weights + i, count) - m.first), count);
      }
    });
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
