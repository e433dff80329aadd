#include "../../cpp/ops/gld.h"
#include "nodes.h"
#include "sorted_features.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

template <class D> NodeSet nodesOf(DeviceCall& call) {
  constexpr const Record& record = D::record;
  return nodesOf(call, LGC_INPUT(void, call, logits), LGC_INPUT(int32_t, call, mask), dimOf(call, '*'), dimOf(call, 'l'), call.columns,
                 nodeOptions<D>(call));
}

struct WriteCounts {
  const double* counted;
  int32_t* out;
  LGC_DEVICE void operator()(size_t b) const { out[b] = static_cast<int32_t>(counted[b]); }
};

// The values of a position by node, 0 where it has none.
struct DenseNodes {
  NodeSet set;
  double* out;  // [position, node], cleared
  LGC_DEVICE void operator()(size_t i) const {
    const size_t t = i / set.k, j = i % set.k;
    if (set.counts(t) && j < set.rows[t].found) out[t * set.nodes() + set.node(t, j)] = set.values[i];
  }
};
struct GraphEntry {
  NodeSet set;
  const double* dense;
  float* graph;
  LGC_DEVICE void operator()(size_t i) const {
    const size_t n = set.nodes(), column = i % n, row = i / n % n, b = i / n / n;
    double sum = 0;
    for (size_t t = b * set.length; t < (b + 1) * set.length; ++t) {
      const double x = dense[t * n + row], y = dense[t * n + column];
      if (x != 0 && y != 0) sum = fma(x, y, sum);
    }
    graph[i] = static_cast<float>(sum * set.scales[b] + set.spoiled[b]);
  }
};

struct CoactivationGraphOp : CoactivationGraph {
  static void run(DeviceCall& call) {
    const NodeSet set = nodesOf<CoactivationGraph>(call);
    const size_t n = set.nodes(), count = set.positions() * n;
    double* dense = call.scratch<double>(count);
    if (dense && call.failure == cudaSuccess) call.failure = cudaMemsetAsync(dense, 0, count * sizeof(double), call.stream);
    forIndices(call, set.positions() * set.k, DenseNodes{set, dense});
    forIndices(call, set.batch * n * n, GraphEntry{set, dense, LGC_OUTPUT(float, call, graph)});
    forIndices(call, set.batch, WriteCounts{set.counted, LGC_OUTPUT(int32_t, call, count)});
  }
};

struct CoactivationGraphBackwardOp : CoactivationGraphBackward {
  static void run(DeviceCall& call) {
    const NodeSet set = nodesOf<CoactivationGraphBackward>(call);
    double* dx = call.scratch<double>(set.positions() * set.k);
    forBlocks(call, set.positions(), GraphSlopes{set, LGC_INPUT(float, call, gradGraph), dx});
    addGradient(call, set, dx, nullptr, {LGC_OUTPUT(void, call, gradLogits), call.storage}, false);
  }
};

struct CoactivationFeaturesOp : CoactivationFeatures {
  static void run(DeviceCall& call) {
    const NodeSet set = nodesOf<CoactivationFeatures>(call);
    const size_t size = dimOf(call, 'g');
    double* features = call.scratch<double>(set.batch * size);
    featuresOf(call, set, LGC_OPTION(call, featureReduction) == 0 ? 1.0 / static_cast<double>(size) : 1.0, size, features);
    storeAs(call, features, set.batch * size, LGC_OUTPUT(float, call, features));
    forIndices(call, set.batch, WriteCounts{set.counted, LGC_OUTPUT(int32_t, call, count)});
  }
};

struct ScaleSlopes {
  NodeSet set;
  const float* gradFeatures;
  size_t size;
  double scale;
  double* out;
  LGC_DEVICE void operator()(size_t i) const { out[i] = static_cast<double>(gradFeatures[i]) * (scale * set.scales[i / size]); }
};

struct CoactivationFeaturesBackwardOp : CoactivationFeaturesBackward {
  static void run(DeviceCall& call) {
    const NodeSet set = nodesOf<CoactivationFeaturesBackward>(call);
    const size_t size = dimOf(call, 'g');
    const double scale = LGC_OPTION(call, featureReduction) == 0 ? 1.0 / static_cast<double>(size) : 1.0;
    double *slopes = call.scratch<double>(set.batch * size), *dx = call.scratch<double>(set.positions() * set.k);
    forIndices(call, set.batch * size, ScaleSlopes{set, LGC_INPUT(float, call, gradFeatures), size, scale, slopes});
    forBlocks(call, set.positions(), FeatureSlopes{set, slopes, size, nullptr, 1, dx});
    addGradient(call, set, dx, nullptr, {LGC_OUTPUT(void, call, gradLogits), call.storage}, false);
  }
};

// Sums of the rows of a square matrix, and how far their entries are from their means with `size` nodes: sum_ij |C_ij - mean_i|.
struct GraphRows {
  const float* matrix;
  size_t n, size;
  double *sums, *deviations;  // sums are 0 beyond n
  LGC_DEVICE void operator()(size_t i, Team& team) const {
    const float* row = matrix + i * n;
    double sum = 0, deviation = 0;
    for (size_t j = team.rank; i < n && j < n; j += team.size) sum += static_cast<double>(row[j]);
    sum = team.sum(sum);
    const double mean = sum * reciprocalOrZero(static_cast<double>(size));
    for (size_t j = team.rank; i < n && j < n; j += team.size) deviation += abs(static_cast<double>(row[j]) - mean);
    deviation = team.sum(deviation);
    if (!team.leads()) return;
    sums[i] = sum;
    deviations[i] = i < n ? fma(static_cast<double>(size - n), abs(mean), deviation) : 0.0;
  }
};
struct GraphBounds {
  const double *total, *deviationC, *deviationD;
  size_t n;
  double share, factor;
  double *value, *lower, *upper;
  LGC_DEVICE void operator()() const {
    const double deviations = sumRows(n, [&](size_t i) { return deviationC[i] + deviationD[i]; });
    if (threadIdx.x != 0) return;
    const double least = *total * share * share;
    give(value, factor * *total);
    give(lower, least);
    give(upper, least + share * share * deviations);
  }
};
struct SpreadSlopes {
  const double* slopes;
  size_t n;
  double factor;
  float* out;
  LGC_DEVICE void operator()(size_t i) const { out[i] = static_cast<float>(slopes[i / n] * factor); }
};

struct GwSortApproxOp : GwSortApprox {
  static void run(DeviceCall& call) {
    const size_t a = dimOf(call, 'a'), b = dimOf(call, 'b'), n = dimOf(call, 'g');
    const double share = reciprocalOrZero(static_cast<double>(n)), scale = LGC_OPTION(call, featureReduction) == 0 ? share : 1.0;
    const double factor = (LGC_OPTION(call, gwReduction) == 0 ? 1.0 : share) * scale;
    double *f = call.scratch<double>(n), *g = call.scratch<double>(n), *df = call.scratch<double>(n), *dg = call.scratch<double>(n),
           *deviationC = call.scratch<double>(n), *deviationD = call.scratch<double>(n), *total = call.scratch<double>(1);
    forBlocks(call, n, GraphRows{LGC_INPUT(float, call, C), a, n, f, deviationC});
    forBlocks(call, n, GraphRows{LGC_INPUT(float, call, D), b, n, g, deviationD});
    // Sums of rows have the order of the features whichever way these are scaled.
    compareSorted(call, f, g, 1, n, 1, nullptr, total, df, dg);
    once(call, GraphBounds{total, deviationC, deviationD, n, share, factor, LGC_NUMBER_AT(call, value), LGC_NUMBER_AT(call, lower),
                           LGC_NUMBER_AT(call, upper)});
    storeAs(call, f, n, Elements{LGC_OUTPUT(void, call, featuresC), Storage::f32}, scale);
    storeAs(call, g, n, Elements{LGC_OUTPUT(void, call, featuresD), Storage::f32}, scale);
    if (float* out = LGC_OUTPUT(float, call, gradC)) forIndices(call, a * a, SpreadSlopes{df, a, factor, out});
    if (float* out = LGC_OUTPUT(float, call, gradD)) forIndices(call, b * b, SpreadSlopes{dg, b, factor, out});
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(gld, CoactivationGraphOp, CoactivationGraphBackwardOp, CoactivationFeaturesOp, CoactivationFeaturesBackwardOp,
                        GwSortApproxOp)
}  // namespace logitcore
