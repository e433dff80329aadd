// What follows from the sums over two rows that are compared by their softmaxes (row_pair.h), without loops over columns: for one row
// in double, or for eight rows in eight lanes. One definition, so that a row has the same bits alone and in a group.
#pragma once
#include "definition.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Sums over a row: the exponentials without the largest of the student and of the teacher, and what gives own, crossed and gap.
constexpr int kPairSums = 5;

// The student's row, or the teacher's.
template <class V> struct PairSide {
  V top, mean, m2, count;  // the largest logit; the moments are 0 if rows are not standardised
  V hole;                  // the logit that is left out of the softmaxes
  V sd, inverse;           // inverse: 1 / unit
};

template <class V> LGC_FN void findDeviation(const PairScaling& scaling, PairSide<V>& s) {
  const V zero = broadcast<V>(0), freedom = s.count - scaling.ddof;
  s.sd = scaling.standardize ? select(freedom > zero, sqrt(s.m2 / freedom), zero) : zero;
}
template <class V> LGC_FN void findUnit(const PairScaling& scaling, double temperature, PairSide<V>& s) {
  const V zero = broadcast<V>(0), unit = scaling.standardize ? (s.sd + scaling.eps) * temperature : broadcast<V>(temperature);
  // Deviations of a row without any are 0 in every unit.
  s.inverse = select(unit == zero, zero, broadcast<V>(1) / unit);
}

// False for moments that must be taken in double: a sum left the range of T, or an entry is masked or no number. Squares vanish
// before the entries do.
template <class T, class V> LGC_FN Mask<V> inRange(V m2, V count, V mean, V top) {
  const V least = count * (sizeof(T) == 4 ? 1e-30 : 1e-290);
  return (m2 - m2 == broadcast<V>(0)) & ((m2 >= least) | (mean == top));
}

// `nats`: of a unit of the base of the exponentials.
template <class V>
LGC_SHARED PairFacts<V> factsOf(const PairSide<V>* side, const V* total, double temperature, double nats, bool targeted) {
  const V one = broadcast<V>(1), zero = broadcast<V>(0);
  PairFacts<V> f;
  f.temperature = temperature;
  for (int k = 0; k < 2; ++k) {
    // The sums leave out an infinite logit too, whose row has no distribution.
    const V others = select(side[k].top == broadcast<V>(__builtin_huge_val()), broadcast<V>(__builtin_nan("")), total[k]);
    f.others[k] = others;
    f.logSum[k] = log1p(others);
    f.most[k] = one / (one + others);
    f.target[k] = targeted ? (side[k].hole - side[k].top) * side[k].inverse : zero;
  }
  f.own = total[2] * (f.most[0] * nats);
  f.crossed = total[3] * (f.most[1] * nats);
  f.gap = total[4] * (f.most[1] * nats);
  f.covariance = zero;
  return f;
}

// The gradient by the student's logits: student e + teacher e' + linear (z - mean) with the exponentials e, e' relative to the largest.
template <class V> struct PairGradient {
  V student, teacher, linear, mean;
  V atTop;     // at the largest logit, where both rows have it in one place
  V atTarget;  // at the entry that was left out
};
template <class V> LGC_SHARED PairGradient<V> gradientOf(const PairScaling& scaling, const PairSide<V>& s, const PairFacts<V>& f,
                                                         const PairSlopes<V>& g, bool targeted) {
  const V zero = broadcast<V>(0), masked = broadcast<V>(-__builtin_huge_val());
  PairGradient<V> r;
  V inverse = s.inverse;
  r.linear = zero;
  r.mean = s.mean;
  if (scaling.standardize) {
    const auto flat = s.sd == zero;
    if (!scaling.flatGradient) inverse = select(flat, zero, inverse);
    V along = fma(g.student, f.own, g.teacher * f.crossed);
    // A target that only the teacher has makes the loss infinite; it has no place among the deviations.
    if (targeted) along = select(f.target[0] == masked, along, fma(g.atTarget, f.target[0], along));
    r.linear = select(flat, zero, -inverse * f.temperature * along / ((s.count - scaling.ddof) * s.sd));
  }
  const auto at = [&](V slope, V logit)
                      LGC_LAMBDA { return fma(slope, inverse, select(r.linear == zero, zero, r.linear * (logit - s.mean))); };
  const V p = f.most[0], q = f.most[1];
  r.student = inverse * g.student * p;
  r.teacher = inverse * g.teacher * q;
  // Where both have their largest class, p - q comes from the other terms: both round to 1 in a confident row.
  r.atTop = at(fma(g.student + g.teacher, p, g.teacher * ((f.others[0] - f.others[1]) * (p * q))), s.top);
  r.atTarget = targeted ? select(s.hole == masked, zero, at(g.atTarget, s.hole)) : zero;
  return r;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
