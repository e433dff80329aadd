#include "nodes.h"
#include "sorted_features.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

// Which sequences count on both sides, and the factor of their sum: scale[0]; scale[1] is their number.
struct ActivePairs {
  const double *student, *teacher;
  size_t batch;
  bool mean;
  double *active, *scale;
  LGC_DEVICE void operator()() const {
    const auto is = [&](size_t b) { return student[b] > 0 && teacher[b] > 0; };
    for (size_t b = threadIdx.x; b < batch; b += blockDim.x) active[b] = is(b);
    const double counted = static_cast<double>(countRows(batch, is));
    if (threadIdx.x != 0) return;
    scale[0] = mean ? reciprocalOrZero(counted) : 1.0;
    scale[1] = counted;
  }
};
// Slopes of the features become those of sums over positions.
struct ScalePairs {
  const double* scales;
  size_t n;
  double scale;
  double* slopes;
  LGC_DEVICE void operator()(size_t i) const { slopes[i] *= scale * scales[i / n]; }
};

struct GldSides {
  double *values, *active, *scale;                          // [batch], [batch], [2]
  double *studentSlope = nullptr, *teacherSlope = nullptr;  // [batch, nodes]
  size_t nodes;
};
// The value of every sequence, 0 where a side has no counted position, and the slopes by the features of both sides.
inline GldSides gldValues(DeviceCall& call, const NodeSet& student, const NodeSet& teacher, bool featureMean, bool valueMean, bool mean,
                          bool forStudent, bool forTeacher) {
  GldSides r{};
  const size_t n = student.nodes() > teacher.nodes() ? student.nodes() : teacher.nodes(), batch = student.batch;
  const double share = 1.0 / static_cast<double>(n), scale = featureMean ? share : 1.0;
  r.nodes = n;
  r.values = call.scratch<double>(batch);
  r.active = call.scratch<double>(batch);
  r.scale = call.scratch<double>(2);
  double *f = call.scratch<double>(batch * n), *g = call.scratch<double>(batch * n);
  if (forStudent) r.studentSlope = call.scratch<double>(batch * n);
  if (forTeacher) r.teacherSlope = call.scratch<double>(batch * n);
  once(call, ActivePairs{student.counted, teacher.counted, batch, mean, r.active, r.scale});
  featuresOf(call, student, scale, n, f);
  featuresOf(call, teacher, scale, n, g);
  compareSorted(call, f, g, batch, n, valueMean ? share : 1.0, r.active, r.values, r.studentSlope, r.teacherSlope);
  if (forStudent) forIndices(call, batch * n, ScalePairs{student.scales, n, scale, r.studentSlope});
  if (forTeacher) forIndices(call, batch * n, ScalePairs{teacher.scales, n, scale, r.teacherSlope});
  return r;
}

struct GldLossOp : GldLoss {
  static void run(DeviceCall& call) {
    const NodeOptions o = nodeOptions<GldLoss>(call);
    const size_t batch = dimOf(call, '*');
    const NodeSet student = nodesOf(call, LGC_INPUT(void, call, studentLogits), LGC_INPUT(int32_t, call, studentMask), batch,
                                    dimOf(call, 'l'), call.columns, o);
    const NodeSet teacher = nodesOf(call, LGC_INPUT(void, call, teacherLogits), LGC_INPUT(int32_t, call, teacherMask), batch,
                                    dimOf(call, 't'), dimOf(call, 'v'), o);
    void *gradStudent = LGC_OUTPUT(void, call, gradStudent), *gradTeacher = LGC_OUTPUT(void, call, gradTeacher);
    const int reduction = reductionOf<GldLoss>(call), loss = outputIndex(record, "loss");
    const GldSides sides = gldValues(call, student, teacher, LGC_OPTION(call, featureReduction) == 0, LGC_OPTION(call, gwReduction) != 0,
                                     reduction == kReduceMean, gradStudent, gradTeacher);
    reduceValues(call, loss, reduction, sides.values, sides.scale, batch);
    gradientOf(call, student, teacher, sides, sides.studentSlope, gradStudent);
    gradientOf(call, teacher, student, sides, sides.teacherSlope, gradTeacher);
  }
  static void gradientOf(DeviceCall& call, const NodeSet& side, const NodeSet& other, const GldSides& sides, const double* slopes,
                         void* out) {
    if (!out) return;
    double* dx = call.scratch<double>(side.positions() * side.k);
    forBlocks(call, side.positions(), FeatureSlopes{side, slopes, sides.nodes, sides.scale, 1, dx});
    addGradient(call, side, dx, other.counted, {out, call.storage}, false);
  }
};

// Which positions count, and of every student's position the teacher's it is compared with, from 1: the i-th that counts with the i-th.
struct PairPositions {
  const int32_t *targets, *teacherMask;
  size_t l, t, classes;
  int32_t ignore;
  int32_t* answers;
  uint32_t* partner;
  Faults faults;
  LGC_DEVICE void operator()(size_t b) const {
    const int32_t* own = answers + b * l;
    for (size_t i = b * l; i < (b + 1) * l; ++i) {
      answers[i] = targets[i] != ignore;
      partner[i] = 0;
      if (answers[i] && (targets[i] < 0 || static_cast<size_t>(targets[i]) >= classes)) faults.raise();
    }
    InfiGFusionLoss::eachPair(
        l, t, [&](size_t i) { return own[i] != 0; },
        [&](size_t u) { return teacherMask ? teacherMask[b * t + u] != 0 : t != l || own[u] != 0; },
        [&](size_t i, size_t u) { partner[b * l + i] = static_cast<uint32_t>(b * t + u + 1); });
  }
};
// shares[0]: of the answers in their mean, shares[1]: of the pairs; shares[2], shares[3]: how many there are.
struct FusionShares {
  const int32_t* answers;
  const uint32_t* partner;
  size_t rows;
  double* shares;
  LGC_DEVICE void operator()() const {
    const double counted = static_cast<double>(countRows(rows, [&](size_t i) { return answers[i] != 0; }));
    const double pairs = static_cast<double>(countRows(rows, [&](size_t i) { return partner[i] != 0; }));
    if (threadIdx.x != 0) return;
    shares[0] = reciprocalOrZero(counted);
    shares[1] = reciprocalOrZero(pairs);
    shares[2] = counted;
    shares[3] = pairs;
  }
};
struct FusionTotals {
  const double *entropies, *distances, *values, *shares, *sequences;
  size_t rows, batch;
  InfiGFusionLoss::Weights weight;
  double *loss, *sft, *uld, *gld;
  LGC_DEVICE void operator()() const {
    const double nan = __builtin_nan("");
    const double entropy = sumRows(rows, [&](size_t i) { return entropies[i]; }),
                 distance = sumRows(rows, [&](size_t i) { return distances[i]; }),
                 value = sumRows(batch, [&](size_t b) { return values[b]; });
    if (threadIdx.x != 0) return;
    const double a = shares[2] > 0 ? entropy * shares[0] : nan, u = shares[3] > 0 ? distance * shares[1] : nan,
                 g = sequences[1] > 0 ? value * sequences[0] : nan;
    give(sft, a);
    give(uld, u);
    give(gld, g);
    give(loss, weight.loss(a, u, g));
  }
};

struct InfiGFusionLossOp : InfiGFusionLoss {
  static void run(DeviceCall& call) {
    const NodeOptions o = nodeOptions<InfiGFusionLoss>(call);
    const size_t batch = dimOf(call, '*'), l = dimOf(call, 'l'), t = dimOf(call, 't'), c = call.columns, v = dimOf(call, 'v'),
                 n = batch * l;
    const void *logits = LGC_INPUT(void, call, studentLogits), *other = LGC_INPUT(void, call, teacherLogits);
    const int32_t *targets = LGC_INPUT(int32_t, call, targets), *given = LGC_INPUT(int32_t, call, teacherMask);
    const int32_t ignore = ignoreIndexOf<InfiGFusionLoss>(call);
    const Weights weight(call);
    const double temperature = LGC_OPTION(call, temperature);
    int32_t* answers = call.scratch<int32_t>(n);
    uint32_t* partner = call.scratch<uint32_t>(n);
    double *shares = call.scratch<double>(4), *entropies = call.scratch<double>(n), *distances = call.scratch<double>(n);
    FloatOutput gradient(call, LGC_OUTPUT(void, call, gradStudent), n * c);
    const Faults faults = faultsOf(call, inputIndex(record, "targets"));
    forIndices(call, batch, PairPositions{targets, given, l, t, c, ignore, answers, partner, faults});
    once(call, FusionShares{answers, partner, n, shares});

    UldTask task{};
    task.student = {logits, largestPlaces(call, logits, n, c, o.topK < c ? o.topK : c), c, temperature};
    task.teacher = {other, largestPlaces(call, other, batch * t, v, o.topK < v ? o.topK : v), v, temperature};
    task.storage = call.storage;
    task.transform = static_cast<int>(LGC_OPTION(call, uldTransform));
    task.partner = partner;
    task.scale = shares + 1;
    task.weight = weight.uld;
    task.distances = distances;
    task.gradient = {gradient.at, Storage::f32};
    forBlocks(call, n, task);
    forRows<1>(
        call, n, c, {logits},
        AddedCrossEntropy{{targets, ignore, true, true, faults}, shares, weight.sft, entropies, weight.sft == 0 ? nullptr : gradient.at});

    const NodeSet student = nodesOf(call, logits, answers, batch, l, c, o);
    const NodeSet teacher = nodesOf(call, other, given ? given : t == l ? answers : nullptr, batch, t, v, o);
    const bool moves = gradient.at && weight.gld != 0;
    const GldSides sides =
        gldValues(call, student, teacher, LGC_OPTION(call, featureReduction) == 0, LGC_OPTION(call, gwReduction) != 0, true, moves, false);
    if (moves) {
      double* dx = call.scratch<double>(n * student.k);
      forBlocks(call, n, FeatureSlopes{student, sides.studentSlope, sides.nodes, sides.scale, weight.gld, dx});
      addGradient(call, student, dx, teacher.counted, {gradient.at, Storage::f32}, true);
    }
    gradient.finish(call);
    once(call, FusionTotals{entropies, distances, sides.values, shares, sides.scale, n, batch, weight, LGC_NUMBER_AT(call, loss),
                            LGC_NUMBER_AT(call, sft), LGC_NUMBER_AT(call, uld), LGC_NUMBER_AT(call, gld)});
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_PART(gld, gld_loss, GldLossOp, InfiGFusionLossOp)
}  // namespace logitcore
