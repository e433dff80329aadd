// Two rows of logits of one shape, a student's and a teacher's, compared by their softmaxes p and q: each row is shifted by its
// largest logit and scaled to its own unit, which is the temperature, times the row's standard deviation if rows are standardised.
// A long row is read from memory once: scan it, sum with its exponentials, write from them; a block of it stays in the first-level
// cache, the row in the second, and the next row is fetched meanwhile. Shorter rows take the same steps eight at a time, so that what
// follows from the sums is done in eight lanes; tiny ones lie in lanes themselves. A definition D has
//   record            inputs student and teacher; with targets, the target is left out of both softmaxes (but not of the moments)
//   D(Call&)
//   scaling           a PairScaling
//   covariance        whether the derivative by the temperature is wanted
//   fold(const PairFacts<V>&, V* values) -> PairSlopes<V>     per-row outputs, and slopes by the scaled logits
// The slopes of a row sum to 0, so the gradient through a standardisation needs no other sum than those of the facts.
#pragma once
#include "pair_rows.h"
#include "row_loss.h"
#include "tiny_pairs.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Rows up to this length are done eight at a time.
constexpr size_t kGroupedColumns = 1024;

template <class D, class V> LGC_SHARED PairSlopes<V> foldPair(const D& d, const PairFacts<V>& f, V* values) {
  for (int k = 0; k < kMaxOutputs; ++k) values[k] = broadcast<V>(0);
  return d.fold(f, values);
}

template <class D, class T> struct RowPair {
  static constexpr size_t L = lanes<Vec<T>>;
  static constexpr bool targeted = findKind(D::record, Kind::target, Kind::target) >= 0;
  static constexpr int studentAt = inputIndex(D::record, "student"), teacherAt = inputIndex(D::record, "teacher");
  static constexpr int gradientAt = findGradient(D::record);

  const D& d;
  Call& call;
  size_t n, c;
  const T *student, *teacher;
  T* grad;
  const int32_t* marks;
  int32_t ignore;
  int perRow;
  double* values;  // of each output in turn

  bool kept(size_t i) const { return !marks || marks[i] != ignore; }
  size_t holeOf(size_t i) const { return targeted ? static_cast<size_t>(marks[i]) : kNowhere; }

  // Rows from `base` on, as many as V has lanes.
  template <class V> LGC_SHARED void group(PairRows<T, V>& rows, size_t base, size_t end, T* out, bool inPlace) {
    constexpr size_t N = lanes<V>;
    const size_t count = end - base < N ? end - base : N;
    for (size_t r = 0; r < N; ++r) {
      const size_t i = base + r;
      if (r < count && kept(i)) {
        rows.scan(r, student + i * c, teacher + i * c, holeOf(i), N == 1 && out && !inPlace ? out + r * c : nullptr, i + N < end);
        continue;
      }
      rows.skip(r);
      if (r < count && out) __builtin_memset(static_cast<void*>(out + r * c), 0, c * sizeof(T));
    }
    rows.settle();
    const PairFacts<V> f = rows.facts(d.scaling.temperature, out != nullptr, d.covariance);
    V row[kMaxOutputs];
    const PairSlopes<V> slopes = foldPair(d, f, row);
    for (int k = 0; k < perRow; ++k) {
      double value[N];
      store(value, row[k]);
      for (size_t r = 0; r < count; ++r)
        if (kept(base + r)) values[static_cast<size_t>(k) * n + base + r] = value[r];
    }
    if (out) rows.write(f, slopes, out, false);
  }
  template <class V> LGC_SHARED void groups(size_t begin, size_t end) {
    const bool inPlace = grad == student;
    Scratch<T> exponentials(call, PairRows<T, V>::room(c, lanes<V> > 1 || inPlace || !grad), false);
    if (!exponentials) return;
    PairRows<T, V> rows(d.scaling, c, targeted, exponentials);
    for (size_t i = begin; i < end; i += lanes<V>) group(rows, i, end, grad ? grad + i * c : nullptr, inPlace);
  }

  LGC_SHARED void tiny(size_t begin, size_t end) {
    using V = f64x8;
    TinyPairs<T> pairs(d.scaling, c, targeted);
    T exponentials[2 * kTinyPairs], gradient[kTinyPairs];
    PairRows<T, double> rows(d.scaling, c, targeted, exponentials);
    alignas(64) T hole[L], keep[L];
    for (size_t base = begin; base < end; base += L) {
      const size_t count = end - base < L ? end - base : L;
      unsigned on = 0;
      for (size_t r = 0; r < L; ++r) {
        const bool in = r < count && kept(base + r);
        keep[r] = in;
        hole[r] = in && targeted ? static_cast<T>(marks[base + r]) : T(-1);
        on |= static_cast<unsigned>(in) << r;
      }
      const unsigned beyond = pairs.scan(student + base * c, teacher + base * c, count, hole) & on;
      PairFacts<V> f[2];
      PairSlopes<V> slopes[2];
      pairs.facts(d.scaling.temperature, d.covariance, f);
      for (int h = 0; h < Halves<T>::count; ++h) {
        V row[kMaxOutputs];
        slopes[h] = foldPair(d, f[h], row);
        const size_t first = static_cast<size_t>(h) * 8;
        if (first >= count) continue;
        const auto in = Halves<T>::get(load<Vec<T>>(keep), h) != broadcast<V>(0);
        for (int k = 0; k < perRow; ++k)
          storeFirst(values + static_cast<size_t>(k) * n + base + first, select(in, row[k], broadcast<V>(0)),
                     static_cast<int>(count - first < 8 ? count - first : 8));
      }
      if (grad) pairs.gradients(f, slopes, keep);
      for (size_t r = 0; r < count; ++r) {
        if (!(beyond >> r & 1)) continue;
        group(rows, base + r, base + r + 1, grad ? gradient : nullptr, true);
        if (grad) pairs.setGradient(r, gradient);
      }
      if (grad) pairs.storeGradients(grad + base * c);
    }
  }
};

// The whole call: one value a row for each output without columns, the gradient in the one that has them.
template <class D, class T> void runRowPair(Call& call) {
  using Engine = RowPair<D, T>;
  const D d(call);
  const size_t n = call.rows, c = call.columns;
  int outputs[kMaxOutputs], perRow = 0;
  constexpr int outputCount = D::record.outputCount();
  for (int i = 0; i < outputCount; ++i)
    if (i != Engine::gradientAt) outputs[perRow++] = i;
  Scratch<double> values(call, n * static_cast<size_t>(perRow));
  if (!values) return;
  Engine engine{d,
                call,
                n,
                c,
                static_cast<const T*>(call.inputs[Engine::studentAt]),
                static_cast<const T*>(call.inputs[Engine::teacherAt]),
                static_cast<T*>(call.outputs[Engine::gradientAt]),
                rowMarks<D>(call),
                ignoreIndexOf<D>(call),
                perRow,
                values};
  if (c <= kTinyPairs)
    parallel(call, (n + Engine::L - 1) / Engine::L, rowGrain(c * Engine::L),
             [&](size_t begin, size_t end) { engine.tiny(begin * Engine::L, end * Engine::L < n ? end * Engine::L : n); });
  else
    parallel(call, n, rowGrain(c), [&](size_t begin, size_t end) {
      c <= kGroupedColumns ? engine.template groups<f64x8>(begin, end) : engine.template groups<double>(begin, end);
    });
  const int reduction = reductionOf<D>(call);
  for (int k = 0; k < perRow; ++k) reduceRows<T>(call, outputs[k], reduction, values + static_cast<size_t>(k) * n);
}

template <class D> struct RowPairOp {
  static constexpr Kernels kernels() { return {&runRowPair<D, float>, &runRowPair<D, double>}; }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
