// pow and sincos: they need a few more bits than one number holds.
#pragma once

namespace logitcore {
namespace LOGITCORE_LEVEL {

// log(x) as high + low with about 63 bits, for double lanes.
template <class W> LGC_FN void logTwoParts(W x, W& high, W& low) {
  using F = Fp<W>;
  const W one = constant<W>(1.0);
  W m, k;
  exponentAndMantissa(x, m, k);
  const W f = m - one;
  // s + sLow = f / (m + 1)
  const W d = m + one;
  const W dLow = m - (d - one);
  const W s = f / d;
  const W sLow = fnma(s, dLow, fnma(s, d, f)) / d;
  const W z = s * s;
  const W zLow = fma(s, s, -z) + constant<W>(2.0) * s * sLow;
  const W cube = s * z;
  const W cubeLow = fma(s, z, -cube) + fma(s, zLow, sLow * z);
  // log m = 2 s + 2/3 s^3 + s^5 (...)
  const W third = constant<W>(0x1.5555555555555p-1);
  const W t = cube * third;
  const W tail = z * horner(z, 0x1.999999999999ap-2, 0x1.2492492492357p-2, 0x1.c71c71c748290p-3, 0x1.745d172d302dbp-3, 0x1.3b13b94980328p-3,
                            0x1.110f72023fee9p-3, 0x1.e24a105b7dd41p-4, 0x1.a73d3df114120p-4, 0x1.da81b3ef0ef95p-4);
  const W tLow = fma(cube, third, -t) + fma(cubeLow, third, cube * (tail + constant<W>(0x1.5555555555555p-55)));
  const W s2 = s + s;
  // |k ln 2| > |2 s| > |t|, or the larger is 0: one-sided error terms are exact.
  const W base = k * constant<W>(F::ln2Short);
  const W a = base + s2;
  const W aLow = s2 - (a - base);
  const W b = a + t;
  const W bLow = t - (b - a);
  const W rest = aLow + (bLow + fma(k, constant<W>(F::ln2ShortRest), sLow + sLow + tLow));
  high = b + rest;
  low = rest - (high - b);
  high = logSpecial(x, high);
}

template <class W> LGC_MATH W powDouble(W a, W b) {
  using F = Fp<W>;
  W logHigh, logLow;
  logTwoParts(a, logHigh, logLow);
  const W y = b * logHigh;
  W yLow = fma(b, logHigh, -y) + b * logLow;
  // Infinite or overflowing products have no meaningful low part.
  yLow = select(abs(y) < constant<W>(750.0), yLow, zero<W>());
  W n, rounded;
  const W r = reduceExp(clampKeepNan(y, F::expLow, F::expHigh), n, rounded) + yLow;
  const W result = scaleNearOne(expSeries(r, double{}), n);
  const auto isZero = b == zero<W>(), isOne = a == constant<W>(1.0);
  return select(isZero | isOne, constant<W>(1.0), result);
}

// a^b for a >= 0, NaN for a < 0, with pow(x, 0) = pow(1, x) = 1.
template <class W> LGC_FN W powOf(W a, W b, double) { return powDouble(a, b); }
LGC_FN float powOf(float a, float b, float) { return static_cast<float>(powDouble(static_cast<double>(a), static_cast<double>(b))); }
#if LGC_LEVEL_ID != LGC_LEVEL_ID_device
LGC_FN f32x16 powOf(f32x16 a, f32x16 b, float) { return narrow(powDouble(low(a), low(b)), powDouble(high(a), high(b))); }
#endif
template <class W> LGC_FN W pow(W a, W b) { return powOf(a, b, Scalar<W>{}); }

// Sine and cosine of double lanes for |x| < 1e5; beyond that accuracy fades with the size of x.
template <class W> LGC_MATH void sincos(W x, W& sine, W& cosine) {
  const double magic = 0x1.8p52;
  const W rounded = fma(x, 0x1.45f306dc9c883p-1, magic);
  const W n = rounded - magic;
  const W quadrant = fnma(floor(n * 0.25), 4.0, n);
  // pi/2 in three parts. The first product cancels exactly, so that r + low stays
  // accurate even next to a multiple of pi/2.
  const W r1 = fnma(n, 0x1.921fb54442d18p+0, x);
  const W p = n * 0x1.1a62633145c07p-54;
  const W pLow = fma(n, 0x1.1a62633145c07p-54, -p);
  const W r = r1 - p;
  const W back = r - r1;
  const W error = (r1 - (r - back)) - (p + back) - pLow;
  const W low = fma(n, 0x1.f1976b7ed8fbcp-110, error);

  const W z = r * r;
  const W sineTail = horner(z, -0x1.5555555555549p-3, 0x1.111111110f89ep-7, -0x1.a01a019c146f0p-13, 0x1.71de35793cb55p-19,
                            -0x1.ae5e66e4e14b6p-26, 0x1.5d93145934283p-33);
  const W cosineTail = horner(z, 0x1.555555555554cp-5, -0x1.6c16c16c1521dp-10, 0x1.a01a019cbeed9p-16, -0x1.27e4f8122f794p-22,
                              0x1.1ee9f0d5762aap-29, -0x1.8fb0dfc459442p-37);
  const W half = 0.5 * z;
  const W s = r + fma(z * r, sineTail, fnma(half, low, low));
  const W w = 1.0 - half;
  const W c = w + (((1.0 - w) - half) + fnma(r, low, z * z * cosineTail));

  const auto swapped = (quadrant == 1.0) | (quadrant == 3.0);
  sine = select(swapped, c, s);
  cosine = select(swapped, s, c);
  sine = select(quadrant >= 2.0, -sine, sine);
  cosine = select((quadrant == 1.0) | (quadrant == 2.0), -cosine, cosine);
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
