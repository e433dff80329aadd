// The nodes of co-activation graphs on the CPU.
#pragma once
#include "../engine/row_exp.h"
#include "../engine/select.h"
#include "../engine/wide.h"
#include "gld.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

template <class T> class Nodes {
 public:
  using W = Vec<T>;
  static constexpr size_t L = lanes<W>;
  const size_t batch, length, columns, k;
  const NodeOptions options;

  Nodes(Call& call, const T* logits, const int32_t* mask, size_t b, size_t l, size_t c, const NodeOptions& o)
      : batch(b),
        length(l),
        columns(c),
        k(o.topK < c ? o.topK : c),
        options(o),
        logits_(logits),
        mask_(mask),
        column_(call, b * l * k, false),
        value_(call, b * l * k, false),
        row_(call, b * l) {}
  explicit operator bool() const { return column_ && value_ && row_; }

  size_t nodes() const { return options.vocab ? columns : k; }
  bool counts(size_t position) const { return !mask_ || mask_[position] != 0; }
  size_t counted(size_t b) const {
    size_t total = 0;
    for (size_t t = b * length; t < (b + 1) * length; ++t) total += counts(t);
    return total;
  }
  // The factor of sums over positions.
  double positionScale(size_t b) const { return options.mean ? reciprocalOrZero(static_cast<double>(counted(b))) : 1.0; }

  // Reads all counted positions once.
  void find(Call& call) {
    parallel(call, batch * length, rowGrain(columns), [&](size_t begin, size_t end) {
      const size_t capacity = selectCapacity(columns, k), blocks = options.transform == kNodeSoftmax ? blockCount(columns) : 0;
      Scratch<SortItem> list(call, capacity, false), spare(call, capacity, false);
      Scratch<Block<T>> block(call, blocks);
      Scratch<double> factors(call, blocks);
      if (!list || !spare || !block || !factors) return;
      for (size_t t = begin; t < end; ++t)
        if (counts(t)) findIn(t, list, spare, block, factors);
    });
  }

  // visit(node, value, row) over the nodes of a sequence in the order of its positions. False if a position has no values.
  template <class F> bool each(size_t b, F&& visit) {
    for (size_t t = b * length; t < (b + 1) * length; ++t) {
      if (!counts(t)) continue;
      if (isNan(row_[t].sigma)) return false;
      for (size_t j = 0; j < row_[t].found; ++j) visit(nodeOf(t, j), value_[t * k + j], row_[t].sigma);
    }
    return true;
  }
  // f_i += scale sum_j C_ij, without the graph.
  void features(size_t b, double scale, double* f) {
    const double factor = scale * positionScale(b);
    const bool whole = each(b, [&](size_t node, double x, double sigma) { f[node] = fma(x, sigma, f[node]); });
    for (size_t i = 0; i < nodes(); ++i) f[i] = whole ? f[i] * factor : __builtin_nan("");
  }
  void graph(size_t b, double* matrix) {
    const size_t n = nodes();
    bool whole = true;
    for (size_t t = b * length; t < (b + 1) * length; ++t) {
      if (!counts(t)) continue;
      whole = whole && !isNan(row_[t].sigma);
      for (size_t i = 0; i < row_[t].found; ++i) {
        double* row = matrix + nodeOf(t, i) * n;
        for (size_t j = 0; j < row_[t].found; ++j) row[nodeOf(t, j)] = fma(value_[t * k + i], value_[t * k + j], row[nodeOf(t, j)]);
      }
    }
    const double factor = positionScale(b);
    for (size_t i = 0; i < n * n; ++i) matrix[i] = whole ? matrix[i] * factor : __builtin_nan("");
  }

  // Gradient of the logits from that of the features, s [batch, stride]: dx_m = s_m sigma + s . Z. Sequences that are not active have
  // none. With Add it comes on top of what is in `out`; without it `out` may be the logits themselves.
  template <bool Add> void featureGradient(Call& call, const double* s, size_t stride, const bool* active, double scale, T* out) {
    gradient<Add>(call, active, out, [&](size_t t, double* dx) {
      const double* slope = s + t / length * stride;
      double along = 0;
      for (size_t j = 0; j < row_[t].found; ++j) along = fma(slope[nodeOf(t, j)], value_[t * k + j], along);
      for (size_t j = 0; j < row_[t].found; ++j) dx[j] = fma(slope[nodeOf(t, j)], row_[t].sigma, along) * scale;
    });
  }
  // dZ = Z (G + G') over positions.
  void graphGradient(Call& call, const T* g, T* out) {
    const size_t n = nodes();
    Scratch<double> scales(call, batch);
    if (!scales) return;
    for (size_t b = 0; b < batch; ++b) scales[b] = positionScale(b);
    gradient<false>(call, nullptr, out, [&](size_t t, double* dx) {
      const T* at = g + t / length * n * n;
      const double scale = scales[t / length];
      for (size_t j = 0; j < row_[t].found; ++j) {
        double total = 0;
        for (size_t i = 0; i < row_[t].found; ++i) {
          const size_t a = nodeOf(t, i), b = nodeOf(t, j);
          total = fma(value_[t * k + i], static_cast<double>(at[a * n + b]) + static_cast<double>(at[b * n + a]), total);
        }
        dx[j] = total * scale;
      }
    });
  }

 private:
  size_t nodeOf(size_t t, size_t j) { return options.vocab ? column_[t * k + j] : j; }

  void findIn(size_t t, SortItem* list, SortItem* spare, Block<T>* blocks, double* factors) {
    const T* z = logits_ + t * columns;
    const SortItem* chosen = selectLargest(z, columns, k, list, spare);
    const double top = static_cast<double>(z[chosen[0].index]);
    NodeRow& row = row_[t];
    row = {__builtin_nan(""), top, 0, 1, 0, 0};
    if (isNan(top) || top == -kInfinity || (top == kInfinity && !hasFinite(z))) return;
    if (options.transform == kNodeSoftmax) {
      const RowSum s = rowSum<false>(Plain<T>{z}, columns, 1.0 / options.temperature, Destination<T>{}, blocks, factors);
      row.scale = 1.0 / (1.0 + s.others);
    } else if (options.transform == kNodeStandardize) {
      standardize(z, row);
    }
    row.sigma = 0;
    for (size_t j = 0; j < k; ++j) {
      const double v = static_cast<double>(z[chosen[j].index]);
      if (v == -kInfinity) break;
      const double x = nodeValue(options, row, v);
      column_[t * k + j] = chosen[j].index;
      value_[t * k + j] = x;
      row.sigma += x;
      ++row.found;
    }
  }
  bool hasFinite(const T* z) const {
    for (size_t j = 0; j < columns; ++j)
      if (z[j] - z[j] == 0) return true;
    return false;
  }
  // Around the largest logit: equal logits have deviation 0 exactly.
  void standardize(const T* z, NodeRow& row) const {
    const f64x8 infinity = broadcast<f64x8>(kInfinity), zero = broadcast<f64x8>(0);
    const double pivot = row.top < kInfinity ? row.top : 0.0;
    const auto over = [&](double shift, auto&& term) {
      return rowSumWide(columns, [&](size_t j, size_t count) LGC_LAMBDA {
        const f64x8 v = readWide(z + j, count);
        return select(abs(v) < infinity, term(v - pivot - shift), zero);
      });
    };
    const double count = over(0, [](f64x8) LGC_LAMBDA { return broadcast<f64x8>(1); });
    row.top = pivot;
    row.share = 1.0 / count;
    row.mean = over(0, [](f64x8 d) LGC_LAMBDA { return d; }) / count;
    const double variance = over(row.mean, [](f64x8 d) LGC_LAMBDA { return d * d; }) / count;
    row.scale = variance == 0 ? 0.0 : 1.0 / sqrt(variance);
  }

  // dx(t, out): the gradient of the found values of a position.
  template <bool Add, class F> void gradient(Call& call, const bool* active, T* out, F&& slopes) {
    parallel(call, batch * length, rowGrain(columns), [&](size_t begin, size_t end) {
      Scratch<double> dx(call, 2 * k, false);
      if (!dx) return;
      for (size_t t = begin; t < end; ++t) {
        T* g = out + t * columns;
        if (!counts(t) || (active && !active[t / length])) {
          if (!Add) __builtin_memset(static_cast<void*>(g), 0, columns * sizeof(T));
        } else if (isNan(row_[t].sigma)) {
          for (size_t j = 0; j < columns; ++j) g[j] = static_cast<T>(__builtin_nan(""));
        } else {
          slopes(t, dx);
          write<Add>(t, dx, g);
        }
      }
    });
  }
  // dx [k], and as much room.
  template <bool Add> void write(size_t t, double* dx, T* g) {
    const NodeRow& row = row_[t];
    const uint32_t* column = column_ + t * k;
    const double* x = value_ + t * k;
    double sum = 0, product = 0;
    for (size_t j = 0; j < row.found; ++j) {
      sum += dx[j];
      product = fma(dx[j], x[j], product);
    }
    const NodeSlopes slopes{options, row, sum, product};
    const T* z = logits_ + t * columns;
    double* before = dx + k;
    for (size_t j = 0; j < row.found; ++j) before[j] = Add ? static_cast<double>(g[column[j]]) : 0.0;
    // First as if no entry were a node, then the nodes over it.
    if (options.transform != kNodeNone)
      lanesOf<Add>(g, [&](size_t j, size_t count) LGC_LAMBDA { return slopes.other(readLanes(z + j, count, -kInfinity)); });
    else if (!Add)
      __builtin_memset(static_cast<void*>(g), 0, columns * sizeof(T));
    for (size_t j = 0; j < row.found; ++j) g[column[j]] = static_cast<T>(before[j] + slopes.node(x[j], dx[j]));
  }
  template <bool Add, class F> void lanesOf(T* g, F&& slope) const {
    for (size_t j = 0; j < columns; j += L) {
      const size_t count = columns - j < L ? columns - j : L;
      const W v = slope(j, count);
      writeLanes(g + j, Add ? readLanes(g + j, count) + v : v, count);
    }
  }

  const T* logits_;
  const int32_t* mask_;
  Scratch<uint32_t> column_;  // [position, k]
  Scratch<double> value_;
  Scratch<NodeRow> row_;
};

// Features of two graphs compared in descending order: factor sum_i |f_(i) - g_(i)|, and its derivatives by f and g where asked for.
// Equal features keep the order of their nodes. False if memory ran out.
inline bool compareSorted(Call& call, const double* f, const double* g, size_t n, double factor, double& value, double* df, double* dg) {
  Scratch<uint32_t> first(call, n, false), second(call, n, false);
  Scratch<char> room(call, sortScratchBytes<double>(n), false);
  if (!first || !second || !room) return false;
  argsort(call, f, n, true, first, room);
  argsort(call, g, n, true, second, room);
  double total = 0;
  for (size_t i = 0; i < n; ++i) {
    const double difference = f[first[i]] - g[second[i]];
    const double slope = difference > 0 ? factor : difference < 0 ? -factor : difference;
    total += abs(difference);
    if (df) df[first[i]] = slope;
    if (dg) dg[second[i]] = -slope;
  }
  value = factor * total;
  return true;
}

struct GldOptions {
  bool featureMean, valueMean;
};

// The value of every sequence (0 where a side has no counted position, then not active), and the derivatives by the features of both
// sides [batch, nodes of the larger], scaled to those of sums over positions.
template <class T> void gldValues(Call& call, Nodes<T>& student, Nodes<T>& teacher, const GldOptions& o, double* values, bool* active,
                                  double* studentSlope, double* teacherSlope) {
  const size_t n = student.nodes() > teacher.nodes() ? student.nodes() : teacher.nodes();
  const double share = 1.0 / static_cast<double>(n), scale = o.featureMean ? share : 1.0;
  // A long sort is split over the threads instead of the sequences.
  parallel(call, student.batch, n < kSplitSort ? 1 : student.batch, [&](size_t begin, size_t end) {
    Scratch<double> f(call, n), g(call, n);
    if (!f || !g) return;
    for (size_t b = begin; b < end; ++b) {
      active[b] = student.counted(b) > 0 && teacher.counted(b) > 0;
      if (!active[b]) continue;
      for (size_t i = 0; i < n; ++i) f[i] = g[i] = 0;
      student.features(b, scale, f);
      teacher.features(b, scale, g);
      double* df = studentSlope ? studentSlope + b * n : nullptr;
      double* dg = teacherSlope ? teacherSlope + b * n : nullptr;
      if (!compareSorted(call, f, g, n, o.valueMean ? share : 1.0, values[b], df, dg)) return;
      const double ofStudent = scale * student.positionScale(b), ofTeacher = scale * teacher.positionScale(b);
      for (size_t i = 0; i < n; ++i) {
        if (df) df[i] *= ofStudent;
        if (dg) dg[i] *= ofTeacher;
      }
    }
  });
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
