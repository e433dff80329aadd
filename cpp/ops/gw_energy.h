// The energy of a plan on the CPU, in double, and what it takes: both graphs and products of them with the plan.
#pragma once
#include "../engine/matrix.h"
#include "../engine/sinkhorn.h"
#include "gw.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Both graphs in double, with what the loss makes of them. Arrays of the caller are read here only.
struct GwPair {
  size_t n, m;
  bool kl;
  Scratch<double> c, ct, d, h, ht;  // matrices, transposes; h = h2(D)
  bool symmetric = false;

  template <class T> GwPair(Call& call, const T* first, const T* second, bool isKl)
      : n(call.dims[static_cast<int>('a')]),
        m(call.dims[static_cast<int>('b')]),
        kl(isKl),
        c(call, n * n),
        ct(call, n * n),
        d(call, m * m),
        h(call, m * m),
        ht(call, m * m) {
    if (!ready()) return;
    widen(first, n * n, c);
    widen(second, m * m, d);
    if (!kl) shift();
    transpose(call, c, n, n, ct);
    forRows(call, m, m, [&](size_t i, size_t j, size_t count) LGC_LAMBDA {
      writeWide(h + i * m + j, gwCross(readWide(d + i * m + j, count, 1), kl), count);
    });
    transpose(call, h, m, m, ht);
    symmetric = equal(c, ct, n * n) && equal(h, ht, m * m);
  }
  bool ready() { return c && ct && d && h && ht; }

 private:
  void shift() {
    double low = kInfinity, high = -kInfinity;
    const auto span = [&](const double* x, size_t count) {
      for (size_t i = 0; i < count; ++i) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
      }
    };
    span(c, n * n);
    span(d, m * m);
    const double offset = gwOffset(low, high);
    if (offset == 0) return;
    for (size_t i = 0; i < n * n; ++i) c[i] -= offset;
    for (size_t i = 0; i < m * m; ++i) d[i] -= offset;
  }
  static bool equal(const double* a, const double* b, size_t count) {
    for (size_t i = 0; i < count; ++i)
      if (a[i] != b[i]) return false;
    return true;
  }
};

// Workspace of (L x T): A = f1(C) p 1' + 1 (f2(D) q)' - factor C T h2(D)', and A' with both graphs transposed.
struct GwTensor {
  GwPair& pair;
  size_t n, m;
  Scratch<double> side, p1, q1, p2, q2, a, b;

  GwTensor(Call& call, GwPair& graphs)
      : pair(graphs),
        n(graphs.n),
        m(graphs.m),
        side(call, n * m),
        p1(call, n),
        q1(call, m),
        p2(call, n),
        q2(call, m),
        a(call, n * m),
        b(call, n * m) {}
  bool ready() { return side && p1 && q1 && p2 && q2 && a && b; }

  void setMarginals(Call& call, const double* p, const double* q) {
    const auto firstSums = [&](const double* x, double* out) {
      sumRows(call, n, n, out, [&](size_t i, size_t j, size_t count) LGC_LAMBDA {
        return gwFirst(readWide(x + i * n + j, count), pair.kl) * readWide(p + j, count);
      });
    };
    firstSums(pair.c, p1);
    firstSums(pair.ct, p2);
    sumRows(call, m, m, q1, [&](size_t i, size_t j, size_t count) LGC_LAMBDA {
      return gwSecond(readWide(pair.d + i * m + j, count), pair.kl) * readWide(q + j, count);
    });
    // The transpose of D is not kept: sums of its rows are weighted sums of rows of D.
    for (size_t j = 0; j < m; ++j) q2[j] = 0;
    for (size_t i = 0; i < m; ++i)
      for (size_t j = 0; j < m; j += kWide) {
        const size_t count = m - j < kWide ? m - j : kWide;
        writeWide(q2 + j, fma(gwSecond(readWide(pair.d + i * m + j, count), pair.kl), q[i], readWide(q2 + j, count)), count);
      }
  }
  void first(Call& call, const double* plan) { combine(call, plan, pair.ht, pair.c, p1, q1, a); }
  void second(Call& call, const double* plan) { combine(call, plan, pair.h, pair.ct, p2, q2, b); }
  // A + A' into a.
  void both(Call& call, const double* plan) {
    first(call, plan);
    if (!pair.symmetric) second(call, plan);
    const double* other = pair.symmetric ? a : b;
    forRows(call, n, m, [&](size_t i, size_t j, size_t count) LGC_LAMBDA {
      const size_t at = i * m + j;
      writeWide(a + at, readWide(a + at, count) + readWide(other + at, count), count);
    });
  }

 private:
  void combine(Call& call, const double* plan, const double* right, const double* left, const double* u, const double* v, double* out) {
    multiply<double>(call, n, m, m, rowMajor(plan, m), rowMajor(right, m), side);
    multiply<double>(call, n, m, n, rowMajor(left, n), rowMajor<double>(side, m), out);
    const double factor = gwFactor(pair.kl);
    forRows(call, n, m, [&](size_t i, size_t j, size_t count) LGC_LAMBDA {
      double* at = out + i * m + j;
      writeWide(at, fma(readWide(at, count), -factor, broadcast<f64x8>(u[i]) + readWide(v + j, count)), count);
    });
  }
};

inline double planEnergy(Call& call, const double* a, const double* plan, size_t n, size_t m, double* rows) {
  sumRows(call, n, m, rows,
          [&](size_t i, size_t j, size_t count) LGC_LAMBDA { return readWide(a + i * m + j, count) * readWide(plan + i * m + j, count); });
  return orderedSum(rows, n);
}

inline void rowTotals(Call& call, const double* plan, size_t n, size_t m, double* p) {
  sumRows(call, n, m, p, [&](size_t i, size_t j, size_t count) LGC_LAMBDA { return readWide(plan + i * m + j, count); });
}

// The energy of a plan under its own marginals, and its gradients where asked for.
template <class T> double gwEnergy(Call& call, GwPair& pair, GwTensor& tensor, const double* plan, T* gradPlan, T* gradC, T* gradD) {
  const size_t n = pair.n, m = pair.m;
  Scratch<double> p(call, n), q(call, m), rows(call, n);
  if (!p || !q || !rows) return 0;
  rowTotals(call, plan, n, m, p);
  sumColumns(plan, n, m, q);
  tensor.setMarginals(call, p, q);
  tensor.first(call, plan);
  const double value = planEnergy(call, tensor.a, plan, n, m, rows);
  if (gradPlan) {
    if (!pair.symmetric) tensor.second(call, plan);
    const double* a = tensor.a;
    const double* b = pair.symmetric ? a : tensor.b;
    for (size_t i = 0; i < n * m; ++i) gradPlan[i] = static_cast<T>(a[i] + b[i]);
  }
  if (!gradC && !gradD) return value;
  Scratch<double> square(call, n > m ? n * n : m * m);
  if (!square) return 0;
  const View<double> coupling = rowMajor(plan, m), side = rowMajor<double>(tensor.side, m);
  if (gradC) {
    multiply<double>(call, n, m, m, coupling, rowMajor<double>(pair.h, m), tensor.side);
    multiply<double>(call, n, n, m, side, transposed(coupling), square);
    forRows(call, n, n, [&](size_t i, size_t j, size_t count) LGC_LAMBDA {
      const f64x8 weight = readWide(p + j, count) * p[i], x = readWide(pair.c + i * n + j, count, 1);
      writeWide(gradC + i * n + j, gwSlopeC(x, weight, readWide(square + i * n + j, count), pair.kl), count);
    });
  }
  if (gradD) {
    multiply<double>(call, n, m, n, rowMajor<double>(pair.c, n), coupling, tensor.side);
    multiply<double>(call, m, m, n, transposed(coupling), side, square);
    forRows(call, m, m, [&](size_t i, size_t j, size_t count) LGC_LAMBDA {
      const f64x8 weight = readWide(q + j, count) * q[i], x = readWide(pair.d + i * m + j, count, 1);
      writeWide(gradD + i * m + j, gwSlopeD(x, weight, readWide(square + i * m + j, count), pair.kl), count);
    });
  }
  return value;
}

// sum_kl |C_ik - D_jl| T_ij T_kl is no product: all n^2 m^2 terms, for references.
struct GwAbsolute {
  const double *c, *d, *plan;
  size_t n, m;

  // sum_kl |x_ik - y_jl| T_kl; x and y are both graphs or both transposes.
  double at(const double* x, const double* y, size_t i, size_t j) const {
    f64x8 total = broadcast<f64x8>(0);
    for (size_t k = 0; k < n; ++k)
      for (size_t l = 0; l < m; l += kWide) {
        const size_t count = m - l < kWide ? m - l : kWide;
        total = fma(abs(readWide(y + j * m + l, count) - x[i * n + k]), readWide(plan + k * m + l, count), total);
      }
    return sum(total);
  }
  void fill(Call& call, const double* x, const double* y, double* out) const {
    parallel(call, n * m, rowGrain(n * m), [&](size_t begin, size_t end) {
      for (size_t at_ = begin; at_ < end; ++at_) out[at_] = at(x, y, at_ / m, at_ % m);
    });
  }
  template <class T> void gradC(Call& call, T* out) const {
    parallel(call, n * n, rowGrain(m * m), [&](size_t begin, size_t end) {
      for (size_t item = begin; item < end; ++item) {
        const size_t i = item / n, k = item % n;
        double total = 0;
        for (size_t j = 0; j < m; ++j)
          total = fma(plan[i * m + j],
                      rowSumWide(m,
                                 [&](size_t l, size_t count) LGC_LAMBDA {
                                   return signOf(c[item] - readWide(d + j * m + l, count)) * readWide(plan + k * m + l, count);
                                 }),
                      total);
        out[item] = static_cast<T>(total);
      }
    });
  }
  // Lanes run along k: C as it lies, the plan by its columns.
  template <class T> void gradD(Call& call, const double* turned, T* out) const {
    parallel(call, m * m, rowGrain(n * n), [&](size_t begin, size_t end) {
      for (size_t item = begin; item < end; ++item) {
        const size_t j = item / m, l = item % m;
        double total = 0;
        for (size_t i = 0; i < n; ++i)
          total = fma(turned[j * n + i],
                      rowSumWide(n,
                                 [&](size_t k, size_t count) LGC_LAMBDA {
                                   return signOf(d[item] - readWide(c + i * n + k, count)) * readWide(turned + l * n + k, count);
                                 }),
                      total);
        out[item] = static_cast<T>(total);
      }
    });
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
