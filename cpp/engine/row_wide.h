// Softmax statistics of a row in double lanes. A row is a function (i, count) -> f64x8, so it may be computed.
#pragma once
#include "wide.h"
#include "wide_softmax.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

template <class T> struct WideRow {
  const T* x;
  LGC_FN f64x8 operator()(size_t i, size_t count) const { return readWide(x + i, count, -kInfinity); }
};

template <class F> inline WideSoftmax wideSoftmax(size_t c, double scale, F&& row) {
  WideSoftmax s;
  f64x8 most = broadcast<f64x8>(-kInfinity);
  for (size_t i = 0; i < c; i += kWide) {
    const size_t count = c - i < kWide ? c - i : kWide;
    const f64x8 v = row(i, count);
    most = max(count == kWide ? v : select(firstLanes<f64x8>(static_cast<int>(count)), v, broadcast<f64x8>(-kInfinity)), most);
  }
  s.max = maxAcross(most);
  s.argMax = c;
  s.scale = scale;
  s.others = rowSumWide(c, [&](size_t i, size_t count) LGC_LAMBDA {
    const f64x8 v = row(i, count);
    f64x8 e = expFlush(s.shifted(v));
    if (s.argMax == c) {
      const auto top = (v == s.max) & firstLanes<f64x8>(static_cast<int>(count));
      if (any(top)) {
        s.argMax = i + static_cast<size_t>(firstTrue(top));
        e = withLane(e, firstTrue(top), 0.0);
      }
    }
    return e;
  });
  s.finish();
  return s;
}

// The probabilities of a row.
template <class T> inline void softmaxWide(const T* x, size_t c, double inverseTemperature, double* out) {
  const WideRow<T> row{x};
  const WideSoftmax s = wideSoftmax(c, inverseTemperature, row);
  for (size_t i = 0; i < c; i += kWide) {
    const size_t count = c - i < kWide ? c - i : kWide;
    writeWide(out + i, expFlush(s.shifted(row(i, count))) * s.inverse, count);
  }
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
