// For what iterates: the blocks of one cluster go through all iterations together, so that the device finds out itself when to stop. A warp
// has a row at a time and a thread an index, and what is a sum over all each block works out for itself: how many blocks there are does
// not show in the result.
#pragma once
#include "matrix.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr unsigned kCrewThreads = kTileThreads;
constexpr size_t kTeamBytes = (sizeof(TeamRoom) + 127) / 128 * 128;

class Crew {
 public:
  LGC_DEVICE explicit Crew(unsigned blocks)
      : blocks_(blocks),
        block_(blocks > 1 ? clusterRank() : 0),
        own_(kCrewThreads, 1, reinterpret_cast<TeamRoom*>(sharedMemory())),
        lanes_(kWarpLanes, 1, nullptr) {}

  LGC_DEVICE bool leads() const { return block_ == 0 && own_.leads(); }
  // What all have written, all may read.
  LGC_DEVICE void sync() const {
    if (blocks_ > 1)
      syncCluster();
    else
      __syncthreads();
  }
  template <class F> LGC_DEVICE void eachIndex(size_t count, F&& f) const {
    for (size_t i = static_cast<size_t>(block_) * kCrewThreads + threadIdx.x; i < count; i += static_cast<size_t>(blocks_) * kCrewThreads)
      f(i);
  }
  // f(i, lanes), of which the lane that leads may write.
  template <class F> LGC_DEVICE void eachRow(size_t count, F&& f) {
    constexpr unsigned warps = kCrewThreads / kWarpLanes;
    for (size_t i = static_cast<size_t>(block_) * warps + threadIdx.x / kWarpLanes; i < count; i += static_cast<size_t>(blocks_) * warps)
      f(i, lanes_);
  }
  // The sum of term(i), which every thread gets.
  template <class F> LGC_DEVICE double sum(size_t count, F&& term) {
    double total = 0;
    for (size_t i = threadIdx.x; i < count; i += kCrewThreads) total += term(i);
    return own_.sum(total);
  }
  // The largest value(i), and the first place where it stands. NaN is passed over.
  template <class F> LGC_DEVICE PlacedValue<double> largest(size_t count, F&& value) {
    PlacedValue<double> top{-kInfinity, 0xffffffffu};
    for (size_t i = threadIdx.x; i < count; i += kCrewThreads) {
      const double x = value(i);
      if (x > top.value) top = {x, static_cast<unsigned>(i)};
    }
    return own_.largest(top);
  }
  // Two products of one size.
  LGC_DEVICE void multiply(const MatrixArgumentsOf<double> (&m)[2]) const {
    MatrixRoom<double>& room = *reinterpret_cast<MatrixRoom<double>*>(sharedMemory() + kTeamBytes);
    const size_t tiles = tilesOf(m[0]);
    for (size_t t = block_; t < 2 * tiles; t += blocks_) multiplyTile(m[t / tiles], t % tiles, room);
  }

 private:
  unsigned blocks_, block_;
  Team own_, lanes_;
};

// task(crew). No kernel beside it wants its registers.
template <class Task> LGC_ROW_KERNEL(1) void taskCrew(LGC_ARGUMENT Task task, unsigned blocks) {
  Crew crew(blocks);
  task(crew);
}
// `work`: entries of an iteration. Few have nothing to do for several blocks.
constexpr size_t kWorkOfBlock = 4096;
template <class Task> void withCrew(DeviceCall& call, size_t work, const Task& task) {
  const unsigned blocks = call.device->clusters && work > kWorkOfBlock ? 8 : 1;
  launch(call, {blocks, kCrewThreads, kTeamBytes + sizeof(MatrixRoom<double>), blocks}, taskCrew<Task>, task, blocks);
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
