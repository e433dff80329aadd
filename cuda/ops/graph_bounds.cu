#include "../../cpp/ops/graph_bounds.h"
#include "assignment.h"
#include "lines.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

struct GiveBound {
  double *value, *distance;
  double r;
  LGC_DEVICE void operator()(double x) const {
    give(value, x);
    give(distance, rootOf(x, r) / 2);
  }
};

// ---- eccentricities

struct EccentricityTerm {
  GwFirstLowerBound d;
  const float* graph;
  Masses masses;
  LGC_DEVICE void operator()(size_t row, size_t j, double* t) const {
    t[0] = d.term(masses.share(j), static_cast<double>(graph[row * masses.n + j]));
  }
};
struct StoreEccentricity {
  GwFirstLowerBound d;
  double* wide;
  float* out;
  LGC_DEVICE void operator()(size_t row, const double* sums) const {
    wide[row] = d.eccentricity(sums[0]);
    out[row] = static_cast<float>(wide[row]);
  }
};
// In place of the graph: an entry is read before it is written.
struct GraphSlope {
  GwFirstLowerBound d;
  const float* graph;
  Masses masses;
  const double *eccentricities, *slopes;
  float* out;
  LGC_DEVICE void operator()(size_t k) const {
    const size_t i = k / masses.n, j = k % masses.n;
    const double across = d.rowSlope(slopes[i], eccentricities[i]);
    out[k] = static_cast<float>(across * masses.share(j) * d.entrySlope(static_cast<double>(graph[k])));
  }
};
struct GwFirstLowerBoundOp : GwFirstLowerBound {
  static double* eccentricities(DeviceCall& call, const GwFirstLowerBound& d, const float* graph, const Masses& masses, float* out) {
    double* wide = call.scratch<double>(masses.n);
    if (wide) sumFlatRows<1>(call, masses.n, masses.n, EccentricityTerm{d, graph, masses}, StoreEccentricity{d, wide, out});
    return wide;
  }
  static void run(DeviceCall& call) {
    const GwFirstLowerBound d(call);
    const float *C = LGC_INPUT(float, call, C), *D = LGC_INPUT(float, call, D);
    const size_t n = call.dims[static_cast<int>('n')], m = call.dims[static_cast<int>('m')];
    const ShareMasses masses = shareMasses(call, inputIndex(record, "weightsC"), n, inputIndex(record, "weightsD"), m);
    const Masses &p = masses.sides[0], &q = masses.sides[1];
    const double* eccC = eccentricities(call, d, C, p, LGC_OUTPUT(float, call, eccC));
    const double* eccD = eccentricities(call, d, D, q, LGC_OUTPUT(float, call, eccD));
    if (call.outOfMemory) return;
    Lines c = sortLines(call, eccC, 1, n), e = sortLines(call, eccD, 1, m);
    if (call.outOfMemory) return;
    if (p.shares) cutByMass(call, c, 1, p.shares);
    if (q.shares) cutByMass(call, e, 1, q.shares);
    const Couplings couplings(c, e, d.r);
    const double* value =
        transport(call, couplings, masses.flaw, GiveBound{LGC_NUMBER_AT(call, value), LGC_NUMBER_AT(call, distance), d.r});
    float* gradC = LGC_OUTPUT(float, call, gradC);
    if (!value || !gradC) return;
    double *gc = call.scratch<double>(n), *gd = call.scratch<double>(m);
    if (call.outOfMemory) return;
    transportSlopes(call, couplings, value, masses.flaw, false, gc, gd);
    forIndices(call, n * n, GraphSlope{d, C, p, eccC, gc, gradC});
    forIndices(call, m * m, GraphSlope{d, D, q, eccD, gd, LGC_OUTPUT(float, call, gradD)});
  }
};

// ---- all entries

struct GwSecondLowerBoundOp : GwSecondLowerBound {
  static void run(DeviceCall& call) {
    const size_t n = call.dims[static_cast<int>('n')], m = call.dims[static_cast<int>('m')];
    const double r = LGC_OPTION(call, order);
    const ShareMasses masses = shareMasses(call, inputIndex(record, "weightsC"), n, inputIndex(record, "weightsD"), m);
    const Masses &p = masses.sides[0], &q = masses.sides[1];
    Lines c = sortLines(call, LGC_INPUT(float, call, C), 1, n * n), d = sortLines(call, LGC_INPUT(float, call, D), 1, m * m);
    if (call.outOfMemory) return;
    if (p.shares) cutByMass(call, c, 1, p.shares, n);
    if (q.shares) cutByMass(call, d, 1, q.shares, m);
    const Couplings couplings(c, d, r);
    const double* value = transport(call, couplings, masses.flaw, GiveBound{LGC_NUMBER_AT(call, value), LGC_NUMBER_AT(call, distance), r});
    float* gradC = LGC_OUTPUT(float, call, gradC);
    if (value && gradC) transportSlopes(call, couplings, value, masses.flaw, false, gradC, LGC_OUTPUT(float, call, gradD));
  }
};

// ---- rows against rows

struct RowCostTerm {
  Couplings c;
  LGC_DEVICE void operator()(size_t pair, size_t k, double* t) const {
    t[0] = c.cost(c.first(pair / c.rowsOfSecond), c.second(pair % c.rowsOfSecond), k);
  }
};
struct StoreCost {
  const double* flaw;
  double* wide;
  float* out;
  LGC_DEVICE void operator()(size_t pair, const double* sums) const {
    wide[pair] = sums[0] + *flaw;
    out[pair] = static_cast<float>(wide[pair]);
  }
};
// The least cost of every row, or of every column.
struct LeastCosts {
  const double* cost;
  size_t count, apart, next;  // entries of one, how far apart they are, and where the next begins
  double* least;
  LGC_DEVICE void operator()(size_t item, bool inside, Team& team) const {
    double none = 0, low = kInfinity;
    for (size_t k = team.rank; inside && k < count; k += team.size) {
      const double c = cost[item * next + k * apart];
      none += isNan(c) ? c : 0.0;
      low = c < low ? c : low;
    }
    none = team.sum(none);
    low = -team.most(-low);
    if (inside && team.leads()) least[item] = none + low;
  }
};
struct GiveRelaxed {
  Masses p, q;
  const double *byRow, *byColumn;
  GiveBound bound;
  LGC_DEVICE void operator()() const {
    const double rows = sumRows(p.n, [&](size_t i) { return p.share(i) * byRow[i]; });
    const double columns = sumRows(q.n, [&](size_t j) { return q.share(j) * byColumn[j]; });
    if (threadIdx.x == 0) bound(GwThirdLowerBound::relaxed(rows, columns));
  }
};
struct GiveAssigned {
  Assignment assignment;
  GiveBound bound;
  LGC_DEVICE void operator()() const {
    const double total = assignment.run();
    if (threadIdx.x == 0) bound(total / static_cast<double>(assignment.n));
  }
};
struct GwThirdLowerBoundOp : GwThirdLowerBound {
  static void run(DeviceCall& call) {
    const size_t n = call.dims[static_cast<int>('n')], m = call.dims[static_cast<int>('m')];
    const double r = LGC_OPTION(call, order);
    const ShareMasses masses = shareMasses(call, inputIndex(record, "weightsC"), n, inputIndex(record, "weightsD"), m);
    const Masses &p = masses.sides[0], &q = masses.sides[1];
    Lines c = sortLines(call, LGC_INPUT(float, call, C), n, n), d = sortLines(call, LGC_INPUT(float, call, D), m, m);
    double* cost = call.scratch<double>(n * m);
    if (call.outOfMemory) return;
    if (p.shares) cutByMass(call, c, n, p.shares);
    if (q.shares) cutByMass(call, d, m, q.shares);
    const Couplings couplings(c, d, r, m);
    if (call.outOfMemory) return;
    sumFlatRows<1>(call, n * m, couplings.pieces(), RowCostTerm{couplings}, StoreCost{masses.flaw, cost, LGC_OUTPUT(float, call, cost)});
    const GiveBound bound{LGC_NUMBER_AT(call, value), LGC_NUMBER_AT(call, distance), r};
    if (LGC_OPTION(call, method) == 1) {
      const Assignment assignment(call, cost, n);
      if (!call.outOfMemory) once(call, GiveAssigned{assignment, bound});
      return;
    }
    double *byRow = call.scratch<double>(n), *byColumn = call.scratch<double>(m);
    if (call.outOfMemory) return;
    forTeams(call, n, m, LeastCosts{cost, m, 1, m, byRow});
    forTeams(call, m, n, LeastCosts{cost, n, m, 1, byColumn});
    once(call, GiveRelaxed{p, q, byRow, byColumn, bound});
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_PART(transport, graph_bounds, GwFirstLowerBoundOp, GwSecondLowerBoundOp, GwThirdLowerBoundOp)
}  // namespace logitcore
