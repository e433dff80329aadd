// The rows of Universal Logit Distillation: values of two rows of any lengths, each sorted, compared place by place.
#pragma once
#include "../engine/row_exp.h"
#include "../engine/select.h"
#include "../engine/wide.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

enum UldTransform { kUldNone, kUldSoftmax, kUldStandardize };

// How the logits of one row become the values that are compared. Always doubles, whatever the logits are: a gradient is a sign.
struct UldValues {
  double shift = 0, scale = 1, factor = 1;
  double count = 0;  // finite entries of the row, for kUldStandardize
  bool exponential = false;

  LC_FN f64x8 operator()(f64x8 z) const {
    const f64x8 u = (z - shift) * scale;
    return exponential ? exp(u) * factor : u;
  }
};

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
        teacher_(call, ct, false),
        blocks_(call, blockCount(most)),
        factors_(call, blockCount(most)) {}
  explicit operator bool() const { return items_ && order_ && student_ && teacher_ && blocks_ && factors_; }

  // sum over places of |difference|. With `gradient`, which may be s itself, also scale times its derivative by the student.
  double row(const T* s, const T* t, double studentTemperature, double teacherTemperature, double scale, T* gradient) {
    const size_t a = gradient ? sorted<true>(s, cs, student_) : sorted<false>(s, cs, student_);
    const size_t b = sorted<false>(t, ct, teacher_);
    const double nan = __builtin_nan("");
    if (a == 0 || b == 0) {
      if (gradient) fill(gradient, nan);
      return nan;
    }
    const UldValues student = fit(k < cs ? s : student_, cs, studentTemperature);
    const UldValues teacher = fit(k < ct ? t : teacher_, ct, teacherTemperature);
    // The sort is done with its memory: the student's values and the signs lie there until the gradient is written.
    double *value = reinterpret_cast<double*>(static_cast<SortItem*>(items_)), *sign = value + most;
    const f64x8 zero = broadcast<f64x8>(0), one = broadcast<f64x8>(1);
    f64x8 loss = zero, signs = zero, products = zero;
    for (size_t i = 0; i < a || i < b; i += kWide) {
      const size_t left = a > i ? a - i : 0, right = b > i ? b - i : 0;
      const f64x8 x = at(student, student_ + i, left), y = at(teacher, teacher_ + i, right), difference = x - y;
      loss = loss + abs(difference);
      if (!gradient || left == 0) continue;
      const size_t count = left < kWide ? left : kWide;
      const f64x8 up = select(difference > zero, one, select(difference < zero, -one, zero));
      const f64x8 kept = select(firstLanes<f64x8>(static_cast<int>(count)), up, zero);
      signs = signs + kept;
      products = fma(x, kept, products);
      writeWide(value + i, x, count);
      writeWide(sign + i, kept, count);
    }
    const double total = sum(loss);
    if (!gradient) return total;
    if (isNan(total)) {
      fill(gradient, nan);
      return total;
    }
    const Slope slope = slopeOf(student, studentTemperature, sum(signs), sum(products), scale);
    if (k < cs) unselected(s, student, slope, gradient);
    for (size_t i = 0; i < a; i += kWide) {
      const size_t count = a - i < kWide ? a - i : kWide;
      double lane[kWide];
      store(lane, slope(readWide(value + i, count), readWide(sign + i, count)));
      for (size_t j = 0; j < count; ++j) gradient[order_[i + j]] = static_cast<T>(lane[j]);
    }
    if (k >= cs)
      for (size_t i = a; i < cs; ++i) gradient[order_[i]] = 0;
    return total;
  }

 private:
  // Derivative at an entry with value x and sign s: (s - shift - x slope) times factor, and times x for a softmax.
  struct Slope {
    double shift, slope, factor;
    bool timesValue;
    LC_FN f64x8 operator()(f64x8 x, f64x8 s) const {
      const f64x8 g = fnma(x, broadcast<f64x8>(slope), s - shift) * factor;
      return timesValue ? x * g : g;
    }
  };
  Slope slopeOf(const UldValues& v, double temperature, double signs, double products, double scale) const {
    if (transform_ == kUldSoftmax) return {products, 0, scale / temperature, true};
    if (transform_ == kUldNone) return {0, 0, scale / temperature, false};
    const double share = reciprocalOrZero(v.count);
    return {signs * share, products * share, scale * v.scale, false};
  }

  static f64x8 at(const UldValues& values, const T* x, size_t left) {
    const f64x8 zero = broadcast<f64x8>(0);
    if (left == 0) return zero;
    const f64x8 v = values(readWide(x, left < kWide ? left : kWide));
    return left < kWide ? select(firstLanes<f64x8>(static_cast<int>(left)), v, zero) : v;
  }

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

  // x: the whole row, sorted or not. Sorted rows of equal values have equal sums, in whichever order the classes were.
  UldValues fit(const T* x, size_t c, double temperature) {
    UldValues v;
    v.scale = 1.0 / temperature;
    if (transform_ == kUldSoftmax) {
      Block<T>* blocks = blocks_;
      const RowSum s = rowSum<false>(Plain<T>{x}, c, v.scale, Destination<T>{}, blocks, factors_);
      v.shift = s.max;
      v.factor = 1.0 / (1.0 + s.others);
      v.exponential = true;
    } else if (transform_ == kUldStandardize) {
      standardize(x, c, v);
    }
    return v;
  }
  static void standardize(const T* x, size_t c, UldValues& v) {
    const f64x8 zero = broadcast<f64x8>(0), masked = broadcast<f64x8>(-__builtin_huge_val());
    const double pivot = static_cast<double>(rowMax<T>(Plain<T>{x}, c));
    auto over = [&](double shift, auto&& term) {
      return rowSumWide(c, [&](size_t i, size_t count) LC_LAMBDA {
        const f64x8 z = readWide(x + i, count);
        return select(z == masked, zero, term(z - shift));
      });
    };
    v.count = over(0, [&](f64x8) { return broadcast<f64x8>(1); });
    v.shift = pivot + over(pivot, [](f64x8 d) { return d; }) / v.count;
    const double variance = over(v.shift, [](f64x8 d) { return d * d; }) / v.count;
    v.scale = variance == 0 ? 0.0 : 1.0 / sqrt(variance);
  }

  // Entries that no place compares move the others only, by the sum of exponentials or by mean and deviation.
  void unselected(const T* s, const UldValues& values, const Slope& slope, T* gradient) const {
    const f64x8 zero = broadcast<f64x8>(0), masked = broadcast<f64x8>(-__builtin_huge_val());
    for (size_t j = 0; j < cs; j += kWide) {
      const size_t count = cs - j < kWide ? cs - j : kWide;
      const f64x8 z = readWide(s + j, count);
      writeWide(gradient + j, transform_ == kUldNone ? zero : select(z == masked, zero, slope(values(z), zero)), count);
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
  Scratch<Block<T>> blocks_;
  Scratch<double> factors_;
};

// -log p_y of a row, and scale times its gradient on top of what is in `gradient`.
template <class T>
inline double addCrossEntropy(const T* x, size_t c, int32_t y, Block<T>* blocks, double* factors, double scale, T* gradient) {
  const RowSum s = rowSum<false>(Plain<T>{x}, c, 1.0, Destination<T>{}, blocks, factors);
  const size_t target = static_cast<size_t>(y);
  const double others = s.max == -__builtin_huge_val() ? __builtin_nan("") : s.others;
  const double loss = log1p(others) - (static_cast<double>(x[target]) - s.max), inverse = 1.0 / (1.0 + others);
  if (!gradient) return loss;
  const double before = static_cast<double>(gradient[target]);
  for (size_t j = 0; j < c; j += kWide) {
    const size_t count = c - j < kWide ? c - j : kWide;
    const f64x8 p = exp(readWide(x + j, count) - s.max) * inverse;
    writeWide(gradient + j, fma(p, scale, readWide(gradient + j, count)), count);
  }
  // p_y - 1 of a confident row is what the others sum to.
  const double slope = target == s.argMax ? -others * inverse : exp(static_cast<double>(x[target]) - s.max) * inverse - 1.0;
  gradient[target] = static_cast<T>(fma(slope, scale, before));
  return loss;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
