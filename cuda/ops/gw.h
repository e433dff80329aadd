// The Gromov-Wasserstein energy of a plan on the device, in double. Numbers that are out of their domain become NaN.
#pragma once
#include "../../cpp/ops/gw.h"
#include "../engine/flat.h"
#include "../engine/matrix.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

// The two graphs of a call as given.
struct GivenGraphs {
  const float *c, *d;
  size_t n, m;
  LGC_FN size_t entries() const { return n * n + m * m; }
  LGC_DEVICE double at(size_t i) const { return static_cast<double>(i < n * n ? c[i] : d[i - n * n]); }
};
// The least and the largest entry of each piece, the former with the other sign. NaN is passed over.
struct GraphRanges {
  GivenGraphs graphs;
  double* most;  // [pieces][2]
  LGC_DEVICE void operator()(size_t piece, Team& team) const {
    const size_t begin = piece * kPiece, end = graphs.entries() - begin < kPiece ? graphs.entries() : begin + kPiece;
    double found[2] = {-kInfinity, -kInfinity};
    for (size_t i = begin + team.rank; i < end; i += team.size) {
      const double x = graphs.at(i);
      found[0] = -x > found[0] ? -x : found[0];
      found[1] = x > found[1] ? x : found[1];
    }
    team.most(found);
    if (!team.leads()) return;
    most[2 * piece] = found[0];
    most[2 * piece + 1] = found[1];
  }
};
struct FindOffset {
  size_t pieces;
  const double* most;
  double* offset;
  LGC_DEVICE void operator()() const {
    const double low = -largestRow(pieces, [&](size_t i) { return most[2 * i]; }).value,
                 high = largestRow(pieces, [&](size_t i) { return most[2 * i + 1]; }).value;
    if (threadIdx.x == 0) *offset = gwOffset(low, high);
  }
};
struct WidenGraphs {
  GivenGraphs graphs;
  bool kl;
  const double* offset;  // null with `kl`
  Faults faults[2];
  double *c, *d, *h;
  LGC_DEVICE void operator()(size_t i) const {
    const bool first = i < graphs.n * graphs.n;
    double x = graphs.at(i);
    if (!kl) {
      x -= *offset;
    } else if (!isKlEntry(x, first)) {
      faults[first ? 0 : 1].raise();
      x = __builtin_nan("");
    }
    if (first) {
      c[i] = x;
    } else {
      d[i - graphs.n * graphs.n] = x;
      h[i - graphs.n * graphs.n] = gwCross(x, kl);
    }
  }
};
// Both graphs in double, with what the loss makes of them. Null pointers if memory ran out: then no kernel runs any more.
struct GraphPair {
  size_t n, m;
  bool kl;
  double *c, *d, *h;  // h = h2(D)

  GraphPair(DeviceCall& call, const float* first, const float* second, bool isKl)
      : n(call.dims[static_cast<int>('a')]),
        m(call.dims[static_cast<int>('b')]),
        kl(isKl),
        c(call.scratch<double>(n * n)),
        d(call.scratch<double>(m * m)),
        h(call.scratch<double>(m * m)) {
    const GivenGraphs given{first, second, n, m};
    double* offset = nullptr;
    if (!kl) {
      const size_t pieces = piecesOf(given.entries());
      double* most = call.scratch<double>(2 * pieces);
      offset = call.scratch<double>(1);
      forBlocks(call, pieces, GraphRanges{given, most});
      once(call, FindOffset{pieces, most, offset});
    }
    forIndices(call, given.entries(), WidenGraphs{given, kl, offset, {faultsOf(call, 0), faultsOf(call, 1)}, c, d, h});
  }
};

// Sums of the rows of a matrix that lies either way: of f(x) times the weight of the column, if there are weights.
template <class F> struct WeightedSums {
  F f;
  StridedOf<double> x;
  size_t columns;
  const double* weights;
  double* out;
  LGC_DEVICE void operator()(size_t row, bool inside, Team& team) const {
    double sum = 0;
    for (size_t j = team.rank; inside && j < columns; j += team.size)
      sum = fma(f(x.at[row * x.row + j * x.column]), weights ? weights[j] : 1.0, sum);
    sum = team.sum(sum);
    if (inside && team.leads()) out[row] = sum;
  }
};
template <class F> void sumWeighted(DeviceCall& call, size_t rows, size_t columns, const StridedOf<double>& x, const double* weights,
                                    double* out, const F& f) {
  forTeams(call, rows, columns, WeightedSums<F>{f, x, columns, weights, out});
}
struct Itself {
  LGC_DEVICE double operator()(double x) const { return x; }
};
struct FirstPart {
  bool kl;
  LGC_DEVICE double operator()(double x) const { return gwFirst(x, kl); }
};
struct SecondPart {
  bool kl;
  LGC_DEVICE double operator()(double x) const { return gwSecond(x, kl); }
};

// An entry of A = u 1' + 1 v' - factor C T h2(D)', of which the product is there.
struct CostMatrix {
  double* product;
  const double *u, *v;
  double factor;
  size_t m;
  LGC_DEVICE double at(size_t i) const { return u ? fma(product[i], -factor, u[i / m] + v[i % m]) : product[i]; }
};
// A, and A' with both graphs transposed, with the products that they take.
struct CostMatrices {
  size_t n, m;
  MatrixArgumentsOf<double> sides[2], products[2];
  CostMatrix a[2];

  CostMatrices(DeviceCall& call, const GraphPair& pair, const double* plan, const double* p, const double* q) : n(pair.n), m(pair.m) {
    const StridedOf<double> c = rowMajor<double>(pair.c, n), d = rowMajor<double>(pair.d, m), h = rowMajor<double>(pair.h, m);
    for (int k = 0; k < 2; ++k) {
      double *side = call.scratch<double>(n * m), *u = call.scratch<double>(n), *v = call.scratch<double>(m);
      sumWeighted(call, n, n, k == 0 ? c : transposed(c), p, u, FirstPart{pair.kl});
      sumWeighted(call, m, m, k == 0 ? d : transposed(d), q, v, SecondPart{pair.kl});
      a[k] = {call.scratch<double>(n * m), u, v, gwFactor(pair.kl), m};
      sides[k] = {rowMajor(plan, m), k == 0 ? transposed(h) : h, side, n, m, m, 1, 0};
      products[k] = {k == 0 ? c : transposed(c), rowMajor<double>(side, m), a[k].product, n, m, n, 1, 0};
    }
  }
  void multiplyAll(DeviceCall& call, bool both) const {
    for (int k = 0; k < (both ? 2 : 1); ++k) {
      multiply(call, sides[k]);
      multiply(call, products[k]);
    }
  }
};

struct EnergyTerms {
  CostMatrix a;
  const double* plan;
  bool entropy;
  LGC_DEVICE void operator()(size_t i, double* t) const {
    t[0] = a.at(i) * plan[i];
    t[1] = entropy ? planEntropy(plan[i]) : 0.0;
  }
};
struct EnergyNumbers {
  double epsilon;
  double *value, *objective;  // may be null
  LGC_DEVICE void operator()(const double* sums) const {
    give(value, sums[0]);
    give(objective, fma(epsilon, sums[1], sums[0]));
  }
};
struct PlanGradient {
  CostMatrix a, b;
  float* out;
  LGC_DEVICE void operator()(size_t i) const { out[i] = static_cast<float>(a.at(i) + b.at(i)); }
};
struct GraphGradient {
  bool kl, first;
  size_t size;
  const double *x, *marginal, *cross;
  float* out;
  LGC_DEVICE void operator()(size_t i) const {
    const double weight = marginal[i % size] * marginal[i / size];
    out[i] = static_cast<float>(first ? gwSlopeC(x[i], weight, cross[i], kl) : gwSlopeD(x[i], weight, cross[i], kl));
  }
};

// The energy of a plan under its own marginals, and its gradients where asked for.
inline void planEnergy(DeviceCall& call, const GraphPair& pair, const double* plan, const EnergyNumbers& numbers, float* gradPlan,
                       float* gradC, float* gradD) {
  const size_t n = pair.n, m = pair.m;
  const StridedOf<double> t = rowMajor(plan, m);
  double *p = call.scratch<double>(n), *q = call.scratch<double>(m);
  sumWeighted(call, n, m, t, nullptr, p, Itself{});
  sumWeighted(call, m, n, transposed(t), nullptr, q, Itself{});
  const CostMatrices costs(call, pair, plan, p, q);
  costs.multiplyAll(call, gradPlan != nullptr);
  sumFlat<2>(call, n * m, EnergyTerms{costs.a[0], plan, numbers.objective != nullptr}, numbers);
  if (gradPlan) forIndices(call, n * m, PlanGradient{costs.a[0], costs.a[1], gradPlan});
  double *side = call.scratch<double>(gradC || gradD ? n * m : 0), *square = call.scratch<double>(gradC ? n * n : 0);
  if (gradC) {
    multiply(call, MatrixArgumentsOf<double>{t, rowMajor<double>(pair.h, m), side, n, m, m, 1, 0});
    multiply(call, MatrixArgumentsOf<double>{rowMajor<double>(side, m), transposed(t), square, n, n, m, 1, 0});
    forIndices(call, n * n, GraphGradient{pair.kl, true, n, pair.c, p, square, gradC});
  }
  square = call.scratch<double>(gradD ? m * m : 0);
  if (gradD) {
    multiply(call, MatrixArgumentsOf<double>{rowMajor<double>(pair.c, n), t, side, n, m, n, 1, 0});
    multiply(call, MatrixArgumentsOf<double>{transposed(t), rowMajor<double>(side, m), square, m, m, n, 1, 0});
    forIndices(call, m * m, GraphGradient{pair.kl, false, m, pair.d, q, square, gradD});
  }
}

}  // namespace
}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
