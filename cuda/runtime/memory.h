// Memory of the device. A block that is given back is given out again to whatever is put on the stream next, without waiting for the
// device: all work is on one stream. So it may be given back as soon as its last use has been put there.
#pragma once
#include <map>
#include <mutex>
#include <vector>

#include "api.h"

namespace logitcore {

class DeviceMemory {
 public:
  struct Report {
    size_t used, cached, peak;  // bytes: given out, kept for the next, most given out at once
  };

  // 256-byte aligned. Null if there is none: cudaErrorMemoryAllocation, or what else the device has against it.
  void* allocate(size_t bytes, cudaError_t& error);
  // `bytes` as it was asked for.
  void release(void* block, size_t bytes);
  Report report();

 private:
  void giveBack();

  std::mutex mutex_;
  std::map<size_t, std::vector<void*>> free_;  // by size
  size_t used_ = 0, cached_ = 0, peak_ = 0;
};

}  // namespace logitcore
