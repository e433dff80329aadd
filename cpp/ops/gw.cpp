#include "gw.h"

#include "../engine/family.h"
#include "gw_energy.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct GwObjectiveOp : GwObjective {
  template <class T> static void run(Call& call) {
    const size_t n = call.dims[static_cast<int>('a')], m = call.dims[static_cast<int>('b')];
    const double loss = LGC_OPTION(call, loss);
    T* gradPlan = LGC_OUTPUT(T, call, gradPlan);
    T* gradC = LGC_OUTPUT(T, call, gradC);
    T* gradD = LGC_OUTPUT(T, call, gradD);
    Scratch<double> plan(call, n * m);
    GwPair pair(call, LGC_INPUT(T, call, C), LGC_INPUT(T, call, D), loss == kGwKl);
    GwTensor tensor(call, pair);
    if (!plan || !pair.ready() || !tensor.ready()) return;
    widen(LGC_INPUT(T, call, plan), n * m, plan);
    if (loss != kGwAbs) {
      LGC_NUMBER(call, value) = gwEnergy(call, pair, tensor, plan, gradPlan, gradC, gradD);
      return;
    }
    const GwAbsolute all{pair.c, pair.d, plan, n, m};
    all.fill(call, pair.c, pair.d, tensor.a);
    LGC_NUMBER(call, value) = planEnergy(call, tensor.a, plan, n, m, tensor.p1);
    if (!gradPlan && !gradC && !gradD) return;
    all.fill(call, pair.ct, pair.ht, tensor.b);
    if (gradPlan)
      for (size_t i = 0; i < n * m; ++i) gradPlan[i] = static_cast<T>(tensor.a[i] + tensor.b[i]);
    transpose(call, plan, n, m, tensor.side);
    if (gradC) all.gradC(call, gradC);
    if (gradD) all.gradD(call, tensor.side, gradD);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct EntropicGwOp : EntropicGw {
  // Weights with the sum 1; uniform ones by default.
  template <class T> static void distribution(const T* given, size_t count, double* out) {
    for (size_t i = 0; i < count; ++i) out[i] = given ? static_cast<double>(given[i]) : 1.0;
    const double total = orderedSum(out, count);
    for (size_t i = 0; i < count; ++i) out[i] /= total;
  }
  static void logarithms(const double* x, size_t count, double* out) {
    for (size_t i = 0; i < count; ++i) out[i] = log(x[i]);
  }

  template <class T> static void run(Call& call) {
    const size_t n = call.dims[static_cast<int>('a')], m = call.dims[static_cast<int>('b')];
    Scratch<double> plan(call, n * m), kernel(call, n * m), turned(call, n * m), p(call, n), q(call, m), logP(call, n), logQ(call, m);
    Scratch<double> f(call, n), g(call, m), rows(call, n), errors(call, n);
    GwPair pair(call, LGC_INPUT(T, call, C), LGC_INPUT(T, call, D), LGC_OPTION(call, loss) == kGwKl);
    GwTensor tensor(call, pair);
    if (!plan || !kernel || !turned || !p || !q || !logP || !logQ || !f || !g || !rows || !errors || !pair.ready() || !tensor.ready())
      return;
    LGC_NUMBER(call, converged) = 1;
    distribution(LGC_INPUT(T, call, p), n, p);
    distribution(LGC_INPUT(T, call, q), m, q);
    logarithms(p, n, logP);
    logarithms(q, m, logQ);
    if (const T* given = LGC_INPUT(T, call, initPlan))
      widen(given, n * m, plan);
    else
      forRows(call, n, m,
              [&](size_t i, size_t j, size_t count) LGC_LAMBDA { writeWide(plan + i * m + j, readWide(q + j, count) * p[i], count); });
    const double epsilon = LGC_OPTION(call, epsilon), tol = LGC_OPTION(call, tol), scale = -0.5 * LGC_OPTION(call, gradScale) / epsilon;
    const double most = n && m ? LGC_OPTION(call, outerIterations) : 0.0;
    const Sinkhorn sinkhorn{kernel, turned, p, logP, logQ, n, m, f, g, rows, errors};
    tensor.setMarginals(call, p, q);
    double change = 0;
    for (double k = 1; k <= most; ++k) {
      // Scaled at every start rather than once: a run that goes on from a returned plan is then the same run.
      rowTotals(call, plan, n, m, rows);
      const double total = orderedSum(rows, n);
      forRows(call, n, m, [&](size_t i, size_t j, size_t count) LGC_LAMBDA {
        writeWide(plan + i * m + j, readWide(plan + i * m + j, count) / total, count);
      });
      tensor.both(call, plan);
      forRows(call, n, m, [&](size_t i, size_t j, size_t count) LGC_LAMBDA {
        writeWide(kernel + i * m + j, readWide(tensor.a + i * m + j, count) * scale, count);
      });
      transpose(call, kernel, n, m, turned);
      sinkhorn.run(call, static_cast<size_t>(LGC_OPTION(call, innerIterations)), LGC_OPTION(call, innerTol));
      sumRows(call, n, m, errors, [&](size_t i, size_t j, size_t count) LGC_LAMBDA {
        const size_t at = i * m + j;
        const f64x8 next = exp(readWide(kernel + at, count) + (readWide(g + j, count) + f[i])), moved = next - readWide(plan + at, count);
        writeWide(plan + at, next, count);
        return moved * moved;
      });
      if (call.outOfMemory) return;
      change = sqrt(orderedSum(errors, n));
      LGC_NUMBER(call, iterations) = k;
      if (!(change > tol)) break;  // reached, or NaN
    }
    LGC_NUMBER(call, change) = change;
    LGC_NUMBER(call, converged) = change <= tol ? 1 : 0;
    const double value = gwEnergy<T>(call, pair, tensor, plan, nullptr, LGC_OUTPUT(T, call, gradC), LGC_OUTPUT(T, call, gradD));
    sumRows(call, n, m, rows, [&](size_t i, size_t j, size_t count) LGC_LAMBDA { return planEntropy(readWide(plan + i * m + j, count)); });
    LGC_NUMBER(call, value) = value;
    LGC_NUMBER(call, objective) = fma(epsilon, orderedSum(rows, n), value);
    roundTo(static_cast<const double*>(plan), n * m, LGC_OUTPUT(T, call, plan));
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct GwBruteForceOp : GwBruteForce {
  // The next permutation in lexicographic order.
  static bool advance(size_t* s, size_t n) {
    size_t i = n;
    while (i > 1 && s[i - 2] > s[i - 1]) --i;
    if (i < 2) return false;
    size_t j = n - 1;
    while (s[j] < s[i - 2]) --j;
    const auto swap = [&](size_t a, size_t b) {
      const size_t kept = s[a];
      s[a] = s[b];
      s[b] = kept;
    };
    swap(i - 2, j);
    for (size_t a = i - 1, b = n - 1; a < b; ++a, --b) swap(a, b);
    return true;
  }

  template <class T> static void run(Call& call) {
    const size_t n = call.dims[static_cast<int>('a')];
    const T* c = LGC_INPUT(T, call, C);
    const T* d = LGC_INPUT(T, call, D);
    int32_t* permutation = LGC_OUTPUT(int32_t, call, permutation);
    const double order = LGC_OPTION(call, order);
    Scratch<double> costs(call, n * n * n * n);
    if (!costs) return;
    for (size_t i = 0; i < n * n; ++i)
      for (size_t j = 0; j < n * n; ++j) costs[i * n * n + j] = cost(static_cast<double>(c[i]), static_cast<double>(d[j]), order);
    size_t s[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    double best = 0;
    bool first = true;
    do {
      double total = 0;
      for (size_t i = 0; i < n; ++i)
        for (size_t j = 0; j < n; ++j) total += costs[((i * n + j) * n + s[i]) * n + s[j]];
      if (!first && !(total < best)) continue;
      first = false;
      best = total;
      for (size_t i = 0; i < n; ++i) permutation[i] = static_cast<int32_t>(s[i]);
    } while (advance(s, n));
    LGC_NUMBER(call, value) = n ? best / static_cast<double>(n * n) : 0.0;
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL

LOGITCORE_FAMILY(gw, GwObjectiveOp, EntropicGwOp, GwBruteForceOp)
}  // namespace logitcore
