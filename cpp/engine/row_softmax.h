// Softmax and log-softmax of every row: the statistics sweep of row_exp.h and one map sweep.
#pragma once
#include "row_exp.h"
#include "tiny_rows.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// What is left to do for a row when its sum is known. It waits until the next row's exponentials are computed.
template <bool Log, class T> struct SoftmaxRest;
template <class T> struct SoftmaxRest<false, T> : Scaling<T> {
  SoftmaxRest(const T*, T* y, const RowSum&, double others, double, double* factors) : Scaling<T>{y, 1.0 / (1.0 + others), factors} {}
};
// (x - max) - log(sum): x - lse would lose the normaliser of logits beyond 1e4.
template <class T> struct SoftmaxRest<true, T> {
  using W = Vec<T>;
  const T* x;
  T* y;
  W top, scale, minusLogSum;
  SoftmaxRest(const T* logits, T* out, const RowSum& s, double others, double inverseTemperature, double*)
      : x(logits),
        y(out),
        top(broadcast<W>(static_cast<T>(s.max))),
        scale(broadcast<W>(static_cast<T>(inverseTemperature))),
        minusLogSum(broadcast<W>(static_cast<T>(-log1p(others)))) {}
  LC_FN SoftmaxRest block(size_t b) const {
    SoftmaxRest r = *this;
    r.x += b * kBlock;
    r.y += b * kBlock;
    return r;
  }
  LC_FN W map(W v) const { return fma(v - top, scale, minusLogSum); }
  LC_FN void whole(size_t i) const { store(y + i, map(load<W>(x + i))); }
  LC_FN void part(size_t i, size_t count) const { storeFirst(y + i, map(loadFirst<W>(x + i, count, 0)), count); }
};

template <bool Log, class T> struct SoftmaxRows {
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
      transposeIn(logits + base * c, c, c, count, x);
      const TinySum<T> s = tinySum(x, c, inverseTemperature, e);
      f64x8 h[2];
      const W missing = select(s.max == broadcast<W>(-__builtin_huge_val()), broadcast<W>(__builtin_nan("")), s.others);
      for (int k = 0; k < H::count; ++k) {
        const f64x8 others = H::get(missing, k);
        h[k] = Log ? log1p(others) : broadcast<f64x8>(1) / (broadcast<f64x8>(1) + others);
      }
      const W m = H::join(h);
      for (size_t j = 0; j < c; ++j) {
        const W v = Log ? (load<W>(x + j * L) - s.max) * broadcast<W>(scale) - m : load<W>(e + j * L) * m;
        store(e + j * L, v);
      }
      transposeOut(e, c, c, count, out + base * c);
    }
  }

  template <class Beside> Rest row(size_t i, Block<T>* blocks, double* factors, T* spare, const Beside& beside) const {
    const T* x = logits + i * c;
    T* y = out + i * c;
    const RowSum s =
        rowSum<!Log>(Plain<T>{x}, c, inverseTemperature, Log ? Destination<T>{} : Destination<T>{y, spare}, blocks, factors, beside);
    const double others = s.max == -__builtin_huge_val() ? __builtin_nan("") : s.others;
    return Rest(x, y, s, others, inverseTemperature, factors);
  }

  void rows(size_t begin, size_t end) {
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

template <bool Log> struct SoftmaxOp {
  static constexpr Record record{
      Log ? "logSoftmax" : "softmax", "core", {{"logits", "*,c"}}, {kTemperature}, {inPlace(array("out", "*,c"), "logits")}};

  template <class T> static void run(Call& call) {
    using Engine = SoftmaxRows<Log, T>;
    Engine e{call, LC_INPUT(T, call, logits), LC_OUTPUT(T, call, out), call.columns, 1.0 / LC_OPTION(call, temperature)};
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
