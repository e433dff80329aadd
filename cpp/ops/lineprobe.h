// Cross-entropy along a line of logits z + tau a: definitions of one class. Source: Sao 2026, arXiv 2603.13552.
#pragma once
#include "../engine/definition.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// exp(d) - 1 - d, to the last digits also for small d.
template <class W> LGC_FN W expm1MinusArgument(W d) {
  const W one = broadcast<W>(1);
  W series = fma(d, broadcast<W>(static_cast<Scalar<W>>(1.0 / 7)), one);
  for (int k = 6; k >= 3; --k) series = fma(d * series, broadcast<W>(static_cast<Scalar<W>>(1.0 / k)), one);
  const W small = d * d * series * broadcast<W>(static_cast<Scalar<W>>(0.5));
  return select(abs(d) < broadcast<W>(static_cast<Scalar<W>>(0.01)), small, expm1(d) - d);
}

// (z_k - max) + tau a_k, where a masked class stays masked whatever its slope.
template <class W> LGC_FN W alongLine(W z, W top, W slope, W tau) {
  const W masked = broadcast<W>(-__builtin_huge_val());
  return select(z == masked, masked, fma(slope, tau, z - top));
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
