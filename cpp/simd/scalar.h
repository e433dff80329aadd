// The vector interface on plain float and double: one lane, a bool as its mask.
#pragma once

namespace logitcore {
namespace LOGITCORE_LEVEL {

template <class W> struct Traits;

template <> struct Traits<float> {
  using Scalar = float;
  using Mask = bool;
  using Bits = std::uint32_t;
  static constexpr int lanes = 1;
};

template <> struct Traits<double> {
  using Scalar = double;
  using Mask = bool;
  using Bits = std::uint64_t;
  static constexpr int lanes = 1;
};

template <class W> using Scalar = typename Traits<W>::Scalar;
template <class W> using Mask = typename Traits<W>::Mask;
template <class W> using Bits = typename Traits<W>::Bits;
template <class W> constexpr int lanes = Traits<W>::lanes;

// The vector type of a scalar type; the vector levels specialize it.
template <class S> struct VecOf;
template <class S> using Vec = typename VecOf<S>::type;

template <class W> LGC_FN W broadcast(Scalar<W> x);
template <class W> LGC_FN W load(const Scalar<W>* p);
// Lanes from count on are fill; memory from p + count on is never touched.
template <class W> LGC_FN W loadFirst(const Scalar<W>* p, int count, Scalar<W> fill = 0);
template <class W> LGC_FN W laneIndex();
// True in the lanes below count.
template <class W> LGC_FN Mask<W> firstLanes(int count);
template <class W> LGC_FN W zero() { return broadcast<W>(0); }

#if defined(__CUDA_ARCH__)
LGC_FN std::uint32_t toBits(float x) { return __float_as_uint(x); }
LGC_FN std::uint64_t toBits(double x) { return static_cast<std::uint64_t>(__double_as_longlong(x)); }
LGC_FN float fromBits(std::uint32_t u) { return __uint_as_float(u); }
LGC_FN double fromBits(std::uint64_t u) { return __longlong_as_double(static_cast<long long>(u)); }
LGC_FN float fma(float a, float b, float c) { return __fmaf_rn(a, b, c); }
LGC_FN double fma(double a, double b, double c) { return __fma_rn(a, b, c); }
LGC_FN float sqrt(float a) { return __fsqrt_rn(a); }
LGC_FN double sqrt(double a) { return __dsqrt_rn(a); }
LGC_FN float floor(float a) { return ::floorf(a); }
LGC_FN double floor(double a) { return ::floor(a); }
LGC_FN float roundEven(float a) { return ::rintf(a); }
LGC_FN double roundEven(double a) { return ::rint(a); }
#else
LGC_FN std::uint32_t toBits(float x) {
  std::uint32_t u = 0;
  __builtin_memcpy(&u, &x, sizeof u);
  return u;
}
LGC_FN std::uint64_t toBits(double x) {
  std::uint64_t u = 0;
  __builtin_memcpy(&u, &x, sizeof u);
  return u;
}
LGC_FN float fromBits(std::uint32_t u) {
  float x = 0;
  __builtin_memcpy(&x, &u, sizeof x);
  return x;
}
LGC_FN double fromBits(std::uint64_t u) {
  double x = 0;
  __builtin_memcpy(&x, &u, sizeof x);
  return x;
}
LGC_FN float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
LGC_FN double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
LGC_FN float sqrt(float a) { return __builtin_sqrtf(a); }
LGC_FN double sqrt(double a) { return __builtin_sqrt(a); }
LGC_FN float floor(float a) { return __builtin_floorf(a); }
LGC_FN double floor(double a) { return __builtin_floor(a); }
// rint follows the rounding mode of the thread, which nothing here changes.
LGC_FN float roundEven(float a) { return __builtin_rintf(a); }
LGC_FN double roundEven(double a) { return __builtin_rint(a); }
#endif

// Bit patterns as integers: the few operations the exponent tricks in math.h need.
#define LGC_X(S, U, MANTISSA, SIGN)                                                                                            \
  template <> LGC_FN S broadcast<S>(S x) { return x; }                                                                         \
  template <> LGC_FN S load<S>(const S* p) { return *p; }                                                                      \
  template <> LGC_FN S loadFirst<S>(const S* p, int count, S fill) { return count > 0 ? *p : fill; }                           \
  template <> LGC_FN S laneIndex<S>() { return 0; }                                                                            \
  template <> LGC_FN bool firstLanes<S>(int count) { return count > 0; }                                                       \
  LGC_FN void store(S* p, S w) { *p = w; }                                                                                     \
  LGC_FN void storeFirst(S* p, S w, int count) {                                                                               \
    if (count > 0) *p = w;                                                                                                     \
  }                                                                                                                            \
  LGC_FN S fnma(S a, S b, S c) { return fma(-a, b, c); }                                                                       \
  LGC_FN S min(S a, S b) { return a < b ? a : b; }                                                                             \
  LGC_FN S max(S a, S b) { return a > b ? a : b; }                                                                             \
  LGC_FN S abs(S a) { return fromBits(static_cast<Bits<S>>(toBits(a) & ~(SIGN))); }                                            \
  LGC_FN S copysign(S mag, S sgn) { return fromBits(static_cast<Bits<S>>((toBits(mag) & ~(SIGN)) | (toBits(sgn) & (SIGN)))); } \
  LGC_FN bool isNan(S a) { return a != a; }                                                                                    \
  LGC_FN S select(bool m, S a, S b) { return m ? a : b; }                                                                      \
  LGC_FN S sum(S w) { return w; }                                                                                              \
  LGC_FN S maxAcross(S w) { return w; }                                                                                        \
  LGC_FN S minAcross(S w) { return w; }                                                                                        \
  LGC_FN S get(S w, int) { return w; }                                                                                         \
  LGC_FN S withLane(S, int, S x) { return x; }                                                                                 \
  LGC_FN S bitAnd(S a, U b) { return fromBits(toBits(a) & b); }                                                                \
  LGC_FN S bitOr(S a, U b) { return fromBits(toBits(a) | b); }                                                                 \
  LGC_FN S bitAdd(S a, U b) { return fromBits(static_cast<U>(toBits(a) + b)); }                                                \
  LGC_FN S bitsToExponent(S a) { return fromBits(static_cast<U>(toBits(a) << MANTISSA)); }                                     \
  LGC_FN S exponentToBits(S a) { return fromBits(static_cast<U>(toBits(a) >> MANTISSA)); }

LGC_X(float, std::uint32_t, 23, 0x80000000u)
LGC_X(double, std::uint64_t, 52, 0x8000000000000000ull)
#undef LGC_X

LGC_FN bool any(bool m) { return m; }
LGC_FN bool all(bool m) { return m; }
LGC_FN bool none(bool m) { return !m; }
LGC_FN int count(bool m) { return m ? 1 : 0; }
LGC_FN int firstTrue(bool m) { return m ? 0 : 1; }

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
