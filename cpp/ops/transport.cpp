#include "transport.h"

#include "../engine/family.h"
#include "graph_bounds_ops.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct Wasserstein1dOp : Wasserstein1d {
  template <class T> static void run(Call& call) {
    const size_t n = call.dims[static_cast<int>('n')], m = call.dims[static_cast<int>('m')];
    const double p = LGC_OPTION(call, p);
    T *gradX = LGC_OUTPUT(T, call, gradX), *gradY = LGC_OUTPUT(T, call, gradY);
    const void *weightsX = LGC_INPUT(void, call, weightsX), *weightsY = LGC_INPUT(void, call, weightsY);
    Points x(call, n, weightsX), y(call, m, weightsY);
    if (!x || !y) return;
    weighBy(call, weightsX, x);
    weighBy(call, weightsY, y);
    widen(LGC_INPUT(T, call, x), n, x.values());
    widen(LGC_INPUT(T, call, y), m, y.values());
    if (!x.sort(call) || !y.sort(call)) return;
    const double value = wassersteinLine(x.line(), y.line(), p);
    const bool root = LGC_OPTION(call, root) != 0;
    LGC_NUMBER(call, value) = root ? rootOf(value, p) : value;
    if (!gradX) return;
    Scratch<double> dx(call, n), dy(call, m);
    if (!dx || !dy) return;
    wassersteinSlopes(x.line(), y.line(), p, root ? rootSlope(value, p) : 1.0, dx, dy);
    roundTo(dx, n, gradX);
    roundTo(dy, m, gradY);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct Gw1dOp : Gw1d {
  template <class T> static void run(Call& call) {
    const size_t n = call.dims[static_cast<int>('n')];
    T *gradX = LGC_OUTPUT(T, call, gradX), *gradY = LGC_OUTPUT(T, call, gradY);
    Scratch<double> points(call, 2 * n, false), slopes(call, gradX ? 2 * n : 0);
    Scratch<uint32_t> order(call, 2 * n, false);
    Scratch<SortItem> scratch(call, 2 * n, false);
    if (!points || !slopes || !order || !scratch) return;
    double *x = points, *y = x + n, *dx = gradX ? static_cast<double*>(slopes) : nullptr, *dy = dx + (gradX ? n : 0);
    uint32_t *orderX = order, *orderY = orderX + n;
    widen(LGC_INPUT(T, call, x), n, x);
    widen(LGC_INPUT(T, call, y), n, y);
    centre(x, n);
    centre(y, n);
    argsort(call, static_cast<const double*>(x), n, false, orderX, scratch);
    argsort(call, static_cast<const double*>(y), n, false, orderY, scratch);
    const LineMatch match = matchLines(x, orderX, y, orderY, n, 1, dx, dy);
    LGC_NUMBER(call, value) = match.least();
    LGC_NUMBER(call, valueIdentity) = match.identity;
    LGC_NUMBER(call, valueAnti) = match.anti;
    LGC_NUMBER(call, orientation) = match.reversed() ? -1 : 1;
    if (!gradX) return;
    roundTo(dx, n, gradX);
    roundTo(dy, n, gradY);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct SlicedGWOp : SlicedGW {
  template <class T> static void project(const T* points, size_t n, size_t columns, const T* direction, double* out) {
    for (size_t i = 0; i < n; ++i) {
      double s = 0;
      for (size_t k = 0; k < columns; ++k) s = fma(static_cast<double>(points[i * columns + k]), static_cast<double>(direction[k]), s);
      out[i] = s;
    }
  }
  // slopes: one row of n a direction. Every point adds up its own, in the order of the directions.
  template <class T>
  static void gather(Call& call, const double* slopes, const T* directions, size_t p, size_t q, size_t n, size_t columns, T* out) {
    parallel(call, n, rowGrain(p * columns), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i)
        for (size_t k = 0; k < columns; ++k) {
          double s = 0;
          for (size_t r = 0; r < p; ++r) s = fma(slopes[r * n + i], static_cast<double>(directions[r * q + k]), s);
          out[i * columns + k] = static_cast<T>(s);
        }
    });
  }

  template <class T> static void run(Call& call) {
    const size_t n = call.dims[static_cast<int>('n')], p = call.dims[static_cast<int>('p')], q = call.dims[static_cast<int>('q')];
    const size_t d = call.dims[static_cast<int>('d')], e = call.dims[static_cast<int>('e')];
    const T *X = LGC_INPUT(T, call, X), *Y = LGC_INPUT(T, call, Y), *directions = LGC_INPUT(T, call, directions);
    T *gradX = LGC_OUTPUT(T, call, gradX), *gradY = LGC_OUTPUT(T, call, gradY), *each = LGC_OUTPUT(T, call, perDirection);
    Scratch<double> values(call, p), slopesX(call, gradX ? p * n : 0, false), slopesY(call, gradX ? p * n : 0, false);
    if (!values || !slopesX || !slopesY) return;
    const double share = 1.0 / static_cast<double>(p);
    parallel(call, p, rowGrain(n * (q + 8)), [&](size_t begin, size_t end) {
      Scratch<double> points(call, 2 * n, false);
      Scratch<uint32_t> order(call, 2 * n, false);
      Scratch<SortItem> scratch(call, 2 * n, false);
      if (!points || !order || !scratch) return;
      double *x = points, *y = x + n;
      uint32_t *orderX = order, *orderY = orderX + n;
      for (size_t r = begin; r < end; ++r) {
        project(X, n, d, directions + r * q, x);
        project(Y, n, e, directions + r * q, y);
        centre(x, n);
        centre(y, n);
        argsort(static_cast<const double*>(x), n, false, orderX, scratch);
        argsort(static_cast<const double*>(y), n, false, orderY, scratch);
        double* dx = gradX ? slopesX + r * n : nullptr;
        const LineMatch match = matchLines(x, orderX, y, orderY, n, share, dx, gradX ? slopesY + r * n : nullptr);
        values[r] = match.least();
        each[r] = static_cast<T>(match.least());
      }
    });
    LGC_NUMBER(call, value) = orderedSum(values, p) * share;
    if (!gradX) return;
    gather(call, static_cast<const double*>(slopesX), directions, p, q, n, d, gradX);
    gather(call, static_cast<const double*>(slopesY), directions, p, q, n, e, gradY);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(transport, Wasserstein1dOp, Gw1dOp, SlicedGWOp, GwFirstLowerBoundOp, GwSecondLowerBoundOp, GwThirdLowerBoundOp)
}  // namespace logitcore
