// Moments of the weights of every layer, and the loss on them.
#pragma once
#include "../../cpp/ops/weight_moments.h"
#include "../engine/flat.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

struct Layer {
  size_t begin, end;
  LayerMoments moments;
  LGC_DEVICE double size() const { return static_cast<double>(end - begin); }
};
// The layers of a call, each in so many parts of about the same length, whatever that is: offsets are known on the device only.
struct Layers {
  size_t n, count, parts;
  const float* weights;
  double ddof;
  Layer* layers;
  bool* wrong;      // offsets, which make all layers empty and all that comes of them NaN
  double* partial;  // [2][count * parts]

  // Of a part, on the average.
  size_t length() const { return count ? n / (count * parts) + 1 : 1; }
  LGC_DEVICE size_t begin(size_t part) const { return cut(part / parts, part % parts); }
  LGC_DEVICE size_t end(size_t part) const { return cut(part / parts, part % parts + 1); }
  LGC_DEVICE size_t cut(size_t l, size_t part) const {
    const size_t length = layers[l].end - layers[l].begin, share = (length + parts - 1) / parts;
    return layers[l].begin + (part * share < length ? part * share : length);
  }
  LGC_DEVICE double fromFirst(const Layer& l, size_t i) const { return static_cast<double>(weights[i]) - l.moments.first; }
};

// Offsets decide what memory is read, so they are checked before any is.
struct FindLayers {
  Layers all;
  const int32_t* segments;  // null: one layer
  Faults faults;
  LGC_DEVICE bool isWrong(size_t k) const {
    const double at = static_cast<double>(segments[k]), most = static_cast<double>(all.n);
    return (k == 0 ? at != 0 : at < static_cast<double>(segments[k - 1])) || at > most || (k == all.count && at != most);
  }
  LGC_DEVICE void operator()() const {
    const bool bad = segments && countRows(all.count + 1, [&](size_t k) { return isWrong(k); }) > 0;
    for (size_t l = threadIdx.x; l < all.count; l += blockDim.x) {
      Layer& layer = all.layers[l];
      layer.begin = bad || !segments ? 0 : static_cast<size_t>(segments[l]);
      layer.end = bad ? 0 : segments ? static_cast<size_t>(segments[l + 1]) : all.n;
      const double nan = __builtin_nan("");
      layer.moments = bad ? LayerMoments{nan, nan, nan, nan, nan}
                          : LayerMoments{layer.end > layer.begin ? static_cast<double>(all.weights[layer.begin]) : 0.0, 0, 0, 0, 0};
    }
    if (threadIdx.x != 0) return;
    *all.wrong = bad;
    if (bad) faults.raise();
  }
};

// What the three sweeps add up, and what follows for a layer.
struct MeanSweep {
  static constexpr int sums = 1;
  LGC_DEVICE void terms(const Layer&, double d, double* t) const { t[0] = d; }
  LGC_DEVICE void fold(Layer& l, const double* sum) const { l.moments.shift = sum[0] * reciprocalOrZero(l.size()); }
};
struct DeviationSweep {
  static constexpr int sums = 1;
  double ddof;
  LGC_DEVICE void terms(const Layer& l, double d, double* t) const { t[0] = square(d - l.moments.shift); }
  LGC_DEVICE void fold(Layer& l, const double* sum) const { l.moments.sd = l.size() > ddof ? sqrt(sum[0] / (l.size() - ddof)) : 0.0; }
};
struct ShapeSweep {
  static constexpr int sums = 2;
  LGC_DEVICE void terms(const Layer& l, double d, double* t) const {
    const double u = l.moments.standardized(d), squared = u * u;
    t[0] = squared * u;
    t[1] = squared * squared;
  }
  LGC_DEVICE void fold(Layer& l, const double* sum) const {
    l.moments.skewness = sum[0] * reciprocalOrZero(l.size());
    l.moments.kurtosis = sum[1] * reciprocalOrZero(l.size());
  }
};
template <class Sweep> struct SweepPart {
  Layers all;
  Sweep sweep;
  LGC_DEVICE void operator()(size_t item, bool inside, Team& team) const {
    const size_t part = inside ? item : 0, begin = all.begin(part), end = inside ? all.end(part) : begin;
    const Layer& l = all.layers[part / all.parts];
    double total[Sweep::sums];
    sumEntries<Sweep::sums>(team, begin, end, total, [&](size_t i, double* t) { sweep.terms(l, all.fromFirst(l, i), t); });
    if (!inside || !team.leads()) return;
    for (int k = 0; k < Sweep::sums; ++k) all.partial[static_cast<size_t>(k) * all.count * all.parts + part] = total[k];
  }
};
template <class Sweep> struct FoldLayer {
  Layers all;
  Sweep sweep;
  LGC_DEVICE void operator()(size_t item, bool inside, Team& team) const {
    const size_t l = inside ? item : 0;
    double total[Sweep::sums];
    sumEntries<Sweep::sums>(team, l * all.parts, (l + 1) * all.parts, total, [&](size_t i, double* t) {
      for (int k = 0; k < Sweep::sums; ++k) t[k] = all.partial[static_cast<size_t>(k) * all.count * all.parts + i];
    });
    if (inside && team.leads() && !*all.wrong) sweep.fold(all.layers[l], total);
  }
};
template <class Sweep> void sweepLayers(DeviceCall& call, const Layers& all, const Sweep& sweep) {
  forTeams(call, all.count * all.parts, all.length(), SweepPart<Sweep>{all, sweep});
  forTeams(call, all.count, all.parts, FoldLayer<Sweep>{all, sweep});
}

// Parts of a layer, that all of them keep a device busy, and that those of the longest are pieces at least.
constexpr size_t kMostParts = 256, kPartsOfAll = 4096;
inline size_t partsOf(size_t layers, size_t n) {
  const size_t fair = layers ? kPartsOfAll / layers : 1, useful = piecesOf(n), most = fair < kMostParts ? fair : kMostParts;
  const size_t parts = useful < most ? useful : most;
  return parts ? parts : 1;
}
// False if memory ran out.
template <class D> bool measureLayers(DeviceCall& call, Layers& all) {
  static constexpr const Record& record = D::record;
  const int32_t* segments = LGC_INPUT(int32_t, call, segments);
  all.n = call.dims['n'];
  all.count = segments ? call.dims['l'] : 1;
  all.parts = partsOf(all.count, all.n);
  all.weights = LGC_INPUT(float, call, weights);
  all.ddof = LGC_OPTION(call, ddof);
  const size_t count = all.count;
  all.layers = call.scratch<Layer>(count);
  all.wrong = call.scratch<bool>(1);
  all.partial = call.scratch<double>(2 * count * all.parts);
  if (!all.layers || !all.wrong || !all.partial) return false;
  once(call, FindLayers{all, segments, faultsOf(call, inputIndex(record, "segments"))});
  sweepLayers(call, all, MeanSweep{});
  sweepLayers(call, all, DeviationSweep{all.ddof});
  sweepLayers(call, all, ShapeSweep{});
  return true;
}

struct StoreMoments {
  const Layer* layers;
  float *mean, *sd;  // may be null
  float *skewness, *kurtosis;
  LGC_DEVICE void operator()(size_t l) const {
    const LayerMoments& m = layers[l].moments;
    if (mean) mean[l] = static_cast<float>(m.first + m.shift);
    if (sd) sd[l] = static_cast<float>(m.sd);
    skewness[l] = static_cast<float>(m.skewness);
    kurtosis[l] = static_cast<float>(m.kurtosis);
  }
};

struct WeightMomentsOp : WeightMoments {
  static void run(DeviceCall& call) {
    Layers all{};
    if (!measureLayers<WeightMoments>(call, all)) return;
    forIndices(call, all.count,
               StoreMoments{all.layers, LGC_OUTPUT(float, call, mean), LGC_OUTPUT(float, call, std), LGC_OUTPUT(float, call, skewness),
                            LGC_OUTPUT(float, call, kurtosis)});
  }
};

struct WdrNumbers {
  WdrLoss d;
  Layers all;
  double *loss, *skewLoss, *kurtLoss;
  LGC_DEVICE void operator()() const {
    const double skew = sumRows(all.count, [&](size_t l) { return d.skewTerm(all.layers[l].moments); });
    const double kurt = sumRows(all.count, [&](size_t l) { return d.kurtTerm(all.layers[l].moments); });
    if (threadIdx.x != 0) return;
    *skewLoss = skew;
    *kurtLoss = kurt;
    *loss = d.loss(skew, kurt);
  }
};
struct WdrGradient {
  WdrLoss d;
  Layers all;
  float* gradient;
  LGC_DEVICE void operator()(size_t part, bool inside, Team& team) const {
    if (!inside) return;
    const Layer& l = all.layers[part / all.parts];
    const size_t end = all.end(part);
    for (size_t i = all.begin(part) + team.rank; i < end; i += team.size)
      gradient[i] = l.moments.sd == 0 ? 0.0f : static_cast<float>(d.slope(l.moments, l.size(), all.fromFirst(l, i)));
  }
};
struct WithoutLayers {
  const bool* wrong;
  float* gradient;
  LGC_DEVICE void operator()(size_t i) const {
    if (*wrong) gradient[i] = __builtin_nanf("");
  }
};

struct WdrLossOp : WdrLoss {
  static void run(DeviceCall& call) {
    Layers all{};
    if (!measureLayers<WdrLoss>(call, all)) return;
    const WdrLoss d(call, all.count);
    forIndices(call, all.count,
               StoreMoments{all.layers, nullptr, nullptr, LGC_OUTPUT(float, call, skewness), LGC_OUTPUT(float, call, kurtosis)});
    once(call, WdrNumbers{d, all, LGC_NUMBER_AT(call, loss), LGC_NUMBER_AT(call, skewLoss), LGC_NUMBER_AT(call, kurtLoss)});
    float* gradient = LGC_OUTPUT(float, call, gradWeights);
    if (!gradient) return;
    forTeams(call, all.count * all.parts, all.length(), WdrGradient{d, all, gradient});
    forIndices(call, all.n, WithoutLayers{all.wrong, gradient});
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
