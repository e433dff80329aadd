// Softmax and log-softmax of every row: the statistics sweep of row_exp.h and one map sweep.
#pragma once
#include "row_exp.h"
#include "short_rows.h"
#include "tiny_rows.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// What is left to do for a row when its sum is known. It waits until the next row's exponentials are computed.
template <bool Log, class T> struct SoftmaxRest;
template <class T> struct SoftmaxRest<false, T> : Scaling<T> {
  SoftmaxRest() = default;
  SoftmaxRest(const T*, T* y, double, double normaliser, double, const double* factors) : Scaling<T>{y, normaliser, factors} {}
};
// (x - max) - log(sum): x - lse would lose the normaliser of logits beyond 1e4.
template <class T> struct SoftmaxRest<true, T> {
  using W = Vec<T>;
  const T* x = nullptr;
  T* y = nullptr;
  W top = broadcast<W>(0), scale = top, minusLogSum = top;
  SoftmaxRest() = default;
  SoftmaxRest(const T* logits, T* out, double max, double normaliser, double inverseTemperature, const double*)
      : x(logits),
        y(out),
        top(broadcast<W>(static_cast<T>(max))),
        scale(broadcast<W>(static_cast<T>(inverseTemperature))),
        minusLogSum(broadcast<W>(static_cast<T>(normaliser))) {}
  LGC_FN SoftmaxRest block(size_t b) const {
    SoftmaxRest r = *this;
    r.x += b * kBlock;
    r.y += b * kBlock;
    return r;
  }
  LGC_FN W map(W v) const { return fma(v - top, scale, minusLogSum); }
  LGC_FN void whole(size_t i) const { store(y + i, map(load<W>(x + i))); }
  LGC_FN void part(size_t i, size_t count) const { storeFirst(y + i, map(loadFirst<W>(x + i, count, 0)), count); }
};

// D: a definition with the record of the op; log says which of the two it is.
template <class D, class T> struct SoftmaxRows {
  static constexpr bool Log = D::log;
  using W = Vec<T>;
  using Rest = SoftmaxRest<Log, T>;
  static constexpr size_t L = lanes<W>;
  Call& call;
  const T* logits;
  T* out;
  size_t c;
  double inverseTemperature;

  void tiny(size_t begin, size_t end) {
    using H = Halves<T>;
    alignas(64) T x[kTinyColumns * L], e[kTinyColumns * L];
    const T scale = static_cast<T>(inverseTemperature);
    for (size_t base = begin; base < end; base += L) {
      const size_t count = end - base < L ? end - base : L;
      transposeIn(logits + base * c, c, count, x);
      const TinySum<T> s = tinySum(x, c, inverseTemperature, e);
      f64x8 h[2];
      const W missing = select(s.max == broadcast<W>(-__builtin_huge_val()), broadcast<W>(__builtin_nan("")), s.others);
      for (int k = 0; k < H::count; ++k) {
        const f64x8 others = H::get(missing, k);
        h[k] = D::normaliserOf(others);
      }
      const W m = H::join(h);
      for (size_t j = 0; j < c; ++j) {
        const W v = Log ? (load<W>(x + j * L) - s.max) * broadcast<W>(scale) + m : load<W>(e + j * L) * m;
        store(e + j * L, v);
      }
      transposeOut(e, c, count, out + base * c);
    }
  }

  template <class Beside> Rest row(size_t i, Block<T>* blocks, double* factors, T* spare, const Beside& beside) const {
    const T* x = logits + i * c;
    T* y = out + i * c;
    const RowSum s =
        rowSum<!Log>(Plain<T>{x}, c, inverseTemperature, Log ? Destination<T>{} : Destination<T>{y, spare}, blocks, factors, beside);
    const double others = s.max == -__builtin_huge_val() ? __builtin_nan("") : s.others;
    return Rest(x, y, s.max, D::normaliserOf(others), inverseTemperature, factors);
  }

  void shortRows(size_t begin, size_t end) const {
    const T scale = static_cast<T>(inverseTemperature * Base<T>::perNat);
    const double one = 1;
    Rest rest[kGroup];
    size_t waiting = 0;
    for (size_t base = begin; base < end; base += kGroup) {
      const size_t count = end - base < kGroup ? end - base : kGroup;
      RowGroup<T> group;
      for (size_t r = 0; r < count; ++r) {
        const Plain<T> x{logits + (base + r) * c};
        if (r < waiting)
          group.template add<!Log>(r, x, c, scale, out + (base + r) * c, rest[r].block(0));
        else
          group.template add<!Log>(r, x, c, scale, out + (base + r) * c, Nothing<T>{});
      }
      for (size_t r = count; r < waiting; ++r) sweepAlone<T>(rest[r], c);
      alignas(64) double normaliser[kGroup], adjusts[kGroup];
      const f64x8 adjust = group.adjust(), top = load<f64x8>(group.max);
      f64x8 others = group.others(adjust);
      others = select(top == broadcast<f64x8>(-__builtin_huge_val()), broadcast<f64x8>(__builtin_nan("")), others);
      store(normaliser, D::normaliserOf(others));
      store(adjusts, adjust);
      for (size_t r = 0; r < count; ++r) {
        // One block: what its exponentials are short of goes into the slope.
        const size_t at = (base + r) * c;
        rest[r] = Rest(logits + at, out + at, group.max[r], Log ? normaliser[r] : normaliser[r] * adjusts[r], inverseTemperature, &one);
      }
      waiting = count;
    }
    for (size_t r = 0; r < waiting; ++r) sweepAlone<T>(rest[r], c);
  }

  void rows(size_t begin, size_t end) {
    if (c <= kShortColumns) return shortRows(begin, end);
    const size_t count = blockCount(c);
    Scratch<Block<T>> blocks(call, count);
    Scratch<double> factors(call, 2 * count);
    const bool inPlace = !Log && out == logits && c > kBlock;
    Scratch<T> spare(call, inPlace ? 2 * kBlock : 0);
    if (!blocks || !factors || !spare || begin == end) return;
    T* const kept = inPlace ? static_cast<T*>(spare) : nullptr;
    Rest rest = row(begin, blocks, factors, kept, Nothing<T>{});
    for (size_t i = begin + 1; i < end; ++i) rest = row(i, blocks, factors + (i - begin) % 2 * count, kept, rest);
    sweepAlone<T>(rest, c);
  }
};

template <class D> struct SoftmaxOp {
  static constexpr const Record& record = D::record;

  template <class T> static void run(Call& call) {
    using Engine = SoftmaxRows<D, T>;
    Engine e{call, LGC_INPUT(T, call, logits), LGC_OUTPUT(T, call, out), call.columns, 1.0 / LGC_OPTION(call, temperature)};
    const size_t n = call.rows, c = call.columns;
    if (c <= kTinyColumns) {
      const size_t items = (n + Engine::L - 1) / Engine::L;
      parallel(call, items, rowGrain(c * Engine::L),
               [&](size_t begin, size_t end) { e.tiny(begin * Engine::L, end * Engine::L < n ? end * Engine::L : n); });
      return;
    }
    parallel(call, n, rowGrain(c), [&](size_t begin, size_t end) { e.rows(begin, end); });
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
