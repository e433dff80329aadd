// The threads that work on one row: a part of a warp, a block, or the blocks of a cluster. What they find is added up in one fixed order.
#pragma once
#include "gpu.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr unsigned kWarpLanes = 32, kMostTeam = 512, kMostSums = 12;
// Of a block that has a long row: several such blocks share a multiprocessor, one reads while another sweeps.
constexpr unsigned kRowThreads = 256;
// Of a cluster, that every device with clusters has.
constexpr unsigned kMostBlocks = 8;

#if defined(__CUDACC__)
LGC_FN constexpr bool inKernel() {
#if defined(__CUDA_ARCH__)
  return true;
#else
  return false;
#endif
}
LGC_DEVICE char* sharedMemory() {
  extern __shared__ __align__(128) char dynamicShared[];
  return dynamicShared;
}
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
LGC_DEVICE unsigned clusterRank() {
  unsigned rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
LGC_DEVICE void syncCluster() { asm volatile("barrier.cluster.arrive.aligned;\n\tbarrier.cluster.wait.aligned;" ::: "memory"); }
template <class T> LGC_DEVICE T readPeer(const T* mine, unsigned rank) {
  return *static_cast<const T*>(__cluster_map_shared_rank(mine, rank));
}
#else
// Not launched in clusters.
LGC_DEVICE unsigned clusterRank() { return 0; }
LGC_DEVICE void syncCluster() {}
template <class T> LGC_DEVICE T readPeer(const T* mine, unsigned) { return *mine; }
#endif
#else
inline bool inKernel() { return ::emulate::inKernel(); }
inline char* sharedMemory() { return ::emulate::self().block->shared; }
inline unsigned clusterRank() { return ::emulate::self().block->rank; }
inline void syncCluster() { ::emulate::Machine::of().wait(::emulate::Machine::of().clusterBarrier); }
template <class T> inline T readPeer(const T* mine, unsigned rank) {
  const ::emulate::Block &own = *::emulate::self().block, &peer = ::emulate::Machine::of().blocks[rank];
  return *reinterpret_cast<const T*>(peer.shared + (reinterpret_cast<const char*>(mine) - own.shared));
}
#endif

// A number and where it stands.
template <class V> struct PlacedValue {
  V value;
  unsigned index;
};
using Placed = PlacedValue<float>;

// What warps, and blocks of a cluster, tell each other. Two of each: a sum may begin while others still read the one before.
struct TeamRoom {
  double warps[2][kMostTeam / kWarpLanes][kMostSums];
  double blocks[2][kMostSums];
};

class Team {
 public:
  unsigned size, rank;     // threads of a block that share the row, and which this is
  unsigned blocks, block;  // of the cluster

  LGC_DEVICE Team(unsigned teamSize, unsigned clusterSize, TeamRoom* room)
      : size(teamSize), rank(threadIdx.x % teamSize), blocks(clusterSize), block(clusterSize > 1 ? clusterRank() : 0), room_(room) {}

  LGC_DEVICE bool leads() const { return rank == 0; }
  // For what a thread of the block wrote to shared memory.
  LGC_DEVICE void sync() const {
    if (size > kWarpLanes)
      __syncthreads();
    else
      __syncwarp();
  }
  // Before a block ends whose memory others may still read.
  LGC_DEVICE void leave() const {
    if (blocks > 1) syncCluster();
  }

  // Every thread gets the sums.
  template <int N> LGC_DEVICE void sum(double (&v)[N]) {
    combine(v, 0.0, [](double a, double b) { return a + b; });
  }
  LGC_DEVICE double sum(double x) {
    double v[1] = {x};
    sum(v);
    return v[0];
  }

  // Every thread gets the largest of each. A NaN is none of them.
  template <int N> LGC_DEVICE void most(double (&v)[N]) {
    combine(v, -__builtin_huge_val(), [](double a, double b) { return b > a || a != a ? b : a; });
  }
  LGC_DEVICE double most(double x) {
    double v[1] = {x};
    most(v);
    return v[0];
  }

  // Whether a thread of a team says so that has to take the same way as this: the teams of a warp meet in their sums. All of a larger team
  // say the same.
  LGC_DEVICE bool any(bool said) const {
    if (size > kWarpLanes) return said;
    int all = said;
    for (unsigned o = kWarpLanes / 2; o > 0; o /= 2) all |= __shfl_xor_sync(0xffffffffu, all, static_cast<int>(o));
    return all != 0;
  }

  // The largest value, and the first place where it stands.
  template <class V> LGC_DEVICE PlacedValue<V> largest(PlacedValue<V> p) {
    p = largestAcross(p, size < kWarpLanes ? size : kWarpLanes);
    if (size > kWarpLanes) {
      double(*const warps)[kMostSums] = room_->warps[turn_];
      if (rank % kWarpLanes == 0) store(warps[rank / kWarpLanes], p);
      __syncthreads();
      p = largestOf<V>(kMostTeam / kWarpLanes, size / kWarpLanes, [&](unsigned w, int i) { return warps[w][i]; });
    }
    if (blocks > 1) {
      double* const mine = room_->blocks[turn_];
      if (rank == 0) store(mine, p);
      syncCluster();
      p = largestOf<V>(kMostBlocks, blocks, [&](unsigned b, int i) { return readPeer(&mine[i], b); });
    }
    turn_ ^= 1;
    return p;
  }

  template <class V> LGC_DEVICE static PlacedValue<V> larger(PlacedValue<V> a, PlacedValue<V> b) {
    if (b.value > a.value || (b.value == a.value && b.index < a.index)) return b;
    return a;
  }

 private:
  TeamRoom* room_;
  unsigned turn_ = 0;

  template <int N, class F> LGC_DEVICE void combine(double (&v)[N], double none, F&& both) {
    static_assert(N <= static_cast<int>(kMostSums), "more numbers than there is room for");
    for (unsigned o = (size < kWarpLanes ? size : kWarpLanes) / 2; o > 0; o /= 2)
      for (int k = 0; k < N; ++k) v[k] = both(v[k], __shfl_xor_sync(0xffffffffu, v[k], static_cast<int>(o)));
    if (size > kWarpLanes) {
      double(*const warps)[kMostSums] = room_->warps[turn_];
      if (rank % kWarpLanes == 0)
        for (int k = 0; k < N; ++k) warps[rank / kWarpLanes][k] = v[k];
      __syncthreads();
      const auto read = [&](unsigned w, int k) { return warps[w][k]; };
      if (size <= kRowThreads)
        join<kRowThreads / kWarpLanes>(v, size / kWarpLanes, none, read, both);
      else
        join<kMostTeam / kWarpLanes>(v, size / kWarpLanes, none, read, both);
    }
    if (blocks > 1) {
      double* const mine = room_->blocks[turn_];
      if (rank == 0)
        for (int k = 0; k < N; ++k) mine[k] = v[k];
      syncCluster();
      join<kMostBlocks>(
          v, blocks, none, [&](unsigned b, int k) { return readPeer(&mine[k], b); }, both);
    }
    turn_ ^= 1;
  }
  // What `count` warps or blocks have found, of at most M. Every warp does it, each lane for one of them and one of the numbers, so that
  // all threads have the numbers without another barrier.
  template <unsigned M, int N, class R, class F>
  LGC_DEVICE static void join(double (&v)[N], unsigned count, double none, const R& read, const F& both) {
    constexpr int atOnce = static_cast<int>(kWarpLanes / M);
    const unsigned lane = threadIdx.x % kWarpLanes, from = lane % M;
    LGC_UNROLL
    for (int first = 0; first < N; first += atOnce) {
      const int k = first + static_cast<int>(lane / M);
      double x = from < count && k < N ? read(from, k) : none;
      LGC_UNROLL
      for (unsigned o = M / 2; o > 0; o /= 2) x = both(x, __shfl_xor_sync(0xffffffffu, x, static_cast<int>(o)));
      LGC_UNROLL
      for (int i = 0; i < atOnce; ++i)
        if (first + i < N) v[first + i] = __shfl_sync(0xffffffffu, x, i * static_cast<int>(M));
    }
  }
  template <class V, class R> LGC_DEVICE static PlacedValue<V> largestOf(unsigned most, unsigned count, const R& read) {
    const unsigned from = threadIdx.x % most;
    PlacedValue<V> p{static_cast<V>(-__builtin_huge_val()), 0xffffffffu};
    if (from < count) p = placed<V>([&](int i) { return read(from, i); });
    return largestAcross(p, most);
  }
  template <class V> LGC_DEVICE static PlacedValue<V> largestAcross(PlacedValue<V> p, unsigned lanes) {
    for (unsigned o = lanes / 2; o > 0; o /= 2)
      p = larger(p,
                 {__shfl_xor_sync(0xffffffffu, p.value, static_cast<int>(o)), __shfl_xor_sync(0xffffffffu, p.index, static_cast<int>(o))});
    return p;
  }

  // A float and an index fit in a double.
  LGC_DEVICE static void store(double* at, Placed p) { *at = fromBits(static_cast<std::uint64_t>(toBits(p.value)) << 32 | p.index); }
  LGC_DEVICE static void store(double* at, PlacedValue<double> p) {
    at[0] = p.value;
    at[1] = static_cast<double>(p.index);
  }
  template <class V, class F> LGC_DEVICE static PlacedValue<V> placed(F&& stored) {
    if constexpr (sizeof(V) == sizeof(double)) {
      return {stored(0), static_cast<unsigned>(stored(1))};
    } else {
      const std::uint64_t bits = toBits(stored(0));
      return {fromBits(static_cast<std::uint32_t>(bits >> 32)), static_cast<unsigned>(bits)};
    }
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
