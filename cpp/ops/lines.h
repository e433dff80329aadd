// Points on a line in order, and the couplings of two such lines, on the CPU.
#pragma once
#include "../engine/dense.h"
#include "../engine/sort.h"
#include "transport.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Points on a line in ascending order, with the share of the mass that lies up to each; uniform if `mass` is null.
struct Line {
  const double* x;
  const uint32_t* order;
  const double* mass;  // of the points, in any scale
  double total;        // their sum
  size_t n;

  LGC_FN double at(size_t i) const { return x[order[i]]; }
  LGC_FN double massAt(size_t i) const { return mass ? mass[order[i]] / total : 1.0 / static_cast<double>(n); }
};

// Doubles, their order, and weights if there are any.
class Points {
 public:
  Points(Call& call, size_t n, bool weighted) : n_(n), values_(call, n, false), order_(call, n, false), mass_(call, weighted ? n : 0) {}
  explicit operator bool() const { return values_ && order_ && mass_; }
  template <class F> void weigh(F&& mass) {
    for (size_t i = 0; i < n_; ++i) mass_[i] = mass(i);
    total_ = orderedSum(mass_, n_);
    weighted_ = true;
  }
  bool sort(Call& call) {
    Scratch<SortItem> scratch(call, 2 * n_, false);
    if (!scratch) return false;
    argsort(call, static_cast<const double*>(values_), n_, false, order_, scratch);
    return true;
  }
  double* values() { return values_; }
  double* mass() { return weighted_ ? static_cast<double*>(mass_) : nullptr; }
  double total() const { return total_; }
  double massAt(size_t i) { return weighted_ ? mass_[i] / total_ : 1.0 / static_cast<double>(n_); }
  Line line() { return {values_, order_, mass(), total_, n_}; }

 private:
  size_t n_;
  Scratch<double> values_;
  Scratch<uint32_t> order_;
  Scratch<double> mass_;
  bool weighted_ = false;
  double total_ = 1;
};

// Calls piece(i, j, w) for every piece of mass w that goes from the i-th point of a to the j-th of b, in ascending order.
template <class F> LGC_FN void couple(const Line& a, const Line& b, F&& piece) {
  if (!a.mass && !b.mass) {
    if (a.n == b.n) {
      const double w = 1.0 / static_cast<double>(a.n);
      for (size_t i = 0; i < a.n; ++i) piece(i, i, w);
      return;
    }
    // In units of 1 / (n m), where nothing is rounded.
    const double unit = 1.0 / (static_cast<double>(a.n) * static_cast<double>(b.n));
    size_t i = 0, j = 0, left = b.n, right = a.n;
    while (i < a.n && j < b.n) {
      const size_t w = left < right ? left : right;
      piece(i, j, static_cast<double>(w) * unit);
      left -= w;
      right -= w;
      if (left == 0) {
        ++i;
        left = b.n;
      }
      if (right == 0) {
        ++j;
        right = a.n;
      }
    }
    return;
  }
  size_t i = 0, j = 0;
  double left = a.massAt(0), right = b.massAt(0);
  while (true) {
    const bool lastA = i + 1 == a.n, lastB = j + 1 == b.n;
    // The last points take what rounding has left over.
    const double w = lastA && lastB ? (left > right ? left : right) : lastB || (!lastA && left <= right) ? left : right;
    if (w > 0) piece(i, j, w);
    if (lastA && lastB) return;
    if (lastB || (!lastA && left <= right)) {
      right = right > w ? right - w : 0;
      left = a.massAt(++i);
    } else {
      left = left > w ? left - w : 0;
      right = b.massAt(++j);
    }
  }
}

// W_p^p of two lines. da and db, if wanted, get scale times the derivative by each point, in the order of x.
inline double wassersteinLine(const Line& a, const Line& b, double p) {
  double total = 0, part = 0;
  size_t terms = 0;
  couple(a, b, [&](size_t i, size_t j, double w) LGC_LAMBDA {
    part += w * costOf(abs(a.at(i) - b.at(j)), p);
    // Parts of a fixed length keep a long sum exact.
    if (++terms % 1024 == 0) {
      total += part;
      part = 0;
    }
  });
  return total + part;
}
inline void wassersteinSlopes(const Line& a, const Line& b, double p, double scale, double* da, double* db) {
  __builtin_memset(da, 0, a.n * sizeof(double));
  __builtin_memset(db, 0, b.n * sizeof(double));
  couple(a, b, [&](size_t i, size_t j, double w) LGC_LAMBDA {
    const double slope = pieceSlope(a.at(i), b.at(j), w, p, scale);
    da[a.order[i]] += slope;
    db[b.order[j]] -= slope;
  });
}

inline void centre(double* x, size_t n) {
  const double mean = orderedSum(x, n) / static_cast<double>(n);
  for (size_t i = 0; i < n; ++i) x[i] -= mean;
}
// x and y centred, with their orders. dx and dy, if wanted, get scale times the derivative of the smaller value.
inline LineMatch matchLines(const double* x, const uint32_t* orderX, const double* y, const uint32_t* orderY, size_t n, double scale,
                            double* dx, double* dy) {
  auto place = [&](size_t i, bool reversed) LGC_LAMBDA { return orderY[reversed ? n - 1 - i : i]; };
  LineSums forward, backward;
  for (size_t i = 0; i < n; ++i) forward.add(x[orderX[i]], y[place(i, false)]);
  for (size_t i = 0; i < n; ++i) backward.add(x[orderX[i]], y[place(i, true)]);
  const double count = static_cast<double>(n);
  const LineMatch match{forward.value(count), backward.value(count)};
  if (!dx) return match;
  const LineSlopes slopes(match.reversed() ? backward : forward, count, scale);
  for (size_t i = 0; i < n; ++i) {
    const size_t k = place(i, match.reversed());
    const double a = x[orderX[i]], b = y[k];
    dx[orderX[i]] = slopes.first(a, b);
    dy[k] = slopes.second(a, b);
  }
  return match;
}

// The least total cost of an n x n matching by shortest augmenting paths (Jonker and Volgenant 1987), O(n^3). The result
// holds the row of every column, both from 1. Scratch: 3 (n + 1) doubles, 3 (n + 1) indices. Costs are finite.
inline const size_t* assign(const double* cost, size_t n, double* potentials, size_t* indices) {
  double *u = potentials, *v = u + n + 1, *length = v + n + 1;
  size_t *match = indices, *way = match + n + 1, *used = way + n + 1;
  for (size_t j = 0; j <= n; ++j) {
    u[j] = v[j] = 0;
    match[j] = 0;
  }
  // Column 0 and row 0 stand for none; the others count from 1.
  for (size_t row = 1; row <= n; ++row) {
    match[0] = row;
    for (size_t j = 0; j <= n; ++j) {
      length[j] = __builtin_huge_val();
      used[j] = 0;
    }
    size_t at = 0;
    do {
      used[at] = 1;
      const size_t from = match[at];
      const double* c = cost + (from - 1) * n;
      double delta = __builtin_huge_val();
      size_t next = 0;
      for (size_t j = 1; j <= n; ++j) {
        if (used[j]) continue;
        const double reduced = c[j - 1] - u[from] - v[j];
        if (reduced < length[j]) {
          length[j] = reduced;
          way[j] = at;
        }
        if (length[j] < delta) {
          delta = length[j];
          next = j;
        }
      }
      for (size_t j = 0; j <= n; ++j) {
        if (used[j]) {
          u[match[j]] += delta;
          v[j] -= delta;
        } else {
          length[j] -= delta;
        }
      }
      at = next;
    } while (match[at] != 0);
    while (at != 0) {
      match[at] = match[way[at]];
      at = way[at];
    }
  }
  return match;
}

inline void weighBy(Call& call, const void* weights, Points& points) {
  if (weights) points.weigh([&](size_t i) { return numberAt(weights, call.isDouble, i); });
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
