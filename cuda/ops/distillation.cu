#include "../../cpp/ops/distillation.h"
#include "../engine/sort.h"
#include "correlations.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

struct Zero {
  double* to;
  LGC_DEVICE void operator()() const {
    if (threadIdx.x == 0) give(to, 0);
  }
};

template <bool ByClass> struct CorrelationOp : Correlation<ByClass> {
  static void run(DeviceCall& call) {
    constexpr const Record& record = Correlation<ByClass>::record;
    double* loss = LGC_NUMBER_AT(call, loss);
    void* gradient = LGC_OUTPUT(void, call, gradStudent);
    if (call.rows == 0) return once(call, Zero{loss});
    Correlations matrices(call, gradient != nullptr);
    matrices.prepare(LGC_INPUT(void, call, student), LGC_INPUT(void, call, teacher), LGC_OPTION(call, temperature));
    if (ByClass)
      matrices.classLoss(loss, false);
    else
      matrices.batchLoss(loss, false);
    if (gradient) matrices.writeGradient(gradient);
  }
};

// What the parts of the loss are, which kernels add up one after the other.
struct MultiLevelParts {
  double instance, batch, byClass, samples, classes;
};
struct NoParts {
  MultiLevelParts* parts;
  LGC_DEVICE void operator()() const {
    if (threadIdx.x == 0) *parts = {0, 0, 0, 1, 1};
  }
};

struct ClassMass {
  const double* softmax;
  size_t rows, columns;
  double* mass;
  LGC_DEVICE void operator()(size_t j) const {
    double sum = 0;
    for (size_t i = 0; i < rows; ++i) sum += softmax[i * columns + j];
    mass[j] = sum;
  }
};
// The share of values that are at most their median.
struct ShareBelowMedian {
  const double* values;
  const uint32_t* order;
  size_t n;
  double* share;
  LGC_DEVICE void operator()() const {
    const double middle = n ? (values[order[n / 2]] + values[order[(n - 1) / 2]]) / 2 : 0.0;
    const size_t below = countRows(n, [&](size_t i) { return values[i] <= middle; });
    if (threadIdx.x == 0) *share = static_cast<double>(below) / static_cast<double>(n);
  }
};

constexpr int kTemperaturesAtOnce = 8;
// As a pair of rows is seen by its kernels.
struct InstanceKd {
  static constexpr const Record& record = MultiLevelKd::record;
  PairScaling scaling;
};
struct InstanceRow {
  PairScaling scaling;
  double temperatures[kTemperaturesAtOnce];
  int count;
  bool adds;  // to what launches before this have left
  double weight;
  const MultiLevelParts* parts;
  double *losses, *gradient;  // [rows], [rows, columns] or null
  LGC_DEVICE void operator()(Rows<2>& rows) const {
    InstanceKd d{scaling};
    PairTeam<InstanceKd> pair(d, rows, 0);
    pair.findLargest();
    pair.findMoments();
    double loss = 0;
    for (int k = 0; k < count; ++k) {
      d.scaling.temperature = temperatures[k];
      pair.findUnits();
      const PairFacts<double> f = pair.facts(false);
      const double scale = MultiLevelKd::instanceScale(temperatures[k], rows.shape.rows), slope = weight * parts->samples * scale;
      loss += scale * f.divergence();
      if (!gradient) continue;
      double* row = gradient + rows.row * rows.shape.columns;
      const bool first = k == 0 && !adds;
      pair.eachGradient(gradientOf(d.scaling, pair.side[0], f, {slope, -slope, 0}, false), [&](const auto& chunk, const float* line) {
        for (int e = 0; e < static_cast<int>(kEight); ++e) {
          if (!chunk.has(e)) continue;
          const double g = static_cast<double>(line[e]);
          row[chunk.column(e)] = first ? g : row[chunk.column(e)] + g;
        }
      });
    }
    if (rows.leads()) losses[rows.row] = adds ? losses[rows.row] + loss : loss;
  }
};

struct MultiLevelLoss {
  const double* losses;
  size_t n;
  double weight;
  MultiLevelParts* parts;
  double *loss, *instance, *batch, *byClass, *samples, *classes;
  LGC_DEVICE void operator()() const {
    const double rows = sumRows(n, [&](size_t i) { return losses[i]; });
    if (threadIdx.x != 0) return;
    const MultiLevelParts& p = *parts;
    give(instance, rows);
    give(batch, p.batch);
    give(byClass, p.byClass);
    give(samples, p.samples);
    give(classes, p.classes);
    give(loss, weight * (p.samples * (rows + p.batch) + p.classes * p.byClass));
  }
};

struct MultiLevelKdOp : MultiLevelKd {
  // The teacher at temperature 1: how sure it is of each row, and how much mass it gives to each class.
  static void fractions(DeviceCall& call, MultiLevelParts* parts) {
    const size_t n = call.rows, c = call.columns;
    double *softmax = call.scratch<double>(n * c), *confidence = call.scratch<double>(n), *mass = call.scratch<double>(c);
    forRows<1>(call, {LGC_INPUT(void, call, teacher)}, SoftmaxRow{1, softmax, confidence});
    forIndices(call, c, ClassMass{softmax, n, c, mass});
    once(call, ShareBelowMedian{confidence, orderOf(call, confidence, 1, n), n, &parts->samples});
    once(call, ShareBelowMedian{mass, orderOf(call, mass, 1, c), c, &parts->classes});
  }
  static void instance(DeviceCall& call, const double* temperatures, size_t count, double weight, const MultiLevelParts* parts,
                       double* losses, double* gradient) {
    for (size_t from = 0; from < count; from += kTemperaturesAtOnce) {
      InstanceRow task{};
      task.scaling = {LGC_OPTION(call, standardize) != 0, LGC_OPTION(call, ddof), LGC_OPTION(call, eps), 1, true};
      for (size_t k = from; k < count && task.count < kTemperaturesAtOnce; ++k) task.temperatures[task.count++] = temperatures[k];
      task.adds = from > 0;
      task.weight = weight;
      task.parts = parts;
      task.losses = losses;
      task.gradient = gradient;
      forRows<2>(call, {LGC_INPUT(void, call, student), LGC_INPUT(void, call, teacher)}, task);
    }
  }

  static void run(DeviceCall& call) {
    const double* temperatures;
    const size_t n = call.rows, size = n * call.columns, count = temperaturesOf(call, temperatures);
    const double weight = LGC_OPTION(call, weight);
    void* out = LGC_OUTPUT(void, call, gradStudent);
    MultiLevelParts* parts = call.scratch<MultiLevelParts>(1);
    double *losses = call.scratch<double>(n), *gradient = out ? call.scratch<double>(size) : nullptr;
    if (call.outOfMemory) return;
    once(call, NoParts{parts});
    if (n > 0) {
      if (LGC_OPTION(call, maskMode) != 0) fractions(call, parts);
      instance(call, temperatures, count, weight, parts, losses, gradient);
      Correlations matrices(call, out != nullptr);
      for (size_t k = 0; k < count; ++k) {
        matrices.prepare(LGC_INPUT(void, call, student), LGC_INPUT(void, call, teacher), temperatures[k]);
        matrices.batchLoss(&parts->batch, true);
        if (out) matrices.addGradient(weight, &parts->samples, gradient);
        matrices.classLoss(&parts->byClass, true);
        if (out) matrices.addGradient(weight, &parts->classes, gradient);
      }
    }
    if (out) storeAs(call, gradient, size, Elements{out, call.storage});
    once(call,
         MultiLevelLoss{losses, n, weight, parts, LGC_NUMBER_AT(call, loss), LGC_NUMBER_AT(call, instance), LGC_NUMBER_AT(call, batch),
                        LGC_NUMBER_AT(call, class), LGC_NUMBER_AT(call, sampleFraction), LGC_NUMBER_AT(call, classFraction)});
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(distillation, RowSweepOp<StandardizeLogits>, RowSweepOp<StandardizeLogitsBackward>, RowPairOp<StandardizedKlDiv>,
                        RowPairOp<DecoupledKd>, CorrelationOp<false>, CorrelationOp<true>, MultiLevelKdOp)
}  // namespace logitcore
