#include "table.h"
#include "uld.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

// scale[0]: the factor of the sum over rows; scale[1]: the rows that count.
struct CountedRows {
  const int32_t* mask;
  size_t rows;
  bool mean;
  double* scale;
  LGC_DEVICE void operator()() const {
    const double counted = static_cast<double>(countRows(rows, [&](size_t i) { return !mask || mask[i] != 0; }));
    if (threadIdx.x != 0) return;
    scale[0] = mean ? reciprocalOrZero(counted) : 1.0;
    scale[1] = counted;
  }
};

struct UldLossOp : UldLoss {
  static void run(DeviceCall& call) {
    const size_t n = call.rows, c = call.columns, v = call.dims[static_cast<int>('v')];
    const size_t wide = c > v ? c : v, topK = static_cast<size_t>(LGC_OPTION(call, topK)), k = topK ? topK : wide;
    const int32_t* mask = LGC_INPUT(int32_t, call, mask);
    const int reduction = reductionOf<UldLoss>(call), loss = outputIndex(record, "loss");
    double *distances = call.scratch<double>(n), *scale = call.scratch<double>(2);
    if (!distances || !scale) return;
    once(call, CountedRows{mask, n, reduction == kReduceMean, scale});
    const void *student = LGC_INPUT(void, call, student), *teacher = LGC_INPUT(void, call, teacher);
    const UldSide mine{student, largestPlaces(call, student, n, c, k < c ? k : c), c, studentTemperature(call)};
    const UldSide theirs{teacher, largestPlaces(call, teacher, n, v, k < v ? k : v), v, teacherTemperature(call)};
    UldTask task{};
    task.student = mine;
    task.teacher = theirs;
    task.storage = call.storage;
    task.transform = static_cast<int>(LGC_OPTION(call, transform));
    task.mask = mask;
    task.scale = scale;
    task.weight = 1;
    task.distances = distances;
    task.gradient = {LGC_OUTPUT(void, call, gradStudent), call.storage};
    forBlocks(call, n, task);
    reduceValues(call, loss, reduction, distances, scale, n);
  }
};

// Of every position of the student: the teacher's row it is compared with (from 1) and its share of the mean, and the answer, which is
// the next token.
struct AnswerSpans {
  UldSequenceLoss::Pairing pairing;
  const int32_t *targets, *marks;
  size_t t, u, classes;
  uint32_t* partner;
  double* share;
  int32_t* answers;
  Faults faults;
  LGC_DEVICE void operator()(size_t s) const {
    const int32_t *own = targets + s * t, ignore = pairing.ignore;
    for (size_t i = 0; i < t; ++i) {
      if (own[i] != ignore && (own[i] < 0 || static_cast<size_t>(own[i]) >= classes)) faults.raise();
      partner[s * t + i] = 0;
      share[s * t + i] = 0;
      answers[s * t + i] = i + 1 < t ? own[i + 1] : ignore;
    }
    pairing.each(own, t, marks + s * u, u, [&](size_t mine, size_t theirs, double part) {
      partner[s * t + mine] = static_cast<uint32_t>(s * u + theirs + 1);
      share[s * t + mine] = part;
    });
  }
};
struct AnswerShare {
  const int32_t* answers;
  size_t rows;
  int32_t ignore;
  double* share;
  LGC_DEVICE void operator()() const {
    const double counted = static_cast<double>(countRows(rows, [&](size_t i) { return answers[i] != ignore; }));
    if (threadIdx.x == 0) *share = reciprocalOrZero(counted);
  }
};
struct SequenceTotals {
  const double *entropies, *distances, *entropyShare;
  size_t rows;
  double entropyWeight, distanceWeight;
  double *loss, *crossEntropy, *distillation;
  LGC_DEVICE void operator()() const {
    const double entropy = sumRows(rows, [&](size_t i) { return *entropyShare * entropies[i]; });
    const double distance = sumRows(rows, [&](size_t i) { return distances[i]; });
    if (threadIdx.x != 0) return;
    give(crossEntropy, entropy);
    give(distillation, distance);
    give(loss, weighted(entropyWeight, entropy) + weighted(distanceWeight, distance));
  }
};

struct UldSequenceLossOp : UldSequenceLoss {
  static void run(DeviceCall& call) {
    const auto size = [&](char letter) { return call.dims[static_cast<int>(letter)]; };
    const size_t b = size('b'), t = size('t'), u = size('u'), c = call.columns, v = size('v'), n = b * t;
    const double ceWeight = LGC_OPTION(call, ceWeight), distillWeight = LGC_OPTION(call, distillWeight);
    uint32_t* partner = call.scratch<uint32_t>(n);
    int32_t* answers = call.scratch<int32_t>(n);
    double *share = call.scratch<double>(n), *distances = call.scratch<double>(n), *entropies = call.scratch<double>(n),
           *entropyShare = call.scratch<double>(1);
    FloatOutput gradient(call, LGC_OUTPUT(void, call, gradStudent), n * c);
    if (call.outOfMemory) return;
    const Pairing pairing(call);
    const int32_t ignore = pairing.ignore;
    const Faults faults = faultsOf(call, inputIndex(record, "studentTargets"));
    forIndices(call, b,
               AnswerSpans{pairing, LGC_INPUT(int32_t, call, studentTargets), LGC_INPUT(int32_t, call, teacherTargets), t, u, c, partner,
                           share, answers, faults});
    once(call, AnswerShare{answers, n, ignore, entropyShare});
    const void *student = LGC_INPUT(void, call, student), *teacher = LGC_INPUT(void, call, teacher);
    UldTask task{};
    task.student = {student, largestPlaces(call, student, n, c, c), c, LGC_OPTION(call, studentTemperature)};
    task.teacher = {teacher, largestPlaces(call, teacher, b * u, v, v), v, LGC_OPTION(call, teacherTemperature)};
    task.storage = call.storage;
    task.transform = kUldSoftmax;
    task.partner = partner;
    task.share = share;
    task.weight = distillWeight;
    task.distances = distances;
    task.gradient = {gradient.at, Storage::f32};
    forBlocks(call, n, task);
    forRows<1>(
        call, n, c, {student},
        AddedCrossEntropy{{answers, ignore, true, true, faults}, entropyShare, ceWeight, entropies, ceWeight == 0 ? nullptr : gradient.at});
    gradient.finish(call);
    once(call, SequenceTotals{entropies, distances, entropyShare, n, ceWeight, distillWeight, LGC_NUMBER_AT(call, loss),
                              LGC_NUMBER_AT(call, crossEntropy), LGC_NUMBER_AT(call, distillation)});
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(uld, UldLossOp, UldSequenceLossOp)
}  // namespace logitcore
