#include "distillation.h"

#include "../engine/angles.h"
#include "../engine/dense.h"
#include "../engine/family.h"
#include "../engine/matrix.h"
#include "../engine/row_pair.h"
#include "../engine/row_sweeps.h"
#include "../engine/row_wide.h"
#include "../engine/value_sort.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct StandardizeLogitsOp : StandardizeLogits, RowSweepOp<StandardizeLogits> {};
struct StandardizeLogitsBackwardOp : StandardizeLogitsBackward, RowSweepOp<StandardizeLogitsBackward> {};
struct StandardizedKlDivOp : StandardizedKlDiv, RowPairOp<StandardizedKlDiv> {};
struct DecoupledKdOp : DecoupledKd, RowPairOp<DecoupledKd> {};

// In double: near agreement the losses are small differences of large numbers.
class Correlations {
 public:
  Correlations(Call& call, size_t n, size_t c)
      : call_(call),
        n_(n),
        c_(c),
        student_(call, n * c, false),
        teacher_(call, n * c, false),
        spare_(call, n * c, false),
        own_(call, n * n, false),
        other_(call, n * n, false),
        slopes_(call, n * c, false),
        partial_(call, n) {}
  explicit operator bool() const { return student_ && teacher_ && spare_ && own_ && other_ && slopes_ && partial_; }

  template <class T> void prepare(const T* student, const T* teacher, double temperature) {
    inverse_ = 1 / temperature;
    parallel(call_, n_, rowGrain(c_), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        softmaxWide(student + i * c_, c_, inverse_, student_ + i * c_);
        softmaxWide(teacher + i * c_, c_, inverse_, teacher_ + i * c_);
      }
    });
  }
  const double* teacherRow(size_t i) { return teacher_ + i * c_; }

  // Both leave the slopes by P_s behind if asked to.
  double batchLoss(bool slopes) {
    const View<double> student = rows(student_), teacher = rows(teacher_);
    multiply<double>(call_, n_, n_, c_, student, transposed(student), own_);
    multiply<double>(call_, n_, n_, c_, teacher, transposed(teacher), other_);
    subtract(other_, n_ * n_, own_);
    if (slopes) multiply<double>(call_, n_, c_, n_, rowMajor<double>(own_, n_), student, slopes_);
    scale_ = 1 / static_cast<double>(n_);
    return squares(own_, n_, n_) * scale_;
  }
  double classLoss(bool slopes) {
    const View<double> student = rows(student_), teacher = rows(teacher_);
    scale_ = 1 / static_cast<double>(c_);
    if (c_ <= n_) {
      multiply<double>(call_, c_, c_, n_, transposed(student), student, own_);
      multiply<double>(call_, c_, c_, n_, transposed(teacher), teacher, other_);
      subtract(other_, c_ * c_, own_);
      if (slopes) multiply<double>(call_, n_, c_, c_, student, rowMajor<double>(own_, c_), slopes_);
      return squares(own_, c_, c_) * scale_;
    }
    multiply<double>(call_, n_, n_, c_, teacher, transposed(teacher), own_);
    const double ofTeacher = squares(own_, n_, n_);
    multiply<double>(call_, n_, n_, c_, student, transposed(student), own_);
    multiply<double>(call_, n_, n_, c_, student, transposed(teacher), other_);
    const double loss = classSquares(ofTeacher, squares(own_, n_, n_), squares(other_, n_, n_));
    if (slopes) {
      multiply<double>(call_, n_, c_, n_, rowMajor<double>(own_, n_), student, slopes_);
      multiply<double>(call_, n_, c_, n_, rowMajor<double>(other_, n_), teacher, spare_);
      subtract(spare_, n_ * c_, slopes_);
    }
    return loss * scale_;
  }

  // Through the softmax, times weight: stored in out, or added to it.
  template <class T> void write(T* out, double weight, bool accumulate) {
    const f64x8 unit = broadcast<f64x8>(4 * scale_ * inverse_ * weight);
    parallel(call_, n_, rowGrain(c_), [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const double *p = student_ + i * c_, *g = slopes_ + i * c_;
        const f64x8 mean = broadcast<f64x8>(dotWide(p, g, c_));
        T* row = out + i * c_;
        for (size_t j = 0; j < c_; j += kWide) {
          const size_t count = c_ - j < kWide ? c_ - j : kWide;
          f64x8 d = readWide(p + j, count) * (readWide(g + j, count) - mean) * unit;
          if (accumulate) d = d + readWide(row + j, count);
          writeWide(row + j, d, count);
        }
      }
    });
  }

 private:
  Call& call_;
  size_t n_, c_;
  double inverse_ = 1, scale_ = 1;
  Scratch<double> student_, teacher_, spare_, own_, other_, slopes_, partial_;

  View<double> rows(const double* matrix) const { return rowMajor(matrix, c_); }
  double squares(const double* matrix, size_t rows, size_t columns) {
    sumRows(call_, rows, columns, partial_, [&](size_t i, size_t j, size_t count) LGC_LAMBDA {
      const f64x8 x = readWide(matrix + i * columns + j, count);
      return x * x;
    });
    return orderedSum(partial_, rows);
  }
  void subtract(const double* from, size_t count, double* matrix) {
    for (size_t i = 0; i < count; i += kWide) {
      const size_t left = count - i < kWide ? count - i : kWide;
      writeWide(matrix + i, readWide(matrix + i, left) - readWide(from + i, left), left);
    }
  }
};

template <bool ByClass> struct CorrelationOp : Correlation<ByClass> {
  template <class T> static void run(Call& call) {
    constexpr const Record& record = Correlation<ByClass>::record;
    if (call.rows == 0) return;
    Correlations matrices(call, call.rows, call.columns);
    if (!matrices) return;
    T* grad = LGC_OUTPUT(T, call, gradStudent);
    matrices.prepare(LGC_INPUT(T, call, student), LGC_INPUT(T, call, teacher), LGC_OPTION(call, temperature));
    LGC_NUMBER(call, loss) = ByClass ? matrices.classLoss(grad != nullptr) : matrices.batchLoss(grad != nullptr);
    if (grad) matrices.write(grad, 1, false);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

struct MultiLevelKdOp : MultiLevelKd {
  // The share of values that are at most their median.
  static bool shareBelowMedian(Call& call, const double* values, size_t n, double& share) {
    Scratch<double> sorted(call, n);
    Scratch<char> room(call, sortScratchBytes<double>(n), false);
    if (!sorted || !room) return false;
    sortValues(values, n, false, sorted, room);
    const double middle = (sorted[n / 2] + sorted[(n - 1) / 2]) / 2;
    size_t below = 0;
    for (size_t i = 0; i < n; ++i) below += values[i] <= middle;
    share = static_cast<double>(below) / static_cast<double>(n);
    return true;
  }
  // The teacher at temperature 1: how sure it is of each row, and how much mass it gives to each class.
  template <class T> static bool fractions(Call& call, Correlations& matrices, double& samples, double& classes) {
    const size_t n = call.rows, c = call.columns;
    const T* teacher = LGC_INPUT(T, call, teacher);
    Scratch<double> confidence(call, n), mass(call, c);
    if (!confidence || !mass) return false;
    matrices.prepare(teacher, teacher, 1);
    for (size_t i = 0; i < n; ++i) {
      const double* p = matrices.teacherRow(i);
      double most = p[0];
      for (size_t j = 0; j < c; ++j) {
        if (p[j] > most) most = p[j];
        mass[j] += p[j];
      }
      confidence[i] = most;
    }
    return shareBelowMedian(call, confidence, n, samples) && shareBelowMedian(call, mass, c, classes);
  }

  // The divergences at all temperatures in one visit of a row: what does not depend on the temperature is found once.
  template <class T> static double instance(Call& call, const double* temperatures, size_t count, double weight, T* grad) {
    const size_t n = call.rows, c = call.columns;
    const T *student = LGC_INPUT(T, call, student), *teacher = LGC_INPUT(T, call, teacher);
    const PairScaling scaling{LGC_OPTION(call, standardize) != 0, LGC_OPTION(call, ddof), LGC_OPTION(call, eps), 1, true};
    Scratch<double> losses(call, n);
    if (!losses) return 0;
    parallel(call, n, rowGrain(c), [&](size_t begin, size_t end) {
      Scratch<T> exponentials(call, PairRows<T, double>::room(c, true), false);
      if (!exponentials) return;
      PairRows<T, double> pair(scaling, c, false, exponentials);
      for (size_t i = begin; i < end; ++i) {
        pair.scan(0, student + i * c, teacher + i * c, kNowhere, nullptr, i + 1 < end);
        pair.settle();
        for (size_t k = 0; k < count; ++k) {
          const PairFacts<double> f = pair.facts(temperatures[k], grad != nullptr, false);
          const double slope = instanceScale(temperatures[k], n);
          losses[i] += slope * f.divergence();
          if (grad) pair.write(f, {weight * slope, -weight * slope, 0}, grad + i * c, k > 0);
        }
      }
    });
    return orderedSum(losses, n);
  }

  template <class T> static void run(Call& call) {
    const double* temperatures;
    const size_t count = temperaturesOf(call, temperatures);
    double samples = 1, classes = 1, batch = 0, byClass = 0, rows = 0;
    const double weight = LGC_OPTION(call, weight);
    T* grad = LGC_OUTPUT(T, call, gradStudent);
    if (call.rows > 0) {
      Correlations matrices(call, call.rows, call.columns);
      if (!matrices) return;
      if (LGC_OPTION(call, maskMode) != 0 && !fractions<T>(call, matrices, samples, classes)) return;
      rows = instance<T>(call, temperatures, count, weight * samples, grad);
      for (size_t k = 0; k < count; ++k) {
        matrices.prepare(LGC_INPUT(T, call, student), LGC_INPUT(T, call, teacher), temperatures[k]);
        batch += matrices.batchLoss(grad != nullptr);
        if (grad) matrices.write(grad, weight * samples, true);
        byClass += matrices.classLoss(grad != nullptr);
        if (grad) matrices.write(grad, weight * classes, true);
      }
    }
    LGC_NUMBER(call, instance) = rows;
    LGC_NUMBER(call, batch) = batch;
    LGC_NUMBER(call, class) = byClass;
    LGC_NUMBER(call, sampleFraction) = samples;
    LGC_NUMBER(call, classFraction) = classes;
    LGC_NUMBER(call, loss) = weight * (samples * (rows + batch) + classes * byClass);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(distillation, StandardizeLogitsOp, StandardizeLogitsBackwardOp, StandardizedKlDivOp, DecoupledKdOp, CorrelationOp<false>,
                 CorrelationOp<true>, MultiLevelKdOp)
}  // namespace logitcore
