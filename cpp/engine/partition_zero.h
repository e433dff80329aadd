// The zero nearest to 0 of F(u) = sum_k exp(w_k + b_k u), real w_k and b_k in [-1/2, 1/2] that reach both ends. Squares of the upper
// half plane are searched by growing radius. A square is left only when a bound says that it holds no zero, none nearer than
// the best known one, or none but that one; so the zero that Newton's method found is the nearest.
#pragma once
#include "kernel.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// w and b padded to whole vectors with w = -Infinity; e is memory of the same length.
struct PartitionSum {
  const double* w;
  const double* b;
  double* e;
  size_t count;
};

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

inline PartitionValue partitionAt(const PartitionSum& f, double x, double y) {
  const f64x8 zero = broadcast<f64x8>(0), vx = broadcast<f64x8>(x), vy = broadcast<f64x8>(y);
  f64x8 most = broadcast<f64x8>(-__builtin_huge_val());
  for (size_t k = 0; k < f.count; k += 8) most = max(fma(load<f64x8>(f.b + k), vx, load<f64x8>(f.w + k)), most);
  const double top = maxAcross(most);
  f64x8 g = zero, gb = zero;
  for (size_t k = 0; k < f.count; k += 8) {
    const f64x8 b = load<f64x8>(f.b + k), e = exp(fma(b, vx, load<f64x8>(f.w + k)) - top);
    store(f.e + k, e);
    g = g + e;
    gb = fma(e, b, gb);
  }
  PartitionValue v;
  v.total = sum(g);
  v.mean = sum(gb) / v.total;
  f64x8 re[kTerms], im[kTerms];
  for (int t = 0; t < kTerms; ++t) re[t] = im[t] = zero;
  for (size_t k = 0; k < f.count; k += 8) {
    const f64x8 b = load<f64x8>(f.b + k) - v.mean;
    f64x8 s, c, p = load<f64x8>(f.e + k);
    sincos(b * vy, s, c);
    for (int t = 0; t < kTerms; ++t) {
      re[t] = fma(p, c, re[t]);
      im[t] = fma(p, s, im[t]);
      p = p * b;
    }
  }
  v.re = sum(re[0]);
  v.im = sum(im[0]);
  v.slopeRe = sum(re[1]);
  v.slopeIm = sum(im[1]);
  double factorial = 1;
  for (int t = 0; t < kTerms; ++t) {
    const double a = sum(re[t]), b = sum(im[t]);
    v.size[t] = sqrt(fma(a, a, b * b)) / factorial;
    factorial *= t + 1;
  }
  return v;
}

// No larger than this is what the Taylor polynomial leaves out within h: sum e_k (exp(t) - 1 - t - ...), t = |b_k - mean| h. For
// h <= 4 by the geometric series that bounds it. f.e must be of the same point.
inline double partitionRemainder(const PartitionSum& f, const PartitionValue& v, double h) {
  if (h > 600) return kInfinity;
  f64x8 r = broadcast<f64x8>(0);
  const f64x8 one = broadcast<f64x8>(1);
  double factorial = 1;
  for (int t = 2; t <= kTerms; ++t) factorial *= t;
  for (size_t k = 0; k < f.count; k += 8) {
    const f64x8 e = load<f64x8>(f.e + k), t = abs(load<f64x8>(f.b + k) - v.mean) * h;
    if (h <= 4) {
      const f64x8 t2 = t * t, t4 = t2 * t2;
      r = fma(e, t4 * t4 / fma(t, broadcast<f64x8>(-factorial / (kTerms + 1)), broadcast<f64x8>(factorial)), r);
    } else {
      f64x8 polynomial = one;
      for (int n = kTerms - 1; n >= 1; --n) polynomial = fma(polynomial * t, broadcast<f64x8>(1.0 / n), one);
      r = fma(e, exp(t) - polynomial, r);
    }
  }
  return sum(r);
}

// A bound on |F| within h, without the first `from` terms of its series.
LGC_FN double seriesBound(const PartitionValue& v, double h, int from) {
  double bound = 0, power = 1;
  for (int t = 0; t < kTerms; ++t) {
    if (t >= from) bound = fma(v.size[t], power, bound);
    power *= h;
  }
  return bound;
}

// Whether, within h of any point whose real part is x, the terms with the b of the largest one there outweigh all others together: F has
// no zero then. Where exponents lie far apart nearly all of the plane is so, in discs of any size.
inline bool isDominated(const PartitionSum& f, double x, double h) {
  const f64x8 vx = broadcast<f64x8>(x), zero = broadcast<f64x8>(0);
  f64x8 most = broadcast<f64x8>(-__builtin_huge_val()), steepest = most;
  for (size_t k = 0; k < f.count; k += 8) most = max(fma(load<f64x8>(f.b + k), vx, load<f64x8>(f.w + k)), most);
  const f64x8 top = broadcast<f64x8>(maxAcross(most));
  for (size_t k = 0; k < f.count; k += 8) {
    const f64x8 b = load<f64x8>(f.b + k);
    steepest = max(steepest, select(fma(b, vx, load<f64x8>(f.w + k)) == top, b, broadcast<f64x8>(-__builtin_huge_val())));
  }
  const f64x8 slope = broadcast<f64x8>(maxAcross(steepest));
  f64x8 own = zero, others = zero;
  for (size_t k = 0; k < f.count; k += 8) {
    const f64x8 b = load<f64x8>(f.b + k), behind = fma(b, vx, load<f64x8>(f.w + k)) - top;
    const auto same = b == slope;
    own = own + select(same, exp(behind), zero);
    others = others + select(same, zero, exp(fma(abs(b - slope), broadcast<f64x8>(h), behind)));
  }
  return sum(others) < 0.99 * sum(own);  // exponents are rounded too
}

// Whether F has no zero within h.
inline bool zeroFree(const PartitionSum& f, const PartitionValue& v, double h) {
  const double room = v.size[0] - seriesBound(v, h, 1) - kRounding * v.total;
  return room > 0 && room > partitionRemainder(f, v, h);
}
// Whether |F| stays below a share of `total` within h.
inline bool zeroWithin(const PartitionSum& f, const PartitionValue& v, double h, double share) {
  const double room = share * v.total - seriesBound(v, h, 0);
  return room > 0 && room > partitionRemainder(f, v, h);
}
// A distance within which the zero at this point is the only one.
inline double isolation(const PartitionSum& f, const PartitionValue& v) {
  for (double h = 4; h > 1e-9; h *= 0.5)
    if (v.size[1] * h - seriesBound(v, h, 2) - kRounding * v.total > partitionRemainder(f, v, h)) return h;
  return 0;
}

struct PartitionZero {
  double x = 0, y = 0, modulus = 0, alone = 0;  // no other zero nearer than `alone` to this one
  bool found = false;
};

inline bool newton(const PartitionSum& f, double x, double y, PartitionZero& z) {
  PartitionValue v;
  for (int i = 0; i < 60; ++i) {
    v = partitionAt(f, x, y);
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
  v = partitionAt(f, x, y);
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
inline PartitionZero zeroInRing(const PartitionSum& f, double inner, double outer) {
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
    if (h > 4 && isDominated(f, s.x, h)) continue;
    const PartitionValue v = partitionAt(f, s.x, s.y);
    if (zeroFree(f, v, h)) continue;
    const bool everywhere = h < 1 && zeroWithin(f, v, h, share);
    PartitionZero z;
    if (h < 3 && v.size[0] <= 2 * h * v.size[1] && newton(f, s.x, s.y, z) && z.modulus < best.modulus * tie) {
      best = z;
      best.alone = isolation(f, partitionAt(f, z.x, z.y));
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

inline PartitionZero nearestZero(const PartitionSum& f, double limit) {
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
