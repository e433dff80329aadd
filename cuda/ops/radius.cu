#include "../../cpp/ops/radius.h"
#include "../engine/extremes.h"
#include "../engine/flat.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

LGC_DEVICE double spreadOf(Rows<1>& rows) {
  const Range range = rangeOf(rows, 0);
  return abs(range.high - range.low);
}

struct SpreadRow {
  float *spread, *rho;  // rho may be null
  double temperature;
  LGC_DEVICE void operator()(Rows<1>& rows) const {
    const double found = spreadOf(rows);
    if (!rows.leads()) return;
    spread[rows.row] = static_cast<float>(found);
    if (rho) rho[rows.row] = static_cast<float>(spreadRadius(found, temperature));
  }
};

struct ConvergenceBatch {
  Quantile spreads;
  double temperature;
  double *batchSpread, *batchRho, *bottleneck;
  LGC_DEVICE void operator()() const {
    Team team = wholeBlock();
    const size_t n = spreads.n;
    const double batch = n ? spreads.of(team) : 0.0;
    const unsigned row = limiting(team, spreads.values, n, 1);
    if (!team.leads()) return;
    give(batchSpread, batch);
    give(batchRho, spreadRadius(batch, temperature));
    give(bottleneck, n ? static_cast<double>(row) : -1.0);
  }
};

struct ConvergenceRadiusOp : ConvergenceRadius {
  static void run(DeviceCall& call) {
    const double temperature = LGC_OPTION(call, temperature);
    float* spread = LGC_OUTPUT(float, call, spread);
    forRows<1>(call, {LGC_INPUT(void, call, jvp)}, SpreadRow{spread, LGC_OUTPUT(float, call, rho), temperature});
    once(call, ConvergenceBatch{quantileOf(call, spread, call.rows, LGC_OPTION(call, quantile)), temperature,
                                LGC_NUMBER_AT(call, batchSpread), LGC_NUMBER_AT(call, batchRho), LGC_NUMBER_AT(call, bottleneck)});
  }
};

struct MarginRow {
  RowMarks targets;
  double temperature;
  float *rho, *margin, *slope;
  int32_t* competitor;
  LGC_DEVICE void operator()(Rows<2>& rows) const {
    const unsigned target = targets.read(rows), top = largestExcept(rows, 0, 0xffffffffu);
    const unsigned y = targets.at ? target : top, k = largestExcept(rows, 0, y);
    const Range range = rangeOf(rows, 0);
    if (!rows.leads()) return;
    const bool kept = rows.fate == Fate::kept, ordered = kept && range.low == range.low;
    const double nan = __builtin_nan(""), m = ordered ? between(rows, 0, y, k) : nan, s = kept ? between(rows, 1, y, k) : nan;
    rho[rows.row] = static_cast<float>(pairRadius(m, s, temperature));
    margin[rows.row] = static_cast<float>(m);
    slope[rows.row] = static_cast<float>(s);
    competitor[rows.row] = static_cast<int32_t>(k);
  }

 private:
  LGC_DEVICE static double between(const Rows<2>& rows, int input, size_t y, size_t k) {
    return static_cast<double>(rows.entry(input, y)) - static_cast<double>(rows.entry(input, k));
  }
};

struct MarginRadiusOp : MarginRadius {
  static void run(DeviceCall& call) {
    float* rho = LGC_OUTPUT(float, call, rho);
    forRows<2>(call, {LGC_INPUT(void, call, logits), LGC_INPUT(void, call, jvp)},
               MarginRow{marksOf<MarginRadius>(call), LGC_OPTION(call, temperature), rho, LGC_OUTPUT(float, call, margin),
                         LGC_OUTPUT(float, call, slope), LGC_OUTPUT(int32_t, call, competitor)});
    once(call, LeastRadius{rho, call.rows, LGC_NUMBER_AT(call, batchRho), LGC_NUMBER_AT(call, bottleneck)});
  }
};

// What the update is multiplied by, and what the call says about it.
struct ControllerStep {
  RadiusController controller;
  Quantile spreads;
  PartialSums<1> squares;
  double* factor;
  double *scale, *rho, *stepNorm, *before, *r;
  LGC_DEVICE void operator()() const {
    Team team = wholeBlock();
    double total[1];
    squares.add(team, total);
    const double norm = sqrt(total[0]), spread = spreads.n ? spreads.of(team) : 0.0;
    if (!team.leads()) return;
    const RadiusController::Step step = controller.stepOf(spread, norm);
    *factor = norm == 0 ? 1.0 : step.scale;
    give(scale, step.scale);
    give(rho, step.rho);
    give(stepNorm, norm);
    give(before, step.before);
    give(r, step.scale * step.before);
  }
};
struct ScaledUpdate {
  const float* update;
  const double* factor;
  float* out;
  LGC_DEVICE void operator()(size_t i) const { out[i] = static_cast<float>(static_cast<double>(update[i]) * *factor); }
};

struct RadiusControllerOp : RadiusController {
  static void run(DeviceCall& call) {
    const float* update = LGC_INPUT(float, call, update);
    const size_t n = call.rows, size = call.inputLength[inputIndex(record, "update")];
    float* spread = call.scratch<float>(n);
    double* factor = call.scratch<double>(1);
    forRows<1>(call, {LGC_INPUT(void, call, jvp)}, SpreadRow{spread, nullptr, 1});
    const PartialSums<1> squares = sumPieces<1>(call, size, Squares<float>{update});
    once(call, ControllerStep{RadiusController(call), quantileOf(call, spread, n, LGC_OPTION(call, quantile)), squares, factor,
                              LGC_NUMBER_AT(call, scale), LGC_NUMBER_AT(call, rho), LGC_NUMBER_AT(call, stepNorm),
                              LGC_NUMBER_AT(call, rBefore), LGC_NUMBER_AT(call, r)});
    forIndices(call, size, ScaledUpdate{update, factor, LGC_OUTPUT(float, call, out)});
  }
};

struct GapRow {
  LogitGapRadius op;
  bool topTwo;
  float* rho;    // of every row, or
  double* gaps;  // for the batch
  LGC_DEVICE void operator()(Rows<1>& rows) const {
    const Range all = rangeOf(rows, 0);
    double gap;
    if (topTwo) {
      const unsigned first = largestExcept(rows, 0, 0xffffffffu), second = largestExcept(rows, 0, first);
      gap = rows.leads() ? gapOfTopTwo(static_cast<double>(rows.entry(0, first)), static_cast<double>(rows.entry(0, second))) : 0.0;
    } else {
      const Range kept = rangeOf(rows, 0, [](int, const float(&x)[1]) { return x[0] != -__builtin_huge_valf(); });
      gap = gapOfRange(kept.low, kept.high);
    }
    if (!rows.leads()) return;
    if (all.low != all.low) gap = all.low;
    if (rho)
      rho[rows.row] = static_cast<float>(op.radius(gap));
    else
      gaps[rows.row] = gap;
  }
};

struct GapBatch {
  LogitGapRadius op;
  const double* gaps;
  size_t n;
  bool mean;
  double* rho;
  LGC_DEVICE void operator()() const {
    Team team = wholeBlock();
    double sum = 0, most[2] = {-kInfinity, 0};
    for (size_t i = threadIdx.x; i < n; i += blockDim.x) {
      const double gap = gaps[i];
      sum += gap;
      if (gap > most[0]) most[0] = gap;
      if (gap != gap) most[1] = 1;
    }
    sum = team.sum(sum);
    team.most(most);
    if (!team.leads()) return;
    const double largest = most[1] > 0 ? __builtin_nan("") : most[0];
    give(rho, op.radius(n == 0 ? 0.0 : mean ? sum / static_cast<double>(n) : largest));
  }
};

struct LogitGapRadiusOp : LogitGapRadius {
  static void run(DeviceCall& call) {
    const int reduce = static_cast<int>(LGC_OPTION(call, reduce));
    const LogitGapRadius op(call);
    const bool every = reduce == kEveryGap;
    double* gaps = every ? nullptr : call.scratch<double>(call.rows);
    forRows<1>(call, {LGC_INPUT(void, call, logits)},
               GapRow{op, LGC_OPTION(call, gap) == kTopTwo, every ? LGC_OUTPUT(float, call, rho) : nullptr, gaps});
    if (!every) once(call, GapBatch{op, gaps, call.rows, reduce == kMeanGap, LGC_NUMBER_AT(call, rho)});
  }
};

struct ActivationBatch {
  Quantile rho;
  double* batchRho;
  LGC_DEVICE void operator()() const {
    Team team = wholeBlock();
    const double batch = rho.n ? rho.of(team) : kInfinity;
    if (team.leads()) give(batchRho, batch);
  }
};

struct ActivationRadiusOp : ActivationRadius {
  static void run(DeviceCall& call) {
    runElements<ActivationRadius>(call);
    const Quantile rho = quantileOf(call, LGC_OUTPUT(float, call, rho), call.inputLength[0], LGC_OPTION(call, quantile));
    once(call, ActivationBatch{rho, LGC_NUMBER_AT(call, batchRho)});
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(radius, ConvergenceRadiusOp, MarginRadiusOp, RadiusControllerOp, ElementOp<FiniteDifferenceJvp>, LogitGapRadiusOp,
                        ActivationRadiusOp)
}  // namespace logitcore
