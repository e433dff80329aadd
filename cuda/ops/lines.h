// Points on lines in order, and the optimal coupling of two lines: both are cut where a point's mass ends, and what lies between two cuts
// goes from one point to one point. A cut of either line is the end of one piece, which a thread finds by a search for the cuts of the
// other line around it.
#pragma once
#include "../../cpp/ops/transport.h"
#include "../engine/flat.h"
#include "../engine/sort.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// ---- masses

// The shares that points have of all mass.
struct Masses {
  const float* weights;  // null: all points have the same
  size_t n;
  Faults faults;
  double* shares;  // [n], of weights
  LGC_DEVICE double share(size_t i) const { return shares ? shares[i] : 1.0 / static_cast<double>(n); }
};
struct ShareMasses {
  Masses sides[2];
  double* flaw;  // is added to all results: 0, or NaN if a weight is none
  LGC_DEVICE void operator()() const {
    bool wrong = false;
    for (const Masses& side : sides) {
      const float* w = side.weights;
      if (!w) continue;
      const bool lost = countRows(side.n, [&](size_t i) { return !isWeight(static_cast<double>(w[i])); }) > 0;
      const double total = sumRows(side.n, [&](size_t i) { return static_cast<double>(w[i]); });
      const bool none = lost || !(total > 0);
      for (size_t i = threadIdx.x; i < side.n; i += blockDim.x)
        side.shares[i] = none ? __builtin_nan("") : static_cast<double>(w[i]) / total;
      wrong = wrong || none;
      if (none && threadIdx.x == 0) side.faults.raise();
    }
    if (threadIdx.x == 0) *flaw = wrong ? __builtin_nan("") : 0.0;
  }
};
inline ShareMasses shareMasses(DeviceCall& call, int firstInput, size_t n, int secondInput, size_t m) {
  const auto side = [&](int input, size_t count) {
    const float* weights = static_cast<const float*>(call.inputs[input]);
    return Masses{weights, count, faultsOf(call, input), weights ? call.scratch<double>(count) : nullptr};
  };
  const ShareMasses masses{{side(firstInput, n), side(secondInput, m)}, call.scratch<double>(1)};
  if (!call.outOfMemory) once(call, masses);
  return masses;
}

// ---- running sums

// Entries that a thread adds up one after the other.
constexpr size_t kRun = 32;
struct SumRuns {
  const double* x;
  size_t n, runs;  // of a row
  double* sums;    // [rows][runs]
  LGC_DEVICE void operator()(size_t item) const {
    const size_t row = item / runs, begin = item % runs * kRun, end = n - begin < kRun ? n : begin + kRun;
    double s = 0;
    for (size_t i = begin; i < end; ++i) s += x[row * n + i];
    sums[item] = s;
  }
};
struct FillRuns {
  double* x;
  size_t n, runs;
  const double* ends;  // running sums of the runs; null: each begins at 0
  LGC_DEVICE void operator()(size_t item) const {
    const size_t run = item % runs, begin = run * kRun, end = n - begin < kRun ? n : begin + kRun;
    double* row = x + item / runs * n;
    double s = ends && run > 0 ? ends[item - 1] : 0.0;
    for (size_t i = begin; i < end; ++i) {
      s += row[i];
      // The next run begins there: what rounding makes of one order of additions may not exceed what it makes of another.
      row[i] = ends && s > ends[item] ? ends[item] : s;
    }
  }
};
// Of rows of numbers that are not negative, each with the sum of those before and itself. They never fall.
inline void runningSums(DeviceCall& call, double* x, size_t rows, size_t n) {
  const size_t runs = (n + kRun - 1) / kRun;
  double* ends = runs > 1 ? call.scratch<double>(rows * runs) : nullptr;
  if (call.outOfMemory) return;
  if (ends) {
    forIndices(call, rows * runs, SumRuns{x, n, runs, ends});
    runningSums(call, ends, rows, runs);
  }
  forIndices(call, rows * runs, FillRuns{x, n, runs, ends});
}

// ---- lines

// Rows of n points each, a line a row.
struct Lines {
  const double* x = nullptr;        // ascending
  const uint32_t* order = nullptr;  // where each was
  const double* cuts = nullptr;     // the mass up to each, in some unit; null: equal masses
  size_t n = 0;
};
template <class T> struct InOrder {
  const T* x;
  const uint32_t* order;
  size_t n;
  double* out;
  LGC_DEVICE void operator()(size_t i) const { out[i] = static_cast<double>(x[i / n * n + order[i]]); }
};
template <class T> Lines sortLines(DeviceCall& call, const T* x, size_t rows, size_t n) {
  double* sorted = call.scratch<double>(rows * n);
  const uint32_t* order = orderOf<T>(call, x, Storage::f32, rows, n, nanLast<T>(false));
  if (call.outOfMemory) return {};
  forIndices(call, rows * n, InOrder<T>{x, order, n, sorted});
  return {sorted, order, nullptr, n};
}

// The share of the point that a line has at each place. Entries of a matrix have the product of the shares of their row and column.
struct MassInOrder {
  const uint32_t* order;
  size_t n;
  const double* shares;
  size_t nodes;  // 0: points have shares of their own
  double* out;
  LGC_DEVICE void operator()(size_t i) const {
    const size_t k = order[i];
    out[i] = nodes ? shares[k / nodes] * shares[k % nodes] : shares[k];
  }
};
// The last cut of every row is 1, to the last digit.
struct OfWhole {
  const double* sums;
  size_t n;
  double* cuts;
  LGC_DEVICE void operator()(size_t i) const { cuts[i] = sums[i] / sums[i / n * n + n - 1]; }
};
inline void cutByMass(DeviceCall& call, Lines& lines, size_t rows, const double* shares, size_t nodes = 0) {
  const size_t count = rows * lines.n;
  double *sums = call.scratch<double>(count), *cuts = call.scratch<double>(count);
  if (call.outOfMemory) return;
  forIndices(call, count, MassInOrder{lines.order, lines.n, shares, nodes, sums});
  runningSums(call, sums, rows, lines.n);
  forIndices(call, count, OfWhole{sums, lines.n, cuts});
  lines.cuts = cuts;
}

// ---- couplings

// One line of a pair: where its row begins, and where it is cut.
struct Line {
  const double *x, *cuts;
  size_t n;
  double step, whole;  // cuts of equal masses: multiples of the step, as shares of the whole
  LGC_DEVICE double cut(size_t i) const { return cuts ? cuts[i] : static_cast<double>(i + 1) * step / whole; }
  LGC_DEVICE double before(size_t i) const { return i == 0 ? 0.0 : cut(i - 1); }
  // The first cut that is not below c, or that is above it; n if there is none.
  LGC_DEVICE size_t notBelow(double c) const {
    return search([&](double at) { return at < c; });
  }
  LGC_DEVICE size_t above(double c) const {
    return search([&](double at) { return at <= c; });
  }

 private:
  template <class F> LGC_DEVICE size_t search(F&& passes) const {
    size_t low = 0, high = n;
    while (low < high) {
      const size_t middle = low + (high - low) / 2;
      if (passes(cut(middle)))
        low = middle + 1;
      else
        high = middle;
    }
    return low;
  }
};

// Lines of equal masses are cut at whole multiples of 1 / (n m), where nothing is rounded.
struct Couplings {
  Lines a, b;
  double p;  // exponent of the distance
  double step[2], whole[2], unit;
  bool even;     // equal masses on both sides
  bool matched;  // and as many of them: first to first, second to second
  size_t rowsOfSecond;

  Couplings(const Lines& first, const Lines& second, double exponent, size_t rows = 1)
      : a(first), b(second), p(exponent), rowsOfSecond(rows) {
    const double n = static_cast<double>(a.n), m = static_cast<double>(b.n);
    even = !a.cuts && !b.cuts;
    step[0] = even ? m : 1;
    step[1] = even ? n : 1;
    whole[0] = even ? 1 : n;
    whole[1] = even ? 1 : m;
    unit = even ? 1 / (n * m) : 1;
    matched = even && a.n == b.n;
  }
  // Pieces of a pair, some of which may be empty.
  LGC_FN size_t pieces() const { return matched ? a.n : a.n + b.n; }
  LGC_DEVICE Line first(size_t row) const { return line(a, row, 0); }
  LGC_DEVICE Line second(size_t row) const { return line(b, row, 1); }
  // What the piece costs that ends at the k-th cut of both lines, those of x before those of y.
  LGC_DEVICE double cost(const Line& x, const Line& y, size_t k) const {
    if (matched) return unit * static_cast<double>(a.n) * costOf(abs(x.x[k] - y.x[k]), p);
    const bool own = k < x.n;
    // Where both are cut the piece is counted as one of x.
    const size_t at = own ? k : k - x.n, other = own ? y.notBelow(x.cut(at)) : x.above(y.cut(at));
    if (other == (own ? y : x).n) return 0;
    const size_t i = own ? at : other, j = own ? other : at;
    const double start = x.before(i) > y.before(j) ? x.before(i) : y.before(j), w = (own ? x.cut(i) : y.cut(j)) - start;
    return w > 0 ? w * unit * costOf(abs(x.x[i] - y.x[j]), p) : 0.0;
  }
  // The derivative of what goes from the i-th point of x, or comes to it (turned), in shares of a team.
  LGC_DEVICE double slope(const Line& x, const Line& y, size_t i, bool turned, double scale, unsigned rank, unsigned size) const {
    const auto piece = [&](size_t j, double w) {
      return turned ? -pieceSlope(y.x[j], x.x[i], w, p, scale) : pieceSlope(x.x[i], y.x[j], w, p, scale);
    };
    if (matched) return rank == 0 ? piece(i, unit * static_cast<double>(a.n)) : 0.0;
    const double from = x.before(i), to = x.cut(i);
    double total = 0;
    for (size_t j = y.above(from) + rank; j < y.n; j += size) {
      const double start = y.before(j);
      if (!(start < to)) break;
      const double end = y.cut(j), w = (end < to ? end : to) - (start > from ? start : from);
      if (w > 0) total += piece(j, w * unit);
    }
    return total;
  }

 private:
  LGC_DEVICE Line line(const Lines& lines, size_t row, int side) const {
    const size_t at = row * lines.n;
    return {lines.x + at, lines.cuts ? lines.cuts + at : nullptr, lines.n, step[side], whole[side]};
  }
};

// W_p^p of the one line of either side, then finish(value) by one thread.
struct CostTerm {
  Couplings c;
  LGC_DEVICE void operator()(size_t k, double* t) const { t[0] = c.cost(c.first(0), c.second(0), k); }
};
template <class Finish> struct FinishCost {
  Finish finish;
  const double* flaw;
  double* value;
  LGC_DEVICE void operator()(const double* sums) const {
    *value = sums[0] + *flaw;
    finish(*value);
  }
};
// Where the value is on the device; null if memory ran out.
template <class Finish> const double* transport(DeviceCall& call, const Couplings& c, const double* flaw, const Finish& finish) {
  double* value = call.scratch<double>(1);
  if (call.outOfMemory || !sumFlat<1>(call, c.pieces(), CostTerm{c}, FinishCost<Finish>{finish, flaw, value})) return nullptr;
  return value;
}

// Its derivatives by the points of one side, where they were before they were sorted.
template <class T> struct PointSlopes {
  Couplings c;
  bool turned;  // of the second line
  const double *value, *flaw;
  bool root;  // of value^(1/p)
  T* out;
  LGC_DEVICE void operator()(size_t item, bool inside, Team& team) const {
    const Line a = c.first(0), b = c.second(0);
    const double scale = root ? rootSlope(*value, c.p) : 1.0;
    const double own = !inside  ? 0.0
                       : turned ? c.slope(b, a, item, true, scale, team.rank, team.size)
                                : c.slope(a, b, item, false, scale, team.rank, team.size);
    const double total = team.sum(own);
    if (inside && team.leads()) out[(turned ? c.b : c.a).order[item]] = static_cast<T>(total + *flaw);
  }
};
// Of other masses a warp a point at least: one point may have most of the mass, and all points of the other line for partners.
template <class T>
void transportSlopes(DeviceCall& call, const Couplings& c, const double* value, const double* flaw, bool root, T* da, T* db) {
  const size_t n = c.a.n, m = c.b.n, least = c.even ? 1 : kWarpLanes * kEight;
  const auto length = [&](size_t points, size_t partners) { return partners / points > least ? partners / points : least; };
  forTeams(call, n, length(n, m), PointSlopes<T>{c, false, value, flaw, root, da});
  forTeams(call, m, length(m, n), PointSlopes<T>{c, true, value, flaw, root, db});
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
