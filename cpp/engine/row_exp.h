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
  LGC_FN W at(size_t i) const { return load<W>(x + i); }
  LGC_FN W first(size_t i, size_t count) const { return loadFirst<W>(x + i, count, -__builtin_huge_val()); }
  LGC_FN Plain from(size_t i) const { return {x + i}; }
};
template <class T> struct Softcapped {
  using W = Vec<T>;
  const T* x;
  T cap;
  LGC_FN W at(size_t i) const { return tanh(load<W>(x + i) / broadcast<W>(cap)) * broadcast<W>(cap); }
  LGC_FN W first(size_t i, size_t count) const {
    W v = loadFirst<W>(x + i, count, -__builtin_huge_val());
    return select(firstLanes<W>(count), tanh(v / broadcast<W>(cap)) * broadcast<W>(cap), v);
  }
  LGC_FN Softcapped from(size_t i) const { return {x + i, cap}; }
};

// The exponential of the sweeps: base^(x * scale(1 / T)). Base 2 in float, where one multiplication serves temperature and base.
template <class T> struct Base;
template <> struct Base<float> {
  static constexpr double perNat = 1.4426950408889634, headroom = 16;
  LGC_FN static f32x16 power(f32x16 y) { return exp2Flush(y); }
};
template <> struct Base<double> {
  static constexpr double perNat = 1, headroom = 11;
  LGC_FN static f64x8 power(f64x8 y) { return expFlushInline(y); }
};

// What is done to the row before while the exponentials of this one are computed: its loads and stores hide behind arithmetic.
// Rows have one length, so a position in the one is a position in the other.
template <class T> struct Nothing {
  LGC_FN Nothing block(size_t) const { return {}; }
  LGC_FN void whole(size_t) const {}
  LGC_FN void part(size_t, size_t) const {}
};

// The results of a row that are its stored exponentials, one factor a block.
template <class T> struct Scaling {
  using W = Vec<T>;
  T* out = nullptr;
  double slope = 0;
  const double* factors = nullptr;

  struct OfBlock {
    T* out;
    W factor;
    LGC_FN void whole(size_t i) const { store(out + i, load<W>(out + i) * factor); }
    LGC_FN void part(size_t i, size_t count) const { storeFirst(out + i, loadFirst<W>(out + i, count, 0) * factor, count); }
  };
  LGC_FN OfBlock block(size_t b) const { return {out + b * kBlock, broadcast<W>(static_cast<T>(slope * factors[b]))}; }
};

// For the last row, which no other follows.
template <class T, class OfBlock> inline void sweepBlock(const OfBlock& b, size_t n) {
  constexpr size_t L = lanes<Vec<T>>;
  size_t i = 0;
  for (; i + L <= n; i += L) b.whole(i);
  if (i < n) b.part(i, n - i);
}
template <class T, class Beside> inline void sweepAlone(const Beside& rest, size_t c) {
  for (size_t start = 0; start < c; start += kBlock) sweepBlock<T>(rest.block(start / kBlock), c - start < kBlock ? c - start : kBlock);
}

template <class T> struct Block {
  T max;           // -Infinity if all are masked
  size_t argMax;   // first index of the maximum; of running blocks only known for the row's largest
  T shift;         // exponentials are relative to it
  double sum;      // of the exponentials, without the one at argMax where that is known
  double missing;  // stored exponentials, and the sum, are short of exp(missing)
};

template <class T, class R> LGC_FN T rowMax(const R& r, size_t n) {
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

template <class T, class R> LGC_FN size_t firstEqual(const R& r, size_t n, T value) {
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

template <class T> struct Sum {
  double value;
  T max;
};

template <class T> LGC_FN Vec<T> withoutLane(Vec<T> v, size_t lane) {
  using W = Vec<T>;
  return select(laneIndex<W>() == broadcast<W>(static_cast<T>(lane)), broadcast<W>(0), v);
}

// sum of base^(x * scale - shift) over a block without the entry at `skip`. Running: the maximum is not known yet, and found on
// the way.
template <bool Store, bool Running, class T, class R, class Beside>
LGC_FN Sum<T> sumExp(const R& r, size_t n, T shift, T scale, size_t skip, T* out, const Beside& given) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  const Beside beside = given;  // a copy: what is stored here cannot change it
  const W m = broadcast<W>(-shift), s = broadcast<W>(scale), zero = broadcast<W>(0);
  // Two sums, and pairs of terms: what is live fits the sixteen registers of AVX2.
  W a = zero, b = zero, high = broadcast<W>(-__builtin_huge_val());
  auto term = [&](size_t i) LGC_LAMBDA {
    const W x = r.at(i);
    if (Running) high = max(x, high);
    const W e = Base<T>::power(fma(x, s, m));
    if (Store) store(out + i, e);
    beside.whole(i);
    return e;
  };
  auto pair = [&](size_t i) LGC_LAMBDA {
    W e0 = term(i), e1 = term(i + L);
    if (!Running && __builtin_expect(skip - i < 2 * L, 0)) {
      if (skip - i < L)
        e0 = withoutLane<T>(e0, skip - i);
      else
        e1 = withoutLane<T>(e1, skip - i - L);
    }
    return e0 + e1;
  };
  size_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L) {
    if (!Running)
      // The next block arrives while this one is computed.
      for (size_t k = 0; k < 4 * L; k += 64 / sizeof(T)) __builtin_prefetch(r.x + i + k + kBlock);
    a = a + pair(i);
    b = b + pair(i + 2 * L);
  }
  for (; i < n; i += L) {
    const size_t count = n - i < L ? n - i : L;
    const W x = count == L ? r.at(i) : r.first(i, count);
    W e = Base<T>::power(fma(x, s, m));
    if (Running) high = max(x, high);
    if (Store) storeFirst(out + i, e, count);
    beside.part(i, count);
    if (!Running && skip - i < L) e = withoutLane<T>(e, skip - i);
    a = a + e;
  }
  return {foldSum(a + b), Running ? maxAcross(high) : T(0)};
}

// The same from (x - shift) * scale, for logits so large that the fused form would lose digits: rare, so short rather than fast.
template <bool Store, class T, class R> LGC_SHARED double sumExpUnfused(const R& r, size_t n, T shift, T scale, size_t skip, T* out) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  const W m = broadcast<W>(shift), s = broadcast<W>(scale), zero = broadcast<W>(0);
  const size_t paired = n - n % (4 * L);
  W sums[2] = {zero, zero}, first = zero;
  for (size_t i = 0; i < n; i += L) {
    const size_t count = n - i < L ? n - i : L;
    W e = Base<T>::power((r.first(i, count) - m) * s);
    if (Store) storeFirst(out + i, e, count);
    if (skip - i < L) e = withoutLane<T>(e, skip - i);
    // The order of the fused form.
    if (i >= paired)
      sums[0] = sums[0] + e;
    else if (i / L % 2 == 0)
      first = e;
    else
      sums[i / L / 2 % 2] = sums[i / L / 2 % 2] + (first + e);
  }
  return foldSum(sums[0] + sums[1]);
}

// x * scale - shift * scale is rounded once, but shift * scale was rounded too: all exponentials are off by one known factor.
template <class T> LGC_FN double roundedShift(T shift, T scale, T product) {
  return fma(-static_cast<double>(shift), static_cast<double>(scale), static_cast<double>(product)) / Base<T>::perNat;
}
template <class T> LGC_FN bool canFuse(T shift) { return shift < T(262144) && shift > T(-262144); }

// A block relative to its own maximum.
template <bool Store, class T, class R, class Beside>
LGC_SHARED Block<T> blockSum(const R& r, size_t n, T scale, T* out, const Beside& beside) {
  Block<T> b;
  b.max = rowMax<T>(r, n);
  b.argMax = firstEqual<T>(r, n, b.max);
  b.missing = 0;
  // (-Infinity) - (-Infinity) is NaN: a block without a finite logit is shifted by 0.
  b.shift = b.max == -__builtin_huge_val() ? T(0) : b.max;
  if (__builtin_expect(canFuse(b.shift), 1)) {
    const T product = b.shift * scale;
    b.missing = roundedShift(b.shift, scale, product);
    b.sum = sumExp<Store, false>(r, n, product, scale, b.argMax, out, beside).value;
  } else {
    b.sum = sumExpUnfused<Store>(r, n, b.shift, scale, b.argMax, out);
    sweepBlock<T>(beside, n);
  }
  return b;
}

// A block relative to the largest logit before it: its own maximum is not waited for. Not usable if that is far larger.
template <bool Store, class T, class R, class Beside>
LGC_SHARED bool runningSum(const R& r, size_t n, T shift, T scale, T* out, const Beside& beside, Block<T>& b) {
  const T product = shift * scale;
  const Sum<T> s = sumExp<Store, true>(r, n, product, scale, 0, out, beside);
  b.max = s.max;
  b.argMax = n;
  b.shift = shift;
  if (!((s.max - shift) * scale < static_cast<T>(Base<T>::headroom))) return false;
  b.missing = roundedShift(shift, scale, product);
  b.sum = s.value;
  return true;
}

template <class T, class R> LGC_SHARED double sumWithoutLargest(const R& r, size_t n, T scale, const Block<T>& b) {
  T* nowhere = nullptr;
  return sumExp<false, false>(r, n, b.shift * scale, scale, b.argMax, nowhere, Nothing<T>{}).value;
}

// Where a row's exponentials go: nowhere (null), or to `out`. Over the logits themselves, the last block and the one with the largest
// logit are kept in `spare` (2 kBlock entries), since either may be needed again.
template <class T> struct Destination {
  T* out = nullptr;
  T* spare = nullptr;
};

// The whole row from its blocks. factors[b] is what the stored exponentials of block b are short of, relative to the row's maximum.
template <bool Store, class T, class R, class Beside> inline RowSum rowSum(const R& r, size_t n, double inverseTemperature,
                                                                           Destination<T> to, Block<T>* blocks, double* factors,
                                                                           const Beside& beside) {
  const T scale = static_cast<T>(inverseTemperature * Base<T>::perNat);
  RowSum row;
  if (n <= kBlock) {
    const Block<T> b = blockSum<Store>(r, n, scale, to.out, beside.block(0));
    factors[0] = exp(b.missing);
    row = {static_cast<double>(b.max), factors[0] * b.sum, b.argMax};
  } else {
    const size_t count = (n + kBlock - 1) / kBlock;
    const auto lengthOf = [&](size_t b) { return n - b * kBlock < kBlock ? n - b * kBlock : kBlock; };
    size_t best = 0, bestSpare = 0;
    const auto kept = [&](size_t at, size_t which) {
      R part = r.from(at * kBlock);
      if (Store && to.spare) part.x = to.spare + which * kBlock;
      return part;
    };
    for (size_t k = 0; k < count; ++k) {
      Block<T>& b = blocks[k];
      const R part = kept(k, 1 - bestSpare);
      if (Store && to.spare) __builtin_memcpy(to.spare + (1 - bestSpare) * kBlock, r.x + k * kBlock, lengthOf(k) * sizeof(T));
      T* out = Store ? to.out + k * kBlock : nullptr;
      const T before = blocks[best].max;
      if (k == 0 || !canFuse(before))
        b = blockSum<Store>(part, lengthOf(k), scale, out, beside.block(k));
      else if (!runningSum<Store>(part, lengthOf(k), before, scale, out, beside.block(k), b))
        b = blockSum<Store>(part, lengthOf(k), scale, out, Nothing<T>{});
      if (k > 0 && !(b.max > before)) continue;
      best = k;
      bestSpare = 1 - bestSpare;
    }
    Block<T>& most = blocks[best];
    const R part = kept(best, bestSpare);
    const double top = static_cast<double>(most.max);
    double others = 0;
    for (size_t k = 0; k < count; ++k) {
      const Block<T>& b = blocks[k];
      const double shift = static_cast<double>(b.shift);
      const bool masked = b.max == -__builtin_huge_val();
      // Infinity - Infinity does not count: such a row becomes NaN below.
      const double factor = masked || shift == top ? 1.0 : exp((shift - top) * inverseTemperature);
      factors[k] = factor * exp(b.missing);
      if (k == best) continue;
      // The largest of a block, where it was left out of the sum, is 1 relative to itself.
      const double largest = b.argMax < lengthOf(k) ? factor : 0.0;
      // NaN in a block whose logits are all masked or NaN still has to reach the row.
      others += masked ? b.sum : fma(factors[k], b.sum, largest);
    }
    const double factor = factors[best], mine = factor * most.sum;
    if (most.argMax < lengthOf(best)) {
      others += mine;
    } else {
      most.argMax = firstEqual<T>(part, lengthOf(best), most.max);
      // The largest is 1. Taking it away is exact enough unless it is most of the row.
      const bool confident = others + mine < 8;
      others += confident ? factor * sumWithoutLargest(part, lengthOf(best), scale, most) : mine - 1;
    }
    row = {top, others, best * kBlock + most.argMax};
  }
  // Infinity - Infinity was left out of the sum with the largest entry.
  if (row.max == __builtin_huge_val()) row.others = __builtin_nan("");
  return row;
}

template <bool Store, class T, class R>
inline RowSum rowSum(const R& r, size_t n, double inverseTemperature, Destination<T> to, Block<T>* blocks, double* factors) {
  return rowSum<Store>(r, n, inverseTemperature, to, blocks, factors, Nothing<T>{});
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
