// Every function of cpp/simd over arrays, compiled once per level; see simd_check.cpp.
#include "simd_levels.h"

#include "../../cpp/simd/exp2.h"
#include "../../cpp/simd/simd.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

// x, y, z are lanes of the three inputs, one and nil the constants 1 and 0.
#define SIMD_OPERATIONS(X)                                                                              \
  X(add, x + y)                                                                                         \
  X(subtract, x - y)                                                                                    \
  X(multiply, x* y)                                                                                     \
  X(divide, x / y)                                                                                      \
  X(negate, -x)                                                                                         \
  X(scalarMixed, (x + S(1.5)) * S(0.25) - S(3) / (S(7) - y))                                            \
  X(compound, compound(x, y, z))                                                                        \
  X(fma, fma(x, y, z))                                                                                  \
  X(fnma, fnma(x, y, z))                                                                                \
  X(min, min(x, y))                                                                                     \
  X(max, max(x, y))                                                                                     \
  X(abs, abs(x))                                                                                        \
  X(sqrt, sqrt(x))                                                                                      \
  X(floor, floor(x))                                                                                    \
  X(roundEven, roundEven(x))                                                                            \
  X(copysign, copysign(x, y))                                                                           \
  X(less, select(x < y, one, nil))                                                                      \
  X(lessEqual, select(x <= y, one, nil))                                                                \
  X(greater, select(x > y, one, nil))                                                                   \
  X(greaterEqual, select(x >= y, one, nil))                                                             \
  X(equal, select(x == y, one, nil))                                                                    \
  X(notEqual, select(x != y, one, nil))                                                                 \
  X(isNan, select(isNan(x), one, nil))                                                                  \
  X(maskAnd, select((x < y) & (y < z), x, z))                                                           \
  X(maskOr, select((x < y) | (y < z), x, z))                                                            \
  X(maskNot, select(!(x < y), x, z))                                                                    \
  X(exponent, split(x, true))                                                                           \
  X(mantissa, split(x, false))                                                                          \
  X(scaleByPowerOfTwo, scaleByPowerOfTwo(x, select(abs(z) < broadcast<W>(S(5000)), roundEven(z), nil))) \
  X(exp, exp(x))                                                                                        \
  X(expFlush, expFlush(x))                                                                              \
  X(log, log(x))                                                                                        \
  X(log1p, log1p(x))                                                                                    \
  X(expm1, expm1(x))                                                                                    \
  X(tanh, tanh(x))                                                                                      \
  X(sigmoid, sigmoid(x))                                                                                \
  X(softplus, softplus(x))                                                                              \
  X(logAddExp, logAddExp(x, y))                                                                         \
  X(pow, pow(x, z))

template <class W> LGC_FN W compound(W x, W y, W z) {
  x += y;
  x *= z;
  x -= Scalar<W>(2);
  x /= y;
  x += Scalar<W>(1);
  x *= Scalar<W>(3);
  x -= z;
  x /= Scalar<W>(5);
  return x;
}

// Only defined for positive finite numbers.
template <class W> LGC_FN W split(W x, bool exponent) {
  const W positive = abs(x);
  const auto valid = (positive > zero<W>()) & (positive < broadcast<W>(Ieee<Scalar<W>>::inf));
  W m, k;
  exponentAndMantissa(positive, m, k);
  return select(valid, exponent ? k : m, zero<W>());
}

const char* const kOperationNames[] = {
#define X(name, expression) #name,
    SIMD_OPERATIONS(X)
#undef X
};

enum Operation {
#define X(name, expression) operation_##name,
  SIMD_OPERATIONS(X)
#undef X
      kOperations
};

template <class W> void run(int operation, const Scalar<W>* a, const Scalar<W>* b, const Scalar<W>* c, long n, Scalar<W>* out) {
  using S = Scalar<W>;
  [[maybe_unused]] const W one = broadcast<W>(S(1)), nil = zero<W>();
  switch (operation) {
#define X(name, expression)                        \
  case operation_##name:                           \
    for (long i = 0; i < n; i += lanes<W>) {       \
      const W x = load<W>(a + i);                  \
      [[maybe_unused]] const W y = load<W>(b + i); \
      [[maybe_unused]] const W z = load<W>(c + i); \
      store(out + i, expression);                  \
    }                                              \
    break;
    SIMD_OPERATIONS(X)
#undef X
    default: break;
  }
}

#define SIMD_REDUCTIONS(X)                                                        \
  X(sum, broadcast<W>(sum(x)))                                                    \
  X(maxAcross, broadcast<W>(maxAcross(x)))                                        \
  X(minAcross, broadcast<W>(minAcross(x)))                                        \
  X(any, broadcast<W>(any(x < y) ? 1 : 0))                                        \
  X(all, broadcast<W>(all(x == x) ? 1 : 0))                                       \
  X(none, broadcast<W>(none(x > y) ? 1 : 0))                                      \
  X(count, broadcast<W>(static_cast<Scalar<W>>(count(x < y))))                    \
  X(firstTrue, broadcast<W>(static_cast<Scalar<W>>(firstTrue(isNan(x)))))         \
  X(complement, broadcast<W>(static_cast<Scalar<W>>(count(~(x < y) & (x == x))))) \
  X(laneIndex, laneIndex<W>() + get(x, 3))                                        \
  X(withLane, withLane(x, 5, get(y, 7)))                                          \
  X(halves, halves(x, y))                                                         \
  X(widenedSum, widenedSum(x))                                                    \
  X(exp2Flush, exp2(-abs(x)))

LGC_FN f32x16 halves(f32x16 x, f32x16 y) { return narrow(low(x) * low(y), high(x) * high(y)); }
LGC_FN f64x8 halves(f64x8 x, f64x8 y) { return high(narrow(x, y)) + low(narrow(x, y)); }
LGC_FN f32x16 widenedSum(f32x16 x) { return narrow(widenSum(x), low(x)); }
LGC_FN f64x8 widenedSum(f64x8 x) { return widenSum(narrow(x, x)); }

// Exists for vectors of float only.
LGC_FN f32x16 exp2(f32x16 x) { return exp2Flush(x); }
LGC_FN f64x8 exp2(f64x8 x) { return x; }

const char* const kReductionNames[] = {
#define X(name, expression) #name,
    SIMD_REDUCTIONS(X)
#undef X
};

enum Reduction {
#define X(name, expression) reduction_##name,
  SIMD_REDUCTIONS(X)
#undef X
      kReductions
};

template <class W> void reduce(int reduction, const Scalar<W>* a, const Scalar<W>* b, long n, Scalar<W>* out) {
  switch (reduction) {
#define X(name, expression)                        \
  case reduction_##name:                           \
    for (long i = 0; i < n; i += lanes<W>) {       \
      const W x = load<W>(a + i);                  \
      [[maybe_unused]] const W y = load<W>(b + i); \
      store(out + i, expression);                  \
    }                                              \
    break;
    SIMD_REDUCTIONS(X)
#undef X
    default: break;
  }
}

template <class W> void partial(const Scalar<W>* a, int count, Scalar<W> fill, Scalar<W>* out, Scalar<W>* whole) {
  const W w = loadFirst<W>(a, count, fill);
  storeFirst(out, w, count);
  store(whole, select(firstLanes<W>(count), w, w + Scalar<W>(1)));
}

void sineCosine(const double* a, long n, double* sine, double* cosine) {
  for (long i = 0; i < n; ++i) sincos(a[i], sine[i], cosine[i]);
}

}  // namespace
}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore

#define SIMD_TEXT_RAW(x) #x
#define SIMD_TEXT(x) SIMD_TEXT_RAW(x)

extern "C" {
extern const SimdLevel LGC_PASTE(simdLevel_, LOGITCORE_LEVEL);
}

using namespace logitcore::LOGITCORE_LEVEL;
const SimdLevel LGC_PASTE(simdLevel_, LOGITCORE_LEVEL) = {SIMD_TEXT(LOGITCORE_LEVEL),
                                                          kOperations,
                                                          kOperationNames,
                                                          run<f32x16>,
                                                          run<float>,
                                                          run<f64x8>,
                                                          run<double>,
                                                          kReductions,
                                                          kReductionNames,
                                                          reduce<f32x16>,
                                                          reduce<f64x8>,
                                                          partial<f32x16>,
                                                          partial<f64x8>,
                                                          sineCosine};
