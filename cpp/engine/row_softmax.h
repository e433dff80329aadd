// Softmax and log-softmax of every row: the statistics sweep of row_exp.h and one map sweep.
#pragma once
#include "row_loss.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

template <bool Log, class T> struct SoftmaxRows {
  using W = Vec<T>;
  static constexpr size_t L = lanes<W>;
  Call& call;
  const T* logits;
  T* out;
  size_t c;
  double inverseTemperature;

  void row(const T* x, T* y, Block<T>* blocks, double* factors) {
    const Plain<T> r{x};
    const RowSum s = rowSum<!Log>(r, c, inverseTemperature, y, blocks, factors);
    const double others = s.max == -__builtin_huge_val() ? __builtin_nan("") : s.others;
    if (Log) {
      // (x - max) - log(sum): x - lse would lose the normaliser of logits beyond 1e4.
      const W top = broadcast<W>(static_cast<T>(s.max)), scale = broadcast<W>(static_cast<T>(inverseTemperature));
      const W minusLogSum = broadcast<W>(static_cast<T>(-log1p(others)));
      auto map = [&](W v) LC_LAMBDA { return fma(v - top, scale, minusLogSum); };
      size_t i = 0;
      for (; i + 2 * L <= c; i += 2 * L) {
        const W a = map(load<W>(x + i)), b = map(load<W>(x + i + L));
        store(y + i, a);
        store(y + i + L, b);
      }
      for (; i < c; i += L) {
        const size_t count = c - i < L ? c - i : L;
        storeFirst(y + i, map(loadFirst<W>(x + i, count, 0)), count);
      }
      return;
    }
    const double inverse = 1.0 / (1.0 + others);
    for (size_t start = 0; start < c; start += kBlock) {
      const size_t end = c - start < kBlock ? c : start + kBlock;
      const W factor = broadcast<W>(static_cast<T>(inverse * factors[start / kBlock]));
      for (size_t i = start; i < end; i += L) {
        const size_t count = end - i < L ? end - i : L;
        storeFirst(y + i, loadFirst<W>(y + i, count, 0) * factor, count);
      }
    }
  }

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

  void rows(size_t begin, size_t end) {
    const size_t count = blockCount(c);
    Scratch<Block<T>> blocks(call, count);
    Scratch<double> factors(call, count);
    if (!blocks || !factors) return;
    for (size_t i = begin; i < end; ++i) { row(logits + i * c, out + i * c, blocks, factors); }
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
