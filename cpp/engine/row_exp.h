// Sweeps over one row of logits for losses made of exponentials. A row is cut into blocks that stay in the first-level cache;
// every block has its own maximum, so the row is read from memory once. With `Store` the exponentials stay in the output
// buffer and the gradient sweep needs no second exp.
#pragma once
#include "../simd/exp2.h"
#include "definition.h"
#include "kernel.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// How logits are read: as they are, or softcapped.
template <class T> struct Plain {
  using W = Vec<T>;
  const T* x;
  LC_FN W at(size_t i) const { return load<W>(x + i); }
  LC_FN W first(size_t i, size_t count) const { return loadFirst<W>(x + i, count, -__builtin_huge_val()); }
  LC_FN Plain from(size_t i) const { return {x + i}; }
};
template <class T> struct Softcapped {
  using W = Vec<T>;
  const T* x;
  T cap;
  LC_FN W at(size_t i) const { return tanh(load<W>(x + i) / broadcast<W>(cap)) * broadcast<W>(cap); }
  LC_FN W first(size_t i, size_t count) const {
    W v = loadFirst<W>(x + i, count, -__builtin_huge_val());
    return select(firstLanes<W>(count), tanh(v / broadcast<W>(cap)) * broadcast<W>(cap), v);
  }
  LC_FN Softcapped from(size_t i) const { return {x + i, cap}; }
};

// The exponential of the sweeps: base^(x * scale(1 / T)). Base 2 in float, where one multiplication serves temperature and base.
template <class T> struct Base;
template <> struct Base<float> {
  static constexpr double perNat = 1.4426950408889634;
  LC_FN static f32x16 power(f32x16 y) { return exp2Flush(y); }
};
template <> struct Base<double> {
  static constexpr double perNat = 1;
  LC_FN static f64x8 power(f64x8 y) { return expFlush(y); }
};

template <class T> struct Block {
  T max;          // -Infinity if all are masked
  size_t argMax;  // first index of the maximum
  double others;  // sum of exponentials relative to max, without the one at argMax
  double adjust;  // what stored exponentials are short of
};

template <class T, class R> LC_FN T rowMax(const R& r, size_t n) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  const W low = broadcast<W>(-__builtin_huge_val());
  W a = low, b = low, c = low, d = low;
  size_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L) {
    a = max(r.at(i), a);
    b = max(r.at(i + L), b);
    c = max(r.at(i + 2 * L), c);
    d = max(r.at(i + 3 * L), d);
  }
  for (; i + L <= n; i += L) a = max(r.at(i), a);
  if (i < n) b = max(r.first(i, n - i), b);
  return maxAcross(max(max(a, b), max(c, d)));
}

template <class T, class R> LC_FN size_t firstEqual(const R& r, size_t n, T value) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  const W v = broadcast<W>(value);
  for (size_t i = 0; i + L <= n; i += L) {
    auto m = r.at(i) == v;
    if (any(m)) return i + firstTrue(m);
  }
  size_t i = n - n % L;
  if (i < n) {
    size_t k = firstTrue(r.first(i, n - i) == v);
    if (k < n - i) return i + k;
  }
  return 0;
}

// sum of base^((x - shift) * scale) over a block without the entry at `skip`. Fused: base^(x * scale - shift), in one operation.
template <bool Fused, bool Store, class T, class R> LC_FN double sumExp(const R& r, size_t n, T shift, T scale, size_t skip, T* out) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  const W m = broadcast<W>(Fused ? -shift : shift), s = broadcast<W>(scale), zero = broadcast<W>(0);
  W a = zero, b = zero, c = zero, d = zero;
  auto term = [&](W x) LC_LAMBDA { return Base<T>::power(Fused ? fma(x, s, m) : (x - m) * s); };
  auto drop = [&](W e, size_t at) LC_LAMBDA { return select(laneIndex<W>() == broadcast<W>(static_cast<T>(skip - at)), zero, e); };
  size_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L) {
    // The next block arrives while this one is computed.
    for (size_t k = 0; k < 4 * L; k += 64 / sizeof(T)) __builtin_prefetch(r.x + i + k + kBlock);
    W e0 = term(r.at(i)), e1 = term(r.at(i + L)), e2 = term(r.at(i + 2 * L)), e3 = term(r.at(i + 3 * L));
    if (Store) {
      store(out + i, e0);
      store(out + i + L, e1);
      store(out + i + 2 * L, e2);
      store(out + i + 3 * L, e3);
    }
    if (__builtin_expect(skip - i < 4 * L, 0)) {
      if (skip < i + L)
        e0 = drop(e0, i);
      else if (skip < i + 2 * L)
        e1 = drop(e1, i + L);
      else if (skip < i + 3 * L)
        e2 = drop(e2, i + 2 * L);
      else
        e3 = drop(e3, i + 3 * L);
    }
    a = a + e0;
    b = b + e1;
    c = c + e2;
    d = d + e3;
  }
  for (; i < n; i += L) {
    const size_t count = n - i < L ? n - i : L;
    W e = term(count == L ? r.at(i) : r.first(i, count));
    if (Store) storeFirst(out + i, e, count);
    if (skip - i < L) e = drop(e, i);
    a = a + e;
  }
  return foldSum((a + b) + (c + d));
}

template <bool Store, class T, class R> LC_FN Block<T> blockSum(const R& r, size_t n, T scale, T* out) {
  Block<T> b;
  b.max = rowMax<T>(r, n);
  b.argMax = firstEqual<T>(r, n, b.max);
  b.adjust = 1;
  // (-Infinity) - (-Infinity) is NaN: a block without a finite logit is shifted by 0.
  const T shift = b.max == -__builtin_huge_val() ? T(0) : b.max;
  if (__builtin_expect(shift < T(262144) && shift > T(-262144), 1)) {
    // x * scale - shift * scale is rounded once, but shift * scale was rounded too: all exponentials are off by one known factor.
    const T product = shift * scale;
    const double short_ = fma(-static_cast<double>(shift), static_cast<double>(scale), static_cast<double>(product));
    if (short_ != 0) b.adjust = exp(short_ / Base<T>::perNat);
    b.others = b.adjust * sumExp<true, Store>(r, n, product, scale, b.argMax, out);
  } else {
    b.others = sumExp<false, Store>(r, n, shift, scale, b.argMax, out);
  }
  return b;
}

// The whole row from its blocks. factors[b] is what the stored exponentials of block b are short of, relative to the row's maximum.
template <bool Store, class T, class R>
inline RowSum rowSum(const R& r, size_t n, double inverseTemperature, T* out, Block<T>* blocks, double* factors) {
  const T scale = static_cast<T>(inverseTemperature * Base<T>::perNat);
  RowSum row;
  if (n <= kBlock) {
    const Block<T> b = blockSum<Store>(r, n, scale, out);
    factors[0] = b.adjust;
    row = {static_cast<double>(b.max), b.others, b.argMax};
  } else {
    size_t count = 0, best = 0;
    for (size_t i = 0; i < n; i += kBlock, ++count) {
      blocks[count] = blockSum<Store>(r.from(i), n - i < kBlock ? n - i : kBlock, scale, Store ? out + i : out);
      if (blocks[count].max > blocks[best].max) best = count;
    }
    const double top = static_cast<double>(blocks[best].max);
    double others = blocks[best].others;
    for (size_t b = 0; b < count; ++b) {
      const double m = static_cast<double>(blocks[b].max);
      const double factor = b == best || m == top ? 1.0 : exp((m - top) * inverseTemperature);
      factors[b] = factor * blocks[b].adjust;
      if (b == best) continue;
      // NaN in a block whose logits are all masked or NaN still has to reach the row.
      others += m == -__builtin_huge_val() ? blocks[b].others : factor * (1.0 + blocks[b].others);
    }
    row = {top, others, best * kBlock + blocks[best].argMax};
  }
  // Infinity - Infinity was left out of the sum with the largest entry.
  if (row.max == __builtin_huge_val()) row.others = __builtin_nan("");
  return row;
}

inline size_t blockCount(size_t n) { return (n + kBlock - 1) / kBlock; }

// sum_j w_j (x_j - max) / T with 0 * (-Infinity) = 0; w null means 1.
template <class T, class R> inline double shiftSum(const R& r, size_t n, T top, double inverseTemperature, const T* w) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  const W m = broadcast<W>(top), zero = broadcast<W>(0);
  double total = 0;
  for (size_t start = 0; start < n; start += kBlock) {
    const size_t end = n - start < kBlock ? n : start + kBlock;
    W a = zero;
    for (size_t i = start; i < end; i += L) {
      const size_t count = end - i < L ? end - i : L;
      const W shifted = (count == L ? r.at(i) : r.first(i, count)) - m;
      const W weight = w ? loadFirst<W>(w + i, count, 0) : select(firstLanes<W>(count), broadcast<W>(1), zero);
      a = a + select(weight == zero, zero, weight * shifted);
    }
    total += foldSum(a);
  }
  return total * inverseTemperature;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
