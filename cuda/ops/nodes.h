// The nodes of co-activation graphs on the device: cpp/ops/gld.h has what they are.
#pragma once
#include "../../cpp/ops/gld.h"
#include "uld.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Positions whose features are added up at a time.
constexpr size_t kSharePositions = 32;

// Logits of sequences [batch, length, columns], and what is kept of their positions.
struct NodeSet {
  NodeOptions options;
  size_t batch, length, columns, k;
  const void* logits;
  Storage storage;
  const int32_t* mask;  // 0: the position does not count
  Places places;
  double* values;   // [position, k]; 0 beyond the nodes that were found
  NodeRow* rows;    // [position]
  double* counted;  // [batch]
  double* scales;   // [batch]: of sums over positions
  double* spoiled;  // [batch]: NaN where a position has no values, else 0

  LGC_FN size_t positions() const { return batch * length; }
  LGC_FN size_t nodes() const { return options.vocab ? columns : k; }
  LGC_DEVICE bool counts(size_t t) const { return !mask || mask[t] != 0; }
  LGC_DEVICE size_t column(size_t t, size_t j) const { return places.order[t * places.stride + j]; }
  LGC_DEVICE size_t node(size_t t, size_t j) const { return options.vocab ? column(t, j) : j; }
};

// The values of a position's nodes, by all `threads` that have it, of which this is `rank`, and what they add up to; on the way to sums of
// all of them: found[0] are the nodes, found[1] their values.
LGC_DEVICE void valueNodes(const NodeSet& set, size_t t, const NodeRow& row, bool valued, size_t rank, size_t threads, double (&found)[2]) {
  const float* places = set.places.values + t * set.k;
  found[0] = found[1] = 0;
  for (size_t j = rank; j < set.k; j += threads) {
    const bool is = valued && places[j] != -__builtin_huge_valf();
    const double x = is ? nodeValue(set.options, row, static_cast<double>(places[j])) : 0.0;
    set.values[t * set.k + j] = x;
    found[0] += is;
    found[1] += x;
  }
}
LGC_DEVICE bool isValued(double top, bool hasFinite) { return !(isNan(top) || top == -kInfinity || (top == kInfinity && !hasFinite)); }

// Of values that are logits over the temperature: the places have all that is needed.
struct FindPlainNodes {
  NodeSet set;

  LGC_DEVICE void operator()(size_t t, Team& team) const {
    const double top = static_cast<double>(set.places.values[t * set.k]);
    NodeRow row{0, top, 0, 1, 0, 0};
    const bool counts = set.counts(t);
    double found[2];
    const bool valued = counts && isValued(top, top != kInfinity || hasFinite(t));
    valueNodes(set, t, row, valued, team.rank, team.size, found);
    team.sum(found);
    row.found = static_cast<uint32_t>(found[0]);
    row.sigma = valued || !counts ? found[1] : __builtin_nan("");
    if (team.leads()) set.rows[t] = row;
  }

 private:
  LGC_DEVICE bool hasFinite(size_t t) const {
    for (size_t j = 0; j < set.columns; ++j) {
      const float x = readOne(set.logits, set.storage, t * set.columns + j);
      if (x - x == 0) return true;
    }
    return false;
  }
};

// Of those that depend on the whole row.
struct FindNodes {
  NodeSet set;

  LGC_DEVICE void operator()(Rows<1>& rows) const {
    const size_t t = rows.inside ? rows.row : 0;
    if (rows.inside && !set.counts(t)) rows.fate = Fate::dropped;
    const double top = rows.reads() ? static_cast<double>(set.places.values[t * set.k]) : 0.0;
    // Around the largest logit: equal logits have deviation 0 exactly.
    const double pivot = top < kInfinity ? top : 0.0;
    NodeRow row{0, top, 0, 1, 0, 0};
    double moments[2], squares[1];
    sumColumnsWide(rows, moments, [&](int, const float(&x)[1], double* s) {
      const bool finite = x[0] - x[0] == 0;
      s[0] = finite ? 1.0 : 0.0;
      s[1] = finite ? static_cast<double>(x[0]) - pivot : 0.0;
    });
    if (set.options.transform == kNodeSoftmax) {
      RowSum s;
      rowSums<1>(
          rows, static_cast<float>(1.0 / set.options.temperature), [](float x) { return x; }, &s);
      row.scale = 1.0 / (1.0 + s.others);
    } else {
      row.top = pivot;
      row.share = 1.0 / moments[0];
      row.mean = moments[1] / moments[0];
      sumColumnsWide(rows, squares, [&](int, const float(&x)[1], double* s) {
        const double d = static_cast<double>(x[0]) - pivot - row.mean;
        s[0] = x[0] - x[0] == 0 ? d * d : 0.0;
      });
      const double variance = squares[0] / moments[0];
      row.scale = variance == 0 ? 0.0 : 1.0 / sqrt(variance);
    }
    const bool valued = rows.reads() && isValued(top, moments[0] > 0);
    double found[2] = {0, 0};
    if (rows.inside)
      valueNodes(set, t, row, valued, rows.team.block * rows.team.size + rows.team.rank, rows.team.size * rows.team.blocks, found);
    rows.team.sum(found);
    row.found = static_cast<uint32_t>(found[0]);
    row.sigma = valued || rows.fate == Fate::dropped ? found[1] : __builtin_nan("");
    if (rows.leads()) set.rows[t] = row;
  }
};
struct CountValued {
  NodeSet set;
  LGC_DEVICE void operator()(size_t b, Team& team) const {
    double sums[2] = {0, 0};
    for (size_t t = b * set.length + team.rank; t < (b + 1) * set.length; t += team.size) {
      sums[0] += set.counts(t);
      sums[1] += set.counts(t) && isNan(set.rows[t].sigma);
    }
    team.sum(sums);
    if (!team.leads()) return;
    set.counted[b] = sums[0];
    set.scales[b] = set.options.mean ? reciprocalOrZero(sums[0]) : 1.0;
    set.spoiled[b] = sums[1] > 0 ? __builtin_nan("") : 0.0;
  }
};

// Reads all counted positions. Without rows where memory ran out.
inline NodeSet nodesOf(DeviceCall& call, const void* logits, const int32_t* mask, size_t batch, size_t length, size_t columns,
                       const NodeOptions& options) {
  NodeSet set{};
  set.options = options;
  set.batch = batch;
  set.length = length;
  set.columns = columns;
  set.k = options.topK < columns ? options.topK : columns;
  set.logits = logits;
  set.storage = call.storage;
  set.mask = mask;
  set.places = largestPlaces(call, logits, set.positions(), columns, set.k);
  set.values = call.scratch<double>(set.positions() * set.k);
  set.counted = call.scratch<double>(batch);
  set.scales = call.scratch<double>(batch);
  set.spoiled = call.scratch<double>(batch);
  set.rows = call.scratch<NodeRow>(set.positions());
  if (options.transform == kNodeNone)
    forBlocks(call, set.positions(), FindPlainNodes{set});
  else
    forRows<1>(call, set.positions(), columns, {logits}, FindNodes{set});
  forBlocks(call, batch, CountValued{set});
  return set;
}

// The slopes of the node values, by those of the features s [batch, stride]: dx_m = s_m sigma + s . Z.
struct FeatureSlopes {
  NodeSet set;
  const double* slopes;
  size_t stride;
  const double* scale;  // null: 1
  double weight;
  double* dx;  // [position, k]
  LGC_DEVICE void operator()(size_t t, Team& team) const {
    const double* s = slopes + t / set.length * stride;
    const NodeRow row = set.rows[t];
    double along = 0;
    for (size_t j = team.rank; j < row.found; j += team.size) along = fma(s[set.node(t, j)], set.values[t * set.k + j], along);
    along = team.sum(along);
    const double factor = weight * (scale ? *scale : 1.0);
    for (size_t j = team.rank; j < row.found; j += team.size) dx[t * set.k + j] = fma(s[set.node(t, j)], row.sigma, along) * factor;
  }
};
// By those of the graph: dZ = Z (G + G') over positions.
struct GraphSlopes {
  NodeSet set;
  const float* graph;
  double* dx;
  LGC_DEVICE void operator()(size_t t, Team& team) const {
    const size_t n = set.nodes(), found = set.rows[t].found;
    const float* at = graph + t / set.length * n * n;
    const double* x = set.values + t * set.k;
    for (size_t j = team.rank; j < found; j += team.size) {
      const size_t b = set.node(t, j);
      double total = 0;
      for (size_t i = 0; i < found; ++i) {
        const size_t a = set.node(t, i);
        total = fma(x[i], static_cast<double>(at[a * n + b]) + static_cast<double>(at[b * n + a]), total);
      }
      dx[t * set.k + j] = total * set.scales[t / set.length];
    }
  }
};

// The gradient of the logits: first of all columns as if none were a node, then of the nodes.
struct NodeGradient {
  NodeSet set;
  const double* dx;
  const double* others;  // [batch]: the positions that count on the other side; without any, the sequence has no gradient. Null: all have
  double* sums;          // [position, 2]
  Elements gradient;
  bool add;  // to what is there, which is float32

  LGC_DEVICE bool active(size_t t) const {
    const size_t b = t / set.length;
    return set.counts(t) && (!others || (others[b] > 0 && set.counted[b] > 0));
  }
  LGC_DEVICE NodeSlopes slopesOf(size_t t) const {
    const bool plain = set.options.transform == kNodeNone;
    return {set.options, set.rows[t], plain ? 0.0 : sums[2 * t], plain ? 0.0 : sums[2 * t + 1]};
  }

  // Where no other entry moves a node: the logits need not be read.
  LGC_DEVICE void operator()(size_t t, Team& team) const {
    const bool lost = active(t) && isNan(set.rows[t].sigma);
    const float value = lost ? __builtin_nanf("") : 0.0f;
    for (size_t j = team.rank; (lost || !add) && j < set.columns; j += team.size)
      writeOne(gradient.at, gradient.storage, t * set.columns + j, value);
  }
  LGC_DEVICE void operator()(Rows<1>& rows) const {
    const size_t t = rows.row;
    const bool is = rows.inside && active(t);
    double total[2] = {0, 0};
    for (size_t j = rows.team.rank; is && rows.team.block == 0 && j < set.rows[t].found; j += rows.team.size) {
      total[0] += dx[t * set.k + j];
      total[1] = fma(dx[t * set.k + j], set.values[t * set.k + j], total[1]);
    }
    rows.team.sum(total);
    if (rows.leads()) {
      sums[2 * t] = total[0];
      sums[2 * t + 1] = total[1];
    }
    if (!rows.inside) return;
    const NodeSlopes slopes{set.options, set.rows[t], total[0], total[1]};
    const bool lost = is && isNan(slopes.row.sigma);
    const auto slope = [&](float z) { return lost ? __builtin_nanf("") : is ? slopes.other(z) : 0.0f; };
    if (add) {
      float* g = static_cast<float*>(gradient.at) + t * set.columns;
      if (is) eachColumn(rows, [&](int j, const float(&z)[1]) { g[j] += slope(z[0]); });
    } else {
      writeColumns(rows, gradient.at, [&](int, const float(&z)[1]) { return slope(z[0]); });
    }
  }
  // Of one node.
  LGC_DEVICE void operator()(size_t i) const {
    const size_t t = i / set.k, j = i % set.k;
    if (!active(t) || isNan(set.rows[t].sigma) || j >= set.rows[t].found) return;
    const NodeSlopes slopes = slopesOf(t);
    const double own = slopes.node(set.values[i], dx[i]);
    const size_t at = t * set.columns + set.column(t, j);
    if (add)
      static_cast<float*>(gradient.at)[at] += static_cast<float>(own - static_cast<double>(slopes.other(set.places.values[i])));
    else
      writeOne(gradient.at, gradient.storage, at, static_cast<float>(own));
  }
};
inline void addGradient(DeviceCall& call, const NodeSet& set, const double* dx, const double* others, const Elements& gradient, bool add) {
  double* sums = call.scratch<double>(2 * set.positions());
  const NodeGradient task{set, dx, others, sums, gradient, add};
  if (set.options.transform == kNodeNone)
    forBlocks(call, set.positions(), task);
  else
    forRows<1>(call, set.positions(), set.columns, {set.logits}, task);
  forIndices(call, set.positions() * set.k, task);
}

// Features: f_i = scale sum_j C_ij [batch, size], without the graph, 0 beyond its nodes.
struct RankShares {
  NodeSet set;
  size_t shares;
  double* out;  // [batch, share, k]
  LGC_DEVICE void operator()(size_t i) const {
    const size_t j = i % set.k, share = i / set.k % shares, b = i / set.k / shares;
    const size_t end = (share + 1) * kSharePositions < set.length ? (share + 1) * kSharePositions : set.length;
    double sum = 0;
    for (size_t p = share * kSharePositions; p < end; ++p) {
      const size_t t = b * set.length + p;
      if (set.counts(t) && j < set.rows[t].found) sum = fma(set.values[t * set.k + j], set.rows[t].sigma, sum);
    }
    out[i] = sum;
  }
};
struct RankFeatures {
  NodeSet set;
  size_t shares;
  const double* from;
  size_t size;
  double scale;
  double* out;
  LGC_DEVICE void operator()(size_t i) const {
    const size_t j = i % size, b = i / size;
    double sum = 0;
    for (size_t s = 0; j < set.k && s < shares; ++s) sum += from[(b * shares + s) * set.k + j];
    out[i] = sum * (scale * set.scales[b]) + set.spoiled[b];
  }
};
// Of vocabulary nodes: entries are put in the order of their nodes, those of a node in that of their positions, and added up in it.
struct NodeKeys {
  NodeSet set;
  uint32_t *keys, *indices;
  LGC_DEVICE void operator()(size_t i) const {
    const size_t t = i / set.k, j = i % set.k, entries = set.length * set.k;
    const bool is = set.counts(t) && j < set.rows[t].found;
    keys[i] = is ? static_cast<uint32_t>(set.column(t, j)) : ~0u;
    indices[i] = static_cast<uint32_t>(i % entries);
  }
};
struct ClearFeatures {
  NodeSet set;
  size_t size;
  double* out;
  LGC_DEVICE void operator()(size_t i) const { out[i] = set.spoiled[i / size]; }
};
struct VocabFeatures {
  NodeSet set;
  const uint32_t* order;
  size_t size;
  double scale;
  double* out;
  LGC_DEVICE void operator()(size_t i) const {
    const size_t entries = set.length * set.k, b = i / entries;
    const auto nodeAt = [&](size_t at) {
      const size_t e = order[at], t = b * set.length + e / set.k, j = e % set.k;
      return set.counts(t) && j < set.rows[t].found ? set.column(t, j) : static_cast<size_t>(~0ull);
    };
    const size_t node = nodeAt(i);
    if (node == static_cast<size_t>(~0ull) || (i > b * entries && nodeAt(i - 1) == node)) return;
    double sum = 0;
    for (size_t at = i; at < (b + 1) * entries && nodeAt(at) == node; ++at) {
      const size_t e = order[at], t = b * set.length + e / set.k;
      sum = fma(set.values[t * set.k + e % set.k], set.rows[t].sigma, sum);
    }
    out[b * size + node] = sum * (scale * set.scales[b]) + set.spoiled[b];
  }
};
inline void featuresOf(DeviceCall& call, const NodeSet& set, double scale, size_t size, double* out) {
  if (!set.options.vocab) {
    const size_t shares = (set.length + kSharePositions - 1) / kSharePositions, count = set.batch * shares * set.k;
    double* parts = call.scratch<double>(count);
    forIndices(call, count, RankShares{set, shares, parts});
    forIndices(call, set.batch * size, RankFeatures{set, shares, parts, size, scale, out});
    return;
  }
  const size_t entries = set.length * set.k;
  uint32_t *keys = call.scratch<uint32_t>(set.batch * entries), *indices = call.scratch<uint32_t>(set.batch * entries);
  forIndices(call, set.batch * size, ClearFeatures{set, size, out});
  forIndices(call, set.batch * entries, NodeKeys{set, keys, indices});
  if (call.outOfMemory || set.batch * entries == 0) return;
  const uint32_t* order = sortByKey(call, keys, indices, set.batch, entries);
  forIndices(call, set.batch * entries, VocabFeatures{set, order, size, scale, out});
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
