// Pairs of rows so short that one would leave most lanes empty: 16 pairs at a time (8 in double), one pair a lane, as in tiny_rows.h.
#pragma once
#include "pair_facts.h"
#include "tiny_rows.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Rows up to this length lie in lanes: what they take, with their exponentials, stays in the first-level cache.
constexpr size_t kTinyPairs = 128;

template <class T> class TinyPairs {
 public:
  using W = Vec<T>;
  using H = Halves<T>;
  using V = f64x8;
  static constexpr size_t L = lanes<W>;

  TinyPairs(const PairScaling& scaling, size_t columns, bool targeted)
      : scaling_(scaling), c_(columns), piece_(columns <= kTinyColumns ? 4 : 8), targeted_(targeted) {}

  // `count` pairs that follow each other in memory; a lane of `hole` is the entry that its pair leaves out. A bit is set in the result for
  // a pair that this cannot do: with masked entries, or out of the range of T.
  LGC_SHARED unsigned scan(const T* student, const T* teacher, size_t count, const T* hole) {
    count_ = count;
    hole_ = load<W>(hole);
    transposeIn(student, c_, count, x_[0]);
    transposeIn(teacher, c_, count, x_[1]);
    return scanSide(0, hole) | scanSide(1, hole);
  }

  // The sums at one temperature, of eight pairs a half.
  LGC_SHARED void facts(double temperature, bool covariance, PairFacts<V>* f) {
    constexpr double nats = 1 / Base<T>::perNat;
    const W zero = broadcast<W>(0), one = broadcast<W>(1);
    const V most = broadcast<V>(sizeof(T) == 4 ? 3.0e38 : 1.7e308);
    for (int k = 0; k < 2; ++k) {
      V scale[2];
      for (int h = 0; h < H::count; ++h) {
        findUnit(scaling_, temperature, side_[k][h]);
        scale[h] = min(most, side_[k][h].inverse * Base<T>::perNat);
      }
      scale_[k] = H::join(scale);
    }
    V total[2][kPairSums];
    for (V* t : total)
      for (int k = 0; k < kPairSums; ++k) t[k] = broadcast<V>(0);
    W index = zero;
    for (size_t from = 0; from < c_; from += piece_) {
      const size_t to = c_ - from < piece_ ? c_ : from + piece_;
      W sum[kPairSums] = {zero, zero, zero, zero, zero};
      for (size_t j = from; j < to; ++j, index = index + one) {
        const auto out = index == hole_;
        const W wx = scaled(0, j), wy = scaled(1, j);
        W px = Base<T>::power(wx), py = Base<T>::power(wy);
        if (targeted_) {
          px = select(out, zero, px);
          py = select(out, zero, py);
        }
        store(e_[0] + j * L, px);
        store(e_[1] + j * L, py);
        sum[0] = sum[0] + select(index == argMax_[0], zero, px);
        sum[1] = sum[1] + select(index == argMax_[1], zero, py);
        sum[2] = fma(px, wx, sum[2]);
        sum[3] = fma(py, wx, sum[3]);
        sum[4] = fma(py, wy - wx, sum[4]);
      }
      for (int h = 0; h < H::count; ++h)
        for (int k = 0; k < kPairSums; ++k) total[h][k] = total[h][k] + H::get(sum[k], h);
    }
    for (int h = 0; h < H::count; ++h) {
      const PairSide<V> side[2] = {side_[0][h], side_[1][h]};
      f[h] = factsOf(side, total[h], temperature, nats, targeted_);
    }
    if (!covariance) return;
    V mean[2], gap[2];
    for (int h = 0; h < H::count; ++h) {
      mean[h] = (f[h].gap + f[h].crossed) * Base<T>::perNat;
      gap[h] = f[h].gap * Base<T>::perNat;
    }
    const W centre = H::join(mean), apart = H::join(gap);
    V covered[2] = {broadcast<V>(0), broadcast<V>(0)};
    for (size_t from = 0; from < c_; from += piece_) {
      const size_t to = c_ - from < piece_ ? c_ : from + piece_;
      W sum = zero;
      for (size_t j = from; j < to; ++j) {
        const W wy = scaled(1, j);
        sum = sum + load<W>(e_[1] + j * L) * (wy - centre) * (wy - scaled(0, j) - apart);
      }
      for (int h = 0; h < H::count; ++h) covered[h] = covered[h] + H::get(sum, h);
    }
    for (int h = 0; h < H::count; ++h) f[h].covariance = covered[h] * (f[h].most[1] * (nats * nats));
  }

  // The gradients, which stay here until they are stored; 0 where `kept` is.
  LGC_SHARED void gradients(const PairFacts<V>* f, const PairSlopes<V>* slopes, const T* kept) {
    V student[2], teacher[2], linear[2], mean[2], atTop[2], atTarget[2], rest[2];
    for (int h = 0; h < H::count; ++h) {
      const PairGradient<V> g = gradientOf(scaling_, side_[0][h], f[h], slopes[h], targeted_);
      student[h] = g.student;
      teacher[h] = g.teacher;
      linear[h] = g.linear;
      mean[h] = g.mean;
      atTop[h] = g.atTop;
      atTarget[h] = g.atTarget;
    }
    const W s = H::join(student), t = H::join(teacher), slope = H::join(linear), centre = H::join(mean), top = H::join(atTop),
            target = H::join(atTarget), zero = broadcast<W>(0), one = broadcast<W>(1), in = load<W>(kept);
    // What rounding the mean to T left out.
    for (int h = 0; h < H::count; ++h)
      rest[h] = select(linear[h] == broadcast<V>(0), broadcast<V>(0), linear[h] * (H::get(centre, h) - mean[h]));
    const W constant = H::join(rest);
    const W common = select(argMax_[0] == argMax_[1], argMax_[0], -one);
    W index = zero;
    for (size_t j = 0; j < c_; ++j, index = index + one) {
      W g = fma(load<W>(e_[0] + j * L), s, load<W>(e_[1] + j * L) * t);
      if (scaling_.standardize) g = fma(load<W>(x_[0] + j * L) - centre, slope, g + constant);
      g = select(index == common, top, g);
      if (targeted_) g = select(index == hole_, target, g);
      store(e_[0] + j * L, select(in == zero, zero, g));
    }
  }
  // In place of the gradient of pair r.
  void setGradient(size_t r, const T* row) {
    for (size_t j = 0; j < c_; ++j) e_[0][j * L + r] = row[j];
  }
  LGC_SHARED void storeGradients(T* out) const { transposeOut(e_[0], c_, count_, out); }

 private:
  const PairScaling& scaling_;
  size_t c_, count_ = 0;
  size_t piece_;  // columns that are summed in T, before their sums are in double
  bool targeted_;
  alignas(64) T x_[2][kTinyPairs * L], e_[2][kTinyPairs * L];
  W hole_, top_[2], argMax_[2], scale_[2];
  PairSide<V> side_[2][2];  // of student and teacher, in halves

  // w, in the base of the exponentials.
  LGC_FN W scaled(int k, size_t j) const { return (load<W>(x_[k] + j * L) - top_[k]) * scale_[k]; }

  LGC_SHARED unsigned scanSide(int k, const T* hole) {
    const T* const x = x_[k];
    const W low = broadcast<W>(-__builtin_huge_val()), zero = broadcast<W>(0), one = broadcast<W>(1), origin = load<W>(x);
    W top = low, argMax = zero, sum = zero, index = zero;
    for (size_t j = 0; j < c_; ++j, index = index + one) {
      const W v = load<W>(x + j * L), u = targeted_ ? select(index == hole_, low, v) : v;
      argMax = select(u > top, index, argMax);
      top = max(u, top);
      sum = sum + (v - origin);
    }
    top_[k] = top;
    argMax_[k] = argMax;
    alignas(64) T holes[L] = {};
    if (targeted_)
      for (size_t r = 0; r < count_; ++r)
        if (hole[r] >= 0) holes[r] = x[static_cast<size_t>(hole[r]) * L + r];
    const V count = broadcast<V>(static_cast<double>(c_));
    const V nothing = broadcast<V>(0);
    V deviations[2] = {nothing, nothing}, squares[2] = {nothing, nothing};
    W mean = zero;
    if (scaling_.standardize) {
      // Equal entries have a mean that is exactly theirs.
      mean = origin + sum / broadcast<W>(static_cast<T>(c_));
      for (size_t from = 0; from < c_; from += piece_) {
        const size_t to = c_ - from < piece_ ? c_ : from + piece_;
        W a = zero, q = zero;
        for (size_t j = from; j < to; ++j) {
          const W v = load<W>(x + j * L) - mean;
          a = a + v;
          q = fma(v, v, q);
        }
        for (int h = 0; h < H::count; ++h) {
          deviations[h] = deviations[h] + H::get(a, h);
          squares[h] = squares[h] + H::get(q, h);
        }
      }
    }
    unsigned beyond = 0;
    for (int h = 0; h < H::count; ++h) {
      PairSide<V>& s = side_[k][h];
      const V shift = deviations[h] / count, m2 = fnma(deviations[h], shift, squares[h]);
      s.top = H::get(top, h);
      s.mean = H::get(mean, h) + shift;
      s.m2 = select(m2 < nothing, nothing, m2);
      s.count = count;
      s.hole = H::get(load<W>(holes), h);
      findDeviation(scaling_, s);
      // Every entry is at most c times one of these away from the first.
      const V most = max(s.top - H::get(origin, h), abs(H::get(sum, h))) * (scaling_.temperature < 1 ? 1 / scaling_.temperature : 1.0);
      const auto sound = scaling_.standardize ? inRange<T>(s.m2, count, s.mean, s.top) : most < broadcast<V>(sizeof(T) == 4 ? 1e30 : 1e290);
      beyond |= maskBits(~sound) << (8 * h);
    }
    return beyond;
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
