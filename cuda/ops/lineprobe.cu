#include "../../cpp/engine/partition_zero.h"
#include "../../cpp/ops/lineprobe.h"
#include "../engine/extremes.h"
#include "../engine/matrix.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

// Largest logit; NaN where the row has no distribution.
LGC_DEVICE double topOf(Rows<2>& rows) { return finiteOrNan(rangeOf(rows, 0).high); }
LGC_DEVICE SlopeRange slopeRangeOf(Rows<2>& rows) {
  const Range range = rangeOf(rows, 1, [](int, const float(&x)[2]) { return x[0] > -__builtin_huge_valf(); });
  return {range.low, range.high};
}
// Sums over the classes of a row that are not masked: term(shifted, slope, t).
template <int S, class F> LGC_DEVICE void classSums(Rows<2>& rows, double top, double temperature, double (&sums)[S], F&& term) {
  sumColumnsWide(rows, sums, [&](int, const float(&x)[2], double* t) {
    if (x[0] == -__builtin_huge_valf()) {
      for (int k = 0; k < S; ++k) t[k] = 0;
    } else {
      term((static_cast<double>(x[0]) - top) / temperature, static_cast<double>(x[1]), t);
    }
  });
}
LGC_DEVICE SlopeMoments slopeMomentsOf(Rows<2>& rows, double top, double temperature) {
  double s[2], q[1];
  classSums(rows, top, temperature, s, [](double shifted, double slope, double* t) { slopeTerms(shifted, slope, t); });
  const double mean = s[1] / s[0];
  classSums(rows, top, temperature, q, [&](double shifted, double slope, double* t) { t[0] = squareTerm(shifted, slope, mean); });
  return {s[0], mean, q[0] / s[0]};
}

constexpr int kTiltedOutputs = 5;
struct TiltedRow {
  double tau;
  float* out[kTiltedOutputs];
  LGC_DEVICE void operator()(Rows<2>& rows) const {
    const double top = topOf(rows);
    const SlopeRange range = slopeRangeOf(rows);
    const TiltedKl line(tau, top, range, slopeMomentsOf(rows, top, 1));
    // Rows of one warp may differ in what they are.
    double peak = -kInfinity, sums[2];
    if (!line.isNear())
      eachColumn(rows,
                 [&](int, const float(&x)[2]) { peak = max(line.farTerm(static_cast<double>(x[0]), static_cast<double>(x[1])), peak); });
    peak = rows.team.most(peak);
    classSums(rows, top, 1, sums, [&](double shifted, double slope, double* t) {
      if (line.isNear())
        line.nearTerms(shifted, slope, t);
      else
        line.farTerms(shifted, slope, peak, t);
    });
    if (!rows.leads()) return;
    double values[kTiltedOutputs];
    line.outputs(sums, peak, values);
    for (int k = 0; k < kTiltedOutputs; ++k) out[k][rows.row] = static_cast<float>(values[k]);
  }
};

struct TiltedKlOp : TiltedKl {
  static void run(DeviceCall& call) {
    TiltedRow task{LGC_OPTION(call, tau), {}};
    for (int k = 0; k < kTiltedOutputs; ++k) task.out[k] = static_cast<float*>(call.outputs[k]);
    forRows<2>(call, {LGC_INPUT(void, call, logits), LGC_INPUT(void, call, jvp)}, task);
  }
};

struct LineLossRow {
  RowMarks targets;
  double temperature;
  const float* taus;
  size_t count;
  double *losses, *slopes, *curvatures;  // [count, rows], [rows]
  LGC_DEVICE void operator()(Rows<2>& rows) const {
    const unsigned y = targets.read(rows);
    const size_t n = rows.shape.rows;
    const double top = topOf(rows), nan = __builtin_nan("");
    for (size_t k = 0; k < count; ++k) {
      const double tau = static_cast<double>(taus[k]);
      const auto at = [&](const float(&x)[2]) { return alongLine(static_cast<double>(x[0]), top, static_cast<double>(x[1]), tau); };
      double peak = -kInfinity, sums[2];
      eachColumn(rows, [&](int, const float(&x)[2]) { peak = max(at(x), peak); });
      peak = rows.team.most(peak);
      sumColumnsWide(rows, sums, [&](int, const float(&x)[2], double* t) { LineLoss::terms(at(x), peak, temperature, t); });
      if (!rows.leads()) continue;
      const float own[2] = {rows.entry(0, y), rows.entry(1, y)};
      losses[k * n + rows.row] = rows.reads() ? LineLoss::lossOf(sums[0], sums[1], peak, at(own), temperature) : nan;
    }
    const SlopeMoments m = slopeMomentsOf(rows, top, temperature);
    if (!rows.leads()) return;
    slopes[rows.row] = rows.reads() ? (m.mean - static_cast<double>(rows.entry(1, y))) / temperature : nan;
    curvatures[rows.row] = m.variance / temperature / temperature;
  }
};

// A block for each tau, and one for either derivative.
struct LineLossMean {
  const double *losses, *slopes, *curvatures;
  size_t rows, count;
  float* loss;
  double *slope, *curvature;
  LGC_DEVICE void operator()(size_t item, Team& team) const {
    const double* from = item < count ? losses + item * rows : item == count ? slopes : curvatures;
    double sum = 0;
    for (size_t i = threadIdx.x; i < rows; i += kRowThreads) sum += from[i];
    const double mean = team.sum(sum) * reciprocalOrZero(static_cast<double>(rows));
    if (!team.leads()) return;
    if (item < count)
      loss[item] = static_cast<float>(mean);
    else
      give(item == count ? slope : curvature, mean);
  }
};

struct LineLossOp : LineLoss {
  static void run(DeviceCall& call) {
    const size_t n = call.rows, count = call.dims[static_cast<int>('t')];
    double *losses = call.scratch<double>(n * count), *slopes = call.scratch<double>(n), *curvatures = call.scratch<double>(n);
    forRows<2>(call, {LGC_INPUT(void, call, logits), LGC_INPUT(void, call, jvp)},
               LineLossRow{marksOf<LineLoss>(call), LGC_OPTION(call, temperature), LGC_INPUT(float, call, taus), count, losses, slopes,
                           curvatures});
    forBlocks(call, count + 2,
              LineLossMean{losses, slopes, curvatures, n, count, LGC_OUTPUT(float, call, loss), LGC_NUMBER_AT(call, slope),
                           LGC_NUMBER_AT(call, curvature)});
  }
};

struct ZeroArguments {
  const void *logits, *jvp;
  Storage storage;
  size_t columns;
  double temperature, limit;
  float *rho, *zeroRe, *zeroIm;
};

// The partition function of a row, whose team is the whole block: all of it goes the same way.
class PartitionRow {
 public:
  LGC_DEVICE PartitionRow(const ZeroArguments& a, size_t row, Team& team) : a_(a), start_(row * a.columns), team_(team) {
    double logits[3] = {-kInfinity, -kInfinity, 0}, slopes[3] = {-kInfinity, -kInfinity, 0};
    for (size_t j = threadIdx.x; j < a.columns; j += blockDim.x) {
      const double z = entry(a.logits, j);
      extend(z, logits);
      if (z > -kInfinity) extend(entry(a.jvp, j), slopes);
    }
    team.most(logits);
    team.most(slopes);
    const Range range = rangeFrom(slopes);
    top_ = finiteOrNan(rangeFrom(logits).high);
    spread_ = abs(range.high - range.low);
    middle_ = fma(spread_, 0.5, range.low);
  }
  LGC_DEVICE bool ordered() const { return !isNan(top_) && spread_ < kInfinity; }
  LGC_DEVICE double spread() const { return spread_; }

  LGC_DEVICE PartitionValue valueAt(double x, double y) {
    last_ = {x, topAt(x)};
    double sums[2] = {}, re[kTerms] = {}, im[kTerms] = {};
    each([&](double w, double b) {
      const double e = term(w, b);
      sums[0] += e;
      sums[1] = fma(e, b, sums[1]);
    });
    team_.sum(sums);
    const double mean = sums[1] / sums[0];
    each([&](double w, double b) { addTaylor(term(w, b), b - mean, y, re, im); });
    team_.sum(re);
    team_.sum(im);
    return partitionValue(sums[0], mean, re, im);
  }
  LGC_DEVICE double remainder(const PartitionValue& v, double h) {
    if (h > kMostRemainder) return kInfinity;
    double sum = 0;
    each([&](double w, double b) { sum = addRemainder(sum, term(w, b), abs(b - v.mean) * h, h); });
    return team_.sum(sum);
  }
  LGC_DEVICE bool isDominated(double x, double h) {
    const double top = topAt(x);
    double slope = -kInfinity, sums[2] = {};
    each([&](double w, double b) {
      if (fma(b, x, w) == top) slope = max(slope, b);
    });
    slope = team_.most(slope);
    each([&](double w, double b) {
      const double behind = fma(b, x, w) - top;
      if (b == slope)
        sums[0] += exp(behind);
      else
        sums[1] += exp(fma(abs(b - slope), h, behind));
    });
    team_.sum(sums);
    return dominates(sums[0], sums[1]);
  }

 private:
  struct Point {
    double x, top;
  };
  const ZeroArguments& a_;
  size_t start_;
  Team& team_;
  double top_, spread_, middle_;
  Point last_{};

  LGC_DEVICE double entry(const void* from, size_t j) const { return static_cast<double>(readOne(from, a_.storage, start_ + j)); }
  LGC_DEVICE double term(double w, double b) const { return exp(fma(b, last_.x, w) - last_.top); }
  // f(w, b) of the classes that are not masked.
  template <class F> LGC_DEVICE void each(F&& f) const {
    for (size_t j = threadIdx.x; j < a_.columns; j += blockDim.x) {
      const double z = entry(a_.logits, j);
      if (z > -kInfinity) f((z - top_) / a_.temperature, (entry(a_.jvp, j) - middle_) / spread_);
    }
  }
  LGC_DEVICE double topAt(double x) {
    double most = -kInfinity;
    each([&](double w, double b) { most = max(fma(b, x, w), most); });
    return team_.most(most);
  }
};

static LGC_ROW_KERNEL(1) void zeroRows(LGC_ARGUMENT ZeroArguments a) {
  Team team(blockDim.x, 1, reinterpret_cast<TeamRoom*>(sharedMemory()));
  const size_t row = blockIdx.x;
  PartitionRow sum(a, row, team);
  double rho = __builtin_nan(""), x = rho, y = rho;
  if (sum.ordered()) {
    rho = kInfinity;
    const PartitionZero zero = sum.spread() == 0 ? PartitionZero{} : nearestZero(sum, a.limit);
    if (zero.found) {
      const double scale = a.temperature / sum.spread();
      rho = zero.modulus * scale;
      x = zero.x * scale;
      y = zero.y * scale;
    }
  }
  if (!team.leads()) return;
  a.rho[row] = static_cast<float>(rho);
  a.zeroRe[row] = static_cast<float>(x);
  a.zeroIm[row] = static_cast<float>(y);
}

struct PartitionZeroRadiusOp : PartitionZeroRadius {
  static void run(DeviceCall& call) {
    const size_t c = call.columns;
    float* rho = LGC_OUTPUT(float, call, rho);
    const ZeroArguments a{LGC_INPUT(void, call, logits),
                          LGC_INPUT(void, call, jvp),
                          call.storage,
                          c,
                          LGC_OPTION(call, temperature),
                          LGC_OPTION(call, searchFactor) * kHalfTurn,
                          rho,
                          LGC_OUTPUT(float, call, zeroRe),
                          LGC_OUTPUT(float, call, zeroIm)};
    const unsigned threads = c <= 256 ? kWarpLanes : c <= 2048 ? 128 : kRowThreads;
    launch(call, {call.rows, threads, sizeof(TeamRoom)}, zeroRows, a);
    once(call, LeastRadius{rho, call.rows, LGC_NUMBER_AT(call, batchRho), nullptr});
  }
};

struct BiasEntry {
  const float* bias;
  size_t columns;
  float* out;
  LGC_DEVICE void operator()(size_t i) const { out[i] = bias[i % columns]; }
};
struct LinearHeadJvpOp : LinearHeadJvp {
  static void run(DeviceCall& call) {
    const auto size = [&](char letter) { return call.dims[static_cast<int>(letter)]; };
    const size_t n = size('n'), c = size('c'), d = size('d');
    const float* bias = LGC_INPUT(float, call, dBias);
    const FloatOutput jvp(call, LGC_OUTPUT(void, call, jvp), n * c);
    if (bias) forIndices(call, n * c, BiasEntry{bias, c, jvp.at});
    multiply(call,
             {{LGC_INPUT(float, call, hidden), d, 1}, {LGC_INPUT(float, call, dWeight), 1, d}, jvp.at, n, c, d, 1, bias ? 1.0f : 0.0f});
    jvp.finish(call);
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(lineprobe, PartitionZeroRadiusOp, LinearHeadJvpOp, TiltedKlOp, LineLossOp)
}  // namespace logitcore
