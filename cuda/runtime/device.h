// The one device of this process, its stream and its memory. Loading the addon asks nothing of CUDA; the first use does.
#pragma once
#include <string>

#include "memory.h"
#include "staging.h"

namespace logitcore {

struct Device {
  int ordinal = 0;
  cudaDeviceProp facts{};
  cudaStream_t stream = nullptr;
  DeviceMemory memory;
  Staging staging;

  // Null without a device that can be used; `reason` is then a sentence that says why, and what to do. LOGITCORE_CUDA_DEVICE chooses
  // among several.
  static Device* get(std::string& reason);
  // CUDA has a current device a thread, which another addon may have set.
  cudaError_t use() const { return cudaSetDevice(ordinal); }
};

// "13.0" of 13000.
std::string versionText(int version);

}  // namespace logitcore
