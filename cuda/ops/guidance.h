// Rows of several planes, each compared with the labels and with its row in the plane before.
#pragma once
#include "../../cpp/ops/guidance.h"
#include "../engine/collect.h"
#include "../engine/row_wide.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

struct PlaneRow {
  const Prepared<GroupProgressiveGuidance>* prepared;
  RowMarks marks;
  size_t n;
  const void* logits;  // as they were before a gradient is written over them
  double* values;
  void* gradient;

  LGC_DEVICE void operator()(Rows<1>& rows) const {
    const GroupProgressiveGuidance d = prepared->definition;
    const bool guided = rows.row >= n;
    const size_t c = rows.shape.columns, first = (guided ? rows.row - n : rows.row) * c;
    const unsigned y = marks.read(rows, rows.inside ? rows.row % n : 0);
    const auto teacher = [&](int j) { return static_cast<double>(readOne(logits, rows.shape.storage, first + static_cast<size_t>(j))); };
    GuidedRow r(d, guided);
    const double scale[3] = {1 / d.temperature, 1 / d.temperature, 1};
    WideSoftmax s[3];
    wideSoftmax<3>(
        rows, scale,
        [&](int j, const float(&x)[1], double* v) {
          v[0] = v[2] = static_cast<double>(x[0]);
          v[1] = teacher(j);
        },
        s);
    r.own = s[0];
    r.guide = s[1];
    r.hard = s[2];
    double divergence[1];
    sumColumnsWide(rows, divergence,
                   [&](int j, const float(&x)[1], double* t) { t[0] = r.divergenceTerm(static_cast<double>(x[0]), teacher(j)); });
    const double target = rows.reads() ? static_cast<double>(readOne(logits, rows.shape.storage, rows.row * c + y)) : 0.0;
    if (rows.leads())
      values[rows.row] = rows.fate == Fate::kept ? r.loss(target, divergence[0]) : rows.fate == Fate::lost ? __builtin_nan("") : 0.0;
    if (!gradient) return;
    writeColumns(rows, gradient, [&](int j, const float(&x)[1]) {
      const double logit = static_cast<double>(x[0]), p = r.probability(logit);
      return static_cast<float>(r.gradient(static_cast<unsigned>(j) == y ? r.atTarget(y, p) : p, logit, teacher(j)));
    });
    if (rows.fate != Fate::kept) rows.fill(gradient, rows.fate == Fate::lost ? __builtin_nanf("") : 0.0f);
  }
};

struct SumPlane {
  const Prepared<GroupProgressiveGuidance>* prepared;
  size_t n;
  const double* values;
  double* totals;
  float* losses;
  LGC_DEVICE void operator()(size_t plane, Team& team) const {
    double sum = 0;
    for (size_t i = team.rank; i < n; i += team.size) sum += values[plane * n + i];
    sum = prepared->definition.scale * team.sum(sum);
    if (!team.leads()) return;
    totals[plane] = sum;
    losses[plane] = static_cast<float>(sum);
  }
};
struct SumPlanes {
  size_t planes;
  const double* totals;
  double* loss;
  LGC_DEVICE void operator()() const {
    const double sum = sumRows(planes, [&](size_t k) { return totals[k]; });
    if (threadIdx.x == 0) *loss = sum;
  }
};

struct GroupProgressiveGuidanceOp : GroupProgressiveGuidance {
  static void run(DeviceCall& call) {
    const size_t planes = call.dims['g'], n = call.rows, c = call.columns;
    const void *x = LGC_INPUT(void, call, logits), *guides = x;
    void* gradient = LGC_OUTPUT(void, call, gradLogits);
    const Prepared<GroupProgressiveGuidance>* definition = prepared<GroupProgressiveGuidance>(call);
    double *values = call.scratch<double>(planes * n), *totals = call.scratch<double>(planes);
    if (!definition || !values || !totals) return;
    if (gradient == x) {
      const size_t bytes = planes * n * c * bytesOf(call.storage);
      void* copy = call.scratch<char>(bytes);
      if (!copy) return;
      if (call.failure == cudaSuccess) call.failure = cudaMemcpyAsync(copy, x, bytes, cudaMemcpyDeviceToDevice, call.stream);
      guides = copy;
    }
    forRows<1>(call, planes * n, c, {x}, PlaneRow{definition, marksOf<GroupProgressiveGuidance>(call), n, guides, values, gradient});
    forBlocks(call, planes, SumPlane{definition, n, values, totals, LGC_OUTPUT(float, call, losses)});
    once(call, SumPlanes{planes, totals, LGC_NUMBER_AT(call, loss)});
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
