// The members that a definition may have or leave out, as engines ask for them, on the CPU and on a GPU.
#pragma once
#include "definition.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Of a loss of row statistics (row_loss.h).
template <class D, class = void> struct HasExtra {
  static constexpr bool value = false;
};
template <class D> struct HasExtra<D, decltype(void(&D::template extra<Statistics<double>>))> {
  static constexpr bool value = true;
};
template <class D, class = void> struct HasParameters {
  static constexpr bool value = false;
};
template <class D> struct HasParameters<D, decltype(void(&D::rowParameters))> {
  static constexpr bool value = true;
};
template <class D, class = void> struct HasSmoothing {
  static constexpr bool value = false;
};
template <class D> struct HasSmoothing<D, decltype(void(&D::smooths))> {
  static constexpr bool value = true;
};

// Value, and coefficients when the gradient is wanted.
template <class D, class V> LGC_FN void evaluate(const D& d, const Facts<V>& f, const RowShape& shape, bool wantGradient, V targetWeight,
                                                 V& loss, V& extra, Coefficients<V>& c) {
  constexpr unsigned needs = D::needs;
  if (wantGradient) {
    using T = Dual<V, bitCount(needs)>;
    const T value = d.loss(statisticsOf<needs, T>(f, shape));
    loss = value.value;
    c = coefficientsOf<needs, V>(value.partial, f, shape, targetWeight);
  } else {
    loss = d.loss(statisticsOf<needs, V>(f, shape));
  }
  if constexpr (HasExtra<D>::value) extra = d.extra(statisticsOf<needs, V>(f, shape));
}

// Of the general form (row_sweeps.h).
constexpr bool hasColumns(const char* dims) { return (dims[0] == '*' || dims[0] == 'n') && dims[1] == ',' && dims[2] == 'c' && !dims[3]; }
// Logits, and what is shaped like them: their last dimension are classes, c, or those of a teacher with classes of its own, v. On a GPU
// they may be halves, all of a call alike.
constexpr bool hasClasses(const char* dims) {
  int n = 0;
  while (dims[n]) ++n;
  return n > 2 && dims[n - 2] == ',' && (dims[n - 1] == 'c' || dims[n - 1] == 'v');
}
constexpr bool isColumn(const char* dims) { return dims[0] == 'c' && !dims[1]; }
constexpr int countRowInputs(const Record& r) {
  int n = 0;
  for (int i = 0; i < r.inputCount(); ++i) n += r.inputs[i].kind == Kind::real && hasColumns(r.inputs[i].dims);
  return n;
}
constexpr int firstColumns(const Record& r) {
  for (int i = 0; i < r.inputCount(); ++i)
    if (r.inputs[i].kind == Kind::real && hasColumns(r.inputs[i].dims)) return i;
  return 0;
}

template <class D, class = void> struct HasTargetFix {
  static constexpr bool value = false;
};
template <class D> struct HasTargetFix<D, decltype(void(&D::atTarget))> {
  static constexpr bool value = true;
};

template <class D, class = void> struct PivotOf {
  static constexpr int input = -1;
};
template <class D> struct PivotOf<D, decltype(void(D::pivotInput))> {
  static constexpr int input = D::pivotInput;
};
template <class D, class = void> struct HasWideSums {
  static constexpr bool value = false;
};
template <class D> struct HasWideSums<D, decltype(void(D::wideSums))> {
  static constexpr bool value = D::wideSums;
};

template <class D, class = void> struct HasPlainSoftmax {
  static constexpr bool value = false;
};
template <class D> struct HasPlainSoftmax<D, decltype(void(D::plainSoftmax))> {
  static constexpr bool value = D::plainSoftmax;
};

template <class D, class = void> struct ColumnSumsOf {
  static constexpr int count = 0;
};
template <class D> struct ColumnSumsOf<D, decltype(void(D::columnSums))> {
  static constexpr int count = D::columnSums;
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
