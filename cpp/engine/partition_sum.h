// The sums that a search for zeros (partition_zero.h) asks for, eight terms at a time.
#pragma once
#include "kernel.h"
#include "partition_zero.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// w and b padded to whole vectors with w = -Infinity; e is memory of the same length.
struct PartitionSum {
  const double* w;
  const double* b;
  double* e;
  size_t count;

  PartitionValue valueAt(double x, double y) const {
    const f64x8 zero = broadcast<f64x8>(0), vx = broadcast<f64x8>(x);
    const double top = topAt(x);
    f64x8 g = zero, gb = zero;
    for (size_t k = 0; k < count; k += 8) {
      const f64x8 bk = load<f64x8>(b + k), ek = exp(fma(bk, vx, load<f64x8>(w + k)) - top);
      store(e + k, ek);
      g = g + ek;
      gb = fma(ek, bk, gb);
    }
    const double total = sum(g), mean = sum(gb) / total;
    f64x8 re[kTerms], im[kTerms];
    for (int t = 0; t < kTerms; ++t) re[t] = im[t] = zero;
    for (size_t k = 0; k < count; k += 8) addTaylor(load<f64x8>(e + k), load<f64x8>(b + k) - mean, y, re, im);
    double sumRe[kTerms], sumIm[kTerms];
    for (int t = 0; t < kTerms; ++t) {
      sumRe[t] = sum(re[t]);
      sumIm[t] = sum(im[t]);
    }
    return partitionValue(total, mean, sumRe, sumIm);
  }

  double remainder(const PartitionValue& v, double h) const {
    if (h > kMostRemainder) return kInfinity;
    f64x8 r = broadcast<f64x8>(0);
    for (size_t k = 0; k < count; k += 8) r = addRemainder(r, load<f64x8>(e + k), abs(load<f64x8>(b + k) - v.mean) * h, h);
    return sum(r);
  }

  bool isDominated(double x, double h) const {
    const f64x8 vx = broadcast<f64x8>(x), zero = broadcast<f64x8>(0), top = broadcast<f64x8>(topAt(x));
    f64x8 steepest = broadcast<f64x8>(-kInfinity);
    for (size_t k = 0; k < count; k += 8) {
      const f64x8 bk = load<f64x8>(b + k);
      steepest = max(steepest, select(fma(bk, vx, load<f64x8>(w + k)) == top, bk, broadcast<f64x8>(-kInfinity)));
    }
    const f64x8 slope = broadcast<f64x8>(maxAcross(steepest));
    f64x8 own = zero, others = zero;
    for (size_t k = 0; k < count; k += 8) {
      const f64x8 bk = load<f64x8>(b + k), behind = fma(bk, vx, load<f64x8>(w + k)) - top;
      const auto same = bk == slope;
      own = own + select(same, exp(behind), zero);
      others = others + select(same, zero, exp(fma(abs(bk - slope), broadcast<f64x8>(h), behind)));
    }
    return dominates(sum(own), sum(others));
  }

 private:
  double topAt(double x) const {
    f64x8 most = broadcast<f64x8>(-kInfinity);
    for (size_t k = 0; k < count; k += 8) most = max(fma(load<f64x8>(b + k), broadcast<f64x8>(x), load<f64x8>(w + k)), most);
    return maxAcross(most);
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
