#include "../../cpp/ops/monitors.h"
#include "../engine/flat.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

// Entries of -Infinity do not count. Moments are taken in double around the largest entry, as on the CPU.
struct MonitoredRow {
  double inverseTemperature;
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
    sumColumnsWide(rows, sums, [&](int, const float(&x)[1], double* t) {
      const bool counts = x[0] != -__builtin_huge_valf();
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

constexpr int kLogitNumbers = OutputLogitStats::record.outputCount();
struct JoinLogitRows {
  size_t count;
  const LogitRow* rows;
  double* numbers[kLogitNumbers];  // in the order of the record
  LGC_DEVICE void operator()() const {
    const auto total = [&](auto&& term) { return sumRows(count, [&](size_t i) { return term(rows[i]); }); };
    const auto most = [&](auto&& value) { return largestOrNan(count, [&](size_t i) { return value(rows[i]); }); };
    const double entries = total([](const LogitRow& r) { return r.count; }), n = static_cast<double>(count);
    double mean = total([](const LogitRow& r) { return r.count > 0 ? r.count * r.mean : 0.0; }) / entries;
    const double m2 = total([&](const LogitRow& r) { return r.count > 0 ? fma(r.count * (r.mean - mean), r.mean - mean, r.m2) : 0.0; });
    double high = most([](const LogitRow& r) { return r.max; }), low = -most([](const LogitRow& r) { return -r.min; });
    if (entries == 0) high = low = mean = __builtin_nan("");
    const double variance = m2 / entries;
    const auto put = [&](int k, double x) {
      if (threadIdx.x == 0) *numbers[k] = x;
    };
    put(0, high);
    put(1, low);
    put(2, mean);
    put(3, sqrt(variance));
    put(4, sqrt(fma(mean, mean, variance)));
    put(5, total([](const LogitRow& r) { return r.logZ; }) / n);
    put(6, most([](const LogitRow& r) { return abs(r.logZ); }));
    put(7, total([](const LogitRow& r) { return r.logZ * r.logZ; }) / n);
    put(8, total([](const LogitRow& r) { return r.maxProb; }) / n);
    put(9, total([](const LogitRow& r) { return r.entropy; }) / n);
  }
};

struct OutputLogitStatsOp : OutputLogitStats {
  static void run(DeviceCall& call) {
    LogitRow* rows = call.scratch<LogitRow>(call.rows);
    if (!rows) return;
    forRows<1>(call, {LGC_INPUT(void, call, logits)}, MonitoredRow{1.0 / LGC_OPTION(call, temperature), rows});
    JoinLogitRows join{call.rows, rows, {}};
    for (int k = 0; k < kLogitNumbers; ++k) join.numbers[k] = call.numbers[k];
    once(call, join);
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(monitors, OutputLogitStatsOp)
}  // namespace logitcore
