#include "../../cpp/ops/perceptron.h"
#include "../engine/flat.h"
#include "signs.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

struct LogitMargin {
  const float* logits;
  Signs signs;
  double* margins;
  LGC_DEVICE void operator()(size_t i) const { margins[i] = static_cast<double>(logits[i]) * signs.read(i); }
};

// ---- what follows from all margins

struct GateTerm {
  const double* margins;
  double sharpness;
  LGC_DEVICE void operator()(size_t i, double* t) const {
    t[0] = marginLoss(margins[i], sharpness);
    t[1] = isWrong(margins[i]) ? 1.0 : 0.0;
  }
};
struct StoreGates {
  Gates* gates;
  LGC_DEVICE void operator()(const double* sums) const {
    *gates = Gates();
    gates->lossSum = sums[0];
    gates->wrong = sums[1];
  }
};
// Log gates and their sum in pieces that keep their own maximum, so no gate underflows alone.
struct GatePieces {
  const double* margins;
  double sharpness;
  size_t n;
  double *tops, *sums;
  LGC_DEVICE void operator()(size_t piece, Team& team) const {
    const size_t begin = piece * kPiece, end = n - begin < kPiece ? n : begin + kPiece;
    PlacedValue<double> least{-kInfinity, 0};
    for (size_t i = begin + team.rank; i < end; i += team.size)
      if (-margins[i] > least.value) least.value = -margins[i];
    const double top = logGate(-team.largest(least).value, sharpness);
    double sum[1];
    sumEntries<1>(team, begin, end, sum, [&](size_t i, double* t) { t[0] = exp(logGate(margins[i], sharpness) - top); });
    if (!team.leads()) return;
    tops[piece] = top;
    sums[piece] = sum[0];
  }
};
struct JoinGates {
  size_t n, pieces;
  const double *tops, *sums;
  Gates* gates;
  LGC_DEVICE void operator()() const {
    const double top = largestRow(pieces, [&](size_t i) { return tops[i]; }).value;
    const double sum = sumRows(pieces, [&](size_t i) { return sums[i] * exp(tops[i] - top); });
    if (threadIdx.x == 0) gates->normalize(top, sum, n);
  }
};
// Null if memory ran out.
inline Gates* gatesOf(DeviceCall& call, const double* margins, size_t n, double sharpness, bool normalized) {
  Gates* gates = call.scratch<Gates>(1);
  if (!gates || !sumFlat<2>(call, n, GateTerm{margins, sharpness}, StoreGates{gates})) return nullptr;
  if (!normalized) return gates;
  const size_t pieces = piecesOf(n);
  double *tops = call.scratch<double>(pieces), *sums = call.scratch<double>(pieces);
  if (!tops || !sums) return nullptr;
  forBlocks(call, pieces, GatePieces{margins, sharpness, n, tops, sums});
  once(call, JoinGates{n, pieces, tops, sums, gates});
  return gates;
}

// Numbers that may be null.
struct GateNumbers {
  const Gates* gates;
  double divisor, n;
  double *loss, *wrong, *accuracy, *beta;
  LGC_DEVICE void operator()() const {
    if (threadIdx.x != 0) return;
    if (loss) *loss = gates->lossSum / divisor;
    if (wrong) *wrong = gates->wrong;
    if (accuracy) *accuracy = 1 - gates->wrong / n;
    if (beta) *beta = gates->beta;
  }
};
struct GateWeight {
  const Gates* gates;
  const double* margins;
  Signs signs;
  double sharpness, share;
  bool normalized;
  LGC_DEVICE double of(size_t i) const { return gates->weight(margins[i], sharpness, normalized, share) * signs.read(i); }
};

struct LogisticEntry {
  GateWeight weight;
  float *loss, *gradient;
  LGC_DEVICE void operator()(size_t i) const {
    if (loss) loss[i] = static_cast<float>(marginLoss(weight.margins[i], weight.sharpness));
    if (gradient) gradient[i] = static_cast<float>(-weight.of(i));
  }
};

struct BinaryLogisticLossOp : BinaryLogisticLoss {
  static void run(DeviceCall& call) {
    const size_t n = call.rows;
    const Signs signs = signsOf<BinaryLogisticLoss>(call);
    const double sharpness = LGC_OPTION(call, sharpness), count = static_cast<double>(n);
    const bool normalized = LGC_OPTION(call, normalized) != 0, mean = LGC_OPTION(call, reduction) == kReduceMean;
    float *loss = LGC_OUTPUT(float, call, loss), *gradient = LGC_OUTPUT(float, call, gradLogits);
    double* margins = call.scratch<double>(n);
    if (!margins) return;
    forIndices(call, n, LogitMargin{LGC_INPUT(float, call, logits), signs, margins});
    const Gates* gates = gatesOf(call, margins, n, sharpness, normalized);
    if (!gates) return;
    once(call, GateNumbers{gates, mean ? count : 1.0, count, LGC_NUMBER_AT(call, loss), nullptr, nullptr, LGC_NUMBER_AT(call, beta)});
    if (loss || gradient)
      forIndices(call, n, LogisticEntry{{gates, margins, signs, sharpness, mean ? 1.0 / count : 1.0, normalized}, loss, gradient});
  }
};

// ---- a linear model

struct MarginRow {
  const float* theta;
  Signs signs;
  double* margins;
  double* lengths;  // may be null
  LGC_DEVICE void operator()(Rows<1>& rows) const {
    double sums[2];
    sumColumnsWide(rows, sums, [&](int j, const float(&x)[1], double* t) {
      const double a = static_cast<double>(x[0]);
      t[0] = a * static_cast<double>(theta[j]);
      t[1] = a * a;
    });
    if (!rows.leads()) return;
    margins[rows.row] = sums[0] * signs.read(rows.row);
    if (lengths) lengths[rows.row] = sqrt(sums[1]);
  }
};

// sum_i weights_i a_i in pieces of rows; those of weight 0 are not read.
struct CombinePieces {
  const float* features;
  const double* weights;
  size_t n, d, across;
  double* partial;  // [pieces][d]
  LGC_DEVICE void operator()(size_t block, Team& team) const {
    const size_t piece = block / across, j = block % across * team.size + team.rank, begin = piece * kSamplesOfPiece;
    const size_t end = n - begin < kSamplesOfPiece ? n : begin + kSamplesOfPiece;
    if (j >= d) return;
    double sum = 0;
    for (size_t i = begin; i < end; ++i)
      if (weights[i] != 0) sum = fma(static_cast<double>(features[i * d + j]), weights[i], sum);
    partial[piece * d + j] = sum;
  }
};
struct Combined {
  const double* partial;
  size_t pieces, d;
  LGC_DEVICE double of(size_t j) const {
    double total = 0;
    for (size_t k = 0; k < pieces; ++k) total += partial[k * d + j];
    return total;
  }
};

// The data of a call with features. A call that has no memory for what it needs stops at its next kernel.
template <class D> struct LinearModel {
  DeviceCall& call;
  const float *features, *theta;
  Signs signs;
  size_t n, d;
  double *margins, *weights;
  explicit LinearModel(DeviceCall& k)
      : call(k),
        features(static_cast<const float*>(k.inputs[inputIndex(D::record, "features")])),
        theta(static_cast<const float*>(k.inputs[inputIndex(D::record, "theta")])),
        signs(signsOf<D>(k)),
        n(k.dims['n']),
        d(k.dims['d']),
        margins(k.scratch<double>(n)),
        weights(k.scratch<double>(n)) {}
  explicit operator bool() const { return margins && weights; }

  void measure(double* lengths = nullptr) { forRows<1>(call, n, d, {features}, MarginRow{theta, signs, margins, lengths}); }
  // Of the weights. Without a partial sum if memory ran out.
  Combined combine() {
    const size_t pieces = (n + kSamplesOfPiece - 1) / kSamplesOfPiece, across = (d + kRowThreads - 1) / kRowThreads;
    double* partial = call.scratch<double>(pieces * d);
    if (partial) forBlocks(call, pieces * across, CombinePieces{features, weights, n, d, across, partial});
    return {partial, pieces, d};
  }
};

struct StoreGateWeight {
  GateWeight weight;
  double* weights;
  LGC_DEVICE void operator()(size_t i) const { weights[i] = weight.of(i); }
};
struct NegativeSum {
  Combined sums;
  float* out;
  LGC_DEVICE void operator()(size_t j) const { out[j] = static_cast<float>(-sums.of(j)); }
};
struct StepTheta {
  Combined sums;
  double step;
  const float* theta;
  float* out;
  LGC_DEVICE void operator()(size_t j) const { out[j] = static_cast<float>(fma(step, sums.of(j), static_cast<double>(theta[j]))); }
};

// The numbers of a logistic loss with this sharpness, and minus its gradient if it is wanted. False if memory ran out.
template <class D>
bool logisticOf(LinearModel<D>& model, double sharpness, bool normalized, double* accuracy, bool wantsGradient, Combined& descent) {
  constexpr const Record& record = D::record;
  DeviceCall& call = model.call;
  model.measure();
  const double n = static_cast<double>(model.n);
  const Gates* gates = gatesOf(call, model.margins, model.n, sharpness, normalized);
  if (!gates) return false;
  once(call, GateNumbers{gates, n, n, LGC_NUMBER_AT(call, loss), LGC_NUMBER_AT(call, misclassified), accuracy, LGC_NUMBER_AT(call, beta)});
  if (!wantsGradient) return true;
  forIndices(call, model.n, StoreGateWeight{{gates, model.margins, model.signs, sharpness, 1.0 / n, normalized}, model.weights});
  descent = model.combine();
  return descent.partial != nullptr;
}

struct LogisticRegressionOp : LogisticRegression {
  static void run(DeviceCall& call) {
    LinearModel<LogisticRegression> model(call);
    if (!model) return;
    float* gradient = LGC_OUTPUT(float, call, gradTheta);
    Combined descent{};
    if (logisticOf(model, LGC_OPTION(call, sharpness), LGC_OPTION(call, normalized) != 0, LGC_NUMBER_AT(call, accuracy),
                   gradient != nullptr, descent) &&
        gradient)
      forIndices(call, model.d, NegativeSum{descent, gradient});
  }
};

struct LogisticGdStepOp : LogisticGdStep {
  static void run(DeviceCall& call) {
    LinearModel<LogisticGdStep> model(call);
    Combined descent{};
    if (model && logisticOf(model, 1, LGC_OPTION(call, normalized) != 0, nullptr, true, descent))
      forIndices(call, model.d, StepTheta{descent, LGC_OPTION(call, stepSize), model.theta, LGC_OUTPUT(float, call, theta)});
  }
};

struct WrongTerm {
  const double* margins;
  LGC_DEVICE void operator()(size_t i, double* t) const { t[0] = isWrong(margins[i]) ? 1.0 : 0.0; }
};
struct StoreNumber {
  double* number;
  LGC_DEVICE void operator()(const double* sum) const { *number = sum[0]; }
};
struct PerceptronWeight {
  const double *wrong, *margins;
  Signs signs;
  double n;
  bool first, normalized;
  double* weights;
  LGC_DEVICE void operator()(size_t i) const {
    weights[i] = PerceptronShare(*wrong, n, first, normalized).weight(margins[i], signs.read(i));
  }
};

struct BatchPerceptronStepOp : BatchPerceptronStep {
  static void run(DeviceCall& call) {
    LinearModel<BatchPerceptronStep> model(call);
    if (!model) return;
    model.measure();
    double* wrong = LGC_NUMBER_AT(call, misclassified);
    if (!sumFlat<1>(call, model.n, WrongTerm{model.margins}, StoreNumber{wrong})) return;
    forIndices(call, model.n,
               PerceptronWeight{wrong, model.margins, model.signs, static_cast<double>(model.n), LGC_OPTION(call, first) != 0,
                                LGC_OPTION(call, normalized) != 0, model.weights});
    const Combined sums = model.combine();
    if (sums.partial) forIndices(call, model.d, StepTheta{sums, 1, model.theta, LGC_OUTPUT(float, call, theta)});
  }
};

// The given sample if it is wrong, else the first that is; -1 if there is none.
struct ChooseWrong {
  size_t n;
  const double* margins;
  double given;  // below 0: none
  double* chosen;
  LGC_DEVICE void operator()() const {
    const PlacedValue<double> first = largestRow(n, [&](size_t i) { return isWrong(margins[i]) ? 1.0 : 0.0; });
    if (threadIdx.x != 0) return;
    if (given < 0)
      *chosen = first.value > 0 ? static_cast<double>(first.index) : -1.0;
    else
      *chosen = isWrong(margins[static_cast<size_t>(given)]) ? given : -1.0;
  }
};
struct AddSample {
  const double* chosen;
  const float* features;
  Signs signs;
  size_t d;
  const float* theta;
  float* out;
  LGC_DEVICE void operator()(size_t j) const {
    double x = static_cast<double>(theta[j]);
    if (*chosen >= 0) {
      const size_t i = static_cast<size_t>(*chosen);
      x = fma(signs.read(i), static_cast<double>(features[i * d + j]), x);
    }
    out[j] = static_cast<float>(x);
  }
};

struct PerceptronStepOp : PerceptronStep {
  static void run(DeviceCall& call) {
    LinearModel<PerceptronStep> model(call);
    if (!model) return;
    model.measure();
    double* chosen = LGC_NUMBER_AT(call, index);
    if (!sumFlat<1>(call, model.n, WrongTerm{model.margins}, StoreNumber{LGC_NUMBER_AT(call, misclassified)})) return;
    once(call, ChooseWrong{model.n, model.margins, LGC_GIVEN(call, index) ? LGC_OPTION(call, index) : -1.0, chosen});
    forIndices(call, model.d, AddSample{chosen, model.features, model.signs, model.d, model.theta, LGC_OUTPUT(float, call, theta)});
  }
};

struct Separation {
  SeparationStats rule;
  size_t n, d;
  const double *margins, *lengths;
  const float* theta;
  double *margin, *radius, *wrong, *accuracy, *perceptron, *batchPerceptron, *normalized;
  LGC_DEVICE void operator()() const {
    const double least = -largestOrNan(n, [&](size_t i) { return -margins[i]; }),
                 longest = largestOrNan(n, [&](size_t i) { return lengths[i]; });
    const double missed = static_cast<double>(countRows(n, [&](size_t i) { return isWrong(margins[i]); }));
    const double norm = sqrt(sumRows(d, [&](size_t j) { return static_cast<double>(theta[j]) * static_cast<double>(theta[j]); }));
    if (threadIdx.x != 0) return;
    const double count = static_cast<double>(n);
    const SeparationStats::Bounds found = rule.bounds(least, norm, longest, count);
    *margin = found.margin;
    *radius = longest;
    *wrong = missed;
    *accuracy = 1 - missed / count;
    *perceptron = found.perceptron;
    *batchPerceptron = found.batchPerceptron;
    *normalized = found.normalized;
  }
};
struct SeparationStatsOp : SeparationStats {
  static void run(DeviceCall& call) {
    LinearModel<SeparationStats> model(call);
    if (!model) return;
    model.measure(model.weights);
    storeAs(call, model.margins, model.n, LGC_OUTPUT(float, call, margins));
    once(call,
         Separation{SeparationStats(call), model.n, model.d, model.margins, model.weights, model.theta, LGC_NUMBER_AT(call, minMargin),
                    LGC_NUMBER_AT(call, radius), LGC_NUMBER_AT(call, misclassified), LGC_NUMBER_AT(call, accuracy),
                    LGC_NUMBER_AT(call, perceptronBound), LGC_NUMBER_AT(call, batchPerceptronBound), LGC_NUMBER_AT(call, normalizedBound)});
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(perceptron, BinaryLogisticLossOp, LogisticRegressionOp, LogisticGdStepOp, BatchPerceptronStepOp, PerceptronStepOp,
                        SeparationStatsOp)
}  // namespace logitcore
