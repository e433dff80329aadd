// The sweeps over one row of a pair that take its exponentials: sums, and the gradient.
#pragma once
#include "pair_scan.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// A student's row and its teacher's, and where their exponentials go: room for whole vectors, but for a student's in an output.
template <class T> struct PairRow {
  const T* x[2];
  T* e[2];
  size_t c;
  size_t hole;  // left out of both softmaxes, or kNowhere
  T top[2];     // the largest logit, and where it is
  size_t argMax[2];
  T scale[2];       // 1 / unit, times the unit of the base of the exponentials
  double grain[2];  // what logits are multiplied by first; 1 but for masked rows
  size_t ahead;     // how far from here the row is that is fetched meanwhile
  bool masked;      // has entries without mass, or out of the range of T
  bool padded;      // the student's exponentials have room for whole vectors
};

// w of lanes, in the base of the exponentials.
template <class T> struct PairUnit {
  using W = Vec<T>;
  W grain, top, scale;
  LGC_FN PairUnit(const PairRow<T>& row, int k)
      : grain(broadcast<W>(static_cast<T>(row.grain[k]))),
        top(broadcast<W>(row.masked ? static_cast<T>(static_cast<double>(row.top[k]) * row.grain[k]) : row.top[k])),
        scale(broadcast<W>(row.scale[k])) {}
  template <bool Masked> LGC_FN W of(W v) const { return ((Masked ? v * grain : v) - top) * scale; }
};

// Lanes are summed in T over so many entries, then in double.
template <class T> constexpr size_t kPairPiece = 64 * lanes<Vec<T>>;

// The sum of n exponentials but the one at `skip`. Its vector comes first, and what stands in its place later is 0: a branch there
// would be foreseen by no processor.
template <class T> LGC_FN double sumWithout(const T* e, size_t n, size_t skip) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  alignas(64) static constexpr T nothing[L] = {};
  const size_t at = skip & ~(L - 1);
  W a = broadcast<W>(0);
  if (skip < n) a = withoutLane<T>(loadFirst<W>(e + at, static_cast<int>(n - at < L ? n - at : L), 0), skip - at);
  size_t i = 0;
  for (; i + L <= n; i += L) a = a + load<W>(i == at ? nothing : e + i);
  if (i < n) a = a + loadFirst<W>(i == at ? nothing : e + i, static_cast<int>(n - i), 0);
  return foldSum(a);
}

// Sums over a row, added to `sums`: exponentials of student and teacher, and products of the student's or the teacher's with w.
// `Masked` knows classes without mass; only with `Full` the products that own and crossed take. Exponentials that are not `kept` lie
// in the first piece.
template <bool Masked, bool Full, class T> LGC_SHARED void sumPair(const PairRow<T>& row, bool kept, double* sums) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>, piece = kPairPiece<T>;
  const W zero = broadcast<W>(0);
  const T *const x = row.x[0], *const y = row.x[1];
  const size_t c = row.c, ahead = row.ahead, hole = row.hole;
  const bool padded = row.padded || !kept;
  const PairUnit<T> unitX(row, 0), unitY(row, 1);
  const W masked = broadcast<W>(-__builtin_huge_val()), infinite = broadcast<W>(__builtin_huge_val());
  const W lowest = broadcast<W>(sizeof(T) == 4 ? static_cast<T>(-3e38) : static_cast<T>(-1e308));
  for (size_t start = 0; start < c; start += piece) {
    const size_t end = c - start < piece ? c : start + piece;
    T *const ex = row.e[0] + (kept ? start : 0), *const ey = row.e[1] + (kept ? start : 0);
    W own = zero, crossed = zero, gap = zero;
    for (size_t i = start; i < end; i += L) {
      const auto count = [&]() LGC_LAMBDA { return static_cast<int>(c - i); };
      const bool whole = c - i >= L, special = hole - i < L;
      // Beyond the end w is 0, and so are all products with it.
      const W u = whole ? load<W>(x + i) : loadFirst<W>(x + i, count(), row.top[0]);
      const W v = whole ? load<W>(y + i) : loadFirst<W>(y + i, count(), row.top[1]);
      __builtin_prefetch(x + i + ahead, 0, 2);
      __builtin_prefetch(y + i + ahead, 0, 2);
      W wx = unitX.template of<Masked>(u), wy = unitY.template of<Masked>(v);
      if (Masked) {
        // A product of 0 and -Infinity would be NaN.
        wx = max(lowest, wx);
        wy = max(lowest, wy);
      }
      W px = Base<T>::power(wx), py = Base<T>::power(wy), apart = wy - wx;
      if (__builtin_expect(special, 0)) {
        px = withoutLane<T>(px, hole - i);
        py = withoutLane<T>(py, hole - i);
      }
      if (Masked) {
        const auto deadX = u == masked, deadY = v == masked;
        wx = select(deadX, zero, wx);
        apart = select(deadX | deadY, zero, apart);
        const W beyond = select(deadX & ~deadY, infinite, zero);
        gap = gap + (special ? withoutLane<T>(beyond, hole - i) : beyond);
      }
      store(ey + (i - start), py);
      if (whole || padded)
        store(ex + (i - start), px);
      else
        storeFirst(ex + (i - start), px, count());
      if (Full) own = fma(px, wx, own);
      if (Full) crossed = fma(py, wx, crossed);
      gap = fma(py, apart, gap);
    }
    sums[0] += sumWithout(ex, end - start, row.argMax[0] - start);
    sums[1] += sumWithout(ey, end - start, row.argMax[1] - start);
    sums[2] += foldSum(own);
    sums[3] += foldSum(crossed);
    sums[4] += foldSum(gap);
  }
}

// The sum of e' (w' - mean) (w' - w - gap), in units of the base: around the means, which may be far from 0.
template <class T> LGC_SHARED double covarianceOf(const PairRow<T>& row, double mean_, double gap_) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  const W zero = broadcast<W>(0), masked = broadcast<W>(-__builtin_huge_val());
  const PairUnit<T> unitX(row, 0), unitY(row, 1);
  const W mean = broadcast<W>(static_cast<T>(mean_)), gap = broadcast<W>(static_cast<T>(gap_));
  double total = 0;
  for (size_t from = 0; from < row.c; from += kPairPiece<T>) {
    const size_t to = row.c - from < kPairPiece<T> ? row.c : from + kPairPiece<T>;
    W a = zero;
    for (size_t i = from; i < to; i += L) {
      const int count = static_cast<int>(to - i < L ? to - i : L);
      const W v = loadFirst<W>(row.x[1] + i, count, -__builtin_huge_val());
      const W wx = unitX.template of<true>(loadFirst<W>(row.x[0] + i, count, 0)), wy = unitY.template of<true>(v);
      const W e = loadFirst<W>(row.e[1] + i, count, 0);
      a = a + select(v == masked, zero, e * (wy - mean) * (wy - wx - gap));
    }
    total += foldSum(a);
  }
  return total;
}

struct PairCoefficients {
  double student, teacher, linear, mean;
};

// student e + teacher e' + linear (z - mean), into out or added to it. The last vector ends with the row and overlaps the one before
// it; it is computed first, since the row may be written over the logits or added to.
template <bool Linear, bool Masked, bool Accumulate, class T>
LGC_SHARED void writePair(const PairRow<T>& row, const PairCoefficients& k, T* out) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  const W student = broadcast<W>(static_cast<T>(k.student)), teacher = broadcast<W>(static_cast<T>(k.teacher));
  const double grain = row.grain[0], centred = static_cast<double>(static_cast<T>(k.mean));
  const W slope = broadcast<W>(static_cast<T>(Masked ? k.linear / grain : k.linear));
  const W centre = broadcast<W>(static_cast<T>(centred * grain)), factor = broadcast<W>(static_cast<T>(grain));
  // What rounding the mean to T left out.
  const W rest = broadcast<W>(static_cast<T>(k.linear == 0 ? 0.0 : k.linear * (centred - k.mean)));
  const W masked = broadcast<W>(-__builtin_huge_val()), zero = broadcast<W>(0);
  const T *const x = row.x[0], *const ex = row.e[0], *const ey = row.e[1];
  const size_t c = row.c, whole = c - c % L;
  const auto lane = [&](W u, W p, W q, W before) LGC_LAMBDA {
    W g = fma(p, student, q * teacher);
    if (Linear) g = fma((Masked ? u * factor : u) - centre, slope, g + rest);
    if (Masked) g = select(u == masked, zero, g);
    return Accumulate ? before + g : g;
  };
  const auto at = [&](size_t i) LGC_LAMBDA {
    return lane(Linear || Masked ? load<W>(x + i) : zero, load<W>(ex + i), load<W>(ey + i), Accumulate ? load<W>(out + i) : zero);
  };
  if (c < L) {
    const int n = static_cast<int>(c);
    storeFirst(out,
               lane(loadFirst<W>(x, n, 0), loadFirst<W>(ex, n, 0), loadFirst<W>(ey, n, 0), Accumulate ? loadFirst<W>(out, n, 0) : zero), n);
    return;
  }
  const W last = at(c - L);
  for (size_t i = 0; i < whole; i += L) store(out + i, at(i));
  store(out + (c - L), last);
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
