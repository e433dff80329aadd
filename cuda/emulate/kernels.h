// CUDA's threads on the CPU: every thread of a block, or of the blocks of a cluster, is a fiber that runs until it waits for others. Its
// purpose is to be right, not fast: kernels are tested with it where there is no GPU. Shared memory starts as NaN. A warp runs
// as far as it comes without the others, and they take turns in the order of their numbers, or backwards
// (LOGITCORE_CUDA_EMULATED_ORDER=reverse): where a barrier is missing, one of the two gives other results.
#pragma once
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};

namespace emulate {

constexpr unsigned kWarp = 32;

struct Barrier {
  unsigned expected = 0, arrived = 0, generation = 0;
};
struct Warp {
  Barrier barrier;
  std::uint64_t slot[kWarp];
};
struct Block {
  unsigned index = 0, rank = 0;
  Barrier barrier;
  std::vector<Warp> warps;
  std::unique_ptr<char[]> room;
  char* shared = nullptr;
};

struct Fiber {
  ucontext_t start{};
  jmp_buf at{};
  bool started = false, done = true;
  unsigned thread = 0;
  Block* block = nullptr;
};

class Machine {
 public:
  unsigned threads = 0, grid = 0, cluster = 1;
  Fiber* self = nullptr;
  std::vector<Block> blocks;
  Barrier clusterBarrier;

  static Machine& of() {
    static thread_local Machine machine;
    return machine;
  }

  void launch(unsigned gridSize, unsigned blockSize, unsigned clusterSize, size_t shared, std::function<void()> body) {
    threads = blockSize;
    grid = gridSize;
    cluster = clusterSize;
    body_ = std::move(body);
    const unsigned most = threads * cluster;
    while (fibers_.size() < most) fibers_.push_back(make());
    for (unsigned first = 0; first < grid; first += cluster) {
      prepare(first, shared);
      run(most);
    }
  }

  // Others run until the barrier is passed.
  void wait(Barrier& b) {
    ++progress_;
    if (++b.arrived == b.expected) {
      b.arrived = 0;
      ++b.generation;
      return;
    }
    const unsigned generation = b.generation;
    while (b.generation == generation) pause();
    ++progress_;
  }

 private:
  static constexpr size_t kStack = 128 * 1024;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::function<void()> body_;
  jmp_buf scheduler_{};
  size_t progress_ = 0;

  static std::unique_ptr<Fiber> make() {
    auto fiber = std::make_unique<Fiber>();
    getcontext(&fiber->start);
    fiber->start.uc_stack.ss_sp = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (fiber->start.uc_stack.ss_sp == MAP_FAILED) fail("no memory for the threads of a block");
    fiber->start.uc_stack.ss_size = kStack;
    fiber->start.uc_link = nullptr;
    makecontext(&fiber->start, &enter, 0);
    return fiber;
  }
  // A fiber serves one block after the other.
  static void enter() {
    Machine& m = of();
    for (;;) {
      m.body_();
      m.self->done = true;
      m.pause();
    }
  }
  [[noreturn]] static void fail(const char* what) {
    std::fprintf(stderr, "emulated kernel: %s\n", what);
    std::abort();
  }

  void pause() {
    if (_setjmp(self->at) == 0) _longjmp(scheduler_, 1);
  }
  void prepare(unsigned first, size_t shared) {
    blocks.clear();
    blocks.resize(cluster);
    for (unsigned r = 0; r < cluster; ++r) {
      Block& b = blocks[r];
      b.index = first + r;
      b.rank = r;
      b.barrier.expected = threads;
      b.warps.resize((threads + kWarp - 1) / kWarp);
      for (size_t w = 0; w < b.warps.size(); ++w)
        b.warps[w].barrier.expected =
            threads - static_cast<unsigned>(w) * kWarp < kWarp ? threads - static_cast<unsigned>(w) * kWarp : kWarp;
      b.room.reset(new char[shared + 128]);
      b.shared = b.room.get() + (128 - reinterpret_cast<std::uintptr_t>(b.room.get()) % 128) % 128;
      std::memset(b.shared, 0xff, shared);
      for (unsigned t = 0; t < threads; ++t) {
        Fiber& f = *fibers_[r * threads + t];
        f.thread = t;
        f.block = &b;
        f.done = false;
      }
    }
    clusterBarrier = {};
    clusterBarrier.expected = threads * cluster;
  }
  void run(unsigned count) {
    const char* order = std::getenv("LOGITCORE_CUDA_EMULATED_ORDER");
    const bool reverse = order && std::strcmp(order, "reverse") == 0;
    const unsigned warps = (count + kWarp - 1) / kWarp;
    for (bool left = true; left;) {
      left = false;
      const size_t before = progress_;
      for (unsigned w = 0; w < warps; ++w) left = runWarp(reverse ? warps - 1 - w : w, count, reverse) || left;
      if (left && progress_ == before) fail("threads wait for others that have ended or wait elsewhere");
    }
  }
  // As far as it comes without the others. Whether it has not ended.
  bool runWarp(unsigned warp, unsigned count, bool reverse) {
    const unsigned first = warp * kWarp, size = count - first < kWarp ? count - first : kWarp;
    bool left = true;
    for (size_t before = progress_ - 1; left && progress_ != before;) {
      before = progress_;
      left = false;
      for (unsigned k = 0; k < size; ++k) {
        Fiber& f = *fibers_[first + (reverse ? size - 1 - k : k)];
        if (f.done) continue;
        resume(f);
        if (f.done)
          ++progress_;
        else
          left = true;
      }
    }
    return left;
  }
  void resume(Fiber& f) {
    self = &f;
    if (_setjmp(scheduler_) != 0) {
      self = nullptr;
      return;
    }
    if (f.started) _longjmp(f.at, 1);
    f.started = true;
    setcontext(&f.start);
  }
};

inline bool inKernel() { return Machine::of().self != nullptr; }
inline Fiber& self() { return *Machine::of().self; }
inline Warp& warp() { return self().block->warps[self().thread / kWarp]; }

struct Index {
  unsigned x, y = 0, z = 0;
};

}  // namespace emulate

#define threadIdx (::emulate::Index{::emulate::self().thread})
#define blockIdx (::emulate::Index{::emulate::self().block->index})
#define blockDim (::emulate::Index{::emulate::Machine::of().threads})
#define gridDim (::emulate::Index{::emulate::Machine::of().grid})

inline void __syncthreads() { ::emulate::Machine::of().wait(::emulate::self().block->barrier); }
inline void __syncwarp() { ::emulate::Machine::of().wait(::emulate::warp().barrier); }

template <class T> inline T __shfl_xor_sync(unsigned, T value, int mask) {
  ::emulate::Warp& w = ::emulate::warp();
  const unsigned lane = ::emulate::self().thread % ::emulate::kWarp;
  w.slot[lane] = 0;
  std::memcpy(&w.slot[lane], &value, sizeof value);
  __syncwarp();
  T other;
  std::memcpy(&other, &w.slot[lane ^ static_cast<unsigned>(mask)], sizeof other);
  __syncwarp();
  return other;
}

template <class T> inline T __shfl_sync(unsigned mask, T value, int from) {
  const int lane = static_cast<int>(::emulate::self().thread % ::emulate::kWarp);
  return __shfl_xor_sync(mask, value, lane ^ from);
}

inline unsigned atomicAdd(unsigned* at, unsigned value) {
  const unsigned old = *at;
  *at = old + value;
  return old;
}
inline unsigned long long atomicCAS(unsigned long long* at, unsigned long long expected, unsigned long long value) {
  const unsigned long long old = *at;
  if (old == expected) *at = value;
  return old;
}
