#include "uld.h"

#include "../engine/family.h"
#include "uld_rows.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct UldLossOp : UldLoss {
  template <class T> static void run(Call& call) {
    const T* student = LGC_INPUT(T, call, student);
    const T* teacher = LGC_INPUT(T, call, teacher);
    const int32_t* mask = LGC_INPUT(int32_t, call, mask);
    T* grad = LGC_OUTPUT(T, call, gradStudent);
    T* each = LGC_OUTPUT(T, call, loss);
    const size_t n = call.rows, c = call.columns, d = call.dims[static_cast<int>('v')];
    const double forStudent = studentTemperature(call), forTeacher = teacherTemperature(call);
    const size_t topK = static_cast<size_t>(LGC_OPTION(call, topK));
    const int transform = static_cast<int>(LGC_OPTION(call, transform)), reduction = reductionOf<UldLoss>(call);
    size_t counted = 0;
    for (size_t i = 0; i < n; ++i) counted += !mask || mask[i] != 0;
    const double scale = reduction == kReduceMean ? reciprocalOrZero(static_cast<double>(counted)) : 1.0;
    Scratch<double> losses(call, n);
    if (!losses) return;
    double* loss = losses;
    parallel(call, n, rowGrain(c + d), [&](size_t begin, size_t end) {
      UldRows<T> rows(call, c, d, topK, transform);
      if (!rows) return;
      for (size_t i = begin; i < end; ++i) {
        T* g = grad ? grad + i * c : nullptr;
        if (mask && mask[i] == 0) {
          if (g) __builtin_memset(static_cast<void*>(g), 0, c * sizeof(T));
          continue;
        }
        loss[i] = rows.row(student + i * c, teacher + i * d, forStudent, forTeacher, scale, g);
      }
    });
    if (reduction == kReduceNone)
      for (size_t i = 0; i < n; ++i) storeScalar<T>(each, i, loss[i]);
    else
      LGC_NUMBER(call, loss) = reduction == kReduceMean && counted == 0 ? __builtin_nan("") : orderedSum(loss, n) * scale;
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct UldSequenceLossOp : UldSequenceLoss {
  template <class T> static void run(Call& call) {
    const size_t b = call.dims[static_cast<int>('b')], t = call.dims[static_cast<int>('t')], u = call.dims[static_cast<int>('u')];
    const size_t c = call.columns, d = call.dims[static_cast<int>('v')], n = b * t;
    const T *student = LGC_INPUT(T, call, student), *teacher = LGC_INPUT(T, call, teacher);
    const int32_t *targets = LGC_INPUT(int32_t, call, studentTargets), *marks = LGC_INPUT(int32_t, call, teacherTargets);
    const Pairing pairing(call);
    const int32_t ignore = pairing.ignore;
    const double ceWeight = LGC_OPTION(call, ceWeight), distillWeight = LGC_OPTION(call, distillWeight);
    const double forStudent = LGC_OPTION(call, studentTemperature), forTeacher = LGC_OPTION(call, teacherTemperature);
    T* grad = LGC_OUTPUT(T, call, gradStudent);
    // Of every position: the teacher's row it is compared with (from 1), its share of the mean, and its two losses.
    Scratch<size_t> partner(call, n);
    Scratch<double> share(call, n), distances(call, n), entropies(call, n);
    if (!partner || !share || !distances || !entropies) return;
    size_t counted = 0;
    for (size_t s = 0; s < b; ++s) {
      pairing.each(targets + s * t, t, marks + s * u, u, [&](size_t mine, size_t theirs, double part) {
        partner[s * t + mine] = s * u + theirs + 1;
        share[s * t + mine] = part;
      });
      for (size_t i = 1; i < t; ++i) counted += targets[s * t + i] != ignore;
    }
    const double ceShare = reciprocalOrZero(static_cast<double>(counted));
    parallel(call, n, rowGrain(c + d), [&](size_t begin, size_t end) {
      UldRows<T> rows(call, c, d, 0, kUldSoftmax);
      Scratch<Block<T>> blocks(call, blockCount(c));
      Scratch<double> factors(call, blockCount(c));
      if (!rows || !blocks || !factors) return;
      for (size_t i = begin; i < end; ++i) {
        const T* x = student + i * c;
        T* g = grad ? grad + i * c : nullptr;
        T *gDistance = distillWeight == 0 ? nullptr : g, *gEntropy = ceWeight == 0 ? nullptr : g;
        if (g && !(partner[i] && gDistance)) __builtin_memset(static_cast<void*>(g), 0, c * sizeof(T));
        if (partner[i])
          distances[i] =
              share[i] * rows.row(x, teacher + (partner[i] - 1) * d, forStudent, forTeacher, distillWeight * share[i], gDistance);
        const int32_t y = i % t + 1 < t ? targets[i + 1] : ignore;
        if (y != ignore) entropies[i] = ceShare * addCrossEntropy<T>(x, c, y, blocks, factors, ceWeight * ceShare, gEntropy);
      }
    });
    const double entropy = orderedSum(entropies, n), distance = orderedSum(distances, n);
    LGC_NUMBER(call, crossEntropy) = entropy;
    LGC_NUMBER(call, distillation) = distance;
    LGC_NUMBER(call, loss) = weighted(ceWeight, entropy) + weighted(distillWeight, distance);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(uld, UldLossOp, UldSequenceLossOp)
}  // namespace logitcore
