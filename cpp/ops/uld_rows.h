// The rows of Universal Logit Distillation on the CPU.
#pragma once
#include "../engine/select.h"
#include "../engine/value_sort.h"
#include "../engine/wide.h"
#include "uld.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// One thread's memory and the rows it works on.
template <class T> class UldRows {
 public:
  UldRows(Call& call, size_t studentColumns, size_t teacherColumns, size_t topK, int transform)
      : cs(studentColumns),
        ct(teacherColumns),
        most(cs > ct ? cs : ct),
        k(topK ? topK : most),
        transform_(transform),
        items_(call, 2 * most, false),
        order_(call, cs, false),
        student_(call, cs, false),
        teacher_(call, ct, false) {}
  explicit operator bool() const { return items_ && order_ && student_ && teacher_; }

  // sum over places of |difference|. With `gradient`, which may be s itself, also scale times its derivative by the student.
  double row(const T* s, const T* t, double studentTemperature, double teacherTemperature, double scale, T* gradient) {
    const size_t a = gradient ? sorted<true>(s, cs, student_) : sorted<false>(s, cs, student_);
    const size_t b = sorted<false>(t, ct, teacher_);
    const double nan = __builtin_nan("");
    if (a == 0 || b == 0) {
      if (gradient) fill(gradient, nan);
      return nan;
    }
    // The sorts are done with their memory: both sides' terms lie there.
    double *mine = reinterpret_cast<double*>(static_cast<SortItem*>(items_)), *theirs = mine + most;
    const UldValues student = fit(s, cs, student_, a, studentTemperature, mine);
    const UldValues teacher = fit(t, ct, teacher_, b, teacherTemperature, theirs);
    const f64x8 zero = broadcast<f64x8>(0);
    auto valueAt = [&](size_t i) LGC_LAMBDA { return readWide(mine + i, within(i, a)) * student.factor; };
    auto differenceAt = [&](size_t i, f64x8 x) LGC_LAMBDA { return x - readWide(theirs + i, within(i, b)) * teacher.factor; };
    f64x8 loss = zero, signs = zero, products = zero;
    for (size_t i = 0; i < a || i < b; i += kWide) {
      const f64x8 x = valueAt(i), difference = differenceAt(i, x);
      loss = loss + abs(difference);
      if (!gradient) continue;
      const f64x8 sign = select(firstLanes<f64x8>(static_cast<int>(within(i, a))), signOf(difference), zero);
      signs = signs + sign;
      products = fma(x, sign, products);
    }
    const double total = sum(loss);
    if (!gradient) return total;
    if (isNan(total)) {
      fill(gradient, nan);
      return total;
    }
    const UldSlope slope = uldSlope(transform_, student, studentTemperature, sum(signs), sum(products), scale);
    if (k < cs) unselected(s, student, slope, gradient);
    for (size_t i = 0; i < a; i += kWide) {
      const f64x8 x = valueAt(i);
      double lane[kWide];
      store(lane, slope(x, signOf(differenceAt(i, x))));
      const size_t count = within(i, a);
      for (size_t j = 0; j < count; ++j) gradient[order_[i + j]] = static_cast<T>(lane[j]);
    }
    if (k >= cs)
      for (size_t i = a; i < cs; ++i) gradient[order_[i]] = 0;
    return total;
  }

 private:
  // Of the kWide places from i, how many are there.
  static size_t within(size_t i, size_t count) { return i >= count ? 0 : count - i < kWide ? count - i : kWide; }

  // The k largest values of a row in descending order, without masked classes; their number. A NaN stays among them. 0 if no value
  // is finite.
  template <bool WithOrder> size_t sorted(const T* x, size_t c, T* values) {
    size_t count = c;
    if (k < c) {
      count = k;
      SortItem* list = items_;
      const SortItem* top = selectLargest(x, c, k, list, list + most);
      for (size_t i = 0; i < k; ++i) {
        values[i] = x[top[i].index];
        if (WithOrder) order_[i] = top[i].index;
      }
    } else if (WithOrder) {
      argsort(x, c, true, order_, items_);
      for (size_t i = 0; i < c; ++i) values[i] = x[order_[i]];
    } else {
      sortValues(x, c, true, values, items_);
    }
    while (count > 0 && values[count - 1] == -__builtin_huge_val()) --count;
    return count;
  }

  // x: the row; sorted: its places, from which everything is computed if they are all of it, so that rows of equal values have equal
  // sums in whichever order their classes were. Writes the places' terms.
  UldValues fit(const T* x, size_t c, const T* sorted, size_t places, double temperature, double* terms) const {
    const T* row = k < c ? x : sorted;
    const size_t n = k < c ? c : places;
    UldValues v;
    v.scale = 1.0 / temperature;
    if (transform_ != kUldNone) v.shift = static_cast<double>(sorted[0]);
    if (transform_ == kUldStandardize) standardize(row, n, v);
    v.exponential = transform_ == kUldSoftmax;
    f64x8 acc = broadcast<f64x8>(0);
    for (size_t i = 0; i < places; i += kWide) {
      const size_t count = within(i, places);
      // Beyond the end: -Infinity, whose exponential is 0.
      const f64x8 term = v.term(readWide(sorted + i, count, -__builtin_huge_val()));
      writeWide(terms + i, term, count);
      acc = acc + term;
    }
    if (v.exponential) {
      v.factor =
          1.0 / (k < c ? rowSumWide(n, [&](size_t i, size_t count) LGC_LAMBDA { return v.term(readWide(row + i, count)); }) : sum(acc));
    }
    return v;
  }
  static void standardize(const T* x, size_t c, UldValues& v) {
    const f64x8 zero = broadcast<f64x8>(0), masked = broadcast<f64x8>(-__builtin_huge_val());
    auto over = [&](double shift, auto&& term) {
      return rowSumWide(c, [&](size_t i, size_t count) LGC_LAMBDA {
        const f64x8 z = readWide(x + i, count);
        return select(z == masked, zero, term(z - shift));
      });
    };
    v.count = over(0, [&](f64x8) { return broadcast<f64x8>(1); });
    // Around the largest value: a constant row has deviation 0 exactly.
    v.shift += over(v.shift, [](f64x8 d) { return d; }) / v.count;
    const double variance = over(v.shift, [](f64x8 d) { return d * d; }) / v.count;
    v.scale = variance == 0 ? 0.0 : 1.0 / sqrt(variance);
  }

  // Entries that no place compares move the others only, by the sum of exponentials or by mean and deviation.
  void unselected(const T* s, const UldValues& values, const UldSlope& slope, T* gradient) const {
    const f64x8 zero = broadcast<f64x8>(0), masked = broadcast<f64x8>(-__builtin_huge_val());
    for (size_t j = 0; j < cs; j += kWide) {
      const size_t count = cs - j < kWide ? cs - j : kWide;
      const f64x8 z = readWide(s + j, count);
      writeWide(gradient + j, transform_ == kUldNone ? zero : select(z == masked, zero, slope(values.term(z) * values.factor, zero)),
                count);
    }
  }
  void fill(T* gradient, double v) const {
    for (size_t j = 0; j < cs; ++j) gradient[j] = static_cast<T>(v);
  }

  size_t cs, ct, most, k;
  int transform_;
  Scratch<SortItem> items_;
  Scratch<uint32_t> order_;
  Scratch<T> student_, teacher_;
};

// -log p_y of a row, and scale times its gradient on top of what is in `gradient`.
template <class T>
inline double addCrossEntropy(const T* x, size_t c, int32_t y, Block<T>* blocks, double* factors, double scale, T* gradient) {
  const RowSum s = rowSum<false>(Plain<T>{x}, c, 1.0, Destination<T>{}, blocks, factors);
  const size_t target = static_cast<size_t>(y);
  const TargetTerm term(s, target, static_cast<double>(x[target]));
  if (!gradient) return term.loss;
  const double before = static_cast<double>(gradient[target]);
  for (size_t j = 0; j < c; j += kWide) {
    const size_t count = c - j < kWide ? c - j : kWide;
    const f64x8 p = exp(readWide(x + j, count) - s.max) * term.inverse;
    writeWide(gradient + j, fma(p, scale, readWide(gradient + j, count)), count);
  }
  gradient[target] = static_cast<T>(fma(term.slope, scale, before));
  return term.loss;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
