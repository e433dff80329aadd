// What steps add to a layer, before it enters the arrays. A step of a few rows would move all d^2 numbers of U, U^-1 and Q to add a
// product of a few rows; so rows h, s, u, p wait, and with the factors U0, X0 = U0^-1, Q0 and V0 that they have not yet entered
//   U = scale (U0 + sum (U0 s) h^T),  U^-1 = (X0 + sum toInverse h (u X0)^T) / scale,  Q = scale^2 (Q0 + sum p h^T + h p^T),
// and the row of V of a target class is V0's + sum toV (u X0)^T over the rows of that class. That row times U0 needs no X0: it is
// V0 U0 + sum toV u^T. A flush lets all of them in by products of matrices. A float layer multiplies in float: it reads copies of the
// factors, which a flush makes anew, and adds products to the factors in double, so that no small update is lost. The copy of Q is that of
// the centred Q0 - centre centre^T / classes, with wbar as it was for a centre: what float rounds off is small beside the variance of the
// logits then, however large their mean is.
#pragma once
#include "factored_sweeps.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

template <class T> struct LayerRows {
  T *h, *s, *u, *p;
  double *toInverse, *toV, *target;
  size_t count;
};

// The largest magnitude; Infinity with an Infinity or NaN among them.
template <class T> inline double largestOf(const T* x, size_t n) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  W most = broadcast<W>(0), off = broadcast<W>(0);
  for (size_t i = 0; i < n; i += L) {
    const W v = readLanes(x + i, n - i < L ? n - i : L);
    most = max(most, abs(v));
    off = off + (v - v);
  }
  return all(off == 0) ? static_cast<double>(maxAcross(most)) : __builtin_huge_val();
}
template <class T> inline double normOf(const T* x, size_t n) { return sqrt(dotWide(x, x, n)); }

template <class T> class Delayed {
 public:
  // In `memory`, if it is there and holds at least one row, else in memory of its own, where nothing waits. What memory holds may be
  // anything: unless a call has left its mark there, nothing waits either.
  Delayed(Call& call, const Layer<T>& layer, double* memory, size_t length)
      : call_(call),
        layer_(layer),
        d_(layer.width),
        capacity_(capacityOf(length, d_)),
        own_(call, capacity_ ? 0 : lengthFor(0, d_), false) {
    if (!own_) return;
    head_ = capacity_ ? memory : static_cast<double*>(own_);
    centre_ = head_ + kHead;
    double* number = centre_ + d_;
    double** const numbers[] = {&waiting_.toInverse, &waiting_.toV, &waiting_.target};
    for (double** list : numbers) {
      *list = number;
      number += capacity_;
    }
    T* at = reinterpret_cast<T*>(number);
    T** const lists[] = {&waiting_.h, &waiting_.s, &waiting_.u, &waiting_.p};
    for (T** list : lists) {
      *list = at;
      at += capacity_ * d_;
    }
    if (kCopies)
      for (size_t i = 0; i < 3; ++i) copies_[i] = at + i * d_ * d_;
    // Read once: others may write to a shared buffer meanwhile.
    const double count = capacity_ ? head_[kCount] : -1;
    if (isMarked(count))
      waiting_.count = static_cast<size_t>(count);
    else
      renew();
  }

  const LayerRows<T>& waiting() const { return waiting_; }
  // Products with the rows that wait may take in some that do not, to fill vectors: results of those mean nothing.
  size_t filled() const {
    constexpr size_t L = lanes<Vec<T>>;
    const size_t whole = (waiting_.count + L - 1) / L * L;
    return whole < capacity_ ? whole : capacity_;
  }
  double scale() const { return head_[kScale]; }
  // Of Q, not yet times scale^2; and bounds of the spectral norms of U and U^-1, likewise not scaled.
  double trace() const { return head_[kTrace]; }
  double normOfU(double more) const { return head_[kNormU] * (1 + head_[kSpreadU] + more); }
  double normOfInverse(double more) const { return head_[kNormInverse] * (1 + head_[kSpreadInverse] + more); }
  const double* centre() const { return centre_; }
  View<T> U() const { return reading(0, layer_.U); }
  View<T> inverse() const { return reading(1, layer_.inverse); }
  View<T> Q() const { return reading(2, layer_.Q); }

  // A scale that many steps without rows have made tiny is let in too.
  bool hasRoom(size_t rows) const { return waiting_.count + rows <= capacity_ && scale() >= 0x1p-40; }

  // Takes rows in, or lets them enter at once if they are more than can wait: after a flush. The factors are then scaled.
  void add(const LayerRows<T>& rows, double keep, double trace, double spreadU, double spreadInverse) {
    if (waiting_.count + rows.count > capacity_) {
      flush(rows, keep);
      return;
    }
    const size_t at = waiting_.count * d_, n = rows.count * d_;
    carry<T>(rows.h, n, waiting_.h + at);
    carry<T>(rows.s, n, waiting_.s + at);
    carry<T>(rows.u, n, waiting_.u + at);
    carry<T>(rows.p, n, waiting_.p + at);
    carry<double>(rows.toInverse, rows.count, waiting_.toInverse + waiting_.count);
    carry<double>(rows.toV, rows.count, waiting_.toV + waiting_.count);
    carry<double>(rows.target, rows.count, waiting_.target + waiting_.count);
    waiting_.count += rows.count;
    head_[kCount] = static_cast<double>(waiting_.count);
    head_[kScale] *= keep;
    head_[kTrace] = trace / (head_[kScale] * head_[kScale]);
    head_[kSpreadU] += spreadU;
    head_[kSpreadInverse] += spreadInverse;
  }

  void flush() {
    if (waiting_.count == 0 && scale() == 1) return;
    flush(waiting_, scale());
  }
  // Rows without u enter U alone, and all is to be made anew.
  void flush(const LayerRows<T>& rows, double scale) {
    const size_t n = rows.count;
    Scratch<T> change(call_, d_ * d_, false), turned(call_, n * d_, false);
    if (!change || !turned) return;
    const View<T> h = rowMajor<T>(rows.h, d_);
    multiply<T>(call_, n, d_, d_, 1, rowMajor<T>(rows.s, d_), transposed(U()), 0, turned, d_);
    multiply<T>(call_, d_, d_, n, 1, transposed(rowMajor<T>(turned, d_)), h, 0, change, d_);
    enterU(change, scale);
    if (!rows.u) return;
    multiply<T>(call_, n, d_, d_, 1, rowMajor<T>(rows.u, d_), inverse(), 0, turned, d_);
    enterV(rows, turned);
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < d_; ++j) turned[i * d_ + j] = static_cast<T>(rows.toInverse[i] * static_cast<double>(turned[i * d_ + j]));
    multiply<T>(call_, d_, d_, n, 1, transposed(h), rowMajor<T>(turned, d_), 0, change, d_);
    enterInverse(change, 1 / scale);
    symmetricUpdate<T>(call_, d_, n, 1, transposed(rowMajor<T>(rows.p, d_)), h, 0, change, d_);
    enterQ(change, scale * scale);
    mark();
  }

  // What is kept of the factors, after they were written by others.
  void renew() {
    enterU(nullptr, 1);
    enterInverse(nullptr, 1);
    enterQ(nullptr, 1);
    mark();
  }

 private:
  static constexpr bool kCopies = sizeof(T) < sizeof(double);
  enum { kMark, kCount, kScale, kTrace, kNormU, kNormInverse, kSpreadU, kSpreadInverse, kHead };

  static size_t lengthFor(size_t rows, size_t d) {
    return kHead + d + 3 * rows + ((4 * rows * d + (kCopies ? 3 * d * d : 0)) * sizeof(T) + sizeof(double) - 1) / sizeof(double);
  }
  static size_t capacityOf(size_t length, size_t d) {
    const size_t least = lengthFor(0, d), row = 3 + 4 * d * sizeof(T) / sizeof(double);
    return length > least ? (length - least) / row : 0;
  }
  double markOfWidth() const { return 40961 + static_cast<double>(d_); }
  bool isMarked(double count) const {
    return count >= 0 && count <= static_cast<double>(capacity_) && count == static_cast<double>(static_cast<size_t>(count)) &&
           head_[kMark] == markOfWidth() && head_[kScale] > 0;
  }
  // Nothing waits.
  void mark() {
    head_[kMark] = markOfWidth();
    head_[kCount] = head_[kSpreadU] = head_[kSpreadInverse] = 0;
    head_[kScale] = 1;
    waiting_.count = 0;
  }

  // Classes repeat, and are looked at: memory may hold anything.
  void enterV(const LayerRows<T>& rows, const T* y) {
    for (size_t i = 0; i < rows.count; ++i) {
      const double target = rows.target[i];
      if (!(target >= 0 && target < static_cast<double>(layer_.classes))) continue;
      T* row = layer_.V + static_cast<size_t>(target) * d_;
      for (size_t j = 0; j < d_; ++j)
        row[j] = static_cast<T>(fma(rows.toV[i], static_cast<double>(y[i * d_ + j]), static_cast<double>(row[j])));
    }
  }
  void enterU(const T* change, double scale) { head_[kNormU] = enter(layer_.U, change, scale, 0, nullptr); }
  void enterInverse(const T* change, double scale) { head_[kNormInverse] = enter(layer_.inverse, change, scale, 1, nullptr); }
  void enterQ(const T* change, double scale) {
    for (size_t j = 0; j < d_; ++j) centre_[j] = kCopies ? layer_.wbar[j] : 0;
    enter(layer_.Q, change, scale, 2, centre_);
    head_[kTrace] = 0;
    for (size_t j = 0; j < d_; ++j) head_[kTrace] += layer_.Q[j * d_ + j];
  }
  // factor = scale (factor + change), if there is a change, and its copy. Returns Frobenius' norm.
  double enter(double* factor, const T* change, double scale, size_t copy, const double* centre) {
    Scratch<double> squares(call_, d_, false);
    if (!squares) return 0;
    const double share = 1 / static_cast<double>(layer_.classes);
    parallel(call_, d_, rowGrain(2 * d_), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        double* x = factor + i * d_;
        if (change) {
          const T* more = change + i * d_;
          for (size_t j = 0; j < d_; ++j) x[j] = scale * (x[j] + static_cast<double>(more[j]));
        }
        squares[i] = dotWide(x, x, d_);
        if (!kCopies) continue;
        T* out = copies_[copy] + i * d_;
        const double of = centre ? -share * centre[i] : 0;
        for (size_t j = 0; j < d_; ++j) out[j] = static_cast<T>(centre ? fma(of, centre[j], x[j]) : x[j]);
      }
    });
    return sqrt(orderedSum(squares, d_));
  }
  View<T> reading(size_t i, const double* factor) const {
    if constexpr (kCopies)
      return rowMajor<T>(copies_[i], d_);
    else
      return rowMajor<T>(factor, d_);
  }

  Call& call_;
  Layer<T> layer_;
  size_t d_, capacity_;
  Scratch<double> own_;
  double *head_ = nullptr, *centre_ = nullptr;
  LayerRows<T> waiting_{};
  T* copies_[3] = {};
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
