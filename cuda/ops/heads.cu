#include "../../cpp/ops/heads.h"
#include "../engine/flat.h"
#include "../engine/matrix.h"
#include "../engine/row_wide.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

struct GradTerms {
  const float *main, *aux;
  LGC_DEVICE void operator()(size_t i, double (&t)[3]) const {
    GradAlign::terms(static_cast<double>(main[i]), static_cast<double>(aux[i]), t);
  }
};
struct GradProjection {
  bool projected;
  double share;
};
struct GradFacts {
  PartialSums<3> partial;
  GradProjection* projection;
  double *dot, *cosine, *projected;
  LGC_DEVICE void operator()() const {
    Team team = wholeBlock();
    double sums[3];
    partial.add(team, sums);
    if (!team.leads()) return;
    *projection = {GradAlign::isProjected(sums), GradAlign::shareOf(sums)};
    give(dot, sums[0]);
    give(cosine, cosineOf(sums[0], sums[1], sums[2]));
    give(projected, projection->projected ? 1 : 0);
  }
};
struct AlignedEntry {
  const float *main, *aux;
  const GradProjection* projection;
  float *out, *aligned;
  LGC_DEVICE void operator()(size_t i) const {
    const double m = static_cast<double>(main[i]), a = static_cast<double>(aux[i]);
    const double kept = GradAlign::keptOf(projection->projected, projection->share, m, a);
    aligned[i] = static_cast<float>(kept);
    out[i] = static_cast<float>(m + kept);
  }
};

struct GradAlignOp : GradAlign {
  static void run(DeviceCall& call) {
    const float *main = LGC_INPUT(float, call, gradMain), *aux = LGC_INPUT(float, call, gradAux);
    const size_t n = call.inputLength[0];
    GradProjection* projection = call.scratch<GradProjection>(1);
    const PartialSums<3> sums = sumPieces<3>(call, n, GradTerms{main, aux});
    once(call, GradFacts{sums, projection, LGC_NUMBER_AT(call, dot), LGC_NUMBER_AT(call, cosine), LGC_NUMBER_AT(call, projected)});
    forIndices(call, n, AlignedEntry{main, aux, projection, LGC_OUTPUT(float, call, out), LGC_OUTPUT(float, call, aligned)});
  }
};

// Arrays for products in double, and what these give.
struct WidenedEntry {
  const void* from;
  Storage storage;
  double* to;
  LGC_DEVICE void operator()(size_t i) const { to[i] = static_cast<double>(readOne(from, storage, i)); }
};
inline double* widened(DeviceCall& call, const void* from, Storage storage, size_t count) {
  double* to = call.scratch<double>(count);
  forIndices(call, count, WidenedEntry{from, storage, to});
  return to;
}
// Dot products and squares of the rows of two matrices: three numbers a row.
constexpr int kPairNumbers = 3;
struct RowCosine {
  const double *left, *right;
  size_t columns;
  double* pairs;
  float* cosine;
  LGC_DEVICE void operator()(size_t row, Team& team) const {
    const double *u = left + row * columns, *v = right + row * columns;
    double sums[kPairNumbers] = {};
    for (size_t j = threadIdx.x; j < columns; j += kRowThreads) {
      sums[0] += u[j] * v[j];
      sums[1] += u[j] * u[j];
      sums[2] += v[j] * v[j];
    }
    team.sum(sums);
    if (!team.leads()) return;
    for (int k = 0; k < kPairNumbers; ++k) pairs[row * kPairNumbers + static_cast<size_t>(k)] = sums[k];
    cosine[row] = static_cast<float>(cosineOf(sums[0], sums[1], sums[2]));
  }
};
struct CosineFacts {
  const double* pairs;
  size_t rows;
  double *all, *conflict;  // the cosine of all rows together, and the share of rows that are opposed
  LGC_DEVICE void operator()() const {
    Team team = wholeBlock();
    double sums[kPairNumbers + 1] = {};
    for (size_t i = threadIdx.x; i < rows; i += blockDim.x) {
      for (int k = 0; k < kPairNumbers; ++k) sums[k] += pairs[i * kPairNumbers + static_cast<size_t>(k)];
      sums[kPairNumbers] += pairs[i * kPairNumbers] < 0 ? 1.0 : 0.0;
    }
    team.sum(sums);
    if (!team.leads()) return;
    give(all, cosineOf(sums[0], sums[1], sums[2]));
    give(conflict, sums[kPairNumbers] * reciprocalOrZero(static_cast<double>(rows)));
  }
};

struct HeadConflictOp : HeadConflict {
  using Matrix = StridedOf<double>;
  // Of the rows of a x and b x.
  static void cosines(DeviceCall& call, const Matrix& a, const Matrix& b, const double* x, size_t rows, size_t terms, float* cosine,
                      double* all, double* conflict) {
    const size_t d = call.dims[static_cast<int>('d')];
    double *left = call.scratch<double>(rows * d), *right = call.scratch<double>(rows * d);
    double* pairs = call.scratch<double>(rows * kPairNumbers);
    multiply(call, MatrixArgumentsOf<double>{a, rowMajor(x, d), left, rows, d, terms, 1, 0});
    multiply(call, MatrixArgumentsOf<double>{b, rowMajor(x, d), right, rows, d, terms, 1, 0});
    forBlocks(call, rows, RowCosine{left, right, d, pairs, cosine});
    once(call, CosineFacts{pairs, rows, all, conflict});
  }
  static void run(DeviceCall& call) {
    const size_t n = call.rows, c = call.columns, d = call.dims[static_cast<int>('d')];
    const double *a = widened(call, LGC_INPUT(void, call, gradA), call.storage, n * c),
                 *b = widened(call, LGC_INPUT(void, call, gradB), call.storage, n * c),
                 *features = widened(call, LGC_INPUT(void, call, features), Storage::f32, n * d),
                 *weight = widened(call, LGC_INPUT(void, call, weight), Storage::f32, c * d);
    const Matrix u = rowMajor(a, c), v = rowMajor(b, c);
    cosines(call, transposed(u), transposed(v), features, c, n, LGC_OUTPUT(float, call, cosWeight), LGC_NUMBER_AT(call, cosWeightAll),
            LGC_NUMBER_AT(call, conflictWeight));
    cosines(call, u, v, weight, n, c, LGC_OUTPUT(float, call, cosFeature), nullptr, LGC_NUMBER_AT(call, conflictFeature));
  }
};

// Minus the slopes of a row's logits by cross-entropy and by distillation: the target's apart, with 0 in its place.
struct ForceCoefficients {
  double *others, *own;  // [rows, columns], [rows]
};
struct ForceRow {
  RowMarks targets;
  BinaryTerm term;
  double temperature;
  ForceCoefficients ce, kd;
  double *opposed, *attracted;  // counts of each row
  LGC_DEVICE void operator()(Rows<2>& rows) const {
    const unsigned y = targets.read(rows);
    const WideSoftmax p = wideSoftmaxOf(rows, 0, 1);
    const size_t c = rows.shape.columns, start = rows.row * c;
    double sums[2];
    sumColumnsWide(rows, sums, [&](int j, const float(&x)[2], double* t) {
      const bool target = static_cast<unsigned>(j) == y;
      const double mass = p.probability(static_cast<double>(x[0])), slope = slopeOf(x);
      ce.others[start + static_cast<size_t>(j)] = target ? 0.0 : -mass;
      kd.others[start + static_cast<size_t>(j)] = target ? 0.0 : slope;
      t[0] = target ? 0.0 : mass;
      t[1] = !target && slope > 0 ? 1 : 0;
    });
    const double nan = __builtin_nan("");
    if (rows.inside && rows.fate != Fate::kept && rows.team.block == 0)
      for (size_t j = rows.team.rank; j < c; j += rows.team.size) ce.others[start + j] = kd.others[start + j] = nan;
    if (!rows.leads()) return;
    const float at[2] = {rows.entry(0, y), rows.entry(1, y)};
    const double own = rows.reads() ? slopeOf(at) : nan;
    ce.own[rows.row] = rows.reads() ? sums[0] : nan;
    kd.own[rows.row] = own;
    opposed[rows.row] = !rows.reads() ? nan : own < 0 ? 1 : 0;
    attracted[rows.row] = rows.reads() ? sums[1] : nan;
  }

 private:
  LGC_DEVICE double slopeOf(const float (&x)[2]) const {
    return term.slope(static_cast<double>(x[0]), static_cast<double>(x[1])) * -temperature;
  }
};

struct ForceShares {
  const double *opposed, *attracted;
  size_t rows, columns;
  double *targetConflict, *nonTargetConflict;
  LGC_DEVICE void operator()() const {
    const double own = sumRows(rows, [&](size_t i) { return opposed[i]; }), other = sumRows(rows, [&](size_t i) { return attracted[i]; });
    if (threadIdx.x != 0) return;
    const double n = static_cast<double>(rows), others = n * static_cast<double>(columns - 1);
    give(targetConflict, own * reciprocalOrZero(n));
    give(nonTargetConflict, other * reciprocalOrZero(others));
  }
};

// The coefficients of the targets alone pull, one term a row.
struct PullFeature {
  const double* own;
  const int32_t* targets;
  const double* weight;
  size_t classes, features;
  float* out;
  LGC_DEVICE void operator()(size_t i) const {
    const size_t row = i / features;
    const int32_t y = targets[row];
    const bool isClass = y >= 0 && static_cast<size_t>(y) < classes;
    out[i] = static_cast<float>(own[row] * (isClass ? weight[static_cast<size_t>(y) * features + i % features] : 1.0));
  }
};
struct PullWeight {
  const double* own;
  const int32_t* targets;
  const double* samples;
  size_t rows, features;
  float* out;
  LGC_DEVICE void operator()(size_t i) const {
    const size_t k = i / features, t = i % features;
    double sum = 0;
    for (size_t row = 0; row < rows; ++row)
      if (targets[row] == static_cast<int32_t>(k)) sum = fma(own[row], samples[row * features + t], sum);
    out[i] = static_cast<float>(sum);
  }
};

struct HeadForcesOp : HeadForces {
  static void forces(DeviceCall& call, const ForceCoefficients& k, const double* features, const double* weight, float* pullWeight,
                     float* pushWeight, float* pullFeature, float* pushFeature) {
    const size_t n = call.rows, c = call.columns, d = call.dims[static_cast<int>('d')];
    const int32_t* targets = LGC_INPUT(int32_t, call, targets);
    double* product = call.scratch<double>((n > c ? n : c) * d);
    const StridedOf<double> others = rowMajor<double>(k.others, c);
    forIndices(call, c * d, PullWeight{k.own, targets, features, n, d, pullWeight});
    forIndices(call, n * d, PullFeature{k.own, targets, weight, c, d, pullFeature});
    multiply(call, MatrixArgumentsOf<double>{others, rowMajor(weight, d), product, n, d, c, 1, 0});
    storeAs(call, product, n * d, pushFeature);
    multiply(call, MatrixArgumentsOf<double>{transposed(others), rowMajor(features, d), product, c, d, n, 1, 0});
    storeAs(call, product, c * d, pushWeight);
  }
  static void run(DeviceCall& call) {
    const size_t n = call.rows, c = call.columns, d = call.dims[static_cast<int>('d')];
    const double t = LGC_OPTION(call, temperature);
    const double *features = widened(call, LGC_INPUT(void, call, features), Storage::f32, n * d),
                 *weight = widened(call, LGC_INPUT(void, call, weight), Storage::f32, c * d);
    const ForceCoefficients ce{call.scratch<double>(n * c), call.scratch<double>(n)},
        kd{call.scratch<double>(n * c), call.scratch<double>(n)};
    double *opposed = call.scratch<double>(n), *attracted = call.scratch<double>(n);
    forRows<2>(call, {LGC_INPUT(void, call, logits), LGC_INPUT(void, call, teacher)},
               ForceRow{marksOf<HeadForces>(call), BinaryTerm(LGC_OPTION(call, variant) != 0, t, 0), t, ce, kd, opposed, attracted});
    once(call, ForceShares{opposed, attracted, n, c, LGC_NUMBER_AT(call, targetConflict), LGC_NUMBER_AT(call, nonTargetConflict)});
    forces(call, ce, features, weight, LGC_OUTPUT(float, call, cePullWeight), LGC_OUTPUT(float, call, cePushWeight),
           LGC_OUTPUT(float, call, cePullFeature), LGC_OUTPUT(float, call, cePushFeature));
    forces(call, kd, features, weight, LGC_OUTPUT(float, call, kdPullWeight), LGC_OUTPUT(float, call, kdPushWeight),
           LGC_OUTPUT(float, call, kdPullFeature), LGC_OUTPUT(float, call, kdPushFeature));
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(heads, RowSweepOp<BinaryKl<false>>, RowSweepOp<BinaryKl<true>>, RowSweepOp<DhkdLoss>, GradAlignOp, HeadConflictOp,
                        HeadForcesOp)
}  // namespace logitcore
