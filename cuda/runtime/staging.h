// Host memory that the device copies to while the host does something else (pinned), each block with the event that ends its copy.
#pragma once
#include <mutex>
#include <vector>

#include "api.h"

namespace logitcore {

struct StagingBlock {
  void* data = nullptr;
  size_t bytes = 0;
  cudaEvent_t copied = nullptr;
};

class Staging {
 public:
  // Null with an error if there is none.
  StagingBlock* take(size_t bytes, cudaError_t& error);
  // After its copy has ended.
  void give(StagingBlock* block);

 private:
  std::mutex mutex_;
  std::vector<StagingBlock*> free_;
  size_t kept_ = 0;
};

}  // namespace logitcore
