// Compiles every row definition of cpp/ops as device code, so that "one definition" stays true. Nothing here is run: the CUDA
// engines that will call these definitions come on top.
#include "../cpp/ops/softmax.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// One row a thread: facts in, loss and coefficients out.
template <class D>
__global__ void evaluateRows(D d, const Facts<double>* facts, RowShape shape, int rows, double* losses, Coefficients<double>* out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= rows) return;
  using T = Dual<double, bitCount(D::needs)>;
  const T value = d.loss(statisticsOf<D::needs, T>(facts[i], shape));
  losses[i] = value.value;
  out[i] = coefficientsOf<D::needs, double>(value.partial, facts[i], shape, 0.0);
}

template __global__ void evaluateRows(CrossEntropy, const Facts<double>*, RowShape, int, double*, Coefficients<double>*);
template __global__ void evaluateRows(FocalLoss, const Facts<double>*, RowShape, int, double*, Coefficients<double>*);
template __global__ void evaluateRows(ZLossRegularizer, const Facts<double>*, RowShape, int, double*, Coefficients<double>*);
template __global__ void evaluateRows(LogSumExp, const Facts<double>*, RowShape, int, double*, Coefficients<double>*);
template __global__ void evaluateRows(GatherLogProbs, const Facts<double>*, RowShape, int, double*, Coefficients<double>*);

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
