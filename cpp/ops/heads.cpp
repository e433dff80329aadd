#include "heads.h"

#include "../engine/dense.h"
#include "../engine/family.h"
#include "../engine/matrix.h"
#include "../engine/row_sweeps.h"
#include "../engine/row_wide.h"
#include "collapse.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

template <bool Norm> struct BinaryKlOp : BinaryKl<Norm>, RowSweepOp<BinaryKl<Norm>> {};
struct DhkdLossOp : DhkdLoss, RowSweepOp<DhkdLoss> {};

struct GradAlignOp : GradAlign {
  template <class T> static void run(Call& call) {
    using H = Halves<T>;
    const T *main = LGC_INPUT(T, call, gradMain), *aux = LGC_INPUT(T, call, gradAux);
    T *out = LGC_OUTPUT(T, call, out), *aligned = LGC_OUTPUT(T, call, aligned);
    const size_t n = call.inputLength[0];
    const T* both[] = {main, aux};
    double sums[3] = {};
    if (!wideSumsOver<T, 2, 3>(call, both, n, sums, [](const f64x8* x, f64x8* term) LGC_LAMBDA { terms(x[0], x[1], term); })) return;
    const bool projected = isProjected(sums);
    const double share = shareOf(sums);
    forLanes<T>(call, n, [&](size_t i, size_t count) {
      const Vec<T> m = readLanes(main + i, count), a = readLanes(aux + i, count);
      f64x8 kept[2], total[2];
      for (int h = 0; h < H::count; ++h) {
        kept[h] = keptOf(projected, share, H::get(m, h), H::get(a, h));
        total[h] = H::get(m, h) + kept[h];
      }
      writeLanes(aligned + i, H::join(kept), count);
      writeLanes(out + i, H::join(total), count);
    });
    LGC_NUMBER(call, dot) = sums[0];
    LGC_NUMBER(call, cosine) = cosineOf(sums[0], sums[1], sums[2]);
    LGC_NUMBER(call, projected) = projected ? 1 : 0;
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct HeadConflictOp : HeadConflict {
  // Dot product and squares of two vectors.
  struct Pair {
    double dot, a, b;
  };
  // Cosines of the rows of a [rows, terms] x and b x, x [terms, d]; returns the share of negative ones.
  template <class T>
  static double cosines(Call& call, View<double> a, View<double> b, const double* x, size_t rows, size_t terms, Pair* pairs, T* out) {
    const size_t d = call.dims[static_cast<int>('d')];
    Scratch<double> left(call, rows * d, false), right(call, rows * d, false);
    if (!left || !right) return 0;
    multiply<double>(call, rows, d, terms, a, rowMajor(x, d), left);
    multiply<double>(call, rows, d, terms, b, rowMajor(x, d), right);
    size_t opposed = 0;
    for (size_t i = 0; i < rows && !call.outOfMemory; ++i) {
      const double *u = left + i * d, *v = right + i * d;
      pairs[i] = {dotWide(u, v, d), dotWide(u, u, d), dotWide(v, v, d)};
      out[i] = static_cast<T>(cosineOf(pairs[i].dot, pairs[i].a, pairs[i].b));
      opposed += pairs[i].dot < 0;
    }
    return static_cast<double>(opposed) * reciprocalOrZero(static_cast<double>(rows));
  }
  template <class T> static void run(Call& call) {
    const size_t n = call.rows, c = call.columns, d = call.dims[static_cast<int>('d')];
    Scratch<double> a(call, n * c, false), b(call, n * c, false), features(call, n * d, false), weight(call, c * d, false);
    Scratch<Pair> classes(call, c), rows(call, n);
    if (!a || !b || !features || !weight || !classes || !rows) return;
    widen(LGC_INPUT(T, call, gradA), n * c, static_cast<double*>(a));
    widen(LGC_INPUT(T, call, gradB), n * c, static_cast<double*>(b));
    widen(LGC_INPUT(T, call, features), n * d, static_cast<double*>(features));
    widen(LGC_INPUT(T, call, weight), c * d, static_cast<double*>(weight));
    const View<double> u = rowMajor<double>(a, c), v = rowMajor<double>(b, c);
    LGC_NUMBER(call, conflictWeight) =
        cosines<T>(call, transposed(u), transposed(v), features, c, n, classes, LGC_OUTPUT(T, call, cosWeight));
    LGC_NUMBER(call, conflictFeature) = cosines<T>(call, u, v, weight, n, c, rows, LGC_OUTPUT(T, call, cosFeature));
    Pair all{};
    for (size_t k = 0; k < c; ++k) all = {all.dot + classes[k].dot, all.a + classes[k].a, all.b + classes[k].b};
    LGC_NUMBER(call, cosWeightAll) = cosineOf(all.dot, all.a, all.b);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct HeadForcesOp : HeadForces {
  // Minus the slopes of a row's logits.
  template <class T>
  static void coefficients(const BinaryTerm& term, double t, const T* z, const T* teacher, size_t c, size_t y, double* ce, double* kd) {
    softmaxWide(z, c, 1, ce);
    double others = 0;
    for (size_t j = 0; j < c; ++j) {
      if (j != y) others += ce[j];
      ce[j] = -ce[j];
    }
    ce[y] = others;
    for (size_t j = 0; j < c; j += kWide) {
      const size_t count = c - j < kWide ? c - j : kWide;
      storeFirst(kd + j, term.slope(readWide(z + j, count), readWide(teacher + j, count)) * broadcast<f64x8>(-t), static_cast<int>(count));
    }
  }
  // The coefficients of the targets alone pull, one term a row; all others push.
  template <class T> static void forces(Call& call, double* k, const int32_t* targets, const double* features, const double* weight,
                                        T* pullWeight, T* pushWeight, T* pullFeature, T* pushFeature) {
    const size_t n = call.rows, c = call.columns, d = call.dims[static_cast<int>('d')], most = n > c ? n : c;
    Scratch<double> sum(call, most * d);
    if (!sum) return;
    const View<double> coefficients = rowMajor<double>(k, c);
    for (size_t i = 0; i < n; ++i) {
      const size_t y = static_cast<size_t>(targets[i]);
      const double own = k[i * c + y];
      k[i * c + y] = 0;
      for (size_t t = 0; t < d; ++t) {
        sum[y * d + t] = fma(own, features[i * d + t], sum[y * d + t]);
        pullFeature[i * d + t] = static_cast<T>(own * weight[y * d + t]);
      }
    }
    roundTo(sum, c * d, pullWeight);
    multiply<double>(call, n, d, c, coefficients, rowMajor(weight, d), sum);
    roundTo(sum, n * d, pushFeature);
    multiply<double>(call, c, d, n, transposed(coefficients), rowMajor(features, d), sum);
    roundTo(sum, c * d, pushWeight);
  }

  template <class T> static void run(Call& call) {
    const size_t n = call.rows, c = call.columns, d = call.dims[static_cast<int>('d')];
    const T *logits = LGC_INPUT(T, call, logits), *teacher = LGC_INPUT(T, call, teacher);
    const int32_t* targets = LGC_INPUT(int32_t, call, targets);
    const double t = LGC_OPTION(call, temperature);
    const BinaryTerm term(LGC_OPTION(call, variant) != 0, t, 0);
    Scratch<double> ce(call, n * c, false), kd(call, n * c, false), features(call, n * d, false), weight(call, c * d, false);
    if (!ce || !kd || !features || !weight) return;
    widen(LGC_INPUT(T, call, features), n * d, static_cast<double*>(features));
    widen(LGC_INPUT(T, call, weight), c * d, static_cast<double*>(weight));
    parallel(call, n, rowGrain(c), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i)
        coefficients(term, t, logits + i * c, teacher + i * c, c, static_cast<size_t>(targets[i]), ce + i * c, kd + i * c);
    });
    size_t opposed = 0, attracted = 0;
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < c; ++j) {
        const bool own = static_cast<size_t>(targets[i]) == j;
        opposed += own && kd[i * c + j] < 0;
        attracted += !own && kd[i * c + j] > 0;
      }
    const double rows = static_cast<double>(n), others = rows * static_cast<double>(c - 1);
    LGC_NUMBER(call, targetConflict) = static_cast<double>(opposed) * reciprocalOrZero(rows);
    LGC_NUMBER(call, nonTargetConflict) = static_cast<double>(attracted) * reciprocalOrZero(others);
    forces(call, ce, targets, features, weight, LGC_OUTPUT(T, call, cePullWeight), LGC_OUTPUT(T, call, cePushWeight),
           LGC_OUTPUT(T, call, cePullFeature), LGC_OUTPUT(T, call, cePushFeature));
    forces(call, kd, targets, features, weight, LGC_OUTPUT(T, call, kdPullWeight), LGC_OUTPUT(T, call, kdPushWeight),
           LGC_OUTPUT(T, call, kdPullFeature), LGC_OUTPUT(T, call, kdPushFeature));
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(heads, BinaryKlOp<false>, BinaryKlOp<true>, DhkdLossOp, GradAlignOp, HeadConflictOp, HeadForcesOp, NeuralCollapse)
}  // namespace logitcore
