#include "memory.h"

namespace logitcore {
namespace {

// Multiples of 256; from 4096 on, eight to sixteen sizes a power of two, so that tensors of about the same size share blocks.
size_t classOf(size_t bytes) {
  size_t step = 256;
  while (step < bytes / 16) step *= 2;
  return bytes ? (bytes + step - 1) / step * step : step;
}

}  // namespace

void* DeviceMemory::allocate(size_t bytes, cudaError_t& error) {
  const size_t size = classOf(bytes);
  const std::lock_guard<std::mutex> lock(mutex_);
  void* block = nullptr;
  error = cudaSuccess;
  const auto found = free_.find(size);
  if (found != free_.end() && !found->second.empty()) {
    block = found->second.back();
    found->second.pop_back();
    cached_ -= size;
  } else {
    error = cudaMalloc(&block, size);
    if (error == cudaErrorMemoryAllocation && cached_ > 0) {
      giveBack();
      error = cudaMalloc(&block, size);
    }
    if (error != cudaSuccess) {
      // Asking takes it: the next launch is not blamed for it.
      cudaGetLastError();
      return nullptr;
    }
  }
  used_ += size;
  if (used_ > peak_) peak_ = used_;
  return block;
}

void DeviceMemory::release(void* block, size_t bytes) {
  const size_t size = classOf(bytes);
  const std::lock_guard<std::mutex> lock(mutex_);
  free_[size].push_back(block);
  used_ -= size;
  cached_ += size;
}

// Waits for the device, which may still work on these blocks.
void DeviceMemory::giveBack() {
  for (const auto& [size, blocks] : free_)
    for (void* block : blocks) cudaFree(block);
  free_.clear();
  cached_ = 0;
}

DeviceMemory::Report DeviceMemory::report() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return {used_, cached_, peak_};
}

}  // namespace logitcore
