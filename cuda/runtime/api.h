// CUDA's runtime, or what stands for it where there is no GPU.
#pragma once

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#else
#include "../emulate/runtime.h"
#endif
