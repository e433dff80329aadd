// One exact step of gradient descent on W, n rows of V read and written: in O(n d^2 + n^2 d + n^3) through matrices of n samples, or,
// for more samples than dimensions, in O(n d^2 + d^3) through matrices of d dimensions. With b = 2 byQ the gradient by the
// logits of row i is g_i = b_i W h_i + byS_i 1 + byT_i e_{c_i}, so that G = (rows W^T g_i) are the gradients by the hidden rows and
// W -= rate sum_i g_i h_i^T is W A - rate 1 (H^T byS)^T - rate sum_i byT_i e_{c_i} h_i^T with A = 1 - rate H^T b H.
#pragma once
#include "factored_sweeps.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// U^-1 may grow by this factor in a step; beyond it, W is written out and the step is taken on W itself. V takes part in the growth,
// and with it its rounding.
constexpr double kMostGrowth = 1e3;
constexpr size_t kOneSweepRows = 16;

inline bool isFinite(double x) { return x - x == 0; }
inline bool allFinite(const double* x, size_t n) {
  for (size_t i = 0; i < n; ++i)
    if (!isFinite(x[i])) return false;
  return true;
}
// The largest magnitude, Infinity with a NaN among them.
inline double largestOf(const double* x, size_t n) {
  double most = 0;
  for (size_t i = 0; i < n; ++i) most = abs(x[i]) > most ? abs(x[i]) : most;
  return allFinite(x, n) ? most : __builtin_huge_val();
}

template <class T> class LayerStep {
 public:
  // `rows`: the m rows of hidden that count.
  LayerStep(Call& call, const SphericalLayerStep& options, const Layer<T>& layer, const int32_t* targets, const size_t* rows, size_t m)
      : call_(call),
        options_(options),
        layer_(layer),
        m_(m),
        d_(layer.width),
        byDimension_(m > layer.width),
        side_(byDimension_ ? layer.width : m),
        numbers_(call, 6 * m + 9 * m * layer.width + 4 * side_ * side_, false),
        classes_(call, m, false),
        classOf_(classes_) {
    if (!numbers_ || !classes_) return;
    double* at = numbers_;
    const auto take = [&](size_t n) {
      double* here = at;
      at += n;
      return here;
    };
    loss_ = take(m);
    b_ = take(m);
    byS_ = take(m);
    byT_ = take(m);
    sums_ = take(m);
    s_ = take(m);
    // H, P and H again, one behind the other: see updateQ.
    double** const tall[] = {&h_, &p_, &again_, &hQ_, &w_, &g_, &uh_, &y_, &v_};
    for (double** p : tall) *p = take(m * d_);
    for (double*& p : square_) p = take(side_ * side_);
    for (size_t i = 0; i < m; ++i) classOf_[i] = static_cast<size_t>(targets[rows[i]]);
  }

  // Losses and gradients by the hidden rows.
  void forward(const T* hidden, const size_t* rows, double scale) {
    parallel(call_, m_, rowGrain(d_), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        widen(hidden + rows[i] * d_, d_, h_ + i * d_);
        widen(layer_.V + classOf_[i] * d_, d_, v_ + i * d_);
        for (size_t j = 0; j < d_; ++j) w_[i * d_ + j] = layer_.omega[j];
      }
    });
    multiply<double>(call_, m_, d_, d_, 1, H(), rowMajor<double>(layer_.Q, d_), 0, hQ_, d_);
    multiply<double>(call_, m_, d_, d_, 1, rowMajor<double>(v_, d_), rowMajor<double>(layer_.U, d_), 1, w_, d_);
    const double classes = static_cast<double>(layer_.classes);
    parallel(call_, m_, rowGrain(4 * d_), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const double *h = h_ + i * d_, *hQ = hQ_ + i * d_, *w = w_ + i * d_;
        s_[i] = dotWide(h, layer_.wbar, d_);
        const SphericalSlopes row = options_.losses.at(classes, s_[i], dotWide(h, hQ, d_), dotWide(h, w, d_), scale);
        loss_[i] = row.loss;
        b_[i] = 2 * row.byQ;
        byS_[i] = row.byS;
        byT_[i] = row.byT;
        double* g = g_ + i * d_;
        for (size_t j = 0; j < d_; ++j) g[j] = fma(b_[i], hQ[j], fma(byS_[i], layer_.wbar[j], byT_[i] * w[j]));
      }
    });
  }
  double loss() const { return orderedSum(loss_, m_); }
  const double* gradient(size_t i) const { return g_ + i * d_; }

  // All that can fail comes before the first write. False: nothing was written and call.error says why.
  bool update(bool& restarted) {
    const double rate = options_.rate, keep = options_.keep;
    if (!allFinite(loss_, m_)) return diverges("the loss is", loss());
    prepare();
    if (call_.outOfMemory) return false;
    // The trace of the new Q is the sum of squares of the new W.
    double trace = 0, change = 0;
    for (size_t j = 0; j < d_; ++j) trace += layer_.Q[j * d_ + j];
    for (size_t i = 0; i < m_; ++i) change += dotWide(p_ + i * d_, h_ + i * d_, d_);
    trace = keep * keep * fma(-2 * rate, change, trace);
    if (!(abs(trace) <= (sizeof(T) == 4 ? 1e77 : 1e300))) return diverges("the sum of squares of the weights becomes", trace);
    restarted = !invertible_;
    if (!restarted && !newRows()) return diverges("an entry of V becomes", __builtin_huge_val());
    // Bounds of what is added to U, omega and U^-1.
    const double most = largestOf(h_, m_ * d_), weight = rate / keep * static_cast<double>(m_) * largestOf(b_, m_);
    const double toU = byDimension_ ? rate * largestOf(square_[1], d_ * d_) : weight * most * largestOf(uh_, m_ * d_),
                 toOmega = (weight * most * largestOf(layer_.omega, d_) + rate * largestOf(byS_, m_)) * most,
                 toInverse = restarted ? 0 : weight * most * largestOf(y_, m_ * d_);
    if (!(toU <= 1e300 && toOmega <= 1e300 && toInverse <= 1e300))
      return diverges("a factor of the weights changes by up to", max(max(toU, toOmega), toInverse));
    write(restarted);
    return true;
  }

 private:
  View<double> H() const { return rowMajor<double>(h_, d_); }

  bool diverges(const char* what, double value) {
    char number[32];
    __builtin_snprintf(number, sizeof number, "%.9g", value);
    __builtin_snprintf(call_.error, sizeof call_.error, "diverges at learning rate %.9g: %s %s; nothing was updated", options_.rate, what,
                       isNan(value)      ? "NaN"
                       : isFinite(value) ? number
                       : value > 0       ? "Infinity"
                                         : "-Infinity");
    return false;
  }

  // What the updates are made of, from the old state: P = G - rate / 2 (g_i . g_j) H, and H U_new^-1.
  void prepare() {
    const double classes = static_cast<double>(layer_.classes);
    for (size_t i = 0; i < m_; ++i) sums_[i] = fma(b_[i], s_[i], fma(classes, byS_[i], byT_[i]));  // g_i . 1
    carry(g_, m_ * d_, p_);
    if (byDimension_)
      prepareByDimension();
    else
      prepareBySample();
  }

  // H U_new^-1 = (1 - rate H H^T b)^-1 H U^-1
  void prepareBySample() {
    const double rate = options_.rate;
    const View<double> columns = transposed(H());
    double *hh = square_[0], *gg = square_[1], *hw = square_[2], *system = square_[3];
    multiply<double>(call_, m_, m_, d_, 1, H(), columns, 0, hh, m_);
    multiply<double>(call_, m_, m_, d_, 1, rowMajor<double>(g_, d_), columns, 0, gg, m_);
    multiply<double>(call_, m_, m_, d_, 1, H(), transposed(rowMajor<double>(w_, d_)), 0, hw, m_);
    multiply<double>(call_, m_, d_, d_, 1, H(), transposed(rowMajor<double>(layer_.U, d_)), 0, uh_, d_);
    multiply<double>(call_, m_, d_, d_, 1, H(), rowMajor<double>(layer_.inverse, d_), 0, y_, d_);
    if (call_.outOfMemory) return;
    // g_i . g_j in place of G H^T.
    for (size_t i = 0; i < m_; ++i)
      for (size_t j = 0; j < m_; ++j) {
        const double atTarget = fma(b_[i], hw[i * m_ + j], byS_[i]) + (classOf_[i] == classOf_[j] ? byT_[i] : 0.0);
        gg[i * m_ + j] = fma(gg[i * m_ + j], b_[j], fma(sums_[i], byS_[j], atTarget * byT_[j]));
        system[i * m_ + j] = (i == j ? 1.0 : 0.0) - rate * hh[i * m_ + j] * b_[j];
      }
    multiply<double>(call_, m_, d_, m_, -rate / 2, rowMajor<double>(gg, m_), H(), 1, p_, d_);
    for (size_t i = 0; i < m_; ++i) s_[i] = largestOf(y_ + i * d_, d_);
    invertible_ = solve(call_, system, m_, y_, d_);
    for (size_t i = 0; invertible_ && i < m_; ++i) invertible_ = largestOf(y_ + i * d_, d_) <= kMostGrowth * s_[i];
  }

  // With X = H^T b H: (g_i . g_j) H = G X + b H (W_c^T byT H) + (g_i . 1) (byS H) + byS_i (byT H) + byT_i (byT H over i's class),
  // U_new^-1 = (1 - rate X)^-1 U^-1, and U X for the update of U.
  void prepareByDimension() {
    const double rate = options_.rate;
    const View<double> columns = transposed(H());
    double *x = square_[0], *wh = square_[1], *system = square_[2], *inverse = square_[3];
    for (size_t i = 0; i < m_; ++i) scaled(i, h_, b_[i], again_);
    for (size_t i = 0; i < m_; ++i) scaled(i, h_, byT_[i], uh_);
    multiply<double>(call_, d_, d_, m_, 1, columns, rowMajor<double>(again_, d_), 0, x, d_);
    multiply<double>(call_, d_, d_, m_, 1, transposed(rowMajor<double>(w_, d_)), rowMajor<double>(uh_, d_), 0, wh, d_);
    multiply<double>(call_, m_, d_, d_, -rate / 2, rowMajor<double>(g_, d_), rowMajor<double>(x, d_), 1, p_, d_);
    multiply<double>(call_, m_, d_, d_, -rate / 2, rowMajor<double>(again_, d_), rowMajor<double>(wh, d_), 1, p_, d_);
    // Sums of byT H over all samples, over those of a class (in the row of its first), and of byS H.
    Scratch<double> all(call_, 2 * d_);
    if (!all) return;
    for (size_t i = 0; i < m_ * d_; ++i) y_[i] = 0;
    for (size_t i = 0; i < m_; ++i) {
      addRow(1, uh_ + i * d_, all, d_);
      addRow(1, uh_ + i * d_, y_ + firstWithTarget(i) * d_, d_);
      addRow(byS_[i], h_ + i * d_, all + d_, d_);
    }
    for (size_t i = 0; i < m_; ++i) {
      addRow(-rate / 2 * byS_[i], all, p_ + i * d_, d_);
      addRow(-rate / 2 * byT_[i], y_ + firstWithTarget(i) * d_, p_ + i * d_, d_);
      addRow(-rate / 2 * sums_[i], all + d_, p_ + i * d_, d_);
    }
    for (size_t i = 0; i < d_; ++i)
      for (size_t j = 0; j < d_; ++j) system[i * d_ + j] = (i == j ? 1.0 : 0.0) - rate * x[i * d_ + j];
    carry<double>(layer_.inverse, d_ * d_, inverse);
    invertible_ = solve(call_, system, d_, inverse, d_);
    invertible_ = invertible_ && largestOf(inverse, d_ * d_) <= kMostGrowth * largestOf(layer_.inverse, d_ * d_);
    multiply<double>(call_, d_, d_, d_, 1, rowMajor<double>(layer_.U, d_), rowMajor<double>(x, d_), 0, wh, d_);
    multiply<double>(call_, m_, d_, d_, 1, H(), rowMajor<double>(inverse, d_), 0, y_, d_);
  }

  // The new rows of V, each in the place of the first sample that has its class. False if one is no number of V's type.
  bool newRows() {
    for (size_t i = 0; i < m_; ++i) {
      const size_t first = firstWithTarget(i);
      addRow(-options_.rate * byT_[i], y_ + i * d_, v_ + first * d_, d_);
    }
    return largestOf(v_, m_ * d_) <= (sizeof(T) == 4 ? 3.4028234663852886e38 : 1.7976931348623157e308);
  }
  size_t firstWithTarget(size_t i) const {
    size_t first = 0;
    while (classOf_[first] != classOf_[i]) ++first;
    return first;
  }

  void write(bool restarted) {
    const double rate = options_.rate, keep = options_.keep;
    const View<double> columns = transposed(H());
    // omega first: its update takes H omega.
    for (size_t i = 0; i < m_; ++i) s_[i] = fma(b_[i], dotWide(h_ + i * d_, layer_.omega, d_), byS_[i]);
    matrixVector<double>(call_, d_, m_, -rate * keep, columns, s_, keep, layer_.omega);
    updateU(-rate * keep, keep);
    if (restarted) return writeOut();
    matrixVector<double>(call_, d_, m_, -rate * keep, columns, sums_, keep, layer_.wbar);
    updateQ(-rate * keep * keep, keep * keep);
    updateInverse(rate / keep, 1 / keep);
    for (size_t i = 0; i < m_; ++i)
      if (firstWithTarget(i) == i) roundTo(v_ + i * d_, d_, layer_.V + classOf_[i] * d_);
  }
  // U = keep U + factor U H^T b H
  void updateU(double factor, double keep) {
    if (byDimension_) return addScaled(keep, layer_.U, factor, square_[1]);
    for (size_t i = 0; i < m_; ++i) scaled(i, h_, b_[i], w_);
    multiply<double>(call_, d_, d_, m_, factor, transposed(rowMajor<double>(uh_, d_)), rowMajor<double>(w_, d_), keep, layer_.U, d_);
  }
  // U^-1 = keep U^-1 + factor H^T b (H U_new^-1)
  void updateInverse(double factor, double keep) {
    if (byDimension_) return addScaled(0, layer_.inverse, keep, square_[3]);
    for (size_t i = 0; i < m_; ++i) scaled(i, y_, b_[i], w_);
    multiply<double>(call_, d_, d_, m_, factor, transposed(H()), rowMajor<double>(w_, d_), keep, layer_.inverse, d_);
  }
  void addScaled(double keep, double* to, double factor, const double* x) {
    for (size_t i = 0; i < d_ * d_; ++i) to[i] = fma(factor, x[i], keep * to[i]);
  }
  // Q = keep Q + factor (P^T H + H^T P). A few rows cost less as one sweep over Q, [P; H]^T [H; P], than as half the products in two.
  void updateQ(double factor, double keep) {
    if (m_ > kOneSweepRows)
      return symmetricUpdate<double>(call_, d_, m_, factor, transposed(rowMajor<double>(p_, d_)), H(), keep, layer_.Q, d_);
    carry(h_, m_ * d_, again_);
    multiply<double>(call_, d_, d_, 2 * m_, factor, transposed(rowMajor<double>(p_, d_)), H(), keep, layer_.Q, d_);
  }
  void scaled(size_t i, const double* x, double factor, double* out) {
    for (size_t j = 0; j < d_; ++j) out[i * d_ + j] = factor * x[i * d_ + j];
  }

  // Without an inverse of A: V = V U_new + 1 omega^T, then the targets' rows of the dense step.
  void writeOut() {
    layer_.restart(call_);
    if (call_.outOfMemory) return;
    for (size_t i = 0; i < m_; ++i) {
      if (firstWithTarget(i) != i) continue;
      double* row = v_ + i * d_;
      widen(layer_.V + classOf_[i] * d_, d_, row);
      for (size_t k = i; k < m_; ++k)
        if (classOf_[k] == classOf_[i]) addRow(-options_.rate * options_.keep * byT_[k], h_ + k * d_, row, d_);
      roundTo(row, d_, layer_.V + classOf_[i] * d_);
    }
    layer_.measure(call_);
  }

  Call& call_;
  const SphericalLayerStep& options_;
  Layer<T> layer_;
  size_t m_, d_;
  bool byDimension_;
  size_t side_;
  Scratch<double> numbers_;
  Scratch<size_t> classes_;
  size_t* classOf_;
  double *loss_ = nullptr, *b_, *byS_, *byT_, *sums_, *s_, *h_, *p_, *again_, *hQ_, *w_, *g_, *uh_, *y_, *v_;
  double* square_[4];
  bool invertible_ = false;
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
