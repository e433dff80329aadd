#include "monitors.h"

#include "../engine/family.h"
#include "../engine/row_sweeps.h"
#include "../engine/wide.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// What rows add up to, always in one order.
struct LogitTotals {
  double rows, max, min, logZ, maxAbsLogZ, squaredLogZ, maxProb, entropy, minEntropy;
  Moments moments;

  void start() {
    rows = logZ = squaredLogZ = maxProb = entropy = 0;
    max = maxAbsLogZ = -__builtin_huge_val();
    min = minEntropy = __builtin_huge_val();
    moments = Moments();
  }
  void add(const LogitRow& row) {
    const LogitTotals one = {1, row.max, row.min, row.logZ, abs(row.logZ), row.logZ * row.logZ, row.maxProb, row.entropy, row.entropy, {}};
    merge(one);
    if (row.count > 0) moments.merge(row.mean, row.m2, row.count);
  }
  void merge(const LogitTotals& other) {
    rows += other.rows;
    max = largest(max, other.max);
    min = smallest(min, other.min);
    logZ += other.logZ;
    maxAbsLogZ = largest(maxAbsLogZ, other.maxAbsLogZ);
    squaredLogZ += other.squaredLogZ;
    maxProb += other.maxProb;
    entropy += other.entropy;
    minEntropy = smallest(minEntropy, other.minEntropy);
    if (other.moments.count > 0) moments.merge(other.moments.mean, other.moments.m2, other.moments.count);
  }
  void finish() {
    if (moments.count > 0) return;
    max = min = moments.mean = moments.m2 = __builtin_nan("");
    moments.count = 1;
  }
  double variance() const { return moments.m2 / moments.count; }
  double rms() const { return sqrt(fma(moments.mean, moments.mean, variance())); }
};

// With `Masked`, entries of -Infinity do not count. Moments are taken in double around the largest entry: the rounding of their
// difference is at most n ulps of the variance, which is no less than (max - mean)^2 / n.
template <bool Masked, class T> LogitRow logitRow(const T* x, size_t n, double inverseTemperature, Block<T>* blocks, double* factors) {
  using W = Vec<T>;
  using H = Halves<T>;
  constexpr size_t L = lanes<W>;
  const T masked = static_cast<T>(-__builtin_huge_val());
  const RowSum top = rowSum<false>(Plain<T>{x}, n, inverseTemperature, Destination<T>{}, blocks, factors);
  const T pivot = top.max - top.max == 0 ? static_cast<T>(top.max) : T(0);
  const W centre = broadcast<W>(pivot), scale = broadcast<W>(static_cast<T>(inverseTemperature * Base<T>::perNat));
  const W none = broadcast<W>(0), infinite = broadcast<W>(__builtin_huge_val());
  const f64x8 origin = broadcast<f64x8>(static_cast<double>(pivot));
  W low = infinite;
  Mask<W> nans = firstLanes<W>(0);
  f64x8 sums[H::count], squares[H::count];
  for (int h = 0; h < H::count; ++h) sums[h] = squares[h] = broadcast<f64x8>(0);
  size_t counted = Masked ? 0 : n;
  double weighted = 0;
  for (size_t start = 0; start < n; start += kBlock) {
    const size_t end = n - start < kBlock ? n : start + kBlock;
    W acc = none;
    for (size_t i = start; i < end; i += L) {
      const size_t left = end - i < L ? end - i : L;
      const W v = readLanes(x + i, left, -__builtin_huge_val());
      auto in = firstLanes<W>(static_cast<int>(left));
      if (Masked) {
        in = in & (v != broadcast<W>(masked));
        counted += static_cast<size_t>(count(in));
      }
      nans = nans | isNan(v);
      low = min(select(in, v, infinite), low);
      const W shifted = (v - centre) * scale, e = Base<T>::power(shifted);
      acc = acc + select(e == none, none, e * shifted);
      const W kept = select(in, v, centre);
      for (int h = 0; h < H::count; ++h) {
        const f64x8 d = H::get(kept, h) - origin;
        sums[h] = sums[h] + d;
        squares[h] = fma(d, d, squares[h]);
      }
    }
    weighted += foldSum(acc);
  }
  const double n_ = static_cast<double>(counted), sumD = sum(H::count == 2 ? sums[0] + sums[H::count - 1] : sums[0]);
  const double shift = sumD / n_, m2 = fma(-sumD, shift, sum(H::count == 2 ? squares[0] + squares[H::count - 1] : squares[0]));
  LogitRow row{n_, top.max, minAcross(low), static_cast<double>(pivot) + shift, m2 < 0 ? 0.0 : m2, 0, 0, 0};
  softmaxOf(row, top, weighted / Base<T>::perNat, inverseTemperature);
  if (any(nans)) row.max = row.min = row.mean = row.logZ = row.maxProb = row.entropy = __builtin_nan("");
  return row;
}

// Rows in chunks that only the number of columns decides.
struct OutputLogitStatsOp : OutputLogitStats {
  template <class T> static void run(Call& call) {
    const T* x = LGC_INPUT(T, call, logits);
    const size_t n = call.rows, c = call.columns, chunk = rowGrain(c), chunks = (n + chunk - 1) / chunk;
    const double inverse = 1.0 / LGC_OPTION(call, temperature);
    Scratch<LogitTotals> parts(call, chunks);
    if (!parts) return;
    parallel(call, chunks, 1, [&](size_t begin, size_t end) {
      Scratch<Block<T>> blocks(call, blockCount(c));
      Scratch<double> factors(call, blockCount(c));
      if (!blocks || !factors) return;
      for (size_t k = begin; k < end; ++k) {
        parts[k].start();
        for (size_t i = k * chunk; i < (k + 1) * chunk && i < n; ++i)
          parts[k].add(logitRow<true, T>(x + i * c, c, inverse, blocks, factors));
      }
    });
    if (call.outOfMemory) return;
    LogitTotals all;
    all.start();
    for (size_t k = 0; k < chunks; ++k) all.merge(parts[k]);
    all.finish();
    LGC_NUMBER(call, max) = all.max;
    LGC_NUMBER(call, min) = all.min;
    LGC_NUMBER(call, mean) = all.moments.mean;
    LGC_NUMBER(call, std) = sqrt(all.variance());
    LGC_NUMBER(call, rms) = all.rms();
    LGC_NUMBER(call, meanLogZ) = all.logZ / all.rows;
    LGC_NUMBER(call, maxAbsLogZ) = all.maxAbsLogZ;
    LGC_NUMBER(call, meanSquaredLogZ) = all.squaredLogZ / all.rows;
    LGC_NUMBER(call, meanMaxProb) = all.maxProb / all.rows;
    LGC_NUMBER(call, meanEntropy) = all.entropy / all.rows;
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

// Queries in strips: their logits with all keys, a few rows of them at a time, and never more.
struct AttentionLogitStatsOp : AttentionLogitStats {
  // Accumulators that fit the registers of the level. The order of a logit's additions does not depend on it.
  static constexpr size_t kStrip = 8, kRows = 4, kVectors = 4, kAtOnce = LGC_LEVEL_ID == LGC_LEVEL_ID_avx512 ? 4 : 1;

  // The logits of kRows queries and the keys of a panel: [component][kVectors * lanes].
  template <class T> LGC_FN static void panelLogits(const T* const* q, const T* panel, size_t d, T scale, T* z, size_t stride) {
    using W = Vec<T>;
    constexpr size_t L = lanes<W>;
    for (size_t first = 0; first < kVectors; first += kAtOnce) {
      W acc[kRows][kAtOnce];
      for (size_t r = 0; r < kRows; ++r)
        for (size_t v = 0; v < kAtOnce; ++v) acc[r][v] = broadcast<W>(0);
      const T* p = panel + first * L;
      for (size_t t = 0; t < d; ++t, p += kVectors * L) {
        W keys[kAtOnce];
        for (size_t v = 0; v < kAtOnce; ++v) keys[v] = load<W>(p + v * L);
        for (size_t r = 0; r < kRows; ++r) {
          const W component = broadcast<W>(q[r][t]);
          for (size_t v = 0; v < kAtOnce; ++v) acc[r][v] = fma(component, keys[v], acc[r][v]);
        }
      }
      for (size_t r = 0; r < kRows; ++r)
        for (size_t v = 0; v < kAtOnce; ++v) store(z + r * stride + (first + v) * L, acc[r][v] * broadcast<W>(scale));
    }
  }

  template <class T> static void packKeys(Call& call, const T* k, size_t m, size_t d, T* packed) {
    constexpr size_t width = kVectors * lanes<Vec<T>>;
    parallel(call, (m + width - 1) / width, rowGrain(width * d), [&](size_t begin, size_t end) {
      for (size_t p = begin; p < end; ++p)
        for (size_t j = p * width; j < m && j < (p + 1) * width; ++j)
          for (size_t t = 0; t < d; ++t) packed[(p * d + t) * width + j - p * width] = k[j * d + t];
    });
  }

  template <class T> static bool normalize(Call& call, const T* x, size_t n, const T* gamma, T* out) {
    Call part;
    part.record = &Store<QkLayerNorm>::record;
    part.runtime = call.runtime;
    part.isDouble = call.isDouble;
    part.inputs[inputIndex(QkLayerNorm::record, "x")] = x;
    part.inputs[inputIndex(QkLayerNorm::record, "gamma")] = gamma;
    part.options[optionIndex(QkLayerNorm::record, "epsilon")] = LGC_OPTION(call, epsilon);
    part.options[optionIndex(QkLayerNorm::record, "center")] = 1;
    part.outputs[outputIndex(QkLayerNorm::record, "out")] = out;
    part.rows = n;
    part.columns = call.columns;
    runRowSweeps<QkLayerNorm, T>(part);
    call.outOfMemory = call.outOfMemory || part.outOfMemory;
    return !part.outOfMemory;
  }

  template <class T> static void norms(Call& call, const T* x, size_t n, size_t d, double* out) {
    parallel(call, n, rowGrain(d), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) out[i] = rowNorm(x + i * d, d);
    });
  }

  // The sum of all cosines from sums of unit vectors: O((n + m) d) beside O(n m d) of the logits.
  template <class T> static double cosines(Call& call, const T* q, const double* qNorm, size_t n, const T* k, const double* kNorm, size_t m,
                                           size_t d, bool causal) {
    const size_t padded = (d + kWide - 1) / kWide * kWide;
    Scratch<double> units(call, padded);
    if (!units) return 0;
    const auto add = [&](size_t j) {
      const f64x8 inverse = broadcast<f64x8>(reciprocalOrZero(kNorm[j]));
      for (size_t t = 0; t < d; t += kWide) {
        double* u = units + t;
        store(u, fma(readWide(k + j * d + t, d - t < kWide ? d - t : kWide), inverse, load<f64x8>(u)));
      }
    };
    if (!causal)
      for (size_t j = 0; j < m; ++j) add(j);
    double total = 0;
    for (size_t i = 0; i < n; ++i) {
      if (causal) add(i);
      total += reciprocalOrZero(qNorm[i]) *
               rowSumWide(d, [&](size_t t, size_t count) LGC_LAMBDA { return readWide(q + i * d + t, count) * load<f64x8>(units + t); });
    }
    return total;
  }

  template <class T> static void run(Call& call) {
    const size_t n = call.dims[static_cast<int>('n')], m = call.dims[static_cast<int>('m')], d = call.columns;
    const T *q = LGC_INPUT(T, call, q), *k = LGC_INPUT(T, call, k), *gammaQ = LGC_INPUT(T, call, gammaQ),
            *gammaK = LGC_INPUT(T, call, gammaK);
    const bool causal = LGC_OPTION(call, causal) != 0;
    constexpr size_t width = kVectors * lanes<Vec<T>>;
    const size_t panels = (m + width - 1) / width, strips = (n + kStrip - 1) / kStrip, stride = panels * width;
    Scratch<T> normalQ(call, gammaQ ? n * d : 0), normalK(call, gammaQ ? m * d : 0), packed(call, stride * d);
    Scratch<double> qNorm(call, n), kNorm(call, m);
    Scratch<LogitTotals> parts(call, strips);
    if (!normalQ || !normalK || !packed || !qNorm || !kNorm || !parts) return;
    if (gammaQ) {
      if (!normalize<T>(call, q, n, gammaQ, normalQ) || !normalize<T>(call, k, m, gammaK, normalK)) return;
      q = normalQ;
      k = normalK;
    }
    const T scale = static_cast<T>(scaleOf(call));
    packKeys<T>(call, k, m, d, packed);
    parallel(call, strips, rowGrain(m * (d / 16 + 4)) / kStrip + 1, [&](size_t begin, size_t end) {
      Scratch<T> z(call, kStrip * stride);
      Scratch<Block<T>> blocks(call, blockCount(m));
      Scratch<double> factors(call, blockCount(m));
      if (!z || !blocks || !factors) return;
      for (size_t s = begin; s < end; ++s) {
        const size_t first = s * kStrip, last = n - first < kStrip ? n - 1 : first + kStrip - 1;
        const T* rows[kStrip];
        for (size_t r = 0; r < kStrip; ++r) rows[r] = q + (first + r < last ? first + r : last) * d;
        const size_t seen = causal ? last / width + 1 : panels;
        for (size_t p = 0; p < seen; ++p)
          for (size_t r = 0; r < kStrip; r += kRows)
            panelLogits<T>(rows + r, packed + p * width * d, d, scale, z + r * stride + p * width, stride);
        parts[s].start();
        for (size_t i = first; i <= last; ++i)
          parts[s].add(logitRow<false, T>(z + (i - first) * stride, causal ? i + 1 : m, 1.0, blocks, factors));
      }
    });
    norms<T>(call, q, n, d, qNorm);
    norms<T>(call, k, m, d, kNorm);
    const double cosine = cosines<T>(call, q, qNorm, n, k, kNorm, m, d, causal);
    if (call.outOfMemory) return;
    LogitTotals all;
    all.start();
    for (size_t s = 0; s < strips; ++s) all.merge(parts[s]);
    const double queries = static_cast<double>(n), keys = static_cast<double>(m);
    LGC_NUMBER(call, max) = all.max;
    LGC_NUMBER(call, min) = all.min;
    LGC_NUMBER(call, mean) = all.moments.mean;
    LGC_NUMBER(call, rms) = all.rms();
    LGC_NUMBER(call, maxAbs) = largest(abs(all.max), abs(all.min));
    LGC_NUMBER(call, meanEntropy) = all.entropy / queries;
    LGC_NUMBER(call, minEntropy) = all.minEntropy;
    LGC_NUMBER(call, meanMaxProb) = all.maxProb / queries;
    LGC_NUMBER(call, queryNorm) = orderedSum(qNorm, n) / queries;
    LGC_NUMBER(call, keyNorm) = orderedSum(kNorm, m) / keys;
    LGC_NUMBER(call, meanCosine) = cosine / all.moments.count;
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL

LOGITCORE_FAMILY(monitors, OutputLogitStatsOp, AttentionLogitStatsOp)
}  // namespace logitcore
