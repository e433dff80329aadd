#include "../../cpp/ops/perceptron.h"
#include "../engine/crew.h"
#include "signs.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

struct Separation {
  int method;
  double stepSize, mostSteps;
  size_t n, d, pieces;  // of kSamplesOfPiece rows
  const float* features;
  Signs signs;
  double *theta, *margins, *weights, *partial;  // [d], [n], [n], [pieces, d]
  float* out;
  double *steps, *separated;

  LGC_DEVICE void operator()(Crew& crew) const {
    crew.eachIndex(d, [&](size_t j) { theta[j] = 0; });
    crew.sync();
    // With a label that is none there is nothing to find.
    const bool bad = crew.sum(n, [&](size_t i) { return isNan(signs.read(i)) ? 1.0 : 0.0; }) > 0;
    double step = 0, wrong = measure(crew);
    for (; !bad && wrong > 0 && step < mostSteps; ++step) {
      if (method == kPerceptron)
        one(crew);
      else
        all(crew, wrong, step == 0);
      wrong = measure(crew);
    }
    const double nan = __builtin_nan("");
    crew.eachIndex(d, [&](size_t j) { out[j] = static_cast<float>(bad ? nan : theta[j]); });
    if (!crew.leads()) return;
    give(steps, bad ? nan : step);
    give(separated, bad ? nan : wrong > 0 ? 0 : 1);
  }

 private:
  // How many samples are wrong.
  LGC_DEVICE double measure(Crew& crew) const {
    crew.eachRow(n, [&](size_t i, Team& lanes) {
      double sum = 0;
      for (size_t j = lanes.rank; j < d; j += kWarpLanes) sum = fma(static_cast<double>(features[i * d + j]), theta[j], sum);
      sum = lanes.sum(sum);
      if (lanes.leads()) margins[i] = sum * signs.read(i);
    });
    crew.sync();
    return crew.sum(n, [&](size_t i) { return isWrong(margins[i]) ? 1.0 : 0.0; });
  }
  LGC_DEVICE void one(Crew& crew) const {
    const size_t i = crew.largest(n, [&](size_t k) { return isWrong(margins[k]) ? 1.0 : 0.0; }).index;
    crew.eachIndex(d, [&](size_t j) { theta[j] = fma(signs.read(i), static_cast<double>(features[i * d + j]), theta[j]); });
    crew.sync();
  }
  LGC_DEVICE void all(Crew& crew, double wrong, bool first) const {
    const double count = static_cast<double>(n);
    const bool logistic = method == kNormalizedLogistic || method == kPlainLogistic;
    if (logistic) {
      Gates gates;
      if (method == kNormalizedLogistic) {
        const double top = logGate(-crew.largest(n, [&](size_t i) { return -margins[i]; }).value, 1.0);
        gates.normalize(top, crew.sum(n, [&](size_t i) { return exp(logGate(margins[i], 1.0) - top); }), n);
      }
      crew.eachIndex(
          n, [&](size_t i) { weights[i] = gates.weight(margins[i], 1, method == kNormalizedLogistic, 1.0 / count) * signs.read(i); });
    } else {
      const PerceptronShare rule(wrong, count, first, method == kNormalizedBatchPerceptron);
      crew.eachIndex(n, [&](size_t i) { weights[i] = rule.weight(margins[i], signs.read(i)); });
    }
    crew.sync();
    crew.eachIndex(pieces * d, [&](size_t item) {
      const size_t begin = item / d * kSamplesOfPiece, end = n - begin < kSamplesOfPiece ? n : begin + kSamplesOfPiece, j = item % d;
      double sum = 0;
      for (size_t i = begin; i < end; ++i)
        if (weights[i] != 0) sum = fma(static_cast<double>(features[i * d + j]), weights[i], sum);
      partial[item] = sum;
    });
    crew.sync();
    crew.eachIndex(d, [&](size_t j) {
      double sum = 0;
      for (size_t k = 0; k < pieces; ++k) sum += partial[k * d + j];
      theta[j] = fma(logistic ? stepSize : 1.0, sum, theta[j]);
    });
    crew.sync();
  }
};

struct SeparateOp : Separate {
  static void run(DeviceCall& call) {
    const size_t n = call.dims[static_cast<int>('n')], d = call.dims[static_cast<int>('d')],
                 pieces = (n + kSamplesOfPiece - 1) / kSamplesOfPiece;
    withCrew(call, n * d,
             Separation{static_cast<int>(LGC_OPTION(call, method)), LGC_OPTION(call, stepSize), LGC_OPTION(call, maxSteps), n, d, pieces,
                        LGC_INPUT(float, call, features), signsOf<Separate>(call), call.scratch<double>(d), call.scratch<double>(n),
                        call.scratch<double>(n), call.scratch<double>(pieces * d), LGC_OUTPUT(float, call, theta),
                        LGC_NUMBER_AT(call, steps), LGC_NUMBER_AT(call, separated)});
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_PART(perceptron, separate, SeparateOp)
}  // namespace logitcore
