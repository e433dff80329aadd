// A checked call on device memory: what the addon hands to the kernels of cuda/engine, and what they ask of it. All work is put on one
// stream in the order of the calls; nothing here waits for the device.
#pragma once
#include <cstdint>

#include "../../cpp/dispatch/dispatch.h"
#include "gpu.h"

namespace logitcore {

// How arrays with a column dimension ("n,c" and "*,c") are stored. They are computed in float32, and so is all else that is real;
// rows' scalars are double in registers. Losses that are reduced to a number stay double.
enum class Storage : uint8_t { f32, bf16, f16 };

// What launches depend on, asked once a device.
struct DeviceFacts {
  size_t sharedBytes = 48 * 1024;  // that a block may ask for
  bool clusters = false;           // blocks that share their memory (compute capability 9.0)
};

struct DeviceCall : Call {
  Storage storage = Storage::f32;
  const DeviceFacts* device = nullptr;
  cudaStream_t stream = nullptr;
  // Where kernels leave what a check on the host would have thrown: (op + 1) << 32 | argument << 24 | 1, of the first that finds it.
  unsigned long long* fault = nullptr;
  uint32_t op = 0;
  double* numbers[kMaxOutputs] = {};  // on the device: scalar outputs, and reduced ones
  // Memory of this call, 256-byte aligned, which is free again for what is put on the stream after it; null, with outOfMemory set, if
  // there is none.
  void* (*allocate)(DeviceCall&, size_t bytes) = nullptr;
  cudaError_t failure = cudaSuccess;  // of the first launch that failed

  template <class T> T* scratch(size_t count) { return static_cast<T*>(allocate(*this, (count ? count : 1) * sizeof(T))); }
};

// Where an output that is one number goes, on the device; null if it is not asked for.
#define LGC_NUMBER_AT(call, name) ((call).numbers[::logitcore::Index<::logitcore::outputIndex(record, #name)>::value])
LGC_DEVICE void give(double* to, double x) {
  if (to) *to = x;
}

// As a kernel of the table of ops.
template <void (*run)(DeviceCall&)> void onDevice(Call& call) { run(static_cast<DeviceCall&>(call)); }

}  // namespace logitcore
