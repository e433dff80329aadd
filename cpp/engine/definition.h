// What the definitions of cpp/ops may use: statistics, duals, lanes, and how a call's options and rows count. It has no loops over
// columns and no threads, so that the same definitions compile as device code.
#pragma once
#include "collect.h"
#include "record.h"
#include "statistics.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Values of arrays on a device are for its kernels to check.
constexpr bool kValuesOnHost = LGC_LEVEL_ID != LGC_LEVEL_ID_device;

template <class R> constexpr int findInput(const R& r, const char* name) {
  for (int i = 0; i < r.inputCount(); ++i)
    if (sameName(r.inputs[i].name, name)) return i;
  return -1;
}
constexpr int findKind(const Record& r, Kind a, Kind b) {
  for (int i = 0; i < r.inputCount(); ++i)
    if (r.inputs[i].kind == a || r.inputs[i].kind == b) return i;
  return -1;
}
template <class R> constexpr int findOption(const R& r, const char* name) {
  for (int i = 0; i < r.optionCount(); ++i)
    if (sameName(r.options[i].name, name)) return i;
  return -1;
}
constexpr int findGradient(const Record& r) {
  for (int i = 0; i < r.outputCount(); ++i)
    if (r.outputs[i].gradOf || (r.backwardOf && r.outputs[i].kind == OutputKind::array)) return i;
  return -1;
}
// The n-th per-row output: the loss first, then the extra one.
constexpr int findRowOutput(const Record& r, int n) {
  for (int i = 0; i < r.outputCount(); ++i)
    if (i != findGradient(r) && n-- == 0) return i;
  return -1;
}

// Rows that count: without targets or marks all do.
template <class D> LGC_FN const int32_t* rowMarks(const Call& call) {
  constexpr int at = findKind(D::record, Kind::target, Kind::mark);
  return at < 0 ? nullptr : static_cast<const int32_t*>(call.inputs[at < 0 ? 0 : at]);
}
template <class D> LGC_FN int32_t ignoreIndexOf(const Call& call) {
  constexpr int at = findOption(D::record, "ignoreIndex");
  return at < 0 ? INT32_MIN : static_cast<int32_t>(call.options[at < 0 ? 0 : at]);
}
template <class D> LGC_FN double keptRows(const Call& call) {
  const int32_t* marks = rowMarks<D>(call);
  if (!marks) return static_cast<double>(call.rows);
  const int32_t ignore = ignoreIndexOf<D>(call);
  return static_cast<double>(countRows(call.rows, [&](size_t i) { return marks[i] != ignore; }));
}
// Whether a row's target is a class of this call. Targets on a device have not been checked when a definition is built.
LGC_FN bool isClass(const Call& call, int32_t y) { return y >= 0 && static_cast<size_t>(y) < call.columns; }
// A number of an array whose type is that of the call.
LGC_FN double numberAt(const void* p, bool isDouble, size_t i) {
  return isDouble ? static_cast<const double*>(p)[i] : static_cast<double>(static_cast<const float*>(p)[i]);
}
// 1, -1, or 0 and NaN themselves.
template <class W> LGC_FN W signOf(W x) {
  const W zero = broadcast<W>(0);
  return select(x > zero, broadcast<W>(1), select(x < zero, broadcast<W>(-1), x));
}
LGC_FN double reciprocalOrZero(double x) { return x == 0 ? 0.0 : 1.0 / x; }
// A row with an infinite sum has no distribution.
LGC_FN double finiteOrNan(double x) { return x - x == 0 ? x : __builtin_nan(""); }
template <class D> LGC_FN int reductionOf(const Call& call) {
  constexpr int at = findOption(D::record, "reduction");
  return at < 0 ? static_cast<int>(kReduceNone) : static_cast<int>(call.options[at < 0 ? 0 : at]);
}
// The factor that 'mean' puts on every row's term; nothing counted gives 0.
template <class D> LGC_FN double meanScale(const Call& call) {
  return reductionOf<D>(call) == kReduceMean ? reciprocalOrZero(keptRows<D>(call)) : 1.0;
}

// A whole row of exponentials: the largest logit, its first index, and the sum of the others relative to it.
struct RowSum {
  double max, others;
  size_t argMax;
};

constexpr int kMaxRowInputs = 4, kMaxColumnInputs = 3, kMaxSums = 8;

template <class W> struct Lane {
  W x[kMaxRowInputs];          // row inputs
  W shifted[2], e[2];          // (x - max) / T and its exponential, for softmax inputs
  W column[kMaxColumnInputs];  // inputs of shape [c]; 1 where absent
  Mask<W> isPivot;             // the row's target, or the first largest entry of D::pivotInput
};

struct RowStart {
  size_t index;
  int32_t target;                     // of ops with targets
  double targetValue[kMaxRowInputs];  // row inputs at the target, or at the pivot
  RowSum softmax[2];
  double inverseTemperature;
  size_t columns;
};

// The power of two that brings a spread near 1, so that its square stays within the type; multiplying by it rounds nothing. 1 where
// there is no spread.
LGC_FN double grainOf(double spread, bool isDouble) {
  if (!(spread > 0) || spread - spread != 0) return 1;
  const int most = isDouble ? 1000 : 126, exponent = 1023 - static_cast<int>((toBits(spread) >> 52) & 2047);
  return fromBits(static_cast<std::uint64_t>(1023 + (exponent > most ? most : exponent < -most ? -most : exponent)) << 52);
}

// Of two rows compared by their softmaxes p and q (row_pair.h): how each is scaled, what was found, what the gradient is.
struct PairScaling {
  bool standardize;
  double ddof, eps;  // sd = sqrt(m2 / (count - ddof)); logits are divided by sd + eps
  double temperature;
  bool flatGradient;  // a row without deviation has the gradient of the formula, else none
};

// w is (z - top) / unit, in nats; [0] the student, [1] the teacher. V is one row's number, or those of eight rows.
template <class V> struct PairFacts {
  double temperature;
  V others[2];   // sum of exp(w) without the largest term
  V most[2];     // the largest probability, 1 / (1 + others)
  V logSum[2];   // log(1 + others)
  V own;         // E_p[w_student]
  V crossed;     // E_q[w_student]
  V gap;         // E_q[w_teacher - w_student]
  V covariance;  // Cov_q(w_teacher, w_teacher - w_student)
  V target[2];   // w of the entry that was left out
  LGC_FN V divergence() const { return gap - logSum[1] + logSum[0]; }
};

// Of the loss by the student's scaled logits: student * p_j + teacher * q_j, and atTarget at the entry that was left out.
template <class V> struct PairSlopes {
  V student, teacher, atTarget;
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
