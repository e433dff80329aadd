#include "heads.h"

#include "../engine/eigen.h"
#include "../engine/family.h"
#include "../engine/gram.h"
#include "../engine/row_sweeps.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct BinaryKlDivOp : BinaryKlDiv, RowSweepOp<BinaryKlDiv> {};
struct BinaryKlNormOp : BinaryKlNorm, RowSweepOp<BinaryKlNorm> {};
struct DhkdLossOp : DhkdLoss, RowSweepOp<DhkdLoss> {};

// g_main + g_aux, without the part of g_aux that is opposed to g_main.
struct GradAlign {
  static constexpr Record record{"gradAlign",
                                 "dual-head-kd",
                                 {{"gradMain", "k", Kind::real, Domain::gradient}, {"gradAux", "k", Kind::real, Domain::gradient}},
                                 {},
                                 {inPlace(array("out", "k"), "gradMain"), inPlace(array("aligned", "k"), "gradAux"), scalar("dot"),
                                  scalar("cosine"), scalar("projected")}};

  template <class T> static void run(Call& call) {
    using H = Halves<T>;
    const T *main = LC_INPUT(T, call, gradMain), *aux = LC_INPUT(T, call, gradAux);
    T *out = LC_OUTPUT(T, call, out), *aligned = LC_OUTPUT(T, call, aligned);
    const size_t n = call.inputLength[0];
    const T* both[] = {main, aux};
    double sums[3] = {};
    if (!wideSumsOver<T, 2, 3>(call, both, n, sums, [](const f64x8* x, f64x8* term) LC_LAMBDA {
          term[0] = x[0] * x[1];
          term[1] = x[0] * x[0];
          term[2] = x[1] * x[1];
        }))
      return;
    const bool projected = sums[0] < 0 && sums[1] > 0;
    const f64x8 share = broadcast<f64x8>(projected ? sums[0] / sums[1] : 0.0);
    forLanes<T>(call, n, [&](size_t i, size_t count) {
      const Vec<T> m = readLanes(main + i, count), a = readLanes(aux + i, count);
      f64x8 kept[2], total[2];
      for (int h = 0; h < H::count; ++h) {
        kept[h] = projected ? fnma(share, H::get(m, h), H::get(a, h)) : H::get(a, h);
        total[h] = H::get(m, h) + kept[h];
      }
      writeLanes(aligned + i, H::join(kept), count);
      writeLanes(out + i, H::join(total), count);
    });
    LC_NUMBER(call, dot) = sums[0];
    LC_NUMBER(call, cosine) = cosineOf(sums[0], sums[1], sums[2]);
    LC_NUMBER(call, projected) = projected ? 1 : 0;
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

// The dot product of two rows and their squares.
struct Pairing {
  double dot, a, b;
};
inline Pairing pairing(const double* a, const double* b, size_t n) { return {dotWide(a, b, n), dotWide(a, a, n), dotWide(b, b, n)}; }
inline Pairing orderedPairing(const Pairing* parts, size_t count) {
  Pairing sum{};
  for (size_t i = 0; i < count; ++i) {
    sum.dot += parts[i].dot;
    sum.a += parts[i].a;
    sum.b += parts[i].b;
  }
  return sum;
}

// Gradients of a linear head by two losses: by its weights G^T H a class, by its inputs G W a row.
struct HeadConflict {
  static constexpr Record record{
      "headConflict",
      "dual-head-kd",
      {{"gradA", "n,c", Kind::real, Domain::gradient},
       {"gradB", "n,c", Kind::real, Domain::gradient},
       {"features", "n,d"},
       {"weight", "c,d"}},
      {},
      {array("cosWeight", "c"), array("cosFeature", "n"), scalar("cosWeightAll"), scalar("conflictWeight"), scalar("conflictFeature")}};

  // rows: how many pairs there are; terms: how many rows of `x` each of them is a sum of.
  template <class T>
  static bool pairs(Call& call, const T* a, const T* b, size_t first, size_t step, const T* x, size_t rows, size_t terms, Pairing* out) {
    const size_t d = call.dims[static_cast<int>('d')];
    parallel(call, rows, rowGrain(terms * d), [&](size_t begin, size_t end) {
      Scratch<double> left(call, d), right(call, d);
      if (!left || !right) return;
      for (size_t i = begin; i < end; ++i) {
        weightedSum(a + i * first, step, x, terms, d, static_cast<double*>(left));
        weightedSum(b + i * first, step, x, terms, d, static_cast<double*>(right));
        out[i] = pairing(left, right, d);
      }
    });
    return !call.outOfMemory;
  }
  template <class T> static double cosines(const Pairing* pairs, size_t count, T* out) {
    size_t opposed = 0;
    for (size_t i = 0; i < count; ++i) {
      out[i] = static_cast<T>(cosineOf(pairs[i].dot, pairs[i].a, pairs[i].b));
      opposed += pairs[i].dot < 0;
    }
    return count ? static_cast<double>(opposed) / static_cast<double>(count) : 0.0;
  }
  template <class T> static void run(Call& call) {
    const T *a = LC_INPUT(T, call, gradA), *b = LC_INPUT(T, call, gradB);
    const size_t n = call.rows, c = call.columns;
    Scratch<Pairing> classes(call, c), rows(call, n);
    if (!classes || !rows) return;
    if (!pairs<T>(call, a, b, 1, c, LC_INPUT(T, call, features), c, n, classes)) return;
    if (!pairs<T>(call, a, b, c, 1, LC_INPUT(T, call, weight), n, c, rows)) return;
    LC_NUMBER(call, conflictWeight) = cosines(static_cast<const Pairing*>(classes), c, LC_OUTPUT(T, call, cosWeight));
    LC_NUMBER(call, conflictFeature) = cosines(static_cast<const Pairing*>(rows), n, LC_OUTPUT(T, call, cosFeature));
    const Pairing all = orderedPairing(classes, c);
    LC_NUMBER(call, cosWeightAll) = cosineOf(all.dot, all.a, all.b);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

// Minus the gradients of summed cross-entropy and distillation through a linear head, split at the target.
struct HeadForces {
  static constexpr Record record{
      "headForces",
      "dual-head-kd",
      {kLogitsInput, kTeacher, {"features", "n,d"}, {"weight", "c,d"}, kTargets},
      {kPairTemperature, choice("variant", "plain,norm")},
      {array("cePullWeight", "c,d"), array("cePushWeight", "c,d"), array("kdPullWeight", "c,d"), array("kdPushWeight", "c,d"),
       array("cePullFeature", "n,d"), array("cePushFeature", "n,d"), array("kdPullFeature", "n,d"), array("kdPushFeature", "n,d"),
       scalar("targetConflict"), scalar("nonTargetConflict")}};

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
  template <class T> static void put(const double* from, size_t d, T* out) {
    for (size_t j = 0; j < d; j += kWide) {
      const size_t count = d - j < kWide ? d - j : kWide;
      writeWide(out + j, readWide(from + j, count), count);
    }
  }

  template <class T> static void run(Call& call) {
    const size_t n = call.rows, c = call.columns, d = call.dims[static_cast<int>('d')];
    const T *logits = LC_INPUT(T, call, logits), *teacher = LC_INPUT(T, call, teacher);
    const T *features = LC_INPUT(T, call, features), *weight = LC_INPUT(T, call, weight);
    const int32_t* targets = LC_INPUT(int32_t, call, targets);
    const double t = LC_OPTION(call, temperature);
    const BinaryTerm term(LC_OPTION(call, variant) != 0, t, 0);
    T* const byWeight[2][2] = {{LC_OUTPUT(T, call, cePullWeight), LC_OUTPUT(T, call, cePushWeight)},
                               {LC_OUTPUT(T, call, kdPullWeight), LC_OUTPUT(T, call, kdPushWeight)}};
    T* const byFeature[2][2] = {{LC_OUTPUT(T, call, cePullFeature), LC_OUTPUT(T, call, cePushFeature)},
                                {LC_OUTPUT(T, call, kdPullFeature), LC_OUTPUT(T, call, kdPushFeature)}};
    Scratch<double> ce(call, n * c), kd(call, n * c);
    if (!ce || !kd) return;
    double* const forces[2] = {ce, kd};
    parallel(call, n, rowGrain(c * d), [&](size_t begin, size_t end) {
      Scratch<double> others(call, c), sum(call, d);
      if (!others || !sum) return;
      for (size_t i = begin; i < end; ++i) {
        const size_t y = static_cast<size_t>(targets[i]);
        coefficients(term, t, logits + i * c, teacher + i * c, c, y, ce + i * c, kd + i * c);
        for (int f = 0; f < 2; ++f) {
          const double* k = forces[f] + i * c;
          for (size_t j = 0; j < c; ++j) others[j] = j == y ? 0.0 : k[j];
          weightedSum(k + y, 1, weight + y * d, 1, d, static_cast<double*>(sum));
          put(sum, d, byFeature[f][0] + i * d);
          weightedSum(static_cast<const double*>(others), 1, weight, c, d, static_cast<double*>(sum));
          put(sum, d, byFeature[f][1] + i * d);
        }
      }
    });
    if (call.outOfMemory) return;
    parallel(call, c, rowGrain(n * d), [&](size_t begin, size_t end) {
      Scratch<double> mine(call, n), sum(call, d);
      if (!mine || !sum) return;
      for (size_t j = begin; j < end; ++j)
        for (int f = 0; f < 2; ++f)
          for (int push = 0; push < 2; ++push) {
            for (size_t i = 0; i < n; ++i) mine[i] = (static_cast<size_t>(targets[i]) == j) == (push == 0) ? forces[f][i * c + j] : 0.0;
            weightedSum(static_cast<const double*>(mine), 1, features, n, d, static_cast<double*>(sum));
            put(sum, d, byWeight[f][push] + j * d);
          }
    });
    size_t opposed = 0, attracted = 0;
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < c; ++j) {
        const bool own = static_cast<size_t>(targets[i]) == j;
        opposed += own && kd[i * c + j] < 0;
        attracted += !own && kd[i * c + j] > 0;
      }
    const double rows = static_cast<double>(n), others = rows * static_cast<double>(c - 1);
    LC_NUMBER(call, targetConflict) = static_cast<double>(opposed) * reciprocalOrZero(rows);
    LC_NUMBER(call, nonTargetConflict) = static_cast<double>(attracted) * reciprocalOrZero(others);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

inline bool checkClasses(Call& call);

// NC1 to NC4 of features and, if it is given, of a classifier.
struct NeuralCollapse {
  static constexpr Record record{
      "neuralCollapse",
      "dual-head-kd",
      {{"features", "n,d"}, {"targets", "n", Kind::target}, {"weight", "c,d", Kind::real, Domain::any, true}, optionInput("bias", "c")},
      {between(integer("numClasses", __builtin_nan("")), 2, 2147483647.0)},
      {scalar("nc1"), scalar("nc2Norm"), scalar("nc2Angle"), scalar("nc2MaxAngle"), array("classMeans", "c,d"),
       when(scalar("weightNorm"), "weight"), when(scalar("weightAngle"), "weight"), when(scalar("weightMaxAngle"), "weight"),
       when(scalar("nc3"), "weight"), when(scalar("nc4"), "weight")},
      true,
      nullptr,
      &checkClasses};

  struct Shape {
    size_t n, c, d, stride;
  };
  // Means of the classes, in double, and the deviations of these from their own mean. False, with a message, if a class has no sample.
  template <class T>
  static bool means(Call& call, const T* features, const int32_t* targets, const Shape& s, double* mean, double* centred) {
    Scratch<double> count(call, s.c);
    if (!count) return false;
    for (size_t i = 0; i < s.n; ++i) ++count[static_cast<size_t>(targets[i])];
    for (size_t k = 0; k < s.c; ++k)
      if (count[k] == 0) {
        __builtin_snprintf(call.error, sizeof call.error,
                           "targets has no sample of class %.0f, expected at least one of each of %.0f classes", static_cast<double>(k),
                           static_cast<double>(s.c));
        return false;
      }
    // From the first sample of the class on: a common offset costs no digits.
    Scratch<size_t> first(call, s.c);
    if (!first) return false;
    for (size_t i = s.n; i-- > 0;) first[static_cast<size_t>(targets[i])] = i;
    for (size_t i = 0; i < s.n; ++i) {
      const size_t k = static_cast<size_t>(targets[i]);
      const T *x = features + i * s.d, *origin = features + first[k] * s.d;
      for (size_t t = 0; t < s.d; ++t) mean[k * s.stride + t] += (static_cast<double>(x[t]) - static_cast<double>(origin[t])) / count[k];
    }
    for (size_t t = 0; t < s.d; ++t) {
      for (size_t k = 0; k < s.c; ++k) mean[k * s.stride + t] += static_cast<double>(features[first[k] * s.d + t]);
      const double origin = mean[t];
      double centre = 0;
      for (size_t k = 0; k < s.c; ++k) centre += (mean[k * s.stride + t] - origin) / static_cast<double>(s.c);
      for (size_t k = 0; k < s.c; ++k) centred[k * s.stride + t] = (mean[k * s.stride + t] - origin) - centre;
    }
    return true;
  }

  // trace(S_W pinv(S_B)) / C = (1 / n) sum_i |S^-1 V^T (h_i - mu)|^2 with the centred means m = U S V^T; squares of S at most 1e-9 of
  // the largest are 0. The decomposition is that of the smaller of m m^T, which is there, and m^T m.
  template <class T> static double withinOverBetween(Call& call, const T* features, const int32_t* targets, const Shape& s,
                                                     const double* mean, const double* centred, const double* gram_) {
    const bool turned = s.d < s.c;
    const size_t size = turned ? s.d : s.c, stride = wideStride(s.c);
    Scratch<double> vectors(call, size * size), values(call, size), spare(call, size), map(call, size * s.stride), partial(call, s.n);
    Scratch<double> columns(call, turned ? s.d * stride : 0);
    if (!vectors || !values || !spare || !map || !partial || !columns) return 0;
    if (turned) {
      for (size_t k = 0; k < s.c; ++k)
        for (size_t t = 0; t < s.d; ++t) columns[t * stride + k] = centred[k * s.stride + t];
      const double* m = columns;
      gram(call, {{m, m, 1}}, s.d, s.d, stride, vectors);
    } else {
      __builtin_memcpy(static_cast<double*>(vectors), gram_, size * size * sizeof(double));
    }
    symmetricEigen(vectors, size, values, spare);
    double largest = 0;
    for (size_t k = 0; k < size; ++k) largest = values[k] > largest ? values[k] : largest;
    size_t rank = 0;
    for (size_t k = 0; k < size; ++k) {
      if (values[k] <= 1e-9 * largest) continue;
      double* row = map + rank++ * s.stride;
      const double* vector = vectors + k * size;
      if (turned)
        for (size_t t = 0; t < s.d; ++t) row[t] = vector[t] / sqrt(values[k]);
      else
        weightedSum(vector, 1, centred, s.c, s.stride, row);
      for (size_t t = 0; t < s.d && !turned; ++t) row[t] /= values[k];
    }
    parallel(call, s.n, rowGrain(rank * s.d), [&](size_t begin, size_t end) {
      Scratch<double> off(call, s.stride);
      if (!off) return;
      for (size_t i = begin; i < end; ++i) {
        const double* mu = mean + static_cast<size_t>(targets[i]) * s.stride;
        for (size_t t = 0; t < s.d; ++t) off[t] = static_cast<double>(features[i * s.d + t]) - mu[t];
        for (size_t k = 0; k < rank; ++k) {
          const double along = dotWide(map + k * s.stride, off, s.stride);
          partial[i] += along * along;
        }
      }
    });
    return orderedSum(partial, s.n) / static_cast<double>(s.n);
  }

  // The share of rows whose class by the classifier is not that of the nearest mean.
  template <class T>
  static double disagreement(Call& call, const T* features, const T* weight, const T* bias, const Shape& s, const double* mean) {
    Scratch<double> differs(call, s.n);
    if (!differs) return 0;
    parallel(call, s.n, rowGrain(s.c * s.d), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const T* h = features + i * s.d;
        size_t chosen = 0, nearest = 0;
        double best = 0, least = 0;
        for (size_t k = 0; k < s.c; ++k) {
          const T* w = weight + k * s.d;
          const double* mu = mean + k * s.stride;
          const double logit = (bias ? static_cast<double>(bias[k]) : 0.0) + rowSumWide(s.d, [&](size_t t, size_t count) LC_LAMBDA {
                                 return readWide(h + t, count) * readWide(w + t, count);
                               });
          const double distance = rowSumWide(s.d, [&](size_t t, size_t count) LC_LAMBDA {
            const f64x8 off = readWide(h + t, count) - readWide(mu + t, count);
            return off * off;
          });
          if (k == 0 || logit > best) {
            best = logit;
            chosen = k;
          }
          if (k == 0 || distance < least) {
            least = distance;
            nearest = k;
          }
        }
        differs[i] = chosen == nearest ? 0 : 1;
      }
    });
    return orderedSum(differs, s.n) / static_cast<double>(s.n);
  }

  template <class T> static void run(Call& call) {
    const T *features = LC_INPUT(T, call, features), *weight = LC_INPUT(T, call, weight), *bias = LC_INPUT(T, call, bias);
    const int32_t* targets = LC_INPUT(int32_t, call, targets);
    const size_t d = call.dims[static_cast<int>('d')];
    const Shape s{call.rows, call.columns, d, wideStride(d)};
    Scratch<double> mean(call, s.c * s.stride), centred(call, s.c * s.stride), products(call, s.c * s.c);
    if (!mean || !centred || !products || !means(call, features, targets, s, mean, centred)) return;
    T* out = LC_OUTPUT(T, call, classMeans);
    for (size_t k = 0; k < s.c; ++k)
      for (size_t t = 0; t < d; ++t) out[k * d + t] = static_cast<T>(mean[k * s.stride + t]);
    double* m = centred;
    gram(call, {{m, m, 1}}, s.c, s.c, s.stride, products);
    LC_NUMBER(call, nc1) = withinOverBetween(call, features, targets, s, mean, centred, products);
    const Spread found = spreadOf(products, s.c);
    LC_NUMBER(call, nc2Norm) = found.norm;
    LC_NUMBER(call, nc2Angle) = found.angle;
    LC_NUMBER(call, nc2MaxAngle) = found.maxAngle;
    if (!weight) return;
    const double between = reciprocalOrZero(sqrt(dotWide(m, m, s.c * s.stride)));
    LC_NUMBER(call, nc4) = disagreement(call, features, weight, bias, s, mean);
    // The means are not needed any more.
    double* w = mean;
    for (size_t k = 0; k < s.c; ++k)
      for (size_t t = 0; t < d; ++t) w[k * s.stride + t] = static_cast<double>(weight[k * d + t]);
    gram(call, {{w, w, 1}}, s.c, s.c, s.stride, products);
    const Spread head = spreadOf(products, s.c);
    LC_NUMBER(call, weightNorm) = head.norm;
    LC_NUMBER(call, weightAngle) = head.angle;
    LC_NUMBER(call, weightMaxAngle) = head.maxAngle;
    const f64x8 ours = broadcast<f64x8>(reciprocalOrZero(sqrt(dotWide(w, w, s.c * s.stride)))), theirs = broadcast<f64x8>(between);
    LC_NUMBER(call, nc3) = rowSumWide(s.c * s.stride, [&](size_t t, size_t count) LC_LAMBDA {
      const f64x8 off = readWide(w + t, count) * ours - readWide(m + t, count) * theirs;
      return off * off;
    });
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

// Without a classifier the option says how many classes there are, or else the largest target.
inline bool checkClasses(Call& call) {
  constexpr const Record& record = NeuralCollapse::record;
  const bool bound = LC_INPUT(void, call, weight) || LC_INPUT(void, call, bias), given = LC_GIVEN(call, numClasses);
  if (!bound) {
    int32_t last = 0;
    for (size_t i = 0; i < call.rows && !given; ++i)
      last = LC_INPUT(int32_t, call, targets)[i] > last ? LC_INPUT(int32_t, call, targets)[i] : last;
    call.columns = given ? static_cast<size_t>(LC_OPTION(call, numClasses)) : static_cast<size_t>(last) + 1;
    call.dims[static_cast<int>('c')] = call.columns;
  }
  const double classes = static_cast<double>(call.columns);
  if (given && LC_OPTION(call, numClasses) != classes) {
    __builtin_snprintf(call.error, sizeof call.error, "options.numClasses is %.0f, expected %.0f as in %s", LC_OPTION(call, numClasses),
                       classes, LC_INPUT(void, call, weight) ? "weight" : "options.bias");
    return false;
  }
  if (call.columns >= 2) return true;
  __builtin_snprintf(call.error, sizeof call.error, "%s, expected at least 2 (options.numClasses)",
                     bound ? "weight has 1 row" : "targets has 1 class");
  return false;
}

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(heads, BinaryKlDivOp, BinaryKlNormOp, DhkdLossOp, GradAlign, HeadConflict, HeadForces, NeuralCollapse)
}  // namespace logitcore
