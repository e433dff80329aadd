// Entropic transport in the log domain: scalings F, G with exp(F_i + G_j + N_ij) of given row and column sums.
#pragma once
#include "dense.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// log sum_j exp(x_j + g_j); -Infinity where every term is.
LGC_FN double logSumExpOf(const double* x, const double* g, size_t n) {
  const auto at = [&](size_t j) LGC_LAMBDA {
    const size_t count = n - j < kWide ? n - j : kWide;
    return readWide(x + j, count, -kInfinity) + readWide(g + j, count);
  };
  f64x8 most = broadcast<f64x8>(-kInfinity), total = broadcast<f64x8>(0);
  for (size_t j = 0; j < n; j += kWide) most = max(at(j), most);
  const double top = maxAcross(most), shift = top == -kInfinity ? 0.0 : top;
  for (size_t j = 0; j < n; j += kWide) total = total + exp(at(j) - shift);
  return shift + log(sum(total));
}

// N [n, m] and its transpose; log p, log q; F, G, and the log-sum-exp of each row under G.
struct Sinkhorn {
  const double *kernel, *transposed, *p, *logP, *logQ;
  size_t n, m;
  double *f, *g, *rows, *errors;

  void updateRows(Call& call) const {
    parallel(call, n, rowGrain(8 * m), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) rows[i] = logSumExpOf(kernel + i * m, g, m);
    });
  }
  // The next step of F needs the row sums under G, so the distance from p comes with them at no cost.
  void run(Call& call, size_t iterations, double tolerance) const {
    for (size_t j = 0; j < m; ++j) g[j] = 0;
    updateRows(call);
    for (size_t k = 0; k < iterations; ++k) {
      for (size_t i = 0; i < n; ++i) f[i] = logP[i] - rows[i];
      parallel(call, m, rowGrain(8 * n), [&](size_t begin, size_t end) {
        for (size_t j = begin; j < end; ++j) g[j] = logQ[j] - logSumExpOf(transposed + j * n, f, n);
      });
      updateRows(call);
      for (size_t i = 0; i < n; ++i) errors[i] = abs(exp(f[i] + rows[i]) - p[i]);
      if (!(orderedSum(errors, n) > tolerance)) return;  // reached, or NaN
    }
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
