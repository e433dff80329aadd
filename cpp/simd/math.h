// Elementary functions over any W: f32x16, f64x8, float or double. Each is one fixed
// sequence of correctly rounded operations, so all levels and the scalars agree.
//
// Polynomial coefficients are weighted minimax fits made for these intervals, with
// each coefficient rounded before the higher ones were fitted again.
#pragma once

namespace logitcore {
namespace LOGITCORE_LEVEL {

template <class S> struct Ieee;

template <> struct Ieee<float> {
  static constexpr float inf = __builtin_huge_valf();
  static constexpr float nan = __builtin_nanf("");
  static constexpr float minNormal = 0x1p-126f;
  static constexpr float toNormal = 0x1p24f;
  static constexpr float toNormalLog2 = 24.0f;
  static constexpr float maxExponent = 127.0f;
  // Adding it leaves the nearest integer, biased by 127, in the low mantissa bits.
  static constexpr float roundBiased = 0x1.8p23f + 127.0f;
  static constexpr float exponentOnly = 0x1p23f;
  static constexpr std::uint32_t exponentOnlyBits = 0x4b000000u;
  static constexpr std::uint32_t mantissaBits = 0x007fffffu;
  static constexpr std::uint32_t oneMinusThreeQuarters = 0x00400000u;
  static constexpr std::uint32_t threeQuarters = 0x3f400000u;
  // ln 2 in two parts. n * ln2 is exact only inside an fma, where it cancels against x;
  // n * ln2Short is a number of this type for every exponent n.
  static constexpr float log2e = 0x1.715476p+0f;
  static constexpr float ln2 = 0x1.62e43p-1f, ln2Rest = -0x1.05c610p-29f;
  static constexpr float ln2Short = 0x1.62e4p-1f, ln2ShortRest = 0x1.7f7d1cp-20f;
  static constexpr float expLow = -104.0f, expHigh = 89.0f;
  static constexpr float flushLow = -0x1.5d589ep+6f, flushHigh = 88.5f;
  static constexpr float expm1Low = -20.0f;
  static constexpr float tanhFlat = 20.0f;
};

template <> struct Ieee<double> {
  static constexpr double inf = __builtin_huge_val();
  static constexpr double nan = __builtin_nan("");
  static constexpr double minNormal = 0x1p-1022;
  static constexpr double toNormal = 0x1p54;
  static constexpr double toNormalLog2 = 54.0;
  static constexpr double maxExponent = 1023.0;
  static constexpr double roundBiased = 0x1.8p52 + 1023.0;
  static constexpr double exponentOnly = 0x1p52;
  static constexpr std::uint64_t exponentOnlyBits = 0x4330000000000000ull;
  static constexpr std::uint64_t mantissaBits = 0x000fffffffffffffull;
  static constexpr std::uint64_t oneMinusThreeQuarters = 0x0008000000000000ull;
  static constexpr std::uint64_t threeQuarters = 0x3fe8000000000000ull;
  static constexpr double log2e = 0x1.71547652b82fep+0;
  static constexpr double ln2 = 0x1.62e42fefa39efp-1, ln2Rest = 0x1.abc9e3b39803fp-56;
  static constexpr double ln2Short = 0x1.62e42fefa3p-1, ln2ShortRest = 0x1.3de6af278ece6p-42;
  static constexpr double expLow = -746.0, expHigh = 710.0;
  static constexpr double flushLow = -0x1.6232bdd7abcd2p+9, flushHigh = 709.5;
  static constexpr double expm1Low = -40.0;
  static constexpr double tanhFlat = 44.0;
};

template <class W> using Fp = Ieee<Scalar<W>>;

// name(x) from nameInline(x): a part of the loop in float, where loops are hot; one shared function in double, whose polynomials
// are long, and whose loops would be most of the library's size.
#define LGC_ELEMENTARY(name)                                                       \
  template <class W> LGC_MATH W name##Shared(W x) { return name##Inline(x); }      \
  template <class W> LGC_FN W name(W x) {                                          \
    if constexpr (sizeof(Scalar<W>) == 8 || LGC_LEVEL_ID == LGC_LEVEL_ID_portable) \
      return name##Shared(x);                                                      \
    else                                                                           \
      return name##Inline(x);                                                      \
  }

// Shorthand for a broadcast constant.
template <class W> LGC_FN W constant(Scalar<W> x) { return broadcast<W>(x); }

template <class W> LGC_FN W horner(W, Scalar<W> last) { return broadcast<W>(last); }
template <class W, class... Rest> LGC_FN W horner(W x, Scalar<W> c, Rest... rest) { return fma(horner(x, rest...), x, broadcast<W>(c)); }

// ---- powers of two ---------------------------------------------------------------

// 2^n for an integral n from the least normal exponent up to maxExponent + 1, where it
// is infinite.
template <class W> LGC_FN W pow2(W n) { return bitsToExponent(n + constant<W>(Fp<W>::roundBiased)); }

// w * 2^n for |w| between 1/2 and 2: two steps, of which only the last can round.
template <class W> LGC_FN W scaleNearOne(W w, W n) {
  const W magic = constant<W>(Fp<W>::roundBiased);
  const W t = fma(n, constant<W>(0.5f), magic);
  return w * bitsToExponent(t) * pow2<W>(n - (t - magic));
}

// w * 2^n for any w and integral finite n, rounded once. A step that leaves the normal range
// is only taken when nothing but zero or infinity can follow.
template <class W> LGC_MATH W scaleByPowerOfTwo(W w, W n) {
  using F = Fp<W>;
  const W most = constant<W>(F::maxExponent);
  const W least = constant<W>(1.0f - F::maxExponent);
  const W step = constant<W>(1.0f - F::maxExponent + F::toNormalLog2);
  W rest = max(constant<W>(-3.0f * F::maxExponent), min(constant<W>(3.0f * F::maxExponent), n));
  const W first = select(rest < least, step, min(most, rest));
  rest = rest - first;
  const W second = select(rest < least, step, min(most, rest));
  rest = max(least, min(most, rest - second));
  return w * pow2<W>(first) * pow2<W>(second) * pow2<W>(rest);
}

// x = m * 2^k with m in [0.75, 1.5), for positive finite x.
template <class W> LGC_FN void exponentAndMantissa(W x, W& m, W& k) {
  using F = Fp<W>;
  const auto tiny = x < constant<W>(F::minNormal);
  x = select(tiny, x * constant<W>(F::toNormal), x);
  const W shifted = bitAdd(x, F::oneMinusThreeQuarters);
  m = bitAdd(bitAnd(shifted, F::mantissaBits), F::threeQuarters);
  k = bitOr(exponentToBits(shifted), F::exponentOnlyBits) - constant<W>(F::exponentOnly + F::maxExponent);
  k = k - select(tiny, constant<W>(F::toNormalLog2), zero<W>());
}

// ---- exp -------------------------------------------------------------------------

// e^r for |r| <= ln(2)/2.
template <class W> LGC_FN W expSeries(W r, float) {
  return horner(r, 1.0f, 1.0f, 0x1.fffffcp-2f, 0x1.555492p-3f, 0x1.5558b0p-5f, 0x1.12398ep-7f, 0x1.6a4dcep-10f);
}
template <class W> LGC_FN W expSeries(W r, double) {
  return horner(r, 1.0, 1.0, 0x1.000000000000ap-1, 0x1.5555555555504p-3, 0x1.55555555506a6p-5, 0x1.11111111256bfp-7, 0x1.6c16c1847eb4cp-10,
                0x1.a01a013614e0dp-13, 0x1.a019994496019p-16, 0x1.71df0c5e2248ap-19, 0x1.28ae19603f61dp-22, 0x1.ada5a3762c4cdp-26);
}

// (e^r - 1 - r) / r^2.
template <class W> LGC_FN W expm1Series(W r, float) {
  return horner(r, 0.5f, 0x1.555554p-3f, 0x1.5554f4p-5f, 0x1.111318p-7f, 0x1.6d3ed4p-10f, 0x1.9de2a6p-13f);
}
template <class W> LGC_FN W expm1Series(W r, double) {
  return horner(r, 0.5, 0x1.5555555555559p-3, 0x1.555555555554fp-5, 0x1.111111110f653p-7, 0x1.6c16c16c19d02p-10, 0x1.a01a01b004d6cp-13,
                0x1.a01a019259deep-16, 0x1.71ddf80aa88c4p-19, 0x1.27e50a544df9ap-22, 0x1.af5f36e6c7819p-26, 0x1.1f278bc0f64aep-29);
}

// Splits x into n ln 2 + r; rounded holds n, biased, ready for bitsToExponent.
template <class W> LGC_FN W reduceExp(W x, W& n, W& rounded) {
  using F = Fp<W>;
  const W magic = constant<W>(F::roundBiased);
  rounded = fma(x, constant<W>(F::log2e), magic);
  n = rounded - magic;
  return fnma(n, constant<W>(F::ln2Rest), fnma(n, constant<W>(F::ln2), x));
}

// The bounds come first in min and max because a NaN in the second operand survives.
template <class W> LGC_FN W clampKeepNan(W x, Scalar<W> low, Scalar<W> high) { return max(constant<W>(low), min(constant<W>(high), x)); }

template <class W> LGC_FN W expInline(W x) {
  using F = Fp<W>;
  W n, rounded;
  const W r = reduceExp(clampKeepNan(x, F::expLow, F::expHigh), n, rounded);
  return scaleNearOne(expSeries(r, Scalar<W>{}), n);
}
LGC_ELEMENTARY(exp)

// x < limit ? 0 : a * b.
template <class W> LGC_FN W mulUnlessLess(W a, W b, W x, W limit) { return select(x < limit, zero<W>(), a * b); }

// exp for sums of many terms: results below the least normal number become 0, and
// overflow begins half a binade early (float: above 88.37, double: above 709.43).
// Everywhere else it equals exp.
template <class W> LGC_FN W expFlushInline(W x) {
  using F = Fp<W>;
  W n, rounded;
  const W r = reduceExp(min(constant<W>(F::flushHigh), x), n, rounded);
  return mulUnlessLess(expSeries(r, Scalar<W>{}), bitsToExponent(rounded), x, constant<W>(F::flushLow));
}
LGC_ELEMENTARY(expFlush)

template <class W> LGC_FN W expm1Inline(W x) {
  using F = Fp<W>;
  W n, rounded;
  const W c = clampKeepNan(x, F::expm1Low, F::expHigh);
  const W r = reduceExp(c, n, rounded);
  // What r lost to rounding; it counts where e^x - 1 is small although n is not 0.
  const W rest = fnma(n, constant<W>(F::ln2Rest), fnma(n, constant<W>(F::ln2), c) - r);
  const W tail = fma(r * r, expm1Series(r, Scalar<W>{}), rest);
  // Half of 2^n, because 2^n itself overflows before the result does.
  const W half = pow2<W>(n - constant<W>(1.0f));
  const W y = fma(half, tail, fma(half, r, half - constant<W>(0.5f)));
  // Doubling a halved denormal would lose its last bit.
  return copysign(select(n == zero<W>(), r + tail, y + y), x);
}
LGC_ELEMENTARY(expm1)

// ---- log -------------------------------------------------------------------------

// log(m 2^k) with f = m - 1, m in [0.75, 1.5). The sum k ln 2 + f keeps its rounding
// error, otherwise the result near sqrt(1/2) loses its last bit.
template <class W> LGC_FN W logSum(W k, W f, W rest) {
  const W ln2 = constant<W>(Fp<W>::ln2Short);
  const W high = fma(k, ln2, f);
  const W error = f - fnma(k, ln2, high);
  return high + (error + fma(k, constant<W>(Fp<W>::ln2ShortRest), rest));
}

template <class W> LGC_FN W logReduced(W k, W f, float) {
  const W p = horner(f, 0x1.55555ap-2f, -0x1.000070p-2f, 0x1.99975cp-3f, -0x1.551934p-3f, 0x1.2463f8p-3f, -0x1.04b5e0p-3f, 0x1.df2352p-4f,
                     -0x1.74b6aap-4f, 0x1.33609ap-5f);
  return logSum(k, f, fma(f, p, constant<W>(-0.5f)) * (f * f));
}

// 2 atanh(s) = log(1 + f) with s = f / (2 + f): half the terms of a series in f.
template <class W> LGC_FN W logReduced(W k, W f, double) {
  const W s = f / (constant<W>(2.0) + f);
  const W z = s * s;
  const W p = horner(z, 0x1.555555555554fp-1, 0x1.999999999c17ap-2, 0x1.24924921e43bep-2, 0x1.c71c748fd6d79p-3, 0x1.745c4ad3741cbp-3,
                     0x1.3b35c23e014f3p-3, 0x1.0dcb76379b188p-3, 0x1.1b82995dcc411p-3);
  const W halfSquare = constant<W>(0.5) * f * f;
  return logSum(k, f, s * fma(z, p, halfSquare) - halfSquare);
}

// The values of log where x is not a positive finite number.
template <class W> LGC_FN W logSpecial(W x, W y) {
  using F = Fp<W>;
  y = select(x < constant<W>(F::inf), y, x);
  y = select(x < zero<W>(), constant<W>(F::nan), y);
  return select(x == zero<W>(), constant<W>(-F::inf), y);
}

template <class W> LGC_FN W logInline(W x) {
  W m, k;
  exponentAndMantissa(x, m, k);
  return logSpecial(x, logReduced(k, m - constant<W>(1.0f), Scalar<W>{}));
}
LGC_ELEMENTARY(log)

template <class W> LGC_FN W log1pInline(W x) {
  const W one = constant<W>(1.0f);
  const W u = one + x;
  // The exact rounding error of the sum, whichever term is larger.
  const W v = u - one;
  const W error = (one - (u - v)) + (x - v);
  W m, k;
  exponentAndMantissa(u, m, k);
  // Where k = 0 this restores x itself. Far out the error no longer matters, but its
  // scale must stay a normal number.
  const W f = fma(error, pow2<W>(-min(constant<W>(100.0f), k)), m - one);
  return copysign(logSpecial(u, logReduced(k, f, Scalar<W>{})), x);
}
LGC_ELEMENTARY(log1p)

// ---- compositions ----------------------------------------------------------------

// (tanh(a) - a) / a^3 for a <= 0.55, in z = a^2.
template <class W> LGC_FN W tanhSeries(W z, float) {
  return horner(z, -0x1.55554ap-2f, 0x1.110cfep-3f, -0x1.b922d8p-5f, 0x1.591388p-6f, -0x1.9a5842p-8f);
}
template <class W> LGC_FN W tanhSeries(W z, double) {
  return horner(z, -0x1.555555555554fp-2, 0x1.1111111110790p-3, -0x1.ba1ba1b97ca5cp-5, 0x1.664f4859395a6p-6, -0x1.226e2f0cc8589p-7,
                0x1.d6d29a4668090p-9, -0x1.7d8fc17958dbfp-10, 0x1.34830e6537998p-11, -0x1.e968ffa8f5b9fp-13, 0x1.5d5fc93c4663ap-14,
                -0x1.46db78706bc58p-16);
}

// A series near 0, because e^2a loses the digits of a small a; else 1 - 2 / (e^2a + 1).
template <class W> LGC_FN W tanhInline(W x) {
  const W one = constant<W>(1.0f);
  const W a = abs(x);
  const W z = a * a;
  const W near = fma(a * z, tanhSeries(z, Scalar<W>{}), a);
  W n, rounded;
  const W r = reduceExp(min(constant<W>(Fp<W>::tanhFlat), a + a), n, rounded);
  const W e = expSeries(r, Scalar<W>{}) * bitsToExponent(rounded);
  const W far = one - constant<W>(2.0f) / (e + one);
  return copysign(select(a < constant<W>(0.55f), near, far), x);
}
LGC_ELEMENTARY(tanh)

template <class W> LGC_FN W sigmoid(W x) {
  const W one = constant<W>(1.0f);
  const W e = exp(-abs(x));
  return select(x < zero<W>(), e, one) / (one + e);
}

// log(1 + e^x).
template <class W> LGC_FN W softplus(W x) { return max(zero<W>(), x) + log1p(exp(-abs(x))); }

// log(e^a + e^b).
template <class W> LGC_FN W logAddExp(W a, W b) {
  // Equal infinities have no difference.
  const W d = select(a == b, zero<W>(), a - b);
  return max(a, b) + log1p(exp(-abs(d)));
}

#undef LGC_ELEMENTARY

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
