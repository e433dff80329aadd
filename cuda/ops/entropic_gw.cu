#include "../../cpp/ops/gw.h"
#include "../engine/crew.h"
#include "gw.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

// Weights with the sum 1; uniform ones by default. A wrong one makes all NaN.
struct Distribution {
  const float* given;  // may be null
  size_t count;
  Faults faults;
  double *out, *logarithms;  // the latter may be null
  LGC_DEVICE void operator()() const {
    const auto weight = [&](size_t i) { return given ? static_cast<double>(given[i]) : 1.0; };
    const double wrong = sumRows(count, [&](size_t i) { return isWeight(weight(i)) ? 0.0 : 1.0; });
    double total = sumRows(count, weight);
    if (wrong > 0 || (count > 0 && !(total > 0))) {
      if (threadIdx.x == 0) faults.raise();
      total = __builtin_nan("");
    }
    for (size_t i = threadIdx.x; i < count; i += blockDim.x) {
      out[i] = weight(i) / total;
      if (logarithms) logarithms[i] = log(out[i]);
    }
  }
};
struct IndependentPlan {
  const double *p, *q;
  size_t m;
  double* plan;
  LGC_DEVICE void operator()(size_t i) const { plan[i] = q[i % m] * p[i / m]; }
};

// log sum_j exp(at(j)) by the lanes of a warp; -Infinity where every term is.
template <class F> LGC_DEVICE double logSumExp(Team& lanes, size_t count, F&& at) {
  double top = -kInfinity, total = 0;
  for (size_t j = lanes.rank; j < count; j += kWarpLanes) top = at(j) > top ? at(j) : top;
  top = lanes.most(top);
  const double shift = top == -kInfinity ? 0.0 : top;
  for (size_t j = lanes.rank; j < count; j += kWarpLanes) total += exp(at(j) - shift);
  return shift + log(lanes.sum(total));
}

struct EntropicIteration {
  CostMatrices costs;
  const double *p, *logP, *logQ;
  double *plan, *kernel, *turned;  // [n, m], and its transpose
  double *f[2], *g, *rows;         // scalings of the rows, and those that are next; of the columns; what rows add up to
  double scale, innerTolerance, tolerance, inner, outer;
  double *converged, *iterations, *change;

  LGC_DEVICE void operator()(Crew& crew) const {
    double moved = 0, k = 0;
    while (k < outer) {
      ++k;
      rescale(crew);
      crew.multiply(costs.sides);
      crew.sync();
      crew.multiply(costs.products);
      crew.sync();
      moved = step(crew, sinkhorn(crew));
      if (!(moved > tolerance)) break;  // reached, or NaN
    }
    if (!crew.leads()) return;
    give(iterations, k);
    give(change, moved);
    give(converged, moved <= tolerance ? 1 : 0);
  }

 private:
  LGC_DEVICE double sumOfRows(Crew& crew) const {
    return crew.sum(costs.n, [&](size_t i) { return rows[i]; });
  }
  // At every start rather than once, as on the CPU.
  LGC_DEVICE void rescale(Crew& crew) const {
    const size_t n = costs.n, m = costs.m;
    crew.eachRow(n, [&](size_t i, Team& lanes) {
      double sum = 0;
      for (size_t j = lanes.rank; j < m; j += kWarpLanes) sum += plan[i * m + j];
      sum = lanes.sum(sum);
      if (lanes.leads()) rows[i] = sum;
    });
    crew.sync();
    const double total = sumOfRows(crew);
    crew.eachIndex(n * m, [&](size_t i) { plan[i] /= total; });
    crew.sync();
  }
  // Scalings with exp(F_i + G_j + N_ij) of the given row and column sums. The next step of F needs the row sums under G, so the distance
  // from p comes with them. Which of the two f has F.
  LGC_DEVICE int sinkhorn(Crew& crew) const {
    const size_t n = costs.n, m = costs.m;
    crew.eachIndex(n * m, [&](size_t i) {
      const double x = (costs.a[0].at(i) + costs.a[1].at(i)) * scale;
      kernel[i] = x;
      turned[i % m * n + i / m] = x;
    });
    crew.eachIndex(m, [&](size_t j) { g[j] = 0; });
    crew.sync();
    updateRows(crew, 1);
    int turn = 0;
    for (double k = 0;;) {
      const double* own = f[turn];
      crew.eachRow(m, [&](size_t j, Team& lanes) {
        const double* row = turned + j * n;
        const double sum = logSumExp(lanes, n, [&](size_t i) { return row[i] + own[i]; });
        if (lanes.leads()) g[j] = logQ[j] - sum;
      });
      crew.sync();
      updateRows(crew, turn);
      if (++k >= inner || !(sumOfRows(crew) > innerTolerance)) return turn;  // reached, or NaN
      turn ^= 1;
    }
  }
  // Under F as it is, how far each row is from its sum, and what F is next.
  LGC_DEVICE void updateRows(Crew& crew, int turn) const {
    const size_t m = costs.m;
    crew.eachRow(costs.n, [&](size_t i, Team& lanes) {
      const double* row = kernel + i * m;
      const double sum = logSumExp(lanes, m, [&](size_t j) { return row[j] + g[j]; });
      if (!lanes.leads()) return;
      rows[i] = abs(exp(f[turn][i] + sum) - p[i]);
      f[turn ^ 1][i] = logP[i] - sum;
    });
    crew.sync();
  }
  // To the plan of these scalings: how far it has moved.
  LGC_DEVICE double step(Crew& crew, int turn) const {
    const size_t n = costs.n, m = costs.m;
    // All have their sum of the rows.
    crew.sync();
    crew.eachRow(n, [&](size_t i, Team& lanes) {
      double sum = 0;
      for (size_t j = lanes.rank; j < m; j += kWarpLanes) {
        const double next = exp(kernel[i * m + j] + (g[j] + f[turn][i])), moved = next - plan[i * m + j];
        plan[i * m + j] = next;
        sum = fma(moved, moved, sum);
      }
      sum = lanes.sum(sum);
      if (lanes.leads()) rows[i] = sum;
    });
    crew.sync();
    const double moved = sqrt(sumOfRows(crew));
    crew.sync();
    return moved;
  }
};

struct EntropicGwOp : EntropicGw {
  static double* distribution(DeviceCall& call, int input, size_t count, double* logarithms) {
    double* out = call.scratch<double>(count);
    once(call, Distribution{static_cast<const float*>(call.inputs[input]), count, faultsOf(call, input), out, logarithms});
    return out;
  }
  static void run(DeviceCall& call) {
    constexpr int planAt = inputIndex(record, "initPlan");
    const GraphPair pair(call, LGC_INPUT(float, call, C), LGC_INPUT(float, call, D), LGC_OPTION(call, loss) == kGwKl);
    const size_t n = pair.n, m = pair.m;
    double *logP = call.scratch<double>(n), *logQ = call.scratch<double>(m);
    const double *p = distribution(call, inputIndex(record, "p"), n, logP), *q = distribution(call, inputIndex(record, "q"), m, logQ);
    double* plan = call.inputs[planAt] ? distribution(call, planAt, n * m, nullptr) : call.scratch<double>(n * m);
    if (!call.inputs[planAt]) forIndices(call, n * m, IndependentPlan{p, q, m, plan});
    const CostMatrices costs(call, pair, plan, p, q);
    const double epsilon = LGC_OPTION(call, epsilon);
    const EntropicIteration iteration{costs,
                                      p,
                                      logP,
                                      logQ,
                                      plan,
                                      call.scratch<double>(n * m),
                                      call.scratch<double>(n * m),
                                      {call.scratch<double>(n), call.scratch<double>(n)},
                                      call.scratch<double>(m),
                                      call.scratch<double>(n),
                                      -0.5 * LGC_OPTION(call, gradScale) / epsilon,
                                      LGC_OPTION(call, innerTol),
                                      LGC_OPTION(call, tol),
                                      LGC_OPTION(call, innerIterations),
                                      n && m ? LGC_OPTION(call, outerIterations) : 0.0,
                                      LGC_NUMBER_AT(call, converged),
                                      LGC_NUMBER_AT(call, iterations),
                                      LGC_NUMBER_AT(call, change)};
    withCrew(call, n * m, iteration);
    planEnergy(call, pair, plan, EnergyNumbers{epsilon, LGC_NUMBER_AT(call, value), LGC_NUMBER_AT(call, objective)}, nullptr,
               LGC_OUTPUT(float, call, gradC), LGC_OUTPUT(float, call, gradD));
    storeAs(call, plan, n * m, LGC_OUTPUT(float, call, plan));
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_PART(gw, entropic_gw, EntropicGwOp)
}  // namespace logitcore
