// Gromov-Wasserstein energies of two graphs, given by matrices C and D, in double. Sources: Peyre, Cuturi, Solomon 2016; Memoli 2011.
#pragma once
#include "../engine/definition.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

enum GwLoss { kGwSquare = 0, kGwKl = 1, kGwAbs = 2 };

// The loss as f1(a) + f2(b) - factor h1(a) h2(b), with h1(a) = a: (a - b)^2, or a log(a / b) - a + b.
template <class W> LC_FN W gwFirst(W a, bool kl) { return kl ? select(a == broadcast<W>(0), broadcast<W>(0), a * log(a) - a) : a * a; }
template <class W> LC_FN W gwSecond(W b, bool kl) { return kl ? b : b * b; }
template <class W> LC_FN W gwCross(W b, bool kl) { return kl ? log(b) : b; }

template <class W> LC_FN W signOf(W x) {
  const W zero = broadcast<W>(0);
  return select(x > zero, broadcast<W>(1), select(x < zero, broadcast<W>(-1), x));
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
