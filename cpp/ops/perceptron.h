// Binary logistic loss and gate of a margin. Source: Tyurin 2024, arXiv 2412.08424.
#pragma once
#include "../engine/definition.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// softplus(-t m) / t, and its slope without the sign: sigma(-t m). For t to infinity the perceptron loss max(0, -m) and its step.
template <class W> LGC_FN W marginLoss(W margin, W sharpness) { return softplus(-(margin * sharpness)) / sharpness; }
template <class W> LGC_FN W marginGate(W margin, W sharpness) { return sigmoid(-(margin * sharpness)); }
// log sigma(-t m), which stays finite where the gate underflows.
template <class W> LGC_FN W logGate(W margin, W sharpness) { return -softplus(margin * sharpness); }

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
