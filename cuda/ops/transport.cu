#include "../../cpp/ops/transport.h"
#include "../engine/matrix.h"
#include "lines.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

struct GiveWasserstein {
  double* out;
  bool root;
  double p;
  LGC_DEVICE void operator()(double value) const { give(out, root ? rootOf(value, p) : value); }
};
struct Wasserstein1dOp : Wasserstein1d {
  static void run(DeviceCall& call) {
    const size_t n = call.dims[static_cast<int>('n')], m = call.dims[static_cast<int>('m')];
    const int weightsX = inputIndex(record, "weightsX"), weightsY = inputIndex(record, "weightsY");
    const double p = LGC_OPTION(call, p);
    const bool root = LGC_OPTION(call, root) != 0;
    const ShareMasses masses = shareMasses(call, weightsX, n, weightsY, m);
    Lines x = sortLines(call, LGC_INPUT(float, call, x), 1, n), y = sortLines(call, LGC_INPUT(float, call, y), 1, m);
    if (call.outOfMemory) return;
    if (call.inputs[weightsX]) cutByMass(call, x, 1, masses.sides[0].shares);
    if (call.inputs[weightsY]) cutByMass(call, y, 1, masses.sides[1].shares);
    const Couplings couplings(x, y, p);
    const double* value = transport(call, couplings, masses.flaw, GiveWasserstein{LGC_NUMBER_AT(call, value), root, p});
    float* gradX = LGC_OUTPUT(float, call, gradX);
    if (value && gradX) transportSlopes(call, couplings, value, masses.flaw, root, gradX, LGC_OUTPUT(float, call, gradY));
  }
};

// ---- Gromov-Wasserstein on lines: a row of n projections a direction

struct EntryOfRow {
  const double* x;
  size_t n;
  LGC_DEVICE void operator()(size_t row, size_t i, double* t) const { t[0] = x[row * n + i]; }
};
struct StoreMean {
  double* means;
  double n;
  LGC_DEVICE void operator()(size_t row, const double* sums) const { means[row] = sums[0] / n; }
};
struct LessMean {
  double* x;
  const double* means;
  size_t n;
  LGC_DEVICE void operator()(size_t i) const { x[i] -= means[i / n]; }
};
struct Widen {
  const float* from;
  double* to;
  LGC_DEVICE void operator()(size_t i) const { to[i] = static_cast<double>(from[i]); }
};
double* widened(DeviceCall& call, const float* from, size_t count) {
  double* to = call.scratch<double>(count);
  if (to) forIndices(call, count, Widen{from, to});
  return to;
}
// Moves rows of x to their means, and sorts them.
Lines centredLines(DeviceCall& call, double* x, size_t rows, size_t n) {
  double* means = call.scratch<double>(rows);
  if (call.outOfMemory) return {};
  sumFlatRows<1>(call, rows, n, EntryOfRow{x, n}, StoreMean{means, static_cast<double>(n)});
  forIndices(call, rows * n, LessMean{x, means, n});
  return sortLines(call, x, rows, n);
}

// Both ways to match the points of two lines.
struct Matches {
  Lines x, y;
  LineSums *forward, *backward;  // a row
  LGC_DEVICE size_t place(size_t row, size_t i, bool reversed) const { return row * x.n + (reversed ? x.n - 1 - i : i); }
  LGC_DEVICE LineMatch of(size_t row) const {
    const double n = static_cast<double>(x.n);
    return {forward[row].value(n), backward[row].value(n)};
  }
};
struct MatchTerms {
  Matches m;
  bool reversed;
  LGC_DEVICE void operator()(size_t row, size_t i, double* t) const {
    LineSums::terms(m.x.x[m.place(row, i, false)], m.y.x[m.place(row, i, reversed)], t);
  }
};
struct StoreSums {
  LineSums* to;
  LGC_DEVICE void operator()(size_t row, const double* sums) const {
    for (int k = 0; k < LineSums::count; ++k) to[row].at[k] = sums[k];
  }
};
Matches matchLines(DeviceCall& call, const Lines& x, const Lines& y, size_t rows) {
  const Matches m{x, y, call.scratch<LineSums>(rows), call.scratch<LineSums>(rows)};
  if (call.outOfMemory) return m;
  sumFlatRows<LineSums::count>(call, rows, x.n, MatchTerms{m, false}, StoreSums{m.forward});
  sumFlatRows<LineSums::count>(call, rows, x.n, MatchTerms{m, true}, StoreSums{m.backward});
  return m;
}
// scale times the derivatives of the smaller values, of every row in the order of its points before they were sorted.
template <class T> struct MatchSlopes {
  Matches m;
  double scale;
  T *dx, *dy;
  LGC_DEVICE void operator()(size_t item) const {
    const size_t n = m.x.n, row = item / n, i = item % n;
    const bool reversed = m.of(row).reversed();
    const LineSlopes slopes(reversed ? m.backward[row] : m.forward[row], static_cast<double>(n), scale);
    const size_t p = m.place(row, i, false), q = m.place(row, i, reversed);
    const double a = m.x.x[p], b = m.y.x[q];
    dx[row * n + m.x.order[p]] = static_cast<T>(slopes.first(a, b));
    dy[row * n + m.y.order[q]] = static_cast<T>(slopes.second(a, b));
  }
};

struct GiveMatch {
  Matches m;
  double *value, *identity, *anti, *orientation;
  LGC_DEVICE void operator()(size_t) const {
    const LineMatch match = m.of(0);
    give(value, match.least());
    give(identity, match.identity);
    give(anti, match.anti);
    give(orientation, match.reversed() ? -1 : 1);
  }
};
struct Gw1dOp : Gw1d {
  static void run(DeviceCall& call) {
    const size_t n = call.dims[static_cast<int>('n')];
    double *x = widened(call, LGC_INPUT(float, call, x), n), *y = widened(call, LGC_INPUT(float, call, y), n);
    if (call.outOfMemory) return;
    const Lines linesX = centredLines(call, x, 1, n), linesY = centredLines(call, y, 1, n);
    if (call.outOfMemory) return;
    const Matches matches = matchLines(call, linesX, linesY, 1);
    forIndices(call, 1,
               GiveMatch{matches, LGC_NUMBER_AT(call, value), LGC_NUMBER_AT(call, valueIdentity), LGC_NUMBER_AT(call, valueAnti),
                         LGC_NUMBER_AT(call, orientation)});
    float* gradX = LGC_OUTPUT(float, call, gradX);
    if (gradX) forIndices(call, n, MatchSlopes<float>{matches, 1, gradX, LGC_OUTPUT(float, call, gradY)});
  }
};

struct GiveSliced {
  Matches m;
  size_t rows;
  double* value;
  float* each;
  LGC_DEVICE void operator()() const {
    const double total = sumRows(rows, [&](size_t r) { return m.of(r).least(); });
    for (size_t r = threadIdx.x; r < rows; r += blockDim.x) each[r] = static_cast<float>(m.of(r).least());
    if (threadIdx.x == 0) give(value, total * (1.0 / static_cast<double>(rows)));
  }
};
struct SlicedGWOp : SlicedGW {
  // Of points in rows of so many columns.
  static Lines project(DeviceCall& call, const double* directions, size_t p, size_t q, const float* points, size_t n, size_t columns) {
    const double* wide = widened(call, points, n * columns);
    double* rows = call.scratch<double>(p * n);
    if (call.outOfMemory) return {};
    multiply(call, MatrixArgumentsOf<double>{rowMajor(directions, q), transposed(rowMajor(wide, columns)), rows, p, n, columns, 1, 0});
    return centredLines(call, rows, p, n);
  }
  // slopes: one row of n a direction.
  static void gather(DeviceCall& call, const double* slopes, const double* directions, size_t p, size_t q, size_t n, size_t columns,
                     float* out) {
    double* wide = call.scratch<double>(n * columns);
    if (call.outOfMemory) return;
    multiply(call, MatrixArgumentsOf<double>{transposed(rowMajor(slopes, n)), rowMajor(directions, q), wide, n, columns, p, 1, 0});
    storeAs(call, static_cast<const double*>(wide), n * columns, out);
  }

  static void run(DeviceCall& call) {
    const size_t n = call.dims[static_cast<int>('n')], p = call.dims[static_cast<int>('p')], q = call.dims[static_cast<int>('q')];
    const size_t d = call.dims[static_cast<int>('d')], e = call.dims[static_cast<int>('e')];
    const double* directions = widened(call, LGC_INPUT(float, call, directions), p * q);
    if (call.outOfMemory) return;
    const Lines x = project(call, directions, p, q, LGC_INPUT(float, call, X), n, d),
                y = project(call, directions, p, q, LGC_INPUT(float, call, Y), n, e);
    if (call.outOfMemory) return;
    const Matches matches = matchLines(call, x, y, p);
    once(call, GiveSliced{matches, p, LGC_NUMBER_AT(call, value), LGC_OUTPUT(float, call, perDirection)});
    float* gradX = LGC_OUTPUT(float, call, gradX);
    if (!gradX) return;
    double *dx = call.scratch<double>(p * n), *dy = call.scratch<double>(p * n);
    if (call.outOfMemory) return;
    forIndices(call, p * n, MatchSlopes<double>{matches, 1.0 / static_cast<double>(p), dx, dy});
    gather(call, dx, directions, p, q, n, d, gradX);
    gather(call, dy, directions, p, q, n, e, LGC_OUTPUT(float, call, gradY));
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(transport, Wasserstein1dOp, Gw1dOp, SlicedGWOp)
}  // namespace logitcore
