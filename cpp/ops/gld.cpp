#include "gld.h"

#include "../engine/dense.h"
#include "../engine/family.h"
#include "nodes.h"
#include "uld_rows.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Selects the nodes of the call's logits; false if memory ran out.
template <class D, class T, class F> void withNodes(Call& call, F&& body) {
  constexpr const Record& record = D::record;
  Nodes<T> nodes(call, LGC_INPUT(T, call, logits), LGC_INPUT(int32_t, call, mask), dimOf(call, '*'), dimOf(call, 'l'), call.columns,
                 nodeOptions<D>(call));
  if (!nodes) return;
  nodes.find(call);
  if (!call.outOfMemory) body(nodes);
}
template <class T> void writeCounts(const Nodes<T>& nodes, int32_t* count) {
  for (size_t b = 0; b < nodes.batch; ++b) count[b] = static_cast<int32_t>(nodes.counted(b));
}

struct CoactivationGraphOp : CoactivationGraph {
  template <class T> static void run(Call& call) {
    withNodes<CoactivationGraph, T>(call, [&](Nodes<T>& nodes) {
      const size_t n = nodes.nodes();
      T* out = LGC_OUTPUT(T, call, graph);
      writeCounts(nodes, LGC_OUTPUT(int32_t, call, count));
      parallel(call, nodes.batch, rowGrain(nodes.length * nodes.k * nodes.k + n * n), [&](size_t begin, size_t end) {
        Scratch<double> matrix(call, n * n, false);
        if (!matrix) return;
        for (size_t b = begin; b < end; ++b) {
          for (size_t i = 0; i < n * n; ++i) matrix[i] = 0;
          nodes.graph(b, matrix);
          roundTo(static_cast<const double*>(matrix), n * n, out + b * n * n);
        }
      });
    });
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct CoactivationGraphBackwardOp : CoactivationGraphBackward {
  template <class T> static void run(Call& call) {
    withNodes<CoactivationGraphBackward, T>(
        call, [&](Nodes<T>& nodes) { nodes.graphGradient(call, LGC_INPUT(T, call, gradGraph), LGC_OUTPUT(T, call, gradLogits)); });
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct CoactivationFeaturesOp : CoactivationFeatures {
  template <class T> static void run(Call& call) {
    withNodes<CoactivationFeatures, T>(call, [&](Nodes<T>& nodes) {
      const size_t size = dimOf(call, 'g');
      const double scale = LGC_OPTION(call, featureReduction) == 0 ? 1.0 / static_cast<double>(size) : 1.0;
      T* out = LGC_OUTPUT(T, call, features);
      writeCounts(nodes, LGC_OUTPUT(int32_t, call, count));
      parallel(call, nodes.batch, rowGrain(nodes.length * nodes.k + size), [&](size_t begin, size_t end) {
        Scratch<double> f(call, size, false);
        if (!f) return;
        for (size_t b = begin; b < end; ++b) {
          for (size_t i = 0; i < size; ++i) f[i] = 0;
          nodes.features(b, scale, f);
          for (size_t i = nodes.nodes(); i < size && isNan(f[0]); ++i) f[i] = f[0];
          roundTo(static_cast<const double*>(f), size, out + b * size);
        }
      });
    });
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct CoactivationFeaturesBackwardOp : CoactivationFeaturesBackward {
  template <class T> static void run(Call& call) {
    withNodes<CoactivationFeaturesBackward, T>(call, [&](Nodes<T>& nodes) {
      const size_t size = dimOf(call, 'g');
      const double scale = LGC_OPTION(call, featureReduction) == 0 ? 1.0 / static_cast<double>(size) : 1.0;
      const T* gradFeatures = LGC_INPUT(T, call, gradFeatures);
      Scratch<double> slopes(call, nodes.batch * size, false);
      if (!slopes) return;
      for (size_t b = 0; b < nodes.batch; ++b) {
        const double factor = scale * nodes.positionScale(b);
        for (size_t i = b * size; i < (b + 1) * size; ++i) slopes[i] = static_cast<double>(gradFeatures[i]) * factor;
      }
      nodes.template featureGradient<false>(call, slopes, size, nullptr, 1, LGC_OUTPUT(T, call, gradLogits));
    });
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct GwSortApproxOp : GwSortApprox {
  // Sums of the rows, and how far their entries are from their means with `size` nodes: sum_ij |C_ij - mean_i|.
  template <class T> static void rows(Call& call, const T* matrix, size_t n, size_t size, double* sums, double* deviations) {
    sumRows(call, n, n, sums, [&](size_t i, size_t j, size_t count) LGC_LAMBDA { return readWide(matrix + i * n + j, count); });
    const double share = reciprocalOrZero(static_cast<double>(size));
    sumRows(call, n, n, deviations,
            [&](size_t i, size_t j, size_t count) LGC_LAMBDA { return abs(readWide(matrix + i * n + j, count) - sums[i] * share); });
    for (size_t i = 0; i < n; ++i) deviations[i] = fma(static_cast<double>(size - n), abs(sums[i] * share), deviations[i]);
  }
  template <class T> static void spread(Call& call, const double* slopes, size_t n, T* out) {
    if (out)
      forRows(call, n, n,
              [&](size_t i, size_t j, size_t count) LGC_LAMBDA { writeWide(out + i * n + j, broadcast<f64x8>(slopes[i]), count); });
  }

  template <class T> static void run(Call& call) {
    const size_t a = dimOf(call, 'a'), b = dimOf(call, 'b'), n = dimOf(call, 'g');
    const double share = reciprocalOrZero(static_cast<double>(n)), scale = LGC_OPTION(call, featureReduction) == 0 ? share : 1.0;
    const double factor = LGC_OPTION(call, gwReduction) == 0 ? 1.0 : share;
    Scratch<double> f(call, n), g(call, n), df(call, n), dg(call, n), deviationC(call, a), deviationD(call, b);
    if (!f || !g || !df || !dg || !deviationC || !deviationD) return;
    rows(call, LGC_INPUT(T, call, C), a, n, f, deviationC);
    rows(call, LGC_INPUT(T, call, D), b, n, g, deviationD);
    // Sums of rows have the order of the features whichever way these are scaled.
    double total = 0;
    if (!compareSorted(call, f, g, n, 1, total, df, dg)) return;
    for (size_t i = 0; i < n; ++i) {
      f[i] *= scale;
      g[i] *= scale;
      df[i] *= factor * scale;
      dg[i] *= factor * scale;
    }
    LGC_NUMBER(call, value) = factor * scale * total;
    const double lower = total * share * share;
    LGC_NUMBER(call, lower) = lower;
    LGC_NUMBER(call, upper) = lower + share * share * (orderedSum(deviationC, a) + orderedSum(deviationD, b));
    roundTo(static_cast<const double*>(f), n, LGC_OUTPUT(T, call, featuresC));
    roundTo(static_cast<const double*>(g), n, LGC_OUTPUT(T, call, featuresD));
    spread(call, df, a, LGC_OUTPUT(T, call, gradC));
    spread(call, dg, b, LGC_OUTPUT(T, call, gradD));
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct GldLossOp : GldLoss {
  template <class T> static void run(Call& call) {
    const NodeOptions o = nodeOptions<GldLoss>(call);
    const size_t batch = dimOf(call, '*');
    Nodes<T> student(call, LGC_INPUT(T, call, studentLogits), LGC_INPUT(int32_t, call, studentMask), batch, dimOf(call, 'l'), call.columns,
                     o);
    Nodes<T> teacher(call, LGC_INPUT(T, call, teacherLogits), LGC_INPUT(int32_t, call, teacherMask), batch, dimOf(call, 't'),
                     dimOf(call, 'v'), o);
    T *gradStudent = LGC_OUTPUT(T, call, gradStudent), *gradTeacher = LGC_OUTPUT(T, call, gradTeacher);
    const size_t n = student.nodes() > teacher.nodes() ? student.nodes() : teacher.nodes();
    Scratch<double> values(call, batch), first(call, gradStudent ? batch * n : 0), second(call, gradTeacher ? batch * n : 0);
    Scratch<bool> active(call, batch);
    if (!student || !teacher || !values || !first || !second || !active) return;
    student.find(call);
    teacher.find(call);
    if (call.outOfMemory) return;
    gldValues(call, student, teacher, {LGC_OPTION(call, featureReduction) == 0, LGC_OPTION(call, gwReduction) != 0}, values, active,
              gradStudent ? static_cast<double*>(first) : nullptr, gradTeacher ? static_cast<double*>(second) : nullptr);
    if (call.outOfMemory) return;
    double counted = 0;
    for (size_t b = 0; b < batch; ++b) counted += active[b];
    const int reduction = reductionOf<GldLoss>(call);
    const double scale = reduction == kReduceMean ? reciprocalOrZero(counted) : 1.0;
    if (reduction == kReduceNone)
      for (size_t b = 0; b < batch; ++b) storeScalar<T>(LGC_OUTPUT(void, call, loss), b, values[b]);
    else
      LGC_NUMBER(call, loss) = reduction == kReduceMean && counted == 0 ? __builtin_nan("") : orderedSum(values, batch) * scale;
    if (gradStudent) student.template featureGradient<false>(call, first, n, active, scale, gradStudent);
    if (gradTeacher) teacher.template featureGradient<false>(call, second, n, active, scale, gradTeacher);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct InfiGFusionLossOp : InfiGFusionLoss {
  // Of every student's position the teacher's it is compared with, from 1.
  template <class T> static size_t pair(const Nodes<T>& student, const Nodes<T>& teacher, size_t* partner) {
    size_t pairs = 0;
    for (size_t b = 0; b < student.batch; ++b) {
      const size_t mine = b * student.length, theirs = b * teacher.length;
      eachPair(
          student.length, teacher.length, [&](size_t i) { return student.counts(mine + i); },
          [&](size_t u) { return teacher.counts(theirs + u); },
          [&](size_t i, size_t u) {
            partner[mine + i] = theirs + u + 1;
            ++pairs;
          });
    }
    return pairs;
  }

  template <class T> static void run(Call& call) {
    const NodeOptions o = nodeOptions<InfiGFusionLoss>(call);
    const size_t batch = dimOf(call, '*'), l = dimOf(call, 'l'), t = dimOf(call, 't'), c = call.columns, v = dimOf(call, 'v'),
                 n = batch * l;
    const T *logits = LGC_INPUT(T, call, studentLogits), *other = LGC_INPUT(T, call, teacherLogits);
    const int32_t *targets = LGC_INPUT(int32_t, call, targets), *given = LGC_INPUT(int32_t, call, teacherMask);
    const int32_t ignore = ignoreIndexOf<InfiGFusionLoss>(call);
    Scratch<int32_t> answers(call, n);
    if (!answers) return;
    size_t counted = 0;
    for (size_t i = 0; i < n; ++i) counted += answers[i] = targets[i] != ignore;
    Nodes<T> student(call, logits, answers, batch, l, c, o);
    Nodes<T> teacher(call, other, given ? given : t == l ? static_cast<const int32_t*>(answers) : nullptr, batch, t, v, o);
    T* grad = LGC_OUTPUT(T, call, gradStudent);
    const Weights weight(call);
    const double temperature = LGC_OPTION(call, temperature);
    const bool slopesWanted = grad && weight.gld != 0;
    const size_t nodes = student.nodes() > teacher.nodes() ? student.nodes() : teacher.nodes();
    Scratch<double> values(call, batch), slopes(call, slopesWanted ? batch * nodes : 0), entropies(call, n), distances(call, n);
    Scratch<bool> active(call, batch);
    Scratch<size_t> partner(call, n);
    if (!student || !teacher || !values || !slopes || !entropies || !distances || !active || !partner) return;

    const double pairs = static_cast<double>(pair(student, teacher, partner)), ofPairs = reciprocalOrZero(pairs),
                 ofRows = reciprocalOrZero(static_cast<double>(counted));
    parallel(call, n, rowGrain(c + v), [&](size_t begin, size_t end) {
      UldRows<T> rows(call, c, v, o.topK, static_cast<int>(LGC_OPTION(call, uldTransform)));
      Scratch<Block<T>> blocks(call, blockCount(c));
      Scratch<double> factors(call, blockCount(c));
      if (!rows || !blocks || !factors) return;
      for (size_t i = begin; i < end; ++i) {
        const T* x = logits + i * c;
        T* g = grad ? grad + i * c : nullptr;
        T *ofUld = weight.uld == 0 ? nullptr : g, *ofSft = weight.sft == 0 ? nullptr : g;
        if (g && !(partner[i] && ofUld)) __builtin_memset(static_cast<void*>(g), 0, c * sizeof(T));
        if (partner[i]) distances[i] = rows.row(x, other + (partner[i] - 1) * v, temperature, temperature, weight.uld * ofPairs, ofUld);
        if (answers[i]) entropies[i] = addCrossEntropy<T>(x, c, targets[i], blocks, factors, weight.sft * ofRows, ofSft);
      }
    });
    student.find(call);
    teacher.find(call);
    if (call.outOfMemory) return;
    gldValues(call, student, teacher, {LGC_OPTION(call, featureReduction) == 0, LGC_OPTION(call, gwReduction) != 0}, values, active,
              slopesWanted ? static_cast<double*>(slopes) : nullptr, nullptr);
    if (call.outOfMemory) return;
    double sequences = 0;
    for (size_t b = 0; b < batch; ++b) sequences += active[b];
    const double ofSequences = reciprocalOrZero(sequences), nan = __builtin_nan("");
    if (slopesWanted) student.template featureGradient<true>(call, slopes, nodes, active, weight.gld * ofSequences, grad);

    const double sft = counted ? orderedSum(entropies, n) * ofRows : nan, uld = pairs > 0 ? orderedSum(distances, n) * ofPairs : nan,
                 gld = sequences > 0 ? orderedSum(values, batch) * ofSequences : nan;
    LGC_NUMBER(call, sft) = sft;
    LGC_NUMBER(call, uld) = uld;
    LGC_NUMBER(call, gld) = gld;
    LGC_NUMBER(call, loss) = weight.loss(sft, uld, gld);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL

LOGITCORE_FAMILY(gld, CoactivationGraphOp, CoactivationGraphBackwardOp, CoactivationFeaturesOp, CoactivationFeaturesBackwardOp,
                 GwSortApproxOp, GldLossOp, InfiGFusionLossOp)
}  // namespace logitcore
