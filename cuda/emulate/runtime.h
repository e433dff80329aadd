// The part of CUDA's runtime that this library uses, on the CPU: device memory is host memory and a stream has done its work when a
// call returns. Names, values and errors are CUDA's. What a test may want to be otherwise is asked of the environment at each call:
//   LOGITCORE_CUDA_EMULATED_MEMORY   bytes of the device
//   LOGITCORE_CUDA_EMULATED_DRIVER   version of the driver (13000 is 13.0); 0: there is none
//   LOGITCORE_CUDA_EMULATED_DEVICES  0: there is no device
#pragma once
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

enum cudaError {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorNoKernelImageForDevice = 209,
  cudaErrorNotReady = 600,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchOutOfResources = 701,
  cudaErrorLaunchFailure = 719,
  cudaErrorUnknown = 999
};
typedef enum cudaError cudaError_t;
enum cudaMemcpyKind {
  cudaMemcpyHostToHost = 0,
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost = 2,
  cudaMemcpyDeviceToDevice = 3,
  cudaMemcpyDefault = 4
};
typedef struct CUstream_st* cudaStream_t;
typedef struct CUevent_st* cudaEvent_t;
struct CUstream_st {
  unsigned flags;
};
struct CUevent_st {
  unsigned flags;
  std::chrono::steady_clock::time_point at;  // work has been done when it is put on a stream
};
enum : unsigned { cudaStreamDefault = 0, cudaStreamNonBlocking = 1 };
enum : unsigned { cudaEventDefault = 0, cudaEventBlockingSync = 1, cudaEventDisableTiming = 2 };

struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem;
  size_t sharedMemPerBlock;
  size_t sharedMemPerBlockOptin;
  int major, minor;
  int multiProcessorCount;
  int l2CacheSize;
  int warpSize;
  int maxThreadsPerBlock;
};

namespace logitcore_emulated {

constexpr int kRuntimeVersion = 13000;
// Before each block of device memory stands its size.
constexpr size_t kAlignment = 256;

inline std::atomic<size_t> used{0};
inline thread_local cudaError_t lastError = cudaSuccess;

inline cudaError_t report(cudaError_t error) {
  if (error != cudaSuccess) lastError = error;
  return error;
}
inline unsigned long long setting(const char* name, unsigned long long otherwise) {
  const char* text = std::getenv(name);
  return text && *text ? std::strtoull(text, nullptr, 10) : otherwise;
}
inline size_t memory() { return setting("LOGITCORE_CUDA_EMULATED_MEMORY", 4ull << 30); }
inline int driver() { return static_cast<int>(setting("LOGITCORE_CUDA_EMULATED_DRIVER", kRuntimeVersion)); }

}  // namespace logitcore_emulated

inline const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorInsufficientDriver: return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorNoKernelImageForDevice: return "no kernel image is available for execution on the device";
    case cudaErrorNotReady: return "device not ready";
    case cudaErrorIllegalAddress: return "an illegal memory access was encountered";
    case cudaErrorLaunchOutOfResources: return "too many resources requested for launch";
    case cudaErrorLaunchFailure: return "unspecified launch failure";
    default: return "unknown error";
  }
}
inline cudaError_t cudaPeekAtLastError() { return logitcore_emulated::lastError; }
inline cudaError_t cudaGetLastError() {
  const cudaError_t error = logitcore_emulated::lastError;
  logitcore_emulated::lastError = cudaSuccess;
  return error;
}

inline cudaError_t cudaDriverGetVersion(int* version) {
  *version = logitcore_emulated::driver();
  return cudaSuccess;
}
inline cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = logitcore_emulated::kRuntimeVersion;
  return cudaSuccess;
}
inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  if (logitcore_emulated::driver() < logitcore_emulated::kRuntimeVersion) return logitcore_emulated::report(cudaErrorInsufficientDriver);
  if (!logitcore_emulated::setting("LOGITCORE_CUDA_EMULATED_DEVICES", 1)) return logitcore_emulated::report(cudaErrorNoDevice);
  *count = 1;
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int device) { return logitcore_emulated::report(device == 0 ? cudaSuccess : cudaErrorInvalidDevice); }
inline cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* facts, int device) {
  if (!facts || device != 0) return logitcore_emulated::report(facts ? cudaErrorInvalidDevice : cudaErrorInvalidValue);
  *facts = {};
  std::snprintf(facts->name, sizeof facts->name, "emulated on the CPU");
  facts->totalGlobalMem = logitcore_emulated::memory();
  facts->sharedMemPerBlock = 48 * 1024;
  facts->sharedMemPerBlockOptin = 227 * 1024;
  facts->major = 9;
  facts->multiProcessorCount = 2;
  facts->l2CacheSize = 16 * 1024;
  facts->warpSize = 32;
  facts->maxThreadsPerBlock = 1024;
  return cudaSuccess;
}
inline cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }

inline cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  using namespace logitcore_emulated;
  if (!pointer) return report(cudaErrorInvalidValue);
  *pointer = nullptr;
  if (bytes == 0) return cudaSuccess;
  const size_t total = memory();
  size_t before = used.load();
  do {
    if (before > total || bytes > total - before) return report(cudaErrorMemoryAllocation);
  } while (!used.compare_exchange_weak(before, before + bytes));
  void* block = nullptr;
  if (posix_memalign(&block, kAlignment, kAlignment + bytes) != 0) {
    used -= bytes;
    return report(cudaErrorMemoryAllocation);
  }
  *static_cast<size_t*>(block) = bytes;
  *pointer = static_cast<char*>(block) + kAlignment;
  return cudaSuccess;
}
template <class T> cudaError_t cudaMalloc(T** pointer, size_t bytes) { return cudaMalloc(reinterpret_cast<void**>(pointer), bytes); }
inline cudaError_t cudaFree(void* pointer) {
  if (!pointer) return cudaSuccess;
  char* block = static_cast<char*>(pointer) - logitcore_emulated::kAlignment;
  logitcore_emulated::used -= *reinterpret_cast<size_t*>(block);
  std::free(block);
  return cudaSuccess;
}
inline cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = logitcore_emulated::memory();
  const size_t used = logitcore_emulated::used;
  *free = used < *total ? *total - used : 0;
  return cudaSuccess;
}
inline cudaError_t cudaMallocHost(void** pointer, size_t bytes) {
  if (!pointer) return logitcore_emulated::report(cudaErrorInvalidValue);
  *pointer = nullptr;
  if (posix_memalign(pointer, 4096, bytes ? bytes : 1) == 0) return cudaSuccess;
  return logitcore_emulated::report(cudaErrorMemoryAllocation);
}
template <class T> cudaError_t cudaMallocHost(T** pointer, size_t bytes) {
  return cudaMallocHost(reinterpret_cast<void**>(pointer), bytes);
}
inline cudaError_t cudaFreeHost(void* pointer) {
  std::free(pointer);
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t) {
  if (bytes && (!to || !from)) return logitcore_emulated::report(cudaErrorInvalidValue);
  if (bytes) std::memmove(to, from, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}
inline cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t) {
  if (bytes && !to) return logitcore_emulated::report(cudaErrorInvalidValue);
  if (bytes) std::memset(to, value, bytes);
  return cudaSuccess;
}

inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  *stream = new CUstream_st{flags};
  return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaStreamQuery(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = new CUevent_st{flags, {}};
  return cudaSuccess;
}
inline cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }
inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t = nullptr) {
  event->at = std::chrono::steady_clock::now();
  return cudaSuccess;
}
inline cudaError_t cudaEventQuery(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  *milliseconds = std::chrono::duration<float, std::milli>(end->at - start->at).count();
  return cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
