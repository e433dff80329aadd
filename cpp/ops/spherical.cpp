#include "spherical.h"

#include "../engine/family.h"
#include "../engine/row_sweeps.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct TaylorSoftmaxOp : TaylorSoftmax, RowSweepOp<TaylorSoftmax> {};
struct SphericalSoftmaxOp : SphericalSoftmax, RowSweepOp<SphericalSoftmax> {};

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(spherical, ZLoss, TaylorSoftmaxLoss, SphericalSoftmaxLoss, OneHotSquaredError, TaylorSoftmaxOp, SphericalSoftmaxOp)
}  // namespace logitcore
