#include "../../cpp/ops/monitors.h"
#include "../engine/flat.h"
#include "../engine/matrix.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

// Entries of -Infinity do not count.
struct Unmasked {
  LGC_DEVICE bool operator()(size_t, int, float x) const { return x != -__builtin_huge_valf(); }
};
// The keys that a query sees do.
struct Seen {
  bool causal;
  size_t first;  // query, in row 0
  LGC_DEVICE bool operator()(size_t row, int j, float) const { return !causal || static_cast<size_t>(j) <= first + row; }
};

// Moments are taken in double around the largest entry, as on the CPU. Entries that do not count are -Infinity.
template <class Counts> struct MonitoredRow {
  double inverseTemperature;
  Counts countsAt;
  LogitRow* out;
  LGC_DEVICE void operator()(Rows<1>& rows) const {
    RowSum top;
    const float scale = static_cast<float>(inverseTemperature);
    rowSums<1>(
        rows, scale, [](float x) { return x; }, &top);
    const float pivot = top.max - top.max == 0 ? static_cast<float>(top.max) : 0.0f;
    Placed least{-__builtin_huge_valf(), 0};
    double weighted[1], sums[4];
    sumColumns(rows, weighted, [&](int, const float(&x)[1], float* t) {
      const float shifted = (x[0] - pivot) * scale, e = exponential(shifted);
      t[0] = e == 0 ? 0.0f : e * shifted;
    });
    sumColumnsWide(rows, sums, [&](int j, const float(&x)[1], double* t) {
      const bool counts = countsAt(rows.row, j, x[0]);
      const double d = counts ? static_cast<double>(x[0]) - static_cast<double>(pivot) : 0.0;
      t[0] = counts ? 1.0 : 0.0;
      t[1] = d;
      t[2] = d * d;
      t[3] = isNan(x[0]) ? 1.0 : 0.0;
      if (counts && -x[0] > least.value) least.value = -x[0];
    });
    least = rows.team.largest(least);
    if (!rows.leads()) return;
    const double shift = sums[1] / sums[0], m2 = fma(-sums[1], shift, sums[2]);
    LogitRow row{sums[0], top.max, -static_cast<double>(least.value), static_cast<double>(pivot) + shift, m2 < 0 ? 0.0 : m2, 0, 0, 0};
    softmaxOf(row, top, weighted[0], inverseTemperature);
    if (sums[3] > 0) row.max = row.min = row.mean = row.logZ = row.maxProb = row.entropy = __builtin_nan("");
    out[rows.row] = row;
  }
};

// What rows add up to, by all threads of one block.
struct LogitTotals {
  double entries, max, min, mean, variance;
  template <class F> LGC_DEVICE static double total(size_t count, const LogitRow* rows, F&& term) {
    return sumRows(count, [&](size_t i) { return term(rows[i]); });
  }
  template <class F> LGC_DEVICE static double most(size_t count, const LogitRow* rows, F&& value) {
    return largestOrNan(count, [&](size_t i) { return value(rows[i]); });
  }
  LGC_DEVICE LogitTotals(size_t count, const LogitRow* rows) {
    entries = total(count, rows, [](const LogitRow& r) { return r.count; });
    mean = total(count, rows, [](const LogitRow& r) { return r.count > 0 ? r.count * r.mean : 0.0; }) / entries;
    const double centre = mean;
    variance =
        total(count, rows, [=](const LogitRow& r) { return r.count > 0 ? fma(r.count * (r.mean - centre), r.mean - centre, r.m2) : 0.0; }) /
        entries;
    max = most(count, rows, [](const LogitRow& r) { return r.max; });
    min = -most(count, rows, [](const LogitRow& r) { return -r.min; });
    if (entries == 0) max = min = mean = __builtin_nan("");
  }
  LGC_DEVICE double rms() const { return sqrt(fma(mean, mean, variance)); }
};

template <int N> struct Numbers {
  double* at[N];  // in the order of the record
  Numbers(const DeviceCall& call) {
    for (int k = 0; k < N; ++k) at[k] = call.numbers[k];
  }
  LGC_DEVICE void put(int k, double x) const {
    if (threadIdx.x == 0) give(at[k], x);
  }
};

struct JoinLogitRows {
  size_t count;
  const LogitRow* rows;
  Numbers<OutputLogitStats::record.outputCount()> numbers;
  LGC_DEVICE void operator()() const {
    const auto mean = [&](auto&& term) { return LogitTotals::total(count, rows, term) / static_cast<double>(count); };
    const LogitTotals all(count, rows);
    numbers.put(0, all.max);
    numbers.put(1, all.min);
    numbers.put(2, all.mean);
    numbers.put(3, sqrt(all.variance));
    numbers.put(4, all.rms());
    numbers.put(5, mean([](const LogitRow& r) { return r.logZ; }));
    numbers.put(6, LogitTotals::most(count, rows, [](const LogitRow& r) { return abs(r.logZ); }));
    numbers.put(7, mean([](const LogitRow& r) { return r.logZ * r.logZ; }));
    numbers.put(8, mean([](const LogitRow& r) { return r.maxProb; }));
    numbers.put(9, mean([](const LogitRow& r) { return r.entropy; }));
  }
};

struct OutputLogitStatsOp : OutputLogitStats {
  static void run(DeviceCall& call) {
    LogitRow* rows = call.scratch<LogitRow>(call.rows);
    if (!rows) return;
    forRows<1>(call, {LGC_INPUT(void, call, logits)}, MonitoredRow<Unmasked>{1.0 / LGC_OPTION(call, temperature), {}, rows});
    once(call, JoinLogitRows{call.rows, rows, call});
  }
};

// ---- attention

// Queries or keys as the logits are made of them, and their lengths.
struct AttentionVector {
  NormForward norm;
  const float* gamma;  // null: they are taken as they are
  float* out;
  double* lengths;
  LGC_DEVICE void operator()(Rows<1>& rows) const {
    NormForward::Row row{};
    if (gamma) {
      double sum[2];
      sumColumns(rows, sum, [&](int, const float(&x)[1], float* t) { norm.terms<0>(row, laneOf(x[0], 1), t); });
      norm.fold<0>(row, sum);
      sumColumns(rows, sum, [&](int, const float(&x)[1], float* t) { norm.terms<1>(row, laneOf(x[0], 1), t); });
      norm.fold<1>(row, sum);
    }
    double square = 0;
    eachColumn(rows, [&](int j, const float(&x)[1]) {
      float v = x[0];
      if (gamma) norm.write(row, laneOf(x[0], gamma[j]), &v);
      out[rows.row * rows.shape.columns + static_cast<size_t>(j)] = v;
      square += static_cast<double>(v) * static_cast<double>(v);
    });
    square = rows.team.sum(square);
    if (rows.leads()) lengths[rows.row] = sqrt(square);
  }

 private:
  LGC_DEVICE static Lane<float> laneOf(float x, float factor) {
    Lane<float> lane{};
    lane.x[0] = x;
    lane.column[0] = factor;
    return lane;
  }
};

// The sum of all cosines from sums of unit vectors, in pieces of queries and of the keys beside them: of every component the sum of the
// keys, that of the queries, and what the queries have with the keys up to their own.
constexpr size_t kVectorsOfPiece = 256;
constexpr int kUnitSums = 3;
struct UnitPieces {
  const float *q, *k;
  const double *queryLengths, *keyLengths;
  size_t n, m, d, across;
  double* sums;  // [pieces][kUnitSums][d]
  LGC_DEVICE void operator()(size_t block, Team& team) const {
    const size_t piece = block / across, t = block % across * team.size + team.rank, begin = piece * kVectorsOfPiece;
    if (t >= d) return;
    double keys = 0, queries = 0, along = 0;
    for (size_t i = begin; i < begin + kVectorsOfPiece && (i < n || i < m); ++i) {
      if (i < m) keys = fma(static_cast<double>(k[i * d + t]), reciprocalOrZero(keyLengths[i]), keys);
      if (i >= n) continue;
      const double unit = static_cast<double>(q[i * d + t]) * reciprocalOrZero(queryLengths[i]);
      queries += unit;
      along = fma(unit, keys, along);
    }
    double* to = sums + piece * kUnitSums * d + t;
    to[0] = keys;
    to[d] = queries;
    to[2 * d] = along;
  }
};
struct Cosines {
  bool causal;
  size_t pieces, d;
  const double* sums;
  LGC_DEVICE double total() const {
    return sumRows(d, [&](size_t t) {
      double keys = 0, queries = 0, along = 0;
      for (size_t p = 0; p < pieces; ++p) {
        const double* from = sums + p * kUnitSums * d + t;
        along += fma(from[d], keys, from[2 * d]);
        keys += from[0];
        queries += from[d];
      }
      return causal ? along : queries * keys;
    });
  }
};

struct JoinAttentionRows {
  size_t n, m;
  const LogitRow* rows;
  const double *queryLengths, *keyLengths;
  Cosines cosines;
  Numbers<AttentionLogitStats::record.outputCount()> numbers;
  LGC_DEVICE void operator()() const {
    const auto mean = [&](auto&& term) { return LogitTotals::total(n, rows, term) / static_cast<double>(n); };
    const LogitTotals all(n, rows);
    numbers.put(0, all.max);
    numbers.put(1, all.min);
    numbers.put(2, all.mean);
    numbers.put(3, all.rms());
    numbers.put(4, largest(abs(all.max), abs(all.min)));
    numbers.put(5, mean([](const LogitRow& r) { return r.entropy; }));
    numbers.put(6, -LogitTotals::most(n, rows, [](const LogitRow& r) { return -r.entropy; }));
    numbers.put(7, mean([](const LogitRow& r) { return r.maxProb; }));
    numbers.put(8, sumRows(n, [&](size_t i) { return queryLengths[i]; }) / static_cast<double>(n));
    numbers.put(9, sumRows(m, [&](size_t i) { return keyLengths[i]; }) / static_cast<double>(m));
    numbers.put(10, cosines.total() / all.entries);
  }
};

// The keys after a query.
struct HideLater {
  size_t first, columns;
  float* logits;
  LGC_DEVICE void operator()(size_t i) const {
    if (i % columns > first + i / columns) logits[i] = -__builtin_huge_valf();
  }
};

// Logits of so many queries with all keys stand in memory at a time: they stay in the cache of the device.
constexpr size_t kMostLogits = size_t{1} << 22;

struct AttentionLogitStatsOp : AttentionLogitStats {
  static void run(DeviceCall& call) {
    const size_t n = call.dims[static_cast<int>('n')], m = call.dims[static_cast<int>('m')], d = call.columns;
    const bool causal = LGC_OPTION(call, causal) != 0;
    const size_t whole = kMostLogits / m / kTile * kTile, strip = whole ? whole : kTile, tallest = strip < n ? strip : n;
    const size_t across = (d + kRowThreads - 1) / kRowThreads, pieces = ((n > m ? n : m) + kVectorsOfPiece - 1) / kVectorsOfPiece;
    float *q = call.scratch<float>(n * d), *k = call.scratch<float>(m * d), *logits = call.scratch<float>(tallest * m);
    double *queryLengths = call.scratch<double>(n), *keyLengths = call.scratch<double>(m);
    double* sums = call.scratch<double>(pieces * kUnitSums * d);
    LogitRow* rows = call.scratch<LogitRow>(n);
    const NormForward norm(call, true, LGC_OPTION(call, epsilon), 1);
    forRows<1>(call, n, d, {LGC_INPUT(void, call, q)}, AttentionVector{norm, LGC_INPUT(float, call, gammaQ), q, queryLengths});
    forRows<1>(call, m, d, {LGC_INPUT(void, call, k)}, AttentionVector{norm, LGC_INPUT(float, call, gammaK), k, keyLengths});
    // From here on rows are those of the logits.
    call.storage = Storage::f32;
    MatrixArguments product{};
    product.b = transposed(rowMajor<float>(k, d));
    product.c = logits;
    product.depth = d;
    product.alpha = static_cast<float>(scaleOf(call));
    for (size_t first = 0; first < n; first += strip) {
      product.a = rowMajor<float>(q + first * d, d);
      product.rows = n - first < strip ? n - first : strip;
      product.columns = causal ? first + product.rows : m;
      multiply(call, product);
      if (causal) forIndices(call, product.rows * product.columns, HideLater{first, product.columns, logits});
      forRows<1>(call, product.rows, product.columns, {logits}, MonitoredRow<Seen>{1.0, {causal, first}, rows + first});
    }
    forBlocks(call, pieces * across, UnitPieces{q, k, queryLengths, keyLengths, n, m, d, across, sums});
    once(call, JoinAttentionRows{n, m, rows, queryLengths, keyLengths, {causal, pieces, d, sums}, call});
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(monitors, OutputLogitStatsOp, AttentionLogitStatsOp)
}  // namespace logitcore
