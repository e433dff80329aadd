#include "staging.h"

namespace logitcore {
namespace {

// Pinning takes longer than copying, so blocks are kept; but what is pinned is lost to all other programs.
constexpr size_t kMostKept = size_t{256} << 20;

void destroy(StagingBlock* block) {
  if (block->copied) cudaEventDestroy(block->copied);
  if (block->data) cudaFreeHost(block->data);
  delete block;
}

}  // namespace

StagingBlock* Staging::take(size_t bytes, cudaError_t& error) {
  size_t size = 4096;
  while (size < bytes) size *= 2;
  error = cudaSuccess;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (size_t i = free_.size(); i-- > 0;)
      if (free_[i]->bytes == size) {
        StagingBlock* block = free_[i];
        free_.erase(free_.begin() + static_cast<std::ptrdiff_t>(i));
        kept_ -= size;
        return block;
      }
  }
  auto* block = new StagingBlock;
  block->bytes = size;
  error = cudaMallocHost(&block->data, size);
  if (error == cudaSuccess) error = cudaEventCreateWithFlags(&block->copied, cudaEventBlockingSync | cudaEventDisableTiming);
  if (error == cudaSuccess) return block;
  cudaGetLastError();
  destroy(block);
  return nullptr;
}

void Staging::give(StagingBlock* block) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (kept_ + block->bytes <= kMostKept) {
      kept_ += block->bytes;
      free_.push_back(block);
      return;
    }
  }
  destroy(block);
}

}  // namespace logitcore
