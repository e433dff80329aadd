#include "../../cpp/ops/stablemax.h"
#include "../engine/flat.h"
#include "../engine/row_wide.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

struct ScaleRow {
  float *derivative, *cosine;
  LGC_DEVICE void operator()(Rows<2>& rows) const {
    double sums[3];
    sumColumnsWide(rows, sums, [](int, const float(&x)[2], double* t) {
      LogitScaleDerivative::terms(static_cast<double>(x[0]), static_cast<double>(x[1]), t);
    });
    if (!rows.leads()) return;
    derivative[rows.row] = static_cast<float>(sums[0]);
    cosine[rows.row] = static_cast<float>(LogitScaleDerivative::cosineOf(sums));
  }
};

struct LogitScaleDerivativeOp : LogitScaleDerivative {
  static void run(DeviceCall& call) {
    forRows<2>(call, {LGC_INPUT(void, call, logits), LGC_INPUT(void, call, gradLogits)},
               ScaleRow{LGC_OUTPUT(float, call, derivative), LGC_OUTPUT(float, call, nlmCosine)});
  }
};

struct PerpArrays {
  const float *grad, *param;
  LGC_DEVICE double g(size_t i) const { return static_cast<double>(grad[i]); }
  LGC_DEVICE double w(size_t i) const { return static_cast<double>(param[i]); }
};
struct PerpProducts {
  PerpArrays x;
  LGC_DEVICE void operator()(size_t i, double* t) const {
    t[0] = x.g(i) * x.w(i);
    t[1] = x.w(i) * x.w(i);
    t[2] = x.g(i) * x.g(i);
  }
};
struct PerpProject {
  PerpGrad options;
  PerpGrad* found;
  LGC_DEVICE void operator()(const double* sums) const {
    *found = options;
    found->project(sums);
  }
};
struct PerpProjected {
  PerpArrays x;
  const PerpGrad* found;
  LGC_DEVICE void operator()(size_t i, double* t) const {
    const double p = found->projected(x.g(i), x.w(i));
    t[0] = p * x.w(i);
    t[1] = p * p;
  }
};
struct PerpProjectAgain {
  PerpGrad* found;
  double *parallelNorm, *perpNorm, *cosine;
  LGC_DEVICE void operator()(const double* sums) const {
    found->projectAgain(sums);
    *parallelNorm = found->parallelNorm();
    *perpNorm = found->norm;
    *cosine = found->cosine();
  }
};
struct PerpEntry {
  PerpArrays x;
  const PerpGrad* found;
  float* out;
  LGC_DEVICE void operator()(size_t i) const { out[i] = static_cast<float>(found->entry(x.g(i), x.w(i))); }
};

struct PerpGradOp : PerpGrad {
  static void run(DeviceCall& call) {
    const PerpArrays x{LGC_INPUT(float, call, grad), LGC_INPUT(float, call, param)};
    PerpGrad* found = call.scratch<PerpGrad>(1);
    if (!found || !sumFlat<3>(call, call.rows, PerpProducts{x}, PerpProject{PerpGrad(call), found}) ||
        !sumFlat<2>(
            call, call.rows, PerpProjected{x, found},
            PerpProjectAgain{found, LGC_NUMBER_AT(call, parallelNorm), LGC_NUMBER_AT(call, perpNorm), LGC_NUMBER_AT(call, nlmCosine)}))
      return;
    forIndices(call, call.rows, PerpEntry{x, found, LGC_OUTPUT(float, call, out)});
  }
};

struct CollapsedRow {
  RowMarks marks;
  double limit;
  int32_t* mask;
  double* collapsed;
  LGC_DEVICE void operator()(Rows<1>& rows) const {
    const unsigned y = marks.read(rows);
    WideSoftmax s[1];
    wideSoftmax(rows, s);
    if (!rows.leads()) return;
    const bool is = rows.reads() && (!marks.at || s[0].argMax == y) && s[0].others <= limit;
    mask[rows.row] = is ? 1 : 0;
    collapsed[rows.row] = rows.fate == Fate::lost ? __builtin_nan("") : is ? 1.0 : 0.0;
  }
};
struct CountCollapsed {
  size_t rows;
  const double* collapsed;
  const int32_t* targets;
  int32_t ignore;
  double *count, *fraction;
  LGC_DEVICE void operator()() const {
    const double found = sumRows(rows, [&](size_t i) { return collapsed[i]; });
    const double kept = static_cast<double>(countRows(rows, [&](size_t i) { return !targets || targets[i] != ignore; }));
    if (threadIdx.x != 0) return;
    *count = found;
    *fraction = found * reciprocalOrZero(kept);
  }
};

struct SoftmaxCollapseOp : SoftmaxCollapse {
  static void run(DeviceCall& call) {
    double* collapsed = call.scratch<double>(call.rows);
    if (!collapsed) return;
    const RowMarks marks = marksOf<SoftmaxCollapse>(call);
    forRows<1>(call, {LGC_INPUT(void, call, logits)}, CollapsedRow{marks, limitOf(call), LGC_OUTPUT(int32_t, call, mask), collapsed});
    once(call, CountCollapsed{call.rows, collapsed, marks.at, marks.ignore, LGC_NUMBER_AT(call, count), LGC_NUMBER_AT(call, fraction)});
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(stablemax, RowSweepOp<StableMax>, RowSweepOp<LogStableMax>, RowSweepOp<StableMaxBackward>,
                        RowSweepOp<LogStableMaxBackward>, RowSweepOp<StableMaxCrossEntropy>, LogitScaleDerivativeOp, PerpGradOp,
                        SoftmaxCollapseOp)
}  // namespace logitcore
