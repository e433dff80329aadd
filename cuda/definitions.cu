// Compiles every row and element definition of cpp/ops as device code, so that "one definition" stays true. Each kernel is the
// plainest engine there is, one thread a row or an element; nothing here is run. The definitions of a file of cpp/ops are listed
// once below; a definition that is missing is one that no CUDA engine can use yet.
#include "../cpp/ops/binary.h"
#include "../cpp/ops/distillation.h"
#include "../cpp/ops/divergence.h"
#include "../cpp/ops/heads.h"
#include "../cpp/ops/minillm.h"
#include "../cpp/ops/normalization.h"
#include "../cpp/ops/pair_divergence.h"
#include "../cpp/ops/radius.h"
#include "../cpp/ops/selection.h"
#include "../cpp/ops/softmax.h"
#include "../cpp/ops/spherical.h"
#include "../cpp/ops/stablemax.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// A loss of row statistics: facts in, loss and coefficients of the gradient out.
template <class D>
__global__ void statisticsRow(D d, const Facts<double>* facts, RowShape shape, int rows, double* losses, Coefficients<double>* out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= rows) return;
  using T = Dual<double, bitCount(D::needs)>;
  const T value = d.loss(statisticsOf<D::needs, T>(facts[i], shape));
  losses[i] = value.value;
  out[i] = coefficientsOf<D::needs, double>(value.partial, facts[i], shape, 0.0);
}

template <int S, class D> __device__ void sweepFrom(const D& d, typename D::Row& row, const Lane<float>* lanes_, int columns) {
  if constexpr (S < D::sweeps) {
    constexpr int sums = D::sums[S];
    double total[8] = {};
    for (int j = 0; j < columns; ++j) {
      float term[8];
      d.template terms<S>(row, lanes_[j], term);
      for (int k = 0; k < sums; ++k) total[k] += term[k];
    }
    d.template fold<S>(row, total);
    sweepFrom<S + 1>(d, row, lanes_, columns);
  }
}

// The general form: sums in sweeps, folded to row scalars, then a sweep that writes.
template <class D> __global__ void sweepRow(D d, const RowStart* starts, const Lane<float>* lanes_, int rows, int columns, float* out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= rows) return;
  typename D::Row row{};
  d.begin(row, starts[i]);
  const Lane<float>* mine = lanes_ + static_cast<size_t>(i) * columns;
  sweepFrom<0>(d, row, mine, columns);
  for (int j = 0; j < columns; ++j) {
    float written[kMaxOutputs] = {};
    d.write(row, mine[j], written);
    out[static_cast<size_t>(i) * columns + j] = written[0];
  }
}

template <class D> __global__ void element(D d, const float* x, const float* column, int count, float* losses, float* out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  float in[4] = {x[i], x[i], 0, 0}, columns[3] = {column[0], column[1], 1}, written[kMaxOutputs] = {};
  d.lane(in, columns, losses[i], written);
  out[i] = written[0];
}

// A pair of rows: facts in, values and slopes out.
template <class D> __global__ void pairRow(D d, const PairFacts<double>* facts, int rows, double* values, PairSlopes<double>* slopes) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= rows) return;
  double out[kMaxOutputs] = {};
  slopes[i] = d.fold(facts[i], out);
  values[i] = out[0];
}

#define LGC_STATISTICS(D) template __global__ void statisticsRow(D, const Facts<double>*, RowShape, int, double*, Coefficients<double>*);
#define LGC_SWEEPS(D) template __global__ void sweepRow(D, const RowStart*, const Lane<float>*, int, int, float*);
#define LGC_PAIRS(D) template __global__ void pairRow(D, const PairFacts<double>*, int, double*, PairSlopes<double>*);
#define LGC_ELEMENTS(D) template __global__ void element(D, const float*, const float*, int, float*, float*);

LGC_STATISTICS(CrossEntropy)
LGC_STATISTICS(FocalLoss)
LGC_STATISTICS(ZLossRegularizer)
LGC_STATISTICS(LogSumExp)
LGC_STATISTICS(LogSumExpBackward)
LGC_STATISTICS(GatherLogProbs)
LGC_STATISTICS(GatherLogProbsBackward)
LGC_STATISTICS(NllLoss)
LGC_STATISTICS(ZLoss)
LGC_STATISTICS(TaylorSoftmaxLoss)
LGC_STATISTICS(SphericalSoftmaxLoss)
LGC_STATISTICS(OneHotSquaredError)
LGC_SWEEPS(SoftmaxBackward<false>)
LGC_SWEEPS(SoftmaxBackward<true>)
LGC_SWEEPS(CrossEntropySoft)
LGC_SWEEPS(Entropy)
LGC_SWEEPS(KlDiv)
LGC_SWEEPS(JsDivergence)
LGC_SWEEPS(SymmetricKl)
LGC_SWEEPS(SkewKl)
LGC_SWEEPS(TotalVariation)
LGC_SWEEPS(TaylorSoftmax)
LGC_SWEEPS(SphericalSoftmax)
LGC_SWEEPS(StableMax)
LGC_SWEEPS(LogStableMax)
LGC_SWEEPS(StableMaxBackward)
LGC_SWEEPS(LogStableMaxBackward)
LGC_SWEEPS(StableMaxCrossEntropy)
LGC_SWEEPS(QkLayerNorm)
LGC_SWEEPS(QkLayerNormBackward)
LGC_SWEEPS(RmsRescale)
LGC_SWEEPS(RmsRescaleBackward)
LGC_SWEEPS(StandardizeLogits)
LGC_SWEEPS(StandardizeLogitsBackward)
LGC_SWEEPS(BinaryKl<false>)
LGC_SWEEPS(BinaryKl<true>)
LGC_SWEEPS(DhkdLoss)
LGC_PAIRS(StandardizedKlDiv)
LGC_PAIRS(DecoupledKd)
LGC_ELEMENTS(BceWithLogits)
LGC_ELEMENTS(SigmoidFocalLoss)
LGC_ELEMENTS(FiniteDifferenceJvp)
LGC_ELEMENTS(ActivationRadius)
LGC_ELEMENTS(MixturePolicyWeights)

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
