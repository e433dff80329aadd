// Neural collapse of features and of a classifier. Source: Papyan, Han and Donoho 2020, as used by Yang et al. 2024 (arXiv 2411.08937).
#pragma once
#include "../engine/angles.h"
#include "../engine/dense.h"
#include "../engine/eigen.h"
#include "../engine/matrix.h"
#include "divergence.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

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
    size_t n, c, d;
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
      for (size_t t = 0; t < s.d; ++t) mean[k * s.d + t] += (static_cast<double>(x[t]) - static_cast<double>(origin[t])) / count[k];
    }
    for (size_t t = 0; t < s.d; ++t) {
      for (size_t k = 0; k < s.c; ++k) mean[k * s.d + t] += static_cast<double>(features[first[k] * s.d + t]);
      const double origin = mean[t];
      double centre = 0;
      for (size_t k = 0; k < s.c; ++k) centre += (mean[k * s.d + t] - origin) / static_cast<double>(s.c);
      for (size_t k = 0; k < s.c; ++k) centred[k * s.d + t] = (mean[k * s.d + t] - origin) - centre;
    }
    return true;
  }

  // trace(S_W pinv(S_B)) / C = (1 / n) sum_i |S^-1 V^T (h_i - mu)|^2 with the centred means m = U S V^T; squares of S at most 1e-9 of
  // the largest are 0. The decomposition is that of the smaller of m m^T, which is there, and m^T m.
  template <class T> static double withinOverBetween(Call& call, const T* features, const int32_t* targets, const Shape& s,
                                                     const double* mean, const double* centred, const double* gram) {
    const View<double> means = rowMajor(centred, s.d);
    const bool byFeature = s.d < s.c;
    const size_t size = byFeature ? s.d : s.c;
    Scratch<double> vectors(call, size * size, false), values(call, size), spare(call, size), map(call, size * s.d), partial(call, s.n);
    if (!vectors || !values || !spare || !map || !partial) return 0;
    if (byFeature)
      multiply<double>(call, s.d, s.d, s.c, transposed(means), means, vectors);
    else
      __builtin_memcpy(static_cast<double*>(vectors), gram, size * size * sizeof(double));
    symmetricEigen(vectors, size, values, spare);
    double largest = 0;
    for (size_t k = 0; k < size; ++k) largest = values[k] > largest ? values[k] : largest;
    // The kept vectors, moved up.
    size_t rank = 0;
    for (size_t k = 0; k < size; ++k) {
      if (values[k] <= 1e-9 * largest) continue;
      const double unit = 1 / (byFeature ? sqrt(values[k]) : values[k]);
      for (size_t t = 0; t < size; ++t) vectors[rank * size + t] = vectors[k * size + t] * unit;
      ++rank;
    }
    const double* rows = vectors;
    if (!byFeature) {
      multiply<double>(call, rank, s.d, s.c, rowMajor<double>(vectors, size), means, map);
      rows = map;
    }
    parallel(call, s.n, rowGrain(rank * s.d), [&](size_t begin, size_t end) {
      Scratch<double> off(call, s.d, false);
      if (!off) return;
      for (size_t i = begin; i < end; ++i) {
        const double* mu = mean + static_cast<size_t>(targets[i]) * s.d;
        for (size_t t = 0; t < s.d; ++t) off[t] = static_cast<double>(features[i * s.d + t]) - mu[t];
        for (size_t k = 0; k < rank; ++k) {
          const double along = dotWide(rows + k * s.d, static_cast<const double*>(off), s.d);
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
          const double* mu = mean + k * s.d;
          const double logit = (bias ? static_cast<double>(bias[k]) : 0.0) + dotWide(h, w, s.d);
          const double distance = rowSumWide(s.d, [&](size_t t, size_t count) LGC_LAMBDA {
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
    const T *features = LGC_INPUT(T, call, features), *weight = LGC_INPUT(T, call, weight), *bias = LGC_INPUT(T, call, bias);
    const int32_t* targets = LGC_INPUT(int32_t, call, targets);
    const size_t d = call.dims[static_cast<int>('d')];
    const Shape s{call.rows, call.columns, d};
    Scratch<double> mean(call, s.c * s.d), centred(call, s.c * d), products(call, s.c * s.c, false);
    if (!mean || !centred || !products || !means(call, features, targets, s, mean, centred)) return;
    T* out = LGC_OUTPUT(T, call, classMeans);
    roundTo(mean, s.c * d, out);
    const double* m = centred;
    multiply<double>(call, s.c, s.c, d, rowMajor(m, d), transposed(rowMajor(m, d)), products);
    LGC_NUMBER(call, nc1) = withinOverBetween(call, features, targets, s, mean, m, products);
    if (call.outOfMemory) return;
    const Spread found = spreadOf(products, s.c);
    LGC_NUMBER(call, nc2Norm) = found.norm;
    LGC_NUMBER(call, nc2Angle) = found.angle;
    LGC_NUMBER(call, nc2MaxAngle) = found.maxAngle;
    if (!weight) return;
    const double between = reciprocalOrZero(sqrt(dotWide(m, m, s.c * s.d)));
    LGC_NUMBER(call, nc4) = disagreement(call, features, weight, bias, s, mean);
    // The means are not needed any more.
    double* w = mean;
    widen(weight, s.c * d, w);
    multiply<double>(call, s.c, s.c, d, rowMajor<double>(w, d), transposed(rowMajor<double>(w, d)), products);
    const Spread head = spreadOf(products, s.c);
    LGC_NUMBER(call, weightNorm) = head.norm;
    LGC_NUMBER(call, weightAngle) = head.angle;
    LGC_NUMBER(call, weightMaxAngle) = head.maxAngle;
    const f64x8 ours = broadcast<f64x8>(reciprocalOrZero(sqrt(dotWide(w, w, s.c * s.d)))), theirs = broadcast<f64x8>(between);
    LGC_NUMBER(call, nc3) = rowSumWide(s.c * s.d, [&](size_t t, size_t count) LGC_LAMBDA {
      const f64x8 off = readWide(w + t, count) * ours - readWide(m + t, count) * theirs;
      return off * off;
    });
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

// Without a classifier the option says how many classes there are, or else the largest target.
inline bool checkClasses(Call& call) {
  constexpr const Record& record = NeuralCollapse::record;
  const bool bound = LGC_INPUT(void, call, weight) || LGC_INPUT(void, call, bias), given = LGC_GIVEN(call, numClasses);
  if (!bound) {
    int32_t last = 0;
    for (size_t i = 0; i < call.rows && !given; ++i)
      last = LGC_INPUT(int32_t, call, targets)[i] > last ? LGC_INPUT(int32_t, call, targets)[i] : last;
    call.columns = given ? static_cast<size_t>(LGC_OPTION(call, numClasses)) : static_cast<size_t>(last) + 1;
    call.dims[static_cast<int>('c')] = call.columns;
  }
  const double classes = static_cast<double>(call.columns);
  if (given && LGC_OPTION(call, numClasses) != classes) {
    __builtin_snprintf(call.error, sizeof call.error, "options.numClasses is %.0f, expected %.0f as in %s", LGC_OPTION(call, numClasses),
                       classes, LGC_INPUT(void, call, weight) ? "weight" : "options.bias");
    return false;
  }
  if (call.columns > call.rows) {
    __builtin_snprintf(call.error, sizeof call.error, "targets has %.0f values, expected at least one of each of %.0f classes",
                       static_cast<double>(call.rows), classes);
    return false;
  }
  if (call.columns >= 2) return true;
  __builtin_snprintf(call.error, sizeof call.error, "%s, expected at least 2 (options.numClasses)",
                     bound ? "weight has 1 row" : "targets has 1 class");
  return false;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
