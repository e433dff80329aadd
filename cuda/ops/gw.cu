#include "gw.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

struct WidenPlan {
  const float* given;
  double* plan;
  LGC_DEVICE void operator()(size_t i) const { plan[i] = static_cast<double>(given[i]); }
};

// ---- sum_kl |C_ik - D_jl| T_ij T_kl is no product: all n^2 m^2 terms, for references.

// Two graphs of x and y nodes, and the plan between them, each as it lies or transposed.
struct AbsolutePair {
  StridedOf<double> x, y, plan;
  size_t nodesX, nodesY;
  LGC_DEVICE static double at(const StridedOf<double>& m, size_t i, size_t j) { return m.at[i * m.row + j * m.column]; }
};
struct AbsoluteCost {
  AbsolutePair pair;
  double* out;
  LGC_DEVICE void operator()(size_t item) const {
    const size_t i = item / pair.nodesY, j = item % pair.nodesY;
    double total = 0;
    for (size_t k = 0; k < pair.nodesX; ++k)
      for (size_t l = 0; l < pair.nodesY; ++l)
        total = fma(abs(pair.at(pair.y, j, l) - pair.at(pair.x, i, k)), pair.at(pair.plan, k, l), total);
    out[item] = total;
  }
};
struct AbsoluteSlope {
  AbsolutePair pair;
  float* out;
  LGC_DEVICE void operator()(size_t item) const {
    const size_t i = item / pair.nodesX, k = item % pair.nodesX;
    const double x = pair.at(pair.x, i, k);
    double total = 0;
    for (size_t j = 0; j < pair.nodesY; ++j) {
      double inner = 0;
      for (size_t l = 0; l < pair.nodesY; ++l) inner += signOf(x - pair.at(pair.y, j, l)) * pair.at(pair.plan, k, l);
      total = fma(pair.at(pair.plan, i, j), inner, total);
    }
    out[item] = static_cast<float>(total);
  }
};

struct GwObjectiveOp : GwObjective {
  static void absolute(DeviceCall& call, const GraphPair& pair, const double* plan, float* gradPlan, float* gradC, float* gradD) {
    const size_t n = pair.n, m = pair.m;
    const StridedOf<double> c = rowMajor<double>(pair.c, n), d = rowMajor<double>(pair.d, m), t = rowMajor(plan, m);
    const CostMatrix a{call.scratch<double>(n * m), nullptr, nullptr, 0, m}, b{call.scratch<double>(n * m), nullptr, nullptr, 0, m};
    forIndices(call, n * m, AbsoluteCost{{c, d, t, n, m}, a.product});
    sumFlat<2>(call, n * m, EnergyTerms{a, plan, false}, EnergyNumbers{0, LGC_NUMBER_AT(call, value), nullptr});
    if (gradPlan) {
      forIndices(call, n * m, AbsoluteCost{{transposed(c), transposed(d), t, n, m}, b.product});
      forIndices(call, n * m, PlanGradient{a, b, gradPlan});
    }
    if (gradC) forIndices(call, n * n, AbsoluteSlope{{c, d, t, n, m}, gradC});
    if (gradD) forIndices(call, m * m, AbsoluteSlope{{d, c, transposed(t), m, n}, gradD});
  }
  static void run(DeviceCall& call) {
    const double loss = LGC_OPTION(call, loss);
    float *gradPlan = LGC_OUTPUT(float, call, gradPlan), *gradC = LGC_OUTPUT(float, call, gradC), *gradD = LGC_OUTPUT(float, call, gradD);
    const GraphPair pair(call, LGC_INPUT(float, call, C), LGC_INPUT(float, call, D), loss == kGwKl);
    double* plan = call.scratch<double>(pair.n * pair.m);
    forIndices(call, pair.n * pair.m, WidenPlan{LGC_INPUT(float, call, plan), plan});
    if (loss == kGwAbs)
      absolute(call, pair, plan, gradPlan, gradC, gradD);
    else
      planEnergy(call, pair, plan, EnergyNumbers{0, LGC_NUMBER_AT(call, value), nullptr}, gradPlan, gradC, gradD);
  }
};

// ---- all permutations of at most eight nodes

constexpr size_t kMostNodes = 8;
struct PairCosts {
  const float *c, *d;
  size_t pairs;
  double order;
  double* out;
  LGC_DEVICE void operator()(size_t i) const {
    out[i] = GwBruteForce::cost(static_cast<double>(c[i / pairs]), static_cast<double>(d[i % pairs]), order);
  }
};
struct BestPermutation {
  size_t n;
  const double* costs;
  double* value;
  int32_t* permutation;
  LGC_DEVICE void operator()() const {
    Team team = wholeBlock();
    size_t count = 1, s[kMostNodes];
    for (size_t i = 2; i <= n; ++i) count *= i;
    // Of equal ones the first. NaN is never less, and nothing is less than it.
    PlacedValue<double> best{-kInfinity, 0xffffffffu};
    for (size_t rank = threadIdx.x; rank < count; rank += blockDim.x)
      best = Team::larger(best, {-totalOf(rank, count, s), static_cast<unsigned>(rank)});
    best = team.largest(best);
    if (!team.leads()) return;
    const double first = totalOf(0, count, s);
    const bool none = isNan(first) || best.index == 0xffffffffu;
    const double total = none ? first : totalOf(best.index, count, s);
    give(value, n ? total / static_cast<double>(n * n) : 0.0);
    for (size_t i = 0; i < n; ++i) permutation[i] = static_cast<int32_t>(s[i]);
  }

 private:
  // Of the permutation at this place in lexicographic order, which is left in s.
  LGC_DEVICE double totalOf(size_t rank, size_t count, size_t (&s)[kMostNodes]) const {
    unsigned taken = 0;
    for (size_t i = 0; i < n; ++i) {
      count /= n - i;
      size_t left = rank / count, node = 0;
      rank %= count;
      while (taken >> node & 1u || left-- > 0) ++node;
      taken |= 1u << node;
      s[i] = node;
    }
    double total = 0;
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j) total += costs[((i * n + j) * n + s[i]) * n + s[j]];
    return total;
  }
};

struct GwBruteForceOp : GwBruteForce {
  static void run(DeviceCall& call) {
    const size_t n = call.dims[static_cast<int>('a')], pairs = n * n;
    double* costs = call.scratch<double>(pairs * pairs);
    forIndices(call, pairs * pairs, PairCosts{LGC_INPUT(float, call, C), LGC_INPUT(float, call, D), pairs, LGC_OPTION(call, order), costs});
    once(call, BestPermutation{n, costs, LGC_NUMBER_AT(call, value), LGC_OUTPUT(int32_t, call, permutation)});
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(gw, GwObjectiveOp, GwBruteForceOp)
}  // namespace logitcore
