#include "device.h"

#include <cstdlib>

namespace logitcore {
namespace {

struct Found {
  Device* device = nullptr;
  std::string reason;
};

std::string whyNot(cudaError_t error) {
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  if (driver == 0) return "there is no NVIDIA driver: install one that supports CUDA " + versionText(runtime) + " (version 580 or later)";
  if (error == cudaErrorInsufficientDriver)
    return "the NVIDIA driver supports CUDA " + versionText(driver) + ", but CUDA " + versionText(runtime) +
           " is needed: update the driver (version 580 or later)";
  if (error == cudaErrorNoDevice)
    return "there is no NVIDIA GPU that this process can see: look at the output of nvidia-smi, and at CUDA_VISIBLE_DEVICES";
  return std::string("CUDA does not start (") + cudaGetErrorString(error) + "): look at the output of nvidia-smi";
}

Found find() {
  Found found;
  int count = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count == 0) error = cudaErrorNoDevice;
  if (error != cudaSuccess) {
    found.reason = whyNot(error);
    return found;
  }
  long ordinal = 0;
  if (const char* text = std::getenv("LOGITCORE_CUDA_DEVICE")) {
    char* end = nullptr;
    ordinal = std::strtol(text, &end, 10);
    if (!*text || *end || ordinal < 0 || ordinal >= count) {
      found.reason = std::string("LOGITCORE_CUDA_DEVICE is '") + text + "': set it to the number of a device, 0.." +
                     std::to_string(count - 1) + ", or not at all";
      return found;
    }
  }
  auto* device = new Device;
  device->ordinal = static_cast<int>(ordinal);
  error = device->use();
  if (error == cudaSuccess) error = cudaGetDeviceProperties(&device->facts, device->ordinal);
  if (error == cudaSuccess && device->facts.major < 8) {
    found.reason = std::string(device->facts.name) + " has compute capability " + std::to_string(device->facts.major) + "." +
                   std::to_string(device->facts.minor) + ": use a GPU with 8.0 (Ampere) or more";
  } else {
    if (error == cudaSuccess) error = cudaStreamCreateWithFlags(&device->stream, cudaStreamNonBlocking);
    if (error != cudaSuccess) found.reason = whyNot(error);
  }
  if (found.reason.empty())
    found.device = device;
  else
    delete device;
  return found;
}

}  // namespace

std::string versionText(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

Device* Device::get(std::string& reason) {
  // Never destroyed: finalizers and threads may come after the end of main.
  static const Found* const found = new Found(find());
  reason = found->reason;
  return found->device;
}

}  // namespace logitcore
