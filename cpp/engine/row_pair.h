// Two rows of logits of one shape, a student's and a teacher's, compared by their softmaxes p and q: each row is shifted by its
// largest logit and scaled to its own unit, which is the temperature, times the row's standard deviation if rows are standardised.
// A row is read from memory once: scan it, sum with its exponentials, write from them; a block of it stays in the first-level
// cache, the row in the second, and the next row is fetched meanwhile. A definition D has
//   record            inputs student and teacher; with targets, the target is left out of both softmaxes (but not of the moments)
//   D(Call&)
//   scaling           a PairScaling
//   covariance        whether the derivative by the temperature is wanted
//   fold(const PairFacts&, double* values) -> PairSlopes      per-row outputs, and slopes by the scaled logits
// The slopes of a row sum to 0, so the gradient through a standardisation needs no other sum than those of the facts.
#pragma once
#include "row_loss.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Far enough from all indices to be near none after a subtraction.
constexpr size_t kNowhere = size_t{1} << 62;

template <class T> struct PairSide {
  const T* x;
  T top;  // the largest logit, and where it is
  size_t argMax;
  double mean, sd, count;
  double inverse;  // 1 / unit
};

template <class T> class RowPair {
 public:
  using W = Vec<T>;
  static constexpr size_t L = lanes<W>;

  RowPair(const PairScaling& scaling, size_t columns, T* exponentials)
      : scaling_(scaling), c_(columns), own_{exponentials, exponentials + stride(columns)} {}
  // Room for the exponentials of a row.
  static size_t stride(size_t columns) { return (columns + L - 1) / L * L; }

  // Everything that does not depend on the temperature. `next` says whether another row follows in memory.
  void scan(const T* student, const T* teacher, size_t hole, bool next) {
    hole_ = hole;
    next_ = next;
    side_[0].x = student;
    side_[1].x = teacher;
    masked_ = false;
    for (PairSide<T>& s : side_) masked_ = !scanFinite(s) || masked_;
    if (masked_)
      for (PairSide<T>& s : side_) scanMasked(s);
  }

  // The sums at one temperature. Exponentials are kept for write() if `keep`: the student's where write() will put the gradient,
  // unless that is where the logits are still needed.
  PairFacts facts(double temperature, bool keep, bool covariance, T* studentExponentials = nullptr) {
    e_[0] = studentExponentials ? studentExponentials : own_[0];
    e_[1] = own_[1];
    for (PairSide<T>& s : side_) {
      const double unit = scaling_.standardize ? (s.sd + scaling_.eps) * temperature : temperature;
      // Deviations of a row without any are 0 in every unit.
      s.inverse = unit == 0 ? 0.0 : 1 / unit;
    }
    double total[kSums] = {};
    const bool stored = keep || covariance;
    for (size_t start = 0; start < c_; start += kPiece) {
      const size_t end = c_ - start < kPiece ? c_ : start + kPiece;
      const auto within = [&](size_t at) { return at - start < end - start; };
      const bool special = (end - start) % L != 0 || within(side_[0].argMax) || within(side_[1].argMax) || within(hole_);
      if (masked_)
        stored ? addPiece<true, true, true>(start, end, total) : addPiece<true, true, false>(start, end, total);
      else if (special)
        stored ? addPiece<true, false, true>(start, end, total) : addPiece<true, false, false>(start, end, total);
      else
        stored ? addPiece<false, false, true>(start, end, total) : addPiece<false, false, false>(start, end, total);
    }
    PairFacts f{};
    f.temperature = temperature;
    for (int k = 0; k < 2; ++k) {
      f.others[k] = total[k];
      f.logSum[k] = log1p(total[k]);
      if (hole_ != kNowhere) f.target[k] = (static_cast<double>(side_[k].x[hole_]) - static_cast<double>(side_[k].top)) * side_[k].inverse;
    }
    const double perNat = 1 / Base<T>::perNat, student = perNat / (1 + f.others[0]), teacher = perNat / (1 + f.others[1]);
    f.own = total[2] * student;
    f.crossed = total[3] * teacher;
    f.gap = total[4] * teacher;
    if (covariance) f.covariance = covarianceOf(f);
    return f;
  }

  // The gradient by the student's logits, from the exponentials that facts() kept.
  void write(const PairFacts& f, const PairSlopes& g, T* out, bool accumulate) {
    const PairSide<T>& s = side_[0];
    const bool flat = scaling_.standardize && s.sd == 0;
    const double inverse = flat && !scaling_.flatGradient ? 0.0 : s.inverse;
    double linear = 0;
    if (scaling_.standardize && !flat) {
      double along = fma(g.student, f.own, g.teacher * f.crossed);
      // A target that only the teacher has makes the loss infinite; it has no place among the deviations.
      if (hole_ != kNowhere && f.target[0] != -__builtin_huge_val()) along = fma(g.atTarget, f.target[0], along);
      linear = -inverse * f.temperature * along / ((s.count - scaling_.ddof) * s.sd);
    }
    const double p = 1 / (1 + f.others[0]), q = 1 / (1 + f.others[1]);
    // Where both have their largest class, p - q comes from the other terms: both round to 1 in a confident row.
    const bool common = side_[0].argMax == side_[1].argMax;
    const double atTop = fma(g.student + g.teacher, p, g.teacher * ((f.others[0] - f.others[1]) * (p * q)));
    const T topBefore = accumulate ? out[s.argMax] : T(0), holeBefore = accumulate && hole_ != kNowhere ? out[hole_] : T(0);
    const double holeLogit = hole_ == kNowhere ? 0.0 : static_cast<double>(s.x[hole_]);
    const Coefficient k = {inverse * g.student * p, inverse * g.teacher * q, linear, s.mean};
    if (masked_)
      accumulate ? writeRow<true, true, true>(k, out) : writeRow<true, true, false>(k, out);
    else if (scaling_.standardize)
      accumulate ? writeRow<true, false, true>(k, out) : writeRow<true, false, false>(k, out);
    else
      accumulate ? writeRow<false, false, true>(k, out) : writeRow<false, false, false>(k, out);
    const auto at = [&](double slope, double logit) {
      return static_cast<T>(fma(slope, inverse, linear == 0 ? 0.0 : linear * (logit - s.mean)));
    };
    if (common) out[s.argMax] = topBefore + at(atTop, static_cast<double>(s.top));
    if (hole_ != kNowhere) out[hole_] = holeBefore + (holeLogit == -__builtin_huge_val() ? T(0) : at(g.atTarget, holeLogit));
  }

 private:
  static constexpr int kSums = 5;
  // Lanes are summed in T over so many entries, then in double.
  static constexpr size_t kPiece = 64 * L;
  struct Coefficient {
    double student, teacher, linear, mean;
  };

  const PairScaling& scaling_;
  size_t c_, hole_ = kNowhere;
  T* own_[2];
  T* e_[2] = {};
  bool masked_ = false, next_ = false;
  PairSide<T> side_[2] = {};

  // False if an entry is masked or no number, or if a sum left the range of T.
  bool scanFinite(PairSide<T>& s) {
    const T low = static_cast<T>(-__builtin_huge_val());
    RowMoments<T> moments;
    double total = 0;
    size_t best = 0;
    s.top = low;
    for (size_t i = 0; i < c_; i += kBlock) {
      const size_t n = c_ - i < kBlock ? c_ - i : kBlock;
      T max = low;
      if (scaling_.standardize)
        moments.template add<true>(s.x + i, n, &max);
      else
        total += sumAndMax(s.x + i, n, max);
      if (max > s.top) {
        s.top = max;
        best = i;
      }
    }
    if (hole_ == kNowhere)
      s.argMax = best + firstEqual<T>(Plain<T>{s.x + best}, c_ - best < kBlock ? c_ - best : kBlock, s.top);
    else
      topWithoutHole(s);
    if (!scaling_.standardize) {
      s.mean = s.sd = 0;
      return total - total == 0;
    }
    settle(s, moments.row.mean, moments.row.m2, static_cast<double>(c_));
    return moments.row.m2 - moments.row.m2 == 0;
  }
  void settle(PairSide<T>& s, double mean, double m2, double count) const {
    s.mean = mean;
    s.count = count;
    s.sd = count > scaling_.ddof ? sqrt(m2 / (count - scaling_.ddof)) : 0.0;
  }
  static double sumAndMax(const T* x, size_t n, T& max_) {
    const W low = broadcast<W>(-__builtin_huge_val()), zero = broadcast<W>(0);
    W a[4] = {zero, zero, zero, zero}, top[4] = {low, low, low, low};
    size_t i = 0;
    for (; i + 4 * L <= n; i += 4 * L)
      for (int k = 0; k < 4; ++k) {
        const W v = load<W>(x + i + static_cast<size_t>(k) * L);
        top[k] = max(v, top[k]);
        a[k] = a[k] + v;
      }
    for (; i < n; i += L) {
      const size_t count = n - i < L ? n - i : L;
      top[0] = max(loadFirst<W>(x + i, count, -__builtin_huge_val()), top[0]);
      a[0] = a[0] + loadFirst<W>(x + i, count, 0);
    }
    max_ = maxAcross(max(max(top[0], top[1]), max(top[2], top[3])));
    return foldSum((a[0] + a[1]) + (a[2] + a[3]));
  }
  void topWithoutHole(PairSide<T>& s) const {
    const Plain<T> before{s.x}, after{s.x + hole_ + 1};
    const size_t rest = c_ - hole_ - 1;
    const T a = rowMax<T>(before, hole_), b = rowMax<T>(after, rest);
    s.top = a > b || rest == 0 ? a : b;
    s.argMax = a > b || rest == 0 ? firstEqual<T>(before, hole_, a) : hole_ + 1 + firstEqual<T>(after, rest, b);
  }
  // Masked entries do not count. Deviations from the largest entry, in double: their difference loses at most count ulps.
  void scanMasked(PairSide<T>& s) {
    if (!scaling_.standardize) return;
    const f64x8 masked = broadcast<f64x8>(-__builtin_huge_val()), zero = broadcast<f64x8>(0);
    T pivot = s.top;
    if (hole_ != kNowhere && s.x[hole_] > pivot) pivot = s.x[hole_];
    const f64x8 origin = broadcast<f64x8>(static_cast<double>(pivot));
    f64x8 sums = zero, squares = zero;
    size_t counted = 0;
    for (size_t i = 0; i < c_; i += L) {
      const W v = loadFirst<W>(s.x + i, c_ - i < L ? c_ - i : L, -__builtin_huge_val());
      for (int h = 0; h < Halves<T>::count; ++h) {
        const f64x8 x = Halves<T>::get(v, h);
        const auto in = x != masked;
        const f64x8 d = select(in, x - origin, zero);
        counted += static_cast<size_t>(count(in));
        sums = sums + d;
        squares = fma(d, d, squares);
      }
    }
    const double n = static_cast<double>(counted), total = sum(sums), shift = counted ? total / n : 0.0;
    const double m2 = fma(-total, shift, sum(squares));
    settle(s, static_cast<double>(pivot) + shift, m2 < 0 ? 0.0 : m2, n);
  }

  // The scale of a row in the base of the exponentials. Rows that differ by less than T can scale keep a finite one.
  static T scaleOf(const PairSide<T>& s) {
    const double most = sizeof(T) == 4 ? 3.0e38 : 1.7e308, scale = s.inverse * Base<T>::perNat;
    return static_cast<T>(scale > most ? most : scale);
  }

  // Sums over a piece: exponentials of student and teacher, and products of the student's or the teacher's with w. `Special` leaves
  // out the largest terms, the hole and lanes beyond the end; `Masked` knows classes without mass.
  template <bool Special, bool Masked, bool Store> void addPiece(size_t start, size_t end, double* total) const {
    const W zero = broadcast<W>(0);
    const T *x = side_[0].x, *y = side_[1].x;
    const W topX = broadcast<W>(side_[0].top), topY = broadcast<W>(side_[1].top);
    const W scaleX = broadcast<W>(scaleOf(side_[0])), scaleY = broadcast<W>(scaleOf(side_[1]));
    const W masked = broadcast<W>(-__builtin_huge_val()), infinite = broadcast<W>(__builtin_huge_val());
    const W lowest = broadcast<W>(sizeof(T) == 4 ? static_cast<T>(-3e38) : static_cast<T>(-1e308));
    T *const ex = e_[0], *const ey = e_[1];
    W sumX = zero, sumY = zero, own = zero, crossed = zero, gap = zero;
    for (size_t i = start; i < end; i += L) {
      const size_t count = Special && end - i < L ? end - i : L;
      const W u = count == L ? load<W>(x + i) : loadFirst<W>(x + i, count, side_[0].top);
      const W v = count == L ? load<W>(y + i) : loadFirst<W>(y + i, count, side_[1].top);
      if (next_) {
        __builtin_prefetch(x + i + c_, 0, 2);
        __builtin_prefetch(y + i + c_, 0, 2);
      }
      W wx = (u - topX) * scaleX, wy = (v - topY) * scaleY;
      if (Masked) {
        // A product of 0 and -Infinity would be NaN.
        wx = max(lowest, wx);
        wy = max(lowest, wy);
      }
      W px = Base<T>::power(wx), py = Base<T>::power(wy), rx = px, ry = py, apart = wy - wx, crosses = wx;
      if (Special) {
        const W lane = laneIndex<W>();
        const auto at = [&](size_t k) { return lane == broadcast<W>(static_cast<T>(static_cast<int64_t>(k - i))); };
        const auto out = ~firstLanes<W>(static_cast<int>(count)) | at(hole_);
        px = select(out, zero, px);
        py = select(out, zero, py);
        rx = select(at(side_[0].argMax), zero, px);
        ry = select(at(side_[1].argMax), zero, py);
        if (Masked) {
          const auto deadX = u == masked, deadY = v == masked;
          crosses = select(deadX, zero, wx);
          gap = gap + select(deadX & ~deadY & ~out, infinite, zero);
          apart = select(deadX | deadY, zero, apart);
        }
      }
      if (Store && count == L) {
        store(ex + i, px);
        store(ey + i, py);
      } else if (Store) {
        storeFirst(ex + i, px, count);
        storeFirst(ey + i, py, count);
      }
      sumX = sumX + rx;
      sumY = sumY + ry;
      own = fma(px, wx, own);
      crossed = fma(py, crosses, crossed);
      gap = fma(py, apart, gap);
    }
    total[0] += foldSum(sumX);
    total[1] += foldSum(sumY);
    total[2] += foldSum(own);
    total[3] += foldSum(crossed);
    total[4] += foldSum(gap);
  }

  // In one more sweep, around the means, which may be far from 0.
  double covarianceOf(const PairFacts& f) const {
    const W zero = broadcast<W>(0), masked = broadcast<W>(-__builtin_huge_val());
    const W topX = broadcast<W>(side_[0].top), topY = broadcast<W>(side_[1].top);
    const W scaleX = broadcast<W>(scaleOf(side_[0])), scaleY = broadcast<W>(scaleOf(side_[1]));
    const W mean = broadcast<W>(static_cast<T>((f.gap + f.crossed) * Base<T>::perNat)),
            gap = broadcast<W>(static_cast<T>(f.gap * Base<T>::perNat));
    double total = 0;
    for (size_t from = 0; from < c_; from += kPiece) {
      const size_t to = c_ - from < kPiece ? c_ : from + kPiece;
      W a = zero;
      for (size_t i = from; i < to; i += L) {
        const size_t count = to - i < L ? to - i : L;
        const W v = loadFirst<W>(side_[1].x + i, count, -__builtin_huge_val());
        const W wx = (loadFirst<W>(side_[0].x + i, count, 0) - topX) * scaleX, wy = (v - topY) * scaleY;
        const W e = loadFirst<W>(e_[1] + i, count, 0);
        a = a + select(v == masked, zero, e * (wy - mean) * (wy - wx - gap));
      }
      total += foldSum(a);
    }
    return total / ((1 + f.others[1]) * Base<T>::perNat * Base<T>::perNat);
  }

  // student e + teacher e' + linear (z - mean), into out or added to it.
  template <bool Linear, bool Masked, bool Accumulate> void writeRow(const Coefficient& k, T* out) const {
    const W student = broadcast<W>(static_cast<T>(k.student)), teacher = broadcast<W>(static_cast<T>(k.teacher));
    const W slope = broadcast<W>(static_cast<T>(k.linear)), centre = broadcast<W>(static_cast<T>(k.mean));
    // What rounding the mean to T left out.
    const W rest = broadcast<W>(static_cast<T>(k.linear == 0 ? 0.0 : k.linear * (static_cast<double>(get(centre, 0)) - k.mean)));
    const W masked = broadcast<W>(-__builtin_huge_val()), zero = broadcast<W>(0);
    const T *x = side_[0].x, *ex = e_[0], *ey = e_[1];
    const auto lane = [&](W u, W p, W q, W before) LC_LAMBDA {
      W g = fma(p, student, q * teacher);
      if (Linear) g = fma(u - centre, slope, g + rest);
      if (Masked) g = select(u == masked, zero, g);
      return Accumulate ? before + g : g;
    };
    size_t i = 0;
    for (; i + L <= c_; i += L)
      store(out + i, lane(Linear ? load<W>(x + i) : zero, load<W>(ex + i), load<W>(ey + i), Accumulate ? load<W>(out + i) : zero));
    if (i < c_) {
      const size_t n = c_ - i;
      storeFirst(out + i,
                 lane(loadFirst<W>(x + i, n, 0), loadFirst<W>(ex + i, n, 0), loadFirst<W>(ey + i, n, 0),
                      Accumulate ? loadFirst<W>(out + i, n, 0) : zero),
                 n);
    }
  }
};

// The whole call: one value a row for each output without columns, the gradient in the one that has them.
template <class D, class T> void runRowPair(Call& call) {
  constexpr const Record& record = D::record;
  constexpr bool targeted = findKind(record, Kind::target, Kind::target) >= 0;
  constexpr int studentAt = inputIndex(record, "student"), teacherAt = inputIndex(record, "teacher"), gradientAt = findGradient(record);
  const D d(call);
  const size_t n = call.rows, c = call.columns;
  int outputs[kMaxOutputs], perRow = 0;
  for (int i = 0; i < record.outputCount(); ++i)
    if (i != gradientAt) outputs[perRow++] = i;
  Scratch<double> values(call, n * static_cast<size_t>(perRow));
  if (!values) return;
  const T *student = static_cast<const T*>(call.inputs[studentAt]), *teacher = static_cast<const T*>(call.inputs[teacherAt]);
  T* grad = static_cast<T*>(call.outputs[gradientAt]);
  const int32_t* marks = rowMarks<D>(call);
  const int32_t ignore = ignoreIndexOf<D>(call);
  parallel(call, n, rowGrain(c), [&](size_t begin, size_t end) {
    Scratch<T> exponentials(call, 2 * RowPair<T>::stride(c));
    if (!exponentials) return;
    RowPair<T> pair(d.scaling, c, exponentials);
    for (size_t i = begin; i < end; ++i) {
      T* out = grad ? grad + i * c : nullptr;
      if (marks && marks[i] == ignore) {
        if (out) __builtin_memset(static_cast<void*>(out), 0, c * sizeof(T));
        continue;
      }
      pair.scan(student + i * c, teacher + i * c, targeted ? static_cast<size_t>(marks[i]) : kNowhere, i + 1 < end);
      const PairFacts f = pair.facts(d.scaling.temperature, out != nullptr, d.covariance, grad == student ? nullptr : out);
      double row[kMaxOutputs] = {};
      const PairSlopes slopes = d.fold(f, row);
      for (int k = 0; k < perRow; ++k) values[static_cast<size_t>(k) * n + i] = row[k];
      if (out) pair.write(f, slopes, out, false);
    }
  });
  const int reduction = reductionOf<D>(call);
  for (int k = 0; k < perRow; ++k) reduceRows<T>(call, outputs[k], reduction, values + static_cast<size_t>(k) * n);
}

template <class D> struct RowPairOp {
  static constexpr Kernels kernels() { return {&runRowPair<D, float>, &runRowPair<D, double>}; }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
