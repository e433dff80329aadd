// The bounds of graph_bounds.h on the CPU.
#pragma once
#include "graph_bounds.h"
#include "lines.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct GwFirstLowerBoundOp : GwFirstLowerBound {
  using GwFirstLowerBound::GwFirstLowerBound;

  template <class T> void eccentricities(Call& call, const T* graph, Points& points, size_t n) const {
    double* out = points.values();
    parallel(call, n, rowGrain(n), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        double s = 0;
        for (size_t j = 0; j < n; ++j) s += term(points.massAt(j), static_cast<double>(graph[i * n + j]));
        out[i] = eccentricity(s);
      }
    });
  }
  // In place of `graph`: entry (i, j) is read before it is written.
  template <class T> void slopes(Call& call, const T* graph, Points& points, size_t n, const double* g, T* out) const {
    const double* e = points.values();
    parallel(call, n, rowGrain(n), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const double across = rowSlope(g[i], e[i]);
        for (size_t j = 0; j < n; ++j)
          out[i * n + j] = static_cast<T>(across * points.massAt(j) * entrySlope(static_cast<double>(graph[i * n + j])));
      }
    });
  }

  template <class T> static void run(Call& call) {
    const size_t n = call.dims[static_cast<int>('n')], m = call.dims[static_cast<int>('m')];
    const T *C = LGC_INPUT(T, call, C), *D = LGC_INPUT(T, call, D);
    T *gradC = LGC_OUTPUT(T, call, gradC), *gradD = LGC_OUTPUT(T, call, gradD);
    const GwFirstLowerBoundOp op(call);
    const void *weightsC = LGC_INPUT(void, call, weightsC), *weightsD = LGC_INPUT(void, call, weightsD);
    Points c(call, n, weightsC), d(call, m, weightsD);
    if (!c || !d) return;
    weighBy(call, weightsC, c);
    weighBy(call, weightsD, d);
    op.eccentricities(call, C, c, n);
    op.eccentricities(call, D, d, m);
    if (!c.sort(call) || !d.sort(call)) return;
    const double value = wassersteinLine(c.line(), d.line(), op.r);
    LGC_NUMBER(call, value) = value;
    LGC_NUMBER(call, distance) = rootOf(value, op.r) / 2;
    roundTo(c.values(), n, LGC_OUTPUT(T, call, eccC));
    roundTo(d.values(), m, LGC_OUTPUT(T, call, eccD));
    if (!gradC) return;
    Scratch<double> gc(call, n), gd(call, m);
    if (!gc || !gd) return;
    wassersteinSlopes(c.line(), d.line(), op.r, 1, gc, gd);
    op.slopes(call, C, c, n, gc, gradC);
    op.slopes(call, D, d, m, gd, gradD);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct GwSecondLowerBoundOp : GwSecondLowerBound {
  static void weigh(Call& call, const void* weights, size_t n, Points& entries) {
    if (weights) entries.weigh([&](size_t k) { return numberAt(weights, call.isDouble, k / n) * numberAt(weights, call.isDouble, k % n); });
  }

  template <class T> static void run(Call& call) {
    const size_t n = call.dims[static_cast<int>('n')], m = call.dims[static_cast<int>('m')];
    const void *weightsC = LGC_INPUT(void, call, weightsC), *weightsD = LGC_INPUT(void, call, weightsD);
    T *gradC = LGC_OUTPUT(T, call, gradC), *gradD = LGC_OUTPUT(T, call, gradD);
    const double r = LGC_OPTION(call, order);
    Points c(call, n * n, weightsC), d(call, m * m, weightsD);
    if (!c || !d) return;
    weigh(call, weightsC, n, c);
    weigh(call, weightsD, m, d);
    widen(LGC_INPUT(T, call, C), n * n, c.values());
    widen(LGC_INPUT(T, call, D), m * m, d.values());
    if (!c.sort(call) || !d.sort(call)) return;
    const double value = wassersteinLine(c.line(), d.line(), r);
    LGC_NUMBER(call, value) = value;
    LGC_NUMBER(call, distance) = rootOf(value, r) / 2;
    if (!gradC) return;
    Scratch<double> gc(call, n * n), gd(call, m * m);
    if (!gc || !gd) return;
    wassersteinSlopes(c.line(), d.line(), r, 1, gc, gd);
    roundTo(gc, n * n, gradC);
    roundTo(gd, m * m, gradD);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct GwThirdLowerBoundOp : GwThirdLowerBound {
  // All rows of one matrix in order.
  struct Rows {
    Scratch<double> x;
    Scratch<uint32_t> order;
    size_t n;
    Rows(Call& call, size_t size) : x(call, size * size, false), order(call, size * size, false), n(size) {}
    explicit operator bool() const { return x && order; }
    Line line(size_t i, Points& weights) { return {x + i * n, order + i * n, weights.mass(), weights.total(), n}; }
  };
  template <class T> static void sortRows(Call& call, const T* graph, Rows& rows) {
    const size_t n = rows.n;
    parallel(call, n, rowGrain(n), [&](size_t begin, size_t end) {
      Scratch<SortItem> scratch(call, 2 * n, false);
      if (!scratch) return;
      for (size_t i = begin; i < end; ++i) {
        widen(graph + i * n, n, rows.x + i * n);
        argsort(static_cast<const double*>(rows.x + i * n), n, false, rows.order + i * n, scratch);
      }
    });
  }
  static double relaxed(const double* cost, Points& p, Points& q, size_t n, size_t m) {
    double byRow = 0, byColumn = 0;
    for (size_t i = 0; i < n; ++i) {
      double low = cost[i * m];
      for (size_t j = 1; j < m; ++j) low = least(low, cost[i * m + j]);
      byRow += p.massAt(i) * low;
    }
    for (size_t j = 0; j < m; ++j) {
      double low = cost[j];
      for (size_t i = 1; i < n; ++i) low = least(low, cost[i * m + j]);
      byColumn += q.massAt(j) * low;
    }
    return GwThirdLowerBound::relaxed(byRow, byColumn);
  }
  static double assigned(Call& call, double* cost, size_t n) {
    const double infinity = __builtin_huge_val();
    double most = 0;
    for (size_t k = 0; k < n * n; ++k) {
      if (isNan(cost[k])) return cost[k];
      if (cost[k] < infinity && cost[k] > most) most = cost[k];
    }
    const double scale = scaleOf(most), instead = forInfinity(most * scale, n);
    for (size_t k = 0; k < n * n; ++k) cost[k] = cost[k] == infinity ? instead : cost[k] * scale;
    Scratch<double> potentials(call, 3 * (n + 1));
    Scratch<size_t> indices(call, 3 * (n + 1));
    if (!potentials || !indices) return 0;
    const size_t* match = assign(cost, n, potentials, indices);
    double total = 0;
    for (size_t j = 1; j <= n; ++j) {
      const double c = cost[(match[j] - 1) * n + j - 1];
      total += c == instead ? infinity : c;
    }
    return total / static_cast<double>(n) / scale;
  }

  template <class T> static void run(Call& call) {
    const size_t n = call.dims[static_cast<int>('n')], m = call.dims[static_cast<int>('m')];
    const void *weightsC = LGC_INPUT(void, call, weightsC), *weightsD = LGC_INPUT(void, call, weightsD);
    const double r = LGC_OPTION(call, order);
    Points p(call, n, weightsC), q(call, m, weightsD);
    Rows c(call, n), d(call, m);
    Scratch<double> cost(call, n * m, false);
    if (!p || !q || !c || !d || !cost) return;
    weighBy(call, weightsC, p);
    weighBy(call, weightsD, q);
    sortRows(call, LGC_INPUT(T, call, C), c);
    sortRows(call, LGC_INPUT(T, call, D), d);
    parallel(call, n, rowGrain(m * (n + m)), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i)
        for (size_t j = 0; j < m; ++j) cost[i * m + j] = wassersteinLine(c.line(i, p), d.line(j, q), r);
    });
    roundTo(cost, n * m, LGC_OUTPUT(T, call, cost));
    const double value = LGC_OPTION(call, method) == 1 ? assigned(call, cost, n) : relaxed(cost, p, q, n, m);
    LGC_NUMBER(call, value) = value;
    LGC_NUMBER(call, distance) = rootOf(value, r) / 2;
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
