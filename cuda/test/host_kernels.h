// The kernels of the CPU's addon, of its lowest level: what those of the device are compared with.
#pragma once
#include "../../cpp/engine/record.h"

namespace logitcore {

// Null if there is no such op.
const Kernels* hostKernels(const char* op);

}  // namespace logitcore
