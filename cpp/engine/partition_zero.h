// The zero nearest to 0 of F(u) = sum_k exp(w_k + b_k u), real w_k and b_k in [-1/2, 1/2] that reach both ends. Squares of the upper
// half plane are searched by growing radius. A square is left only when a bound says that it holds no zero, none nearer than
// the best known one, or none but that one; so the zero that Newton's method found is the nearest. It is the search alone: a class F has
// the sums over k, by
//   valueAt(x, y)         the value at a point
//   remainder(value, h)   what the Taylor polynomial leaves out within h of it, which must be the last value
//   isDominated(x, h)     whether, within h of any point whose real part is x, the terms with the b of the largest one there outweigh all
//                         others together: F has no zero then. Where exponents lie far apart nearly all of the plane is so, in discs of
//                         any size.
#pragma once
#include "definition.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr int kTerms = 8;
constexpr double kHalfTurn = 3.14159265358979323846;
constexpr double kRounding = 1e-13;  // of F, in units of `total`

// F at a point times exp(-mean u), which has the same zeros, and its Taylor coefficients there, in units of the largest term.
// `mean` is the average of b under |exp(w_k + b_k u)|, and `total` the sum of these, so that |F| <= total.
struct PartitionValue {
  double re, im, slopeRe, slopeIm;
  double size[kTerms];  // of the Taylor coefficients
  double total, mean;
};

// What a term e exp(i b y) adds to the Taylor coefficients, without their factorials.
template <class W> LGC_FN void addTaylor(W e, W b, double y, W* re, W* im) {
  W s, c, p = e;
  sincos(b * broadcast<W>(y), s, c);
  for (int t = 0; t < kTerms; ++t) {
    re[t] = fma(p, c, re[t]);
    im[t] = fma(p, s, im[t]);
    p = p * b;
  }
}
LGC_FN PartitionValue partitionValue(double total, double mean, const double* re, const double* im) {
  PartitionValue v{};
  v.total = total;
  v.mean = mean;
  v.re = re[0];
  v.im = im[0];
  v.slopeRe = re[1];
  v.slopeIm = im[1];
  double factorial = 1;
  for (int t = 0; t < kTerms; ++t) {
    v.size[t] = sqrt(fma(re[t], re[t], im[t] * im[t])) / factorial;
    factorial *= t + 1;
  }
  return v;
}

// No larger than the sum of these is what the Taylor polynomial leaves out within h: e (exp(t) - 1 - t - ...), t = |b - mean| h. For
// h <= 4 by the geometric series that bounds it.
constexpr double kMostRemainder = 600;  // beyond which the sum counts as infinite
template <class W> LGC_FN W addRemainder(W sum, W e, W t, double h) {
  constexpr double factorial = 40320;
  static_assert(kTerms == 8, "its factorial");
  const W one = broadcast<W>(1);
  if (h <= 4) {
    const W t2 = t * t, t4 = t2 * t2;
    return fma(e, t4 * t4 / fma(t, broadcast<W>(-factorial / (kTerms + 1)), broadcast<W>(factorial)), sum);
  }
  W polynomial = one;
  for (int n = kTerms - 1; n >= 1; --n) polynomial = fma(polynomial * t, broadcast<W>(1.0 / n), one);
  return fma(e, exp(t) - polynomial, sum);
}
LGC_FN bool dominates(double own, double others) { return others < 0.99 * own; }  // exponents are rounded too

// A bound on |F| within h, without the first `from` terms of its series.
LGC_FN double seriesBound(const PartitionValue& v, double h, int from) {
  double bound = 0, power = 1;
  for (int t = 0; t < kTerms; ++t) {
    if (t >= from) bound = fma(v.size[t], power, bound);
    power *= h;
  }
  return bound;
}

// Whether F has no zero within h.
template <class F> LGC_SHARED bool zeroFree(F& f, const PartitionValue& v, double h) {
  const double room = v.size[0] - seriesBound(v, h, 1) - kRounding * v.total;
  return room > 0 && room > f.remainder(v, h);
}
// Whether |F| stays below a share of `total` within h.
template <class F> LGC_SHARED bool zeroWithin(F& f, const PartitionValue& v, double h, double share) {
  const double room = share * v.total - seriesBound(v, h, 0);
  return room > 0 && room > f.remainder(v, h);
}
// A distance within which the zero at this point is the only one.
template <class F> LGC_SHARED double isolation(F& f, const PartitionValue& v) {
  for (double h = 4; h > 1e-9; h *= 0.5)
    if (v.size[1] * h - seriesBound(v, h, 2) - kRounding * v.total > f.remainder(v, h)) return h;
  return 0;
}

struct PartitionZero {
  double x = 0, y = 0, modulus = 0, alone = 0;  // no other zero nearer than `alone` to this one
  bool found = false;
};

template <class F> LGC_SHARED bool newton(F& f, double x, double y, PartitionZero& z) {
  PartitionValue v;
  for (int i = 0; i < 60; ++i) {
    v = f.valueAt(x, y);
    const double d = fma(v.slopeRe, v.slopeRe, v.slopeIm * v.slopeIm);
    if (!(d > 0)) break;
    double sx = fma(v.re, v.slopeRe, v.im * v.slopeIm) / d, sy = fma(v.im, v.slopeRe, -v.re * v.slopeIm) / d;
    const double length = sqrt(fma(sx, sx, sy * sy));
    if (length > 1) {
      sx /= length;
      sy /= length;
    }
    x -= sx;
    y -= sy;
    if (length < 1e-15 * (abs(x) + abs(y))) break;
  }
  v = f.valueAt(x, y);
  if (!(v.size[0] <= 10 * kRounding * v.total)) return false;
  z.x = x;
  z.y = abs(y);
  z.modulus = sqrt(fma(x, x, y * y));
  z.found = true;
  return true;
}

struct Square {
  double x, y, half;
  LGC_FN double nearest() const {
    const double dx = abs(x) - half, dy = y - half, px = dx > 0 ? dx : 0.0, py = dy > 0 ? dy : 0.0;
    return sqrt(fma(px, px, py * py));
  }
  LGC_FN double farthest() const {
    const double px = abs(x) + half, py = y + half;
    return sqrt(fma(px, px, py * py));
  }
};

// Zeros in the ring between the two radii, on the inner one too; `inner` is known to hold none inside.
template <class F> LGC_SHARED PartitionZero zeroInRing(F& f, double inner, double outer) {
  constexpr double tie = 1 - 1e-10;
  PartitionZero best;
  best.modulus = outer;
  Square stack[256];
  int depth = 0;
  // What counts as 0. Around a zero of order m the bounds fail in a disc of radius rounding^(1/m), and ever smaller squares fill the
  // rest: past some hundreds of these a larger share counts, which moves such a zero by no more than rounded logits do.
  double share = 10 * kRounding;
  int small = 0;
  stack[depth++] = {-outer / 2, outer / 2, outer / 2};
  stack[depth++] = {outer / 2, outer / 2, outer / 2};
  while (depth) {
    const Square s = stack[--depth];
    // exp(b_k u) lie in one open half plane for |Im u| < pi.
    if (s.nearest() >= best.modulus * tie || s.farthest() <= inner * tie || s.y + s.half < kHalfTurn * tie) continue;
    const double h = s.half * 1.4142135623730952;
    const double dx = s.x - best.x, dy = s.y - best.y;
    if (best.found && sqrt(fma(dx, dx, dy * dy)) + h < best.alone) continue;
    if (h > 4 && f.isDominated(s.x, h)) continue;
    const PartitionValue v = f.valueAt(s.x, s.y);
    if (zeroFree(f, v, h)) continue;
    const bool everywhere = h < 1 && zeroWithin(f, v, h, share);
    PartitionZero z;
    if (h < 3 && v.size[0] <= 2 * h * v.size[1] && newton(f, s.x, s.y, z) && z.modulus < best.modulus * tie) {
      best = z;
      best.alone = isolation(f, f.valueAt(z.x, z.y));
    }
    if (everywhere) {
      const double modulus = sqrt(fma(s.x, s.x, s.y * s.y));
      if (modulus < best.modulus * tie) best = {s.x, s.y, modulus, 0, true};
      continue;
    }
    if (s.half < 1e-9 * outer || depth + 4 > 256) continue;
    if (h < 0.01 && ++small > 1000 && small % 100 == 0) share *= 10;
    // The child nearest to 0 is taken first.
    const double q = s.half / 2, in = s.x > 0 ? -q : q;
    stack[depth++] = {s.x - in, s.y + q, q};
    stack[depth++] = {s.x + in, s.y + q, q};
    stack[depth++] = {s.x - in, s.y - q, q};
    stack[depth++] = {s.x + in, s.y - q, q};
  }
  return best;
}

template <class F> LGC_SHARED PartitionZero nearestZero(F& f, double limit) {
  const double bound = limit * (1 + 1e-9);
  double inner = 0, outer = 2 * kHalfTurn;
  for (;;) {
    if (outer > bound) outer = bound;
    const PartitionZero z = zeroInRing(f, inner, outer);
    if (z.found || !(outer < bound)) return z;
    inner = outer;
    outer *= 1.6;
  }
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
