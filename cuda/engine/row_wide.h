// Softmax statistics of rows in double, as cpp/engine/row_wide.h finds them on the CPU.
#pragma once
#include "../../cpp/engine/wide_softmax.h"
#include "tasks.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Of K rows that are functions of the inputs' entries in a column: rowsOf(j, x, v) sets v[0] to v[K - 1].
template <int K, int N, class F> LGC_DEVICE void wideSoftmax(Rows<N>& rows, const double (&scale)[K], F&& rowsOf, WideSoftmax (&out)[K]) {
  PlacedValue<double> top[K];
  for (int k = 0; k < K; ++k) top[k] = {-kInfinity, 0x7fffffffu};
  eachColumn(rows, [&](int j, const float(&x)[N]) {
    double v[K];
    rowsOf(j, x, v);
    LGC_UNROLL
    for (int k = 0; k < K; ++k)
      if (v[k] > top[k].value) top[k] = {v[k], static_cast<unsigned>(j)};
  });
  LGC_UNROLL
  for (int k = 0; k < K; ++k) {
    top[k] = rows.team.largest(top[k]);
    out[k].max = top[k].value;
    out[k].argMax = top[k].index;
    out[k].scale = scale[k];
  }
  double sums[K];
  sumColumnsWide(rows, sums, [&](int j, const float(&x)[N], double* t) {
    double v[K];
    rowsOf(j, x, v);
    LGC_UNROLL
    for (int k = 0; k < K; ++k) t[k] = static_cast<unsigned>(j) == top[k].index ? 0.0 : expFlush(out[k].shifted(v[k]));
  });
  LGC_UNROLL
  for (int k = 0; k < K; ++k) {
    out[k].others = sums[k];
    out[k].finish();
  }
}
// Of the first K inputs.
template <int K, int N> LGC_DEVICE void wideSoftmax(Rows<N>& rows, WideSoftmax (&out)[K]) {
  double scale[K];
  for (double& s : scale) s = 1;
  wideSoftmax<K>(
      rows, scale,
      [](int, const float(&x)[N], double* v) {
        for (int k = 0; k < K; ++k) v[k] = static_cast<double>(x[k]);
      },
      out);
}

// Of one input, whose entries are scaled.
template <int N> LGC_DEVICE WideSoftmax wideSoftmaxOf(Rows<N>& rows, int input, double scale) {
  WideSoftmax out[1];
  wideSoftmax<1>(
      rows, {scale}, [&](int, const float(&x)[N], double* v) { v[0] = static_cast<double>(x[input]); }, out);
  return out[0];
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
