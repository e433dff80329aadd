#include "lineprobe.h"

#include "../engine/family.h"
#include "../engine/partition_sum.h"
#include "../engine/wide.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Largest logit; NaN where the row has no distribution (all masked, +Infinity or NaN).
template <class T> double rowTop(const T* z, size_t c) {
  f64x8 most = broadcast<f64x8>(-kInfinity);
  auto bad = firstLanes<f64x8>(0);
  for (size_t j = 0; j < c; j += kWide) {
    const f64x8 v = readWide(z + j, c - j < kWide ? c - j : kWide, -kInfinity);
    bad |= isNan(v);
    most = max(v, most);
  }
  const double top = maxAcross(most);
  return any(bad) || abs(top) == kInfinity ? __builtin_nan("") : top;
}

// Over the classes that are not masked; NaN if one of these is.
template <class T> SlopeRange slopeRange(const T* z, const T* a, size_t c) {
  const f64x8 infinity = broadcast<f64x8>(kInfinity);
  f64x8 least = infinity, most = -infinity;
  auto bad = firstLanes<f64x8>(0);
  for (size_t j = 0; j < c; j += kWide) {
    const size_t count = c - j < kWide ? c - j : kWide;
    const f64x8 v = readWide(a + j, count);
    const auto in = readWide(z + j, count, -kInfinity) > -infinity;
    bad |= in & isNan(v);
    least = select(in, min(v, least), least);
    most = select(in, max(v, most), most);
  }
  if (any(bad)) return {__builtin_nan(""), __builtin_nan("")};
  return {minAcross(least), maxAcross(most)};
}

struct PartitionZeroRadiusOp : PartitionZeroRadius {
  template <class T> static void run(Call& call) {
    const size_t n = call.rows, c = call.columns, padded = (c + 7) / 8 * 8;
    const double temperature = LGC_OPTION(call, temperature), limit = LGC_OPTION(call, searchFactor) * kHalfTurn;
    const T* logits = LGC_INPUT(T, call, logits);
    const T* jvp = LGC_INPUT(T, call, jvp);
    T* rho = LGC_OUTPUT(T, call, rho);
    T* zeroRe = LGC_OUTPUT(T, call, zeroRe);
    T* zeroIm = LGC_OUTPUT(T, call, zeroIm);
    parallel(call, n, rowGrain(c * 256), [&](size_t begin, size_t end) {
      Scratch<double> w(call, padded), b(call, padded), e(call, padded);
      if (!w || !b || !e) return;
      for (size_t i = begin; i < end; ++i) {
        const T* z = logits + i * c;
        const T* a = jvp + i * c;
        const double top = rowTop(z, c);
        const SlopeRange r = slopeRange(z, a, c);
        const double spread = abs(r.high - r.low), middle = fma(spread, 0.5, r.low);
        rho[i] = zeroRe[i] = zeroIm[i] = static_cast<T>(__builtin_nan(""));
        if (isNan(top) || !(spread < kInfinity)) continue;
        rho[i] = static_cast<T>(kInfinity);
        if (spread == 0) continue;
        size_t kept = 0;
        for (size_t k = 0; k < c; ++k) {
          if (static_cast<double>(z[k]) == -kInfinity) continue;
          w[kept] = (static_cast<double>(z[k]) - top) / temperature;
          b[kept++] = (static_cast<double>(a[k]) - middle) / spread;
        }
        for (size_t k = kept; k < padded; ++k) {
          w[k] = -kInfinity;
          b[k] = 0;
        }
        PartitionSum sum{w, b, e, (kept + 7) / 8 * 8};
        const PartitionZero zero = nearestZero(sum, limit);
        if (!zero.found) continue;
        const double scale = temperature / spread;
        rho[i] = static_cast<T>(zero.modulus * scale);
        zeroRe[i] = static_cast<T>(zero.x * scale);
        zeroIm[i] = static_cast<T>(zero.y * scale);
      }
    });
    double batch = kInfinity;
    for (size_t i = 0; i < n; ++i)
      if (rho[i] < batch || isNan(rho[i])) batch = static_cast<double>(rho[i]);
    LGC_NUMBER(call, batchRho) = batch;
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

// The product of rows [rows, d] with classes [columns, d], summed over d in the same order whatever the tile.
template <class T, int R, int C> LGC_FN void productTile(const T* h, const T* w, size_t d, const T* bias, T* out, size_t stride) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  double total[R][C] = {};
  for (size_t start = 0; start < d; start += kBlock) {
    const size_t end = d - start < kBlock ? d : start + kBlock;
    W acc[R][C];
    for (int r = 0; r < R; ++r)
      for (int k = 0; k < C; ++k) acc[r][k] = broadcast<W>(0);
    for (size_t j = start; j < end; j += L) {
      const size_t count = end - j < L ? end - j : L;
      W x[R];
      for (int r = 0; r < R; ++r) x[r] = readLanes(h + static_cast<size_t>(r) * d + j, count);
      for (int k = 0; k < C; ++k) {
        const W y = readLanes(w + static_cast<size_t>(k) * d + j, count);
        for (int r = 0; r < R; ++r) acc[r][k] = fma(x[r], y, acc[r][k]);
      }
    }
    for (int r = 0; r < R; ++r)
      for (int k = 0; k < C; ++k) total[r][k] += foldSum(acc[r][k]);
  }
  for (int r = 0; r < R; ++r)
    for (int k = 0; k < C; ++k)
      out[static_cast<size_t>(r) * stride + static_cast<size_t>(k)] =
          static_cast<T>(total[r][k] + (bias ? static_cast<double>(bias[k]) : 0.0));
}

struct LinearHeadJvpOp : LinearHeadJvp {
  template <class T> static void run(Call& call) {
    const size_t n = call.rows, c = call.columns, d = call.dims[static_cast<int>('d')];
    const T* hidden = LGC_INPUT(T, call, hidden);
    const T* weight = LGC_INPUT(T, call, dWeight);
    const T* bias = LGC_INPUT(T, call, dBias);
    T* jvp = LGC_OUTPUT(T, call, jvp);
    // Rows stay in the second-level cache while all classes of a piece pass by them.
    constexpr size_t rowBlock = 32, classTile = 4;
    const size_t rowBlocks = (n + rowBlock - 1) / rowBlock, tiles = (c + classTile - 1) / classTile;
    parallel(call, rowBlocks * tiles, kGrainElements / (rowBlock * (d + 1)) + 1, [&](size_t begin, size_t end) {
      for (size_t item = begin; item < end; ++item) {
        const size_t first = item / tiles * rowBlock, last = n - first < rowBlock ? n : first + rowBlock;
        const size_t j = item % tiles * classTile;
        const T* w = weight + j * d;
        const T* b = bias ? bias + j : nullptr;
        if (c - j >= classTile) {
          size_t i = first;
          for (; i + 2 <= last; i += 2) productTile<T, 2, 4>(hidden + i * d, w, d, b, jvp + i * c + j, c);
          if (i < last) productTile<T, 1, 4>(hidden + i * d, w, d, b, jvp + i * c + j, c);
        } else {
          for (size_t i = first; i < last; ++i)
            for (size_t k = 0; k < c - j; ++k)
              productTile<T, 1, 1>(hidden + i * d, w + k * d, d, b ? b + k : nullptr, jvp + i * c + j + k, c);
        }
      }
    });
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

// Sums over the classes of a row that are not masked: term(e, a, out) with e = exp((z - top) / T); K of them.
template <int K, class T, class F>
LGC_FN void classSums(const T* z, const T* a, size_t c, double top, double temperature, double* sums, F&& term) {
  const f64x8 zero = broadcast<f64x8>(0), masked = broadcast<f64x8>(-kInfinity);
  f64x8 acc[K];
  for (int k = 0; k < K; ++k) acc[k] = zero;
  for (size_t j = 0; j < c; j += kWide) {
    const size_t count = c - j < kWide ? c - j : kWide;
    const f64x8 v = readWide(z + j, count, -kInfinity);
    f64x8 t[K];
    term((v - top) / broadcast<f64x8>(temperature), readWide(a + j, count), t);
    for (int k = 0; k < K; ++k) acc[k] = acc[k] + select(v == masked, zero, t[k]);
  }
  for (int k = 0; k < K; ++k) sums[k] = sum(acc[k]);
}

template <class T> SlopeMoments slopeMoments(const T* z, const T* a, size_t c, double top, double temperature) {
  double s[2], q;
  classSums<2>(z, a, c, top, temperature, s, [](f64x8 shifted, f64x8 slope, f64x8* t) LGC_LAMBDA { slopeTerms(shifted, slope, t); });
  const double mean = s[1] / s[0];
  classSums<1>(z, a, c, top, temperature, &q,
               [&](f64x8 shifted, f64x8 slope, f64x8* t) LGC_LAMBDA { t[0] = squareTerm(shifted, slope, mean); });
  return {s[0], mean, q / s[0]};
}

struct TiltedKlOp : TiltedKl {
  template <class T> static void row(const T* z, const T* a, size_t c, double tau, double* out) {
    const double top = rowTop(z, c);
    const SlopeMoments m = slopeMoments(z, a, c, top, 1.0);
    const TiltedKl line(tau, top, slopeRange(z, a, c), m);
    double s[2], peak = 0;
    if (line.isNear()) {
      classSums<2>(z, a, c, top, 1.0, s, [&](f64x8 shifted, f64x8 slope, f64x8* t) LGC_LAMBDA { line.nearTerms(shifted, slope, t); });
    } else {
      f64x8 most = broadcast<f64x8>(-kInfinity);
      for (size_t j = 0; j < c; j += kWide) {
        const size_t count = c - j < kWide ? c - j : kWide;
        most = max(line.farTerm(readWide(z + j, count, -kInfinity), readWide(a + j, count)), most);
      }
      peak = maxAcross(most);
      classSums<2>(z, a, c, top, 1.0, s, [&](f64x8 shifted, f64x8 slope, f64x8* t) LGC_LAMBDA { line.farTerms(shifted, slope, peak, t); });
    }
    line.outputs(s, peak, out);
  }

  template <class T> static void run(Call& call) {
    const size_t n = call.rows, c = call.columns;
    const T* logits = LGC_INPUT(T, call, logits);
    const T* jvp = LGC_INPUT(T, call, jvp);
    const double tau = LGC_OPTION(call, tau);
    parallel(call, n, rowGrain(c * 4), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        double out[5];
        row(logits + i * c, jvp + i * c, c, tau, out);
        for (int k = 0; k < 5; ++k) storeScalar<T>(call.outputs[k], i, out[k]);
      }
    });
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct LineLossOp : LineLoss {
  // Cross-entropy of the row at tau, with the largest term kept out of the sum: confident rows keep their loss.
  template <class T> static double lossAt(const T* z, const T* a, size_t c, size_t y, double top, double tau, double temperature) {
    const f64x8 vtop = broadcast<f64x8>(top), vtau = broadcast<f64x8>(tau);
    f64x8 most = broadcast<f64x8>(-kInfinity);
    for (size_t j = 0; j < c; j += kWide) {
      const size_t count = c - j < kWide ? c - j : kWide;
      most = max(alongLine(readWide(z + j, count, -kInfinity), vtop, readWide(a + j, count), vtau), most);
    }
    const double peak = maxAcross(most);
    f64x8 rest = broadcast<f64x8>(0), ties = rest;
    for (size_t j = 0; j < c; j += kWide) {
      const size_t count = c - j < kWide ? c - j : kWide;
      const f64x8 v = alongLine(readWide(z + j, count, -kInfinity), vtop, readWide(a + j, count), vtau);
      f64x8 t[2];
      terms(v, peak, temperature, t);
      rest = rest + t[0];
      ties = ties + t[1];
    }
    return lossOf(sum(rest), sum(ties), peak, alongLine(static_cast<double>(z[y]), top, static_cast<double>(a[y]), tau), temperature);
  }

  template <class T> static void run(Call& call) {
    const size_t n = call.rows, c = call.columns, count = call.dims[static_cast<int>('t')];
    const double temperature = LGC_OPTION(call, temperature);
    const T* logits = LGC_INPUT(T, call, logits);
    const T* jvp = LGC_INPUT(T, call, jvp);
    const T* taus = LGC_INPUT(T, call, taus);
    const int32_t* targets = LGC_INPUT(int32_t, call, targets);
    Scratch<double> losses(call, n * count), slopes(call, n), curvatures(call, n);
    if (!losses || !slopes || !curvatures) return;
    parallel(call, n, rowGrain(c * (count + 2)), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const T* z = logits + i * c;
        const T* a = jvp + i * c;
        const size_t y = static_cast<size_t>(targets[i]);
        const double top = rowTop(z, c);
        for (size_t k = 0; k < count; ++k) losses[k * n + i] = lossAt(z, a, c, y, top, static_cast<double>(taus[k]), temperature);
        const SlopeMoments m = slopeMoments(z, a, c, top, temperature);
        slopes[i] = (m.mean - static_cast<double>(a[y])) / temperature;
        curvatures[i] = m.variance / temperature / temperature;
      }
    });
    const double share = reciprocalOrZero(static_cast<double>(n));
    for (size_t k = 0; k < count; ++k) storeScalar<T>(LGC_OUTPUT(void, call, loss), k, orderedSum(losses + k * n, n) * share);
    LGC_NUMBER(call, slope) = orderedSum(slopes, n) * share;
    LGC_NUMBER(call, curvature) = orderedSum(curvatures, n) * share;
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL

LOGITCORE_FAMILY(lineprobe, PartitionZeroRadiusOp, LinearHeadJvpOp, TiltedKlOp, LineLossOp)
}  // namespace logitcore
