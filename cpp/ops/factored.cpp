#include "factored.h"

#include "../engine/family.h"
#include "../engine/select.h"
#include "factored_step.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct SphericalLayerStepOp : SphericalLayerStep {
  template <class T> static void run(Call& call) {
    const SphericalLayerStep options(call);
    const size_t n = call.rows, d = call.dims[static_cast<size_t>('d')];
    const Layer<T> layer = layerOf<SphericalLayerStep, T>(call);
    double* memory = LGC_OUTPUT(double, call, delayed);
    const size_t length = memory ? call.dims[static_cast<size_t>('m')] : 0;
    if (memory) carry(LGC_INPUT(double, call, delayed), length, memory);
    const int32_t* targets = LGC_INPUT(int32_t, call, targets);
    const int32_t ignore = ignoreIndexOf<SphericalLayerStep>(call);
    Scratch<size_t> rows(call, n, false);
    Delayed<T> delayed(call, layer, memory, length);
    if (call.outOfMemory) return;
    size_t m = 0;
    for (size_t i = 0; i < n; ++i)
      if (targets[i] != ignore) rows[m++] = i;
    if (options.rate > 0 && !delayed.hasRoom(m)) delayed.flush();
    if (call.outOfMemory) return;
    LayerStep<T> step(call, options, layer, delayed, targets, rows, m);
    if (call.outOfMemory) return;
    step.forward(LGC_INPUT(T, call, hidden), rows, reductionOf<SphericalLayerStep>(call) == kReduceMean ? reciprocalOrZero(m) : 1.0);
    if (call.outOfMemory) return;
    bool restarted = false;
    // Before anything of the caller's is written, the gradient too.
    const double loss = step.loss();
    if (options.rate > 0 && !step.update(restarted)) return;
    T* gradient = LGC_OUTPUT(T, call, gradHidden);
    for (size_t i = 0, k = 0; i < n; ++i) {
      if (k < m && rows[k] == i)
        carry(step.gradient(k++), d, gradient + i * d);
      else
        __builtin_memset(gradient + i * d, 0, d * sizeof(T));
    }
    if (LGC_OPTION(call, flush) != 0) delayed.flush();
    LGC_NUMBER(call, loss) = loss;
    LGC_NUMBER(call, restarted) = restarted;
    LGC_NUMBER(call, condition) = step.condition();
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct SphericalLayerStabilizeOp : SphericalLayerStabilize {
  template <class T> static void run(Call& call) {
    const double* inverse = LGC_INPUT(double, call, inverseU);
    Layer<T> layer = layerOf<SphericalLayerStabilize, T>(call);
    const size_t d = layer.width;
    // Three matrices of d^2: the eigenvectors of U U^T, then L^T and S of the sweep; and three rows.
    Scratch<double> vectors(call, d * d, false), left(call, d * d, false), spread(call, d * d, false), rows(call, 3 * d, false);
    if (!vectors || !left || !spread || !rows) return;
    size_t r = outside(call, layer.U, d, LGC_OPTION(call, low), LGC_OPTION(call, high), vectors, rows);
    if (call.outOfMemory) return;
    bool restart = 3 * r > d;
    if (!restart && r > 0) fix(call, layer, r, vectors, rows, left, spread);
    if (!restart && !(inverse && r == 0 && isInverse(call, layer, sizeof(T) == 4 ? 1e-10 : 1e-14))) {
      for (size_t i = 0; i < d * d; ++i) vectors[i] = layer.U[i];
      identity(layer.inverse, d);
      restart = !solve(call, vectors, d, layer.inverse, d) && !call.outOfMemory;
    }
    if (restart) {
      layer.restart(call);
      layer.measure(call);
    }
    LGC_NUMBER(call, fixed) = static_cast<double>(r);
    LGC_NUMBER(call, restarted) = restart;
  }

  // Whether U U^-1 is 1 up to `tolerance`, by four rows of +1 and -1: a deviation E of its entries moves each entry of a row by about
  // the norm of a column of E.
  template <class T> static bool isInverse(Call& call, const Layer<T>& layer, double tolerance) {
    constexpr size_t kProbes = 4;
    const size_t d = layer.width;
    Scratch<double> signs(call, kProbes * d, false), turned(call, kProbes * d, false), back(call, kProbes * d, false);
    if (!signs || !turned || !back) return false;
    uint32_t state = 1;
    for (size_t i = 0; i < kProbes * d; ++i) {
      state = state * 1664525u + 1013904223u;
      signs[i] = state >> 31 ? 1 : -1;
    }
    multiply<double>(call, kProbes, d, d, rowMajor<double>(signs, d), rowMajor<double>(layer.U, d), turned);
    multiply<double>(call, kProbes, d, d, rowMajor<double>(turned, d), rowMajor<double>(layer.inverse, d), back);
    bool close = true;
    for (size_t i = 0; i < kProbes * d; ++i) {
      close = close && abs(back[i] - signs[i]) <= tolerance;  // not for NaN
    }
    return close;
  }

  // How many singular values of U are outside the range; the first rows of `vectors` are then their left vectors, `values` they.
  static size_t outside(Call& call, const double* u, size_t d, double low, double high, double* vectors, double* values) {
    if (singularValuesWithin(u, d, low, high)) return 0;
    const View<double> U = rowMajor(u, d);
    multiply<double>(call, d, d, d, 1, U, transposed(U), 0, vectors, d);
    if (call.outOfMemory || eigenvaluesWithin(vectors, d, low * low, high * high)) return 0;
    symmetricEigen(vectors, d, values, values + d);
    size_t r = 0;
    for (size_t k = 0; k < d; ++k) {
      const double sigma = sqrt(values[k] > 0 ? values[k] : 0);
      if (sigma >= low && sigma <= high) continue;
      // What is below the rounding of the largest says nothing: any number serves, since both factors take it.
      values[r] = sigma > 1e-9 ? sigma : 1e-9;
      if (r != k) __builtin_memcpy(vectors + r * d, vectors + k * d, d * sizeof(double));
      ++r;
    }
    return r;
  }

  // V = V (1 + L (sigma - 1) L^T), U = (1 + L (1 / sigma - 1) L^T) U: the product stays for any orthonormal L and any sigma.
  template <class T> static void fix(Call& call, Layer<T>& layer, size_t r, const double* l, const double* sigma, double* s, double* lu) {
    const size_t d = layer.width;
    const View<double> L = rowMajor(l, d);
    multiply<double>(call, r, d, d, 1, L, rowMajor<double>(layer.U, d), 0, lu, d);
    for (size_t k = 0; k < r; ++k)
      for (size_t j = 0; j < d; ++j) {
        s[k * d + j] = (sigma[k] - 1) * l[k * d + j];
        lu[k * d + j] *= 1 / sigma[k] - 1;
      }
    if (call.outOfMemory) return;
    spreadSweep<T>(call, layer.V, layer.classes, d, l, s, r);
    multiply<double>(call, d, d, r, 1, transposed(L), rowMajor<double>(lu, d), 1, layer.U, d);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct SphericalLayerWeightOp : SphericalLayerWeight {
  template <class T> static void run(Call& call) {
    const size_t c = call.columns, d = call.dims[static_cast<size_t>('d')];
    const T* v = LGC_INPUT(T, call, V);
    T* weight = LGC_OUTPUT(T, call, weight);
    const double* u = LGC_INPUT(double, call, U);
    const double* omega = LGC_INPUT(double, call, omega);
    if (u || omega) {
      Scratch<double> one(call, u ? 0 : d * d, false);
      if (!one) return;
      if (!u) identity(one, d);
      weightSweep<T>(call, v, c, d, u ? u : static_cast<double*>(one), omega, weight);
    } else {
      carry(v, c * d, weight);
    }
    if (LGC_OPTION(call, gram) != 0 && !call.outOfMemory)
      gramSweep<T>(call, weight, c, d, LGC_OUTPUT(double, call, Q), LGC_OUTPUT(double, call, wbar));
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

// x_ic = (U h_i) . V_c + omega . h_i
template <class T> struct LayerScores {
  size_t n, d;
  Scratch<double> rows, turned, shift;

  LayerScores(Call& call, const T* hidden, const double* u, const double* omega, size_t count, size_t width)
      : n(count), d(width), rows(call, n * d, false), turned(call, n * d, false), shift(call, n, false) {
    if (call.outOfMemory) return;
    widenRows(call, hidden, n, d, static_cast<double*>(rows));
    for (size_t i = 0; i < n; ++i) shift[i] = dotWide(static_cast<double*>(rows) + i * d, omega, d);
    multiply<double>(call, n, d, d, 1, rowMajor<double>(rows, d), transposed(rowMajor(u, d)), 0, turned, d);
  }
  // Of the hidden rows [from, from + count) and the classes whose rows of V are given: out [count, stride], the first `classes` columns.
  void operator()(Call& call, size_t from, size_t count, const double* v, size_t classes, double* out, size_t stride) {
    for (size_t i = 0; i < count; ++i)
      for (size_t j = 0; j < classes; ++j) out[i * stride + j] = shift[from + i];
    multiply<double>(call, count, classes, d, 1, rowMajor<double>(turned + from * d, d), transposed(rowMajor(v, d)), 1, out, stride);
  }
};

struct SphericalLayerScoresOp : SphericalLayerScores {
  template <class T> static void run(Call& call) {
    const size_t n = call.rows, d = call.dims[static_cast<size_t>('d')], m = call.dims[static_cast<size_t>('m')];
    const T* v = LGC_INPUT(T, call, V);
    const int32_t* classes = LGC_INPUT(int32_t, call, classes);
    T* scores = LGC_OUTPUT(T, call, scores);
    LayerScores<T> scoresOf(call, LGC_INPUT(T, call, hidden), LGC_INPUT(double, call, U), LGC_INPUT(double, call, omega), n, d);
    Scratch<double> piece(call, pieceRows(m) * d, false), out(call, n * pieceRows(m), false);
    if (call.outOfMemory) return;
    for (size_t first = 0; first < m && !call.outOfMemory; first += kPieceRows) {
      const size_t count = m - first < kPieceRows ? m - first : kPieceRows;
      parallel(call, count, rowGrain(d), [&](size_t begin, size_t end) {
        for (size_t j = begin; j < end; ++j) widen(v + static_cast<size_t>(classes[first + j]) * d, d, piece + j * d);
      });
      scoresOf(call, 0, n, piece, count, out, count);
      for (size_t i = 0; i < n; ++i) roundTo(out + i * count, count, scores + i * m + first);
    }
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct SphericalLayerTopKOp : SphericalLayerTopK {
  // Classes go by in pieces. A row's best so far stand before its next piece: a stable selection of both keeps the order of classes.
  template <class T> static void run(Call& call) {
    const size_t n = call.rows, c = call.columns, d = call.dims[static_cast<size_t>('d')], k = static_cast<size_t>(LGC_OPTION(call, k));
    const T* v = LGC_INPUT(T, call, V);
    T* values = LGC_OUTPUT(T, call, values);
    int32_t* indices = LGC_OUTPUT(int32_t, call, indices);
    LayerScores<T> scoresOf(call, LGC_INPUT(T, call, hidden), LGC_INPUT(double, call, U), LGC_INPUT(double, call, omega), n, d);
    // Long lists in longer strides.
    const size_t step = kPieceRows * (1 + k / kPieceRows), most = step < c ? step : c, rows = n < kRowsAtOnce ? n : kRowsAtOnce;
    Scratch<double> piece(call, most * d, false), scores(call, rows * most, false);
    if (call.outOfMemory) return;
    for (size_t from = 0; from < n; from += rows) {
      const size_t count = n - from < rows ? n - from : rows;
      for (size_t first = 0; first < c; first += step) {
        const size_t classes = c - first < step ? c - first : step, before = first < k ? first : k, length = before + classes;
        widenRows(call, v + first * d, classes, d, static_cast<double*>(piece));
        scoresOf(call, from, count, piece, classes, scores, classes);
        if (call.outOfMemory) return;
        parallel(call, count, rowGrain(length), [&](size_t begin, size_t end) {
          const size_t kept = k < length ? k : length, capacity = selectCapacity(length, kept);
          Scratch<T> row(call, length, false);
          Scratch<SortItem> list(call, capacity), spare(call, capacity);
          Scratch<int32_t> old(call, before, false);
          if (!row || !list || !spare || !old) return;
          for (size_t i = begin; i < end; ++i) {
            T* best = values + (from + i) * k;
            int32_t* classOf = indices + (from + i) * k;
            for (size_t j = 0; j < before; ++j) {
              row[j] = best[j];
              old[j] = classOf[j];
            }
            roundTo(scores + i * classes, classes, row + before);
            const SortItem* top = selectLargest<T>(row, length, kept, list, spare);
            for (size_t j = 0; j < kept; ++j) {
              const size_t at = top[j].index;
              best[j] = row[at];
              classOf[j] = at < before ? old[at] : static_cast<int32_t>(first + at - before);
            }
          }
        });
      }
    }
  }
  static constexpr size_t kRowsAtOnce = 256;
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL

LOGITCORE_FAMILY(factored, SphericalLayerStepOp, SphericalLayerStabilizeOp, SphericalLayerWeightOp, SphericalLayerScoresOp,
                 SphericalLayerTopKOp)
}  // namespace logitcore
