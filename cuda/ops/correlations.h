// Products of the softmaxes of rows with each other, in double: near agreement the losses are small differences of large numbers.
#pragma once
#include "../../cpp/ops/distillation.h"
#include "../engine/flat.h"
#include "../engine/matrix.h"
#include "../engine/row_wide.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct SoftmaxRow {
  double scale;
  double* out;
  double* largest;  // probability of each row, or null
  LGC_DEVICE void operator()(Rows<1>& rows) const {
    const WideSoftmax p = wideSoftmaxOf(rows, 0, scale);
    double* row = out + rows.row * rows.shape.columns;
    eachColumn(rows, [&](int j, const float(&x)[1]) { row[j] = p.probability(static_cast<double>(x[0])); });
    if (largest && rows.leads()) largest[rows.row] = p.inverse;
  }
};

// A loss by the squares of products, put where it goes or added to what is there.
struct CorrelationLoss {
  PartialSums<1> squares[3];
  bool expanded;  // by all three
  double scale;
  double* to;
  bool adds;
  LGC_DEVICE void operator()() const {
    Team team = wholeBlock();
    double sums[3] = {};
    for (int k = 0; k < (expanded ? 3 : 1); ++k) {
      double total[1];
      squares[k].add(team, total);
      sums[k] = total[0];
    }
    if (!team.leads() || !to) return;
    const double loss = (expanded ? classSquares(sums[0], sums[1], sums[2]) : sums[0]) * scale;
    *to = adds ? *to + loss : loss;
  }
};

// The gradient of a row through its softmax: into the output, or added to what `total` has.
struct CorrelationGradient {
  const double *softmax, *slopes;
  size_t columns;
  double unit;
  const double* factor;  // null: 1
  void* out;
  Storage storage;
  double* total;
  LGC_DEVICE void operator()(size_t row, Team& team) const {
    const size_t start = row * columns;
    double mean = 0;
    for (size_t j = threadIdx.x; j < columns; j += kRowThreads) mean = fma(softmax[start + j], slopes[start + j], mean);
    mean = team.sum(mean);
    const double scale = factor ? unit * *factor : unit;
    for (size_t j = threadIdx.x; j < columns; j += kRowThreads) {
      const double d = softmax[start + j] * (slopes[start + j] - mean) * scale;
      if (total)
        total[start + j] += d;
      else
        writeOne(out, storage, start + j, static_cast<float>(d));
    }
  }
};

class Correlations {
 public:
  // `slopes`: gradients are wanted.
  Correlations(DeviceCall& call, bool slopes)
      : call_(call),
        n_(call.rows),
        c_(call.columns),
        student_(call.scratch<double>(n_ * c_)),
        teacher_(call.scratch<double>(n_ * c_)),
        own_(call.scratch<double>(n_ * n_)),
        other_(c_ > n_ ? call.scratch<double>(n_ * n_) : nullptr),
        slopes_(slopes ? call.scratch<double>(n_ * c_) : nullptr) {}

  void prepare(const void* student, const void* teacher, double temperature) {
    inverse_ = 1 / temperature;
    forRows<1>(call_, {student}, SoftmaxRow{inverse_, student_, nullptr});
    forRows<1>(call_, {teacher}, SoftmaxRow{inverse_, teacher_, nullptr});
  }

  // Both leave the slopes by the student's softmax.
  void batchLoss(double* to, bool adds) {
    product(student(), transposed(student()), n_, n_, c_, own_, 1, 0);
    product(teacher(), transposed(teacher()), n_, n_, c_, own_, -1, 1);
    if (slopes_) product(rowMajor<double>(own_, n_), student(), n_, c_, n_, slopes_, 1, 0);
    leave({{squares(own_, n_ * n_)}, false, scaleOf(n_), to, adds});
  }
  void classLoss(double* to, bool adds) {
    if (c_ <= n_) {
      product(transposed(student()), student(), c_, c_, n_, own_, 1, 0);
      product(transposed(teacher()), teacher(), c_, c_, n_, own_, -1, 1);
      if (slopes_) product(student(), rowMajor<double>(own_, c_), n_, c_, c_, slopes_, 1, 0);
      leave({{squares(own_, c_ * c_)}, false, scaleOf(c_), to, adds});
      return;
    }
    product(teacher(), transposed(teacher()), n_, n_, c_, own_, 1, 0);
    const PartialSums<1> ofTeacher = squares(own_, n_ * n_);
    product(student(), transposed(student()), n_, n_, c_, own_, 1, 0);
    product(student(), transposed(teacher()), n_, n_, c_, other_, 1, 0);
    if (slopes_) {
      product(rowMajor<double>(own_, n_), student(), n_, c_, n_, slopes_, 1, 0);
      product(rowMajor<double>(other_, n_), teacher(), n_, c_, n_, slopes_, -1, 1);
    }
    leave({{ofTeacher, squares(own_, n_ * n_), squares(other_, n_ * n_)}, true, scaleOf(c_), to, adds});
  }

  void writeGradient(void* out) { gradient(1, nullptr, out, nullptr); }
  void addGradient(double weight, const double* factor, double* total) { gradient(weight, factor, nullptr, total); }

 private:
  DeviceCall& call_;
  size_t n_, c_;
  double *student_, *teacher_, *own_, *other_, *slopes_;
  double inverse_ = 1, scale_ = 1;

  StridedOf<double> student() const { return rowMajor<double>(student_, c_); }
  StridedOf<double> teacher() const { return rowMajor<double>(teacher_, c_); }
  void product(const StridedOf<double>& a, const StridedOf<double>& b, size_t rows, size_t columns, size_t depth, double* to, double alpha,
               double beta) {
    multiply(call_, MatrixArgumentsOf<double>{a, b, to, rows, columns, depth, alpha, beta});
  }
  PartialSums<1> squares(const double* matrix, size_t count) { return sumPieces<1>(call_, count, Squares<double>{matrix}); }
  double scaleOf(size_t size) { return scale_ = 1 / static_cast<double>(size); }
  void leave(const CorrelationLoss& loss) { once(call_, loss); }
  void gradient(double weight, const double* factor, void* out, double* total) {
    forBlocks(call_, n_, CorrelationGradient{student_, slopes_, c_, 4 * scale_ * inverse_ * weight, factor, out, call_.storage, total});
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
