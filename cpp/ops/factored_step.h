// One exact step of gradient descent on W, n rows of V read and written: in O(n d^2 + n^2 d + n^3) through matrices of n samples, or,
// for more samples than dimensions, in O(n d^2 + d^3) through matrices of d dimensions. With b = 2 byQ the gradient by the
// logits of row i is g_i = b_i W h_i + byS_i 1 + byT_i e_{c_i}, so that G = (rows W^T g_i) are the gradients by the hidden rows and
// W -= rate sum_i g_i h_i^T is W A - rate 1 (H^T byS)^T - rate sum_i byT_i e_{c_i} h_i^T with A = 1 - rate H^T b H.
#pragma once
#include "factored_delayed.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// U^-1 may grow by this factor in a step; beyond it, W is written out and the step is taken on W itself. V takes part in the growth,
// and with it its rounding.
constexpr double kMostGrowth = 1e3;

template <class T> class LayerStep {
 public:
  // `rows`: the m rows of hidden that count.
  LayerStep(Call& call, const SphericalLayerStep& options, const Layer<T>& layer, Delayed<T>& delayed, const int32_t* targets,
            const size_t* rows, size_t m)
      : call_(call),
        options_(options),
        layer_(layer),
        delayed_(delayed),
        m_(m),
        d_(layer.width),
        waiting_(delayed.waiting().count),
        filled_(delayed.filled()),
        byDimension_(m > layer.width),
        side_(byDimension_ ? layer.width : m),
        numbers_(call, 9 * m + 2 * m * layer.width + side_ * side_, false),
        reals_(call, 7 * m * layer.width + 3 * m * filled_ + 2 * side_ * side_, false),
        classes_(call, m, false),
        classOf_(classes_) {
    if (!numbers_ || !reals_ || !classes_) return;
    double* number = numbers_;
    double** const perRow[] = {&loss_, &b_, &byS_, &byT_, &sums_, &s_, &toInverse_, &toV_, &target_};
    for (double** p : perRow) *p = taken(number, m);
    wide_ = taken(number, m * d_);
    solved_ = taken(number, m * d_);
    system_ = number;
    T* real = reals_;
    T** const rowsOf[] = {&h_, &v_, &w_, &hQ_, &g_, &t_, &p_};
    for (T** p : rowsOf) *p = taken(real, m * d_);
    T** const dotsOf[] = {&byH_, &byP_, &byS0_};
    for (T** p : dotsOf) *p = taken(real, m * filled_);
    for (T*& p : square_) p = taken(real, side_ * side_);
    for (size_t i = 0; i < m; ++i) classOf_[i] = static_cast<size_t>(targets[rows[i]]);
  }

  // Losses and gradients by the hidden rows.
  void forward(const T* hidden, const size_t* rows, double scale) {
    for (size_t i = 0; i < m_; ++i) {
      carry(hidden + rows[i] * d_, d_, h_ + i * d_);
      carry(layer_.V + classOf_[i] * d_, d_, v_ + i * d_);
    }
    widenRows(call_, h_, m_, d_, wide_);
    const LayerRows<T>& old = delayed_.waiting();
    product(h_, delayed_.Q(), hQ_);
    product(v_, delayed_.U(), w_);
    if (waiting_) {
      dots(h_, old.h, byH_);
      dots(h_, old.p, byP_);
      for (size_t i = 0; i < m_; ++i)
        for (size_t k = 0; k < waiting_; ++k)
          if (old.target[k] == static_cast<double>(classOf_[i])) addScaled(old.toV[k], old.u + k * d_, w_ + i * d_);
      dots(w_, old.s, byS0_);
      addRows(byP_, old.h, hQ_);
      addRows(byH_, old.p, hQ_);
      addRows(byS0_, old.h, w_);
    }
    const double classes = static_cast<double>(layer_.classes), ofU = delayed_.scale(), ofQ = ofU * ofU;
    const double* centre = delayed_.centre();
    parallel(call_, m_, rowGrain(4 * d_), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const double* h = wide_ + i * d_;
        T *hQ = hQ_ + i * d_, *w = w_ + i * d_, *g = g_ + i * d_;
        s_[i] = dotWide(h, layer_.wbar, d_);
        const double along = dotWide(h, centre, d_);
        const double q = ofQ * fma(along / classes, along, dotWide(h, hQ, d_));
        const double t = fma(ofU, dotWide(h, w, d_), dotWide(h, layer_.omega, d_));
        const SphericalSlopes row = options_.losses.at(classes, s_[i], q, t, scale);
        loss_[i] = row.loss;
        b_[i] = 2 * row.byQ;
        byS_[i] = row.byS;
        byT_[i] = row.byT;
        const double byHQ = b_[i] * ofQ, byCentre = byHQ * along / classes;
        for (size_t j = 0; j < d_; ++j) {
          const double wj = fma(ofU, static_cast<double>(w[j]), layer_.omega[j]);
          const double shared = fma(byCentre, centre[j], fma(row.byS, layer_.wbar[j], row.byT * wj));
          w[j] = static_cast<T>(wj);
          g[j] = static_cast<T>(fma(byHQ, static_cast<double>(hQ[j]), shared));
        }
      }
    });
  }
  double loss() const { return orderedSum(loss_, m_); }
  const T* gradient(size_t i) const { return g_ + i * d_; }
  // A bound of the condition number of U after the update.
  double condition() const { return delayed_.normOfU(0) * delayed_.normOfInverse(0); }

  // All that can fail comes before the first write. False: nothing was written and call.error says why.
  bool update(bool& restarted) {
    const double rate = options_.rate, keep = options_.keep, scale = delayed_.scale();
    if (!(largestOf(loss_, m_) < __builtin_huge_val())) return diverges("the loss is", loss());
    prepare();
    if (call_.outOfMemory) return false;
    // The trace of the new Q is the sum of squares of the new W.
    double change = 0;
    for (size_t i = 0; i < m_; ++i) change += dotWide(p_ + i * d_, h_ + i * d_, d_);
    const double trace = keep * keep * fma(-2 * rate, change, scale * scale * delayed_.trace());
    if (!(abs(trace) <= kMost)) return diverges("the sum of squares of the weights becomes", trace);
    restarted = !invertible_;
    // What waits, and bounds of it.
    double spreadU = 0, spreadInverse = 0, most = 0, toV = 0;
    for (size_t i = 0; i < m_; ++i) {
      toInverse_[i] = rate * b_[i] * scale;
      toV_[i] = -rate * byT_[i];
      target_[i] = static_cast<double>(classOf_[i]);
      scaleBy(-rate * b_[i], t_ + i * d_);
      scaleBy(-rate / (scale * scale), p_ + i * d_);
      const double norm = normOf(h_ + i * d_, d_), normOfRow = restarted ? 0 : normOf(hQ_ + i * d_, d_);
      spreadU += norm * normOf(t_ + i * d_, d_);
      spreadInverse += norm * abs(toInverse_[i]) * normOfRow;
      toV += abs(toV_[i]) * normOfRow;
      most = max(most, norm);
    }
    const double toU = scale * delayed_.normOfU(spreadU), toInverse = delayed_.normOfInverse(spreadInverse) / (scale * keep),
                 toOmega =
                     rate * static_cast<double>(m_) * most * fma(largestOf(b_, m_) * most, normOf(layer_.omega, d_), largestOf(byS_, m_));
    toV = fma(toV, delayed_.normOfInverse(0), largestOf(v_, m_ * d_));
    if (!(toV <= kMost)) return diverges("an entry of V becomes up to", toV);
    if (!(toU <= kMost && toInverse <= kMost && toOmega <= kMost && largestOf(p_, m_ * d_) <= kMost))
      return diverges("a factor of the weights changes by up to", max(max(toU, toOmega), toInverse));
    updateMeans();
    if (restarted) {
      writeOut();
      return true;
    }
    delayed_.add({h_, t_, hQ_, p_, toInverse_, toV_, target_, m_}, keep, trace, spreadU, spreadInverse);
    return true;
  }

 private:
  // What a float layer multiplies has to be a float.
  static constexpr double kMost = sizeof(T) == 4 ? 1e36 : 1e300;

  template <class R> static R* taken(R*& at, size_t n) {
    R* here = at;
    at += n;
    return here;
  }
  View<T> matrix(const T* x) const { return rowMajor<T>(x, d_); }
  View<T> H() const { return matrix(h_); }

  // Of the m rows and a matrix [d, d]; of the m rows and those that wait; and sums of these.
  void product(const T* rows, View<T> by, T* out) { multiply<T>(call_, m_, d_, d_, 1, matrix(rows), by, 0, out, d_); }
  void dots(const T* rows, const T* old, T* out) {
    multiply<T>(call_, m_, filled_, d_, 1, matrix(rows), transposed(matrix(old)), 0, out, filled_);
  }
  void addRows(const T* factors, const T* old, T* out) {
    multiply<T>(call_, m_, d_, waiting_, 1, rowMajor<T>(factors, filled_), matrix(old), 1, out, d_);
  }

  bool diverges(const char* what, double value) {
    char number[32];
    __builtin_snprintf(number, sizeof number, "%.9g", value);
    __builtin_snprintf(call_.error, sizeof call_.error, "diverges at learning rate %.9g: %s %s; nothing was updated", options_.rate, what,
                       isNan(value)         ? "NaN"
                       : value - value == 0 ? number
                       : value > 0          ? "Infinity"
                                            : "-Infinity");
    return false;
  }

  // What the updates are made of, from the old state: P = G - rate / 2 (g_i . g_j) H in p, t with U h = scale U0 t, and
  // u with H U_new^-1 = u X0 in hQ.
  void prepare() {
    const double classes = static_cast<double>(layer_.classes);
    for (size_t i = 0; i < m_; ++i) sums_[i] = fma(b_[i], s_[i], fma(classes, byS_[i], byT_[i]));  // g_i . 1
    carry(g_, m_ * d_, p_);
    if (byDimension_)
      prepareByDimension();
    else
      prepareBySample();
    if (call_.outOfMemory) return;
    // H U_new^-1 = x U^-1 with x = H A^-1, and x U^-1 = (x + sum (x . h) toInverse u) X0 / scale over the rows that wait.
    const LayerRows<T>& old = delayed_.waiting();
    carry(h_, m_ * d_, t_);
    if (waiting_) addRows(byH_, old.s, t_);
    for (size_t i = 0; invertible_ && i < m_; ++i)
      invertible_ = largestOf(solved_ + i * d_, d_) <= kMostGrowth * largestOf(wide_ + i * d_, d_);
    if (!invertible_) return;
    roundRows(call_, static_cast<const double*>(solved_), m_, d_, hQ_);
    if (waiting_) {
      dots(hQ_, old.h, byH_);
      for (size_t i = 0; i < m_; ++i)
        for (size_t k = 0; k < waiting_; ++k)
          byH_[i * filled_ + k] = static_cast<T>(old.toInverse[k] * static_cast<double>(byH_[i * filled_ + k]));
      addRows(byH_, old.u, hQ_);
    }
    for (size_t i = 0; i < m_; ++i) scaleBy(1 / delayed_.scale(), hQ_ + i * d_);
  }

  // H A^-1 = (1 - rate H H^T b)^-1 H
  void prepareBySample() {
    const double rate = options_.rate;
    const View<double> wide = rowMajor<double>(wide_, d_);
    T *gg = square_[0], *hw = square_[1];
    multiplyAll<double>(call_, {m_, m_, d_, wide, transposed(wide), system_, m_, 1, 1, 0, true});
    multiply<T>(call_, m_, m_, d_, 1, matrix(g_), transposed(H()), 0, gg, m_);
    multiply<T>(call_, m_, m_, d_, 1, H(), transposed(matrix(w_)), 0, hw, m_);
    if (call_.outOfMemory) return;
    for (size_t i = 0; i < m_; ++i)
      for (size_t j = 0; j < i; ++j) system_[i * m_ + j] = system_[j * m_ + i];
    // g_i . g_j in place of G H^T.
    for (size_t i = 0; i < m_; ++i)
      for (size_t j = 0; j < m_; ++j) {
        const double atTarget = fma(b_[i], static_cast<double>(hw[i * m_ + j]), byS_[i]) + (classOf_[i] == classOf_[j] ? byT_[i] : 0.0);
        gg[i * m_ + j] = static_cast<T>(fma(static_cast<double>(gg[i * m_ + j]), b_[j], fma(sums_[i], byS_[j], atTarget * byT_[j])));
        system_[i * m_ + j] = (i == j ? 1.0 : 0.0) - rate * system_[i * m_ + j] * b_[j];
      }
    multiply<T>(call_, m_, d_, m_, -rate / 2, rowMajor<T>(gg, m_), H(), 1, p_, d_);
    carry<double>(wide_, m_ * d_, solved_);
    invertible_ = solve(call_, system_, m_, solved_, d_);
  }

  // With X = H^T b H: (g_i . g_j) H = G X + b H (W_c^T byT H) + (g_i . 1) (byS H) + byS_i (byT H) + byT_i (byT H over i's class), and
  // H A^-1 = H (1 - rate X)^-1, of a symmetric matrix.
  void prepareByDimension() {
    const double rate = options_.rate;
    T *x = square_[0], *wh = square_[1], *bH = t_, *byTH = hQ_;
    for (size_t i = 0; i < m_; ++i)
      for (size_t j = 0; j < d_; ++j) {
        bH[i * d_ + j] = static_cast<T>(b_[i] * wide_[i * d_ + j]);
        byTH[i * d_ + j] = static_cast<T>(byT_[i] * wide_[i * d_ + j]);
      }
    multiply<T>(call_, d_, d_, m_, 1, transposed(H()), matrix(bH), 0, x, d_);
    multiply<T>(call_, d_, d_, m_, 1, transposed(matrix(w_)), matrix(byTH), 0, wh, d_);
    multiply<T>(call_, m_, d_, d_, -rate / 2, matrix(g_), matrix(x), 1, p_, d_);
    multiply<T>(call_, m_, d_, d_, -rate / 2, matrix(bH), matrix(wh), 1, p_, d_);
    // Sums of byT H over all samples, over those of a class (in the row of its first), and of byS H.
    Scratch<double> all(call_, 2 * d_);
    if (!all || call_.outOfMemory) return;
    double* ofClass = solved_;
    for (size_t i = 0; i < m_ * d_; ++i) ofClass[i] = 0;
    for (size_t i = 0; i < m_; ++i) {
      addRow(byT_[i], wide_ + i * d_, all, d_);
      addRow(byT_[i], wide_ + i * d_, ofClass + firstWithTarget(i) * d_, d_);
      addRow(byS_[i], wide_ + i * d_, all + d_, d_);
    }
    for (size_t i = 0; i < m_; ++i) {
      const double* own = ofClass + firstWithTarget(i) * d_;
      for (size_t j = 0; j < d_; ++j) {
        const double sum = fma(byS_[i], all[j], fma(byT_[i], own[j], sums_[i] * all[d_ + j]));
        p_[i * d_ + j] = static_cast<T>(fma(-rate / 2, sum, static_cast<double>(p_[i * d_ + j])));
      }
    }
    for (size_t i = 0; i < d_; ++i)
      for (size_t j = 0; j < d_; ++j) system_[i * d_ + j] = (i == j ? 1.0 : 0.0) - rate * static_cast<double>(x[i * d_ + j]);
    Scratch<double> columns(call_, m_ * d_, false);
    if (!columns) return;
    transpose(call_, wide_, m_, d_, columns);
    invertible_ = solve(call_, system_, d_, columns, m_);
    transpose(call_, columns, d_, m_, solved_);
  }

  size_t firstWithTarget(size_t i) const {
    size_t first = 0;
    while (classOf_[first] != classOf_[i]) ++first;
    return first;
  }
  void scaleBy(double factor, T* x) {
    for (size_t j = 0; j < d_; ++j) x[j] = static_cast<T>(factor * static_cast<double>(x[j]));
  }

  void addScaled(double factor, const T* x, T* to) {
    for (size_t j = 0; j < d_; ++j) to[j] = static_cast<T>(fma(factor, static_cast<double>(x[j]), static_cast<double>(to[j])));
  }

  void updateMeans() {
    const double rate = options_.rate, keep = options_.keep;
    const View<double> columns = transposed(rowMajor<double>(wide_, d_));
    for (size_t i = 0; i < m_; ++i) s_[i] = fma(b_[i], dotWide(wide_ + i * d_, layer_.omega, d_), byS_[i]);
    matrixVector<double>(call_, d_, m_, -rate * keep, columns, s_, keep, layer_.omega);
    matrixVector<double>(call_, d_, m_, -rate * keep, columns, sums_, keep, layer_.wbar);
  }

  // Without an inverse of A: V = V U_new + 1 omega^T, then the targets' rows of the dense step.
  void writeOut() {
    const double rate = options_.rate, keep = options_.keep;
    delayed_.flush();
    for (size_t i = 0; i < m_; ++i)
      for (size_t j = 0; j < d_; ++j) t_[i * d_ + j] = static_cast<T>(-rate * b_[i] * wide_[i * d_ + j]);
    if (!call_.outOfMemory) delayed_.flush({h_, t_, nullptr, nullptr, nullptr, nullptr, nullptr, m_}, keep);
    if (!call_.outOfMemory) layer_.restart(call_);
    if (call_.outOfMemory) return;
    for (size_t i = 0; i < m_; ++i) {
      if (firstWithTarget(i) != i) continue;
      double* row = solved_ + i * d_;
      widen(layer_.V + classOf_[i] * d_, d_, row);
      for (size_t k = i; k < m_; ++k)
        if (classOf_[k] == classOf_[i]) addRow(-rate * keep * byT_[k], wide_ + k * d_, row, d_);
      roundTo(row, d_, layer_.V + classOf_[i] * d_);
    }
    layer_.measure(call_);
    delayed_.renew();
  }

  Call& call_;
  const SphericalLayerStep& options_;
  Layer<T> layer_;
  Delayed<T>& delayed_;
  size_t m_, d_, waiting_, filled_;
  bool byDimension_;
  size_t side_;
  Scratch<double> numbers_;
  Scratch<T> reals_;
  Scratch<size_t> classes_;
  size_t* classOf_;
  double *loss_ = nullptr, *b_, *byS_, *byT_, *sums_, *s_, *toInverse_, *toV_, *target_, *wide_, *solved_, *system_;
  T *h_, *v_, *w_, *hQ_, *g_, *t_, *p_, *byH_, *byP_, *byS0_;
  T* square_[2];
  bool invertible_ = false;
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
