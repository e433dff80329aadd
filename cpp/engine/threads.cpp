#include "threads.h"

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#include <sys/mman.h>
#endif

namespace logitcore {
namespace {

// A job is cut into pieces that any thread may take; which thread takes which has no influence on the result.
struct Job {
  void* context;
  void (*fn)(void*, size_t, size_t);
  size_t count, piece;
  std::atomic<size_t> next{0};
  std::atomic<int> helpers{0};  // pool threads inside this job; changed under Pool::mutex

  void work() {
    for (;;) {
      const size_t begin = next.fetch_add(piece, std::memory_order_relaxed);
      if (begin >= count) return;
      fn(context, begin, begin + piece < count ? begin + piece : count);
    }
  }
};

// The last pieces of the helpers end within microseconds of the caller's own: sleeping for them costs more than looking.
constexpr int kLooks = 1000;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

int readDefault() {
  if (const char* text = std::getenv("LOGITCORE_NUM_THREADS")) {
    char* end = nullptr;
    const long n = std::strtol(text, &end, 10);
    if (end != text && *end == 0 && n >= 1 && n <= kMaxThreads) return static_cast<int>(n);
  }
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    const int n = CPU_COUNT(&set);
    if (n >= 1) return n < kMaxThreads ? n : kMaxThreads;
  }
#endif
  const unsigned n = std::thread::hardware_concurrency();
  return n ? static_cast<int>(n) : 1;
}

class Pool {
 public:
  std::atomic<int> wanted{readDefault()};

  void run(size_t count, size_t grain, void* context, void (*fn)(void*, size_t, size_t)) {
    const size_t threads = static_cast<size_t>(wanted.load(std::memory_order_relaxed));
    const size_t pieces = (count + grain - 1) / grain;
    if (threads <= 1 || pieces <= 1) return fn(context, 0, count);
    // A few pieces a thread: one that is slowed down does not hold up the rest.
    const size_t most = threads * 4 < pieces ? threads * 4 : pieces;
    Job job{context, fn, count, (count + most - 1) / most};
    const size_t helpers = (pieces < threads ? pieces : threads) - 1;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      grow(helpers);
      for (size_t i = 0; i < helpers; ++i) queue_.push_back(&job);
    }
    if (helpers == 1)
      wake_.notify_one();
    else
      wake_.notify_all();
    job.work();
    std::unique_lock<std::mutex> lock(mutex_);
    for (auto it = queue_.begin(); it != queue_.end();) it = *it == &job ? queue_.erase(it) : it + 1;
    if (job.helpers.load(std::memory_order_acquire) == 0) return;
    lock.unlock();
    for (int i = 0; i < kLooks; ++i) {
      if (job.helpers.load(std::memory_order_acquire) == 0) return;
      pause();
    }
    lock.lock();
    done_.wait(lock, [&] { return job.helpers.load(std::memory_order_acquire) == 0; });
  }

 private:
  void grow(size_t helpers) {
    // Without a thread to be had the caller does the work.
    while (threads_ < helpers && startThread(&Pool::enter, this)) ++threads_;
  }
  static void* enter(void* self) {
    static_cast<Pool*>(self)->loop();
    return nullptr;
  }
  void loop() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return !queue_.empty(); });
      Job* job = queue_.front();
      queue_.pop_front();
      job->helpers.fetch_add(1, std::memory_order_relaxed);
      lock.unlock();
      job->work();
      lock.lock();
      // The job is gone with its caller as soon as this count is 0.
      if (job->helpers.fetch_sub(1, std::memory_order_acq_rel) == 1) done_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::deque<Job*> queue_;
  size_t threads_ = 0;
};

// Never destroyed: its threads may outlive static destructors.
Pool& pool() {
  static Pool* const instance = new Pool;
  return *instance;
}

void parallel(size_t count, size_t grain, void* context, void (*fn)(void*, size_t, size_t)) {
  if (count == 0) return;
  pool().run(count, grain, context, fn);
}

// A large block asks for huge pages: the page faults of fresh memory can cost more than the work that is done in it.
constexpr size_t kHugePage = size_t{2} << 20, kLargeBlock = 4 * kHugePage;

void* allocate(size_t bytes) {
  void* p = nullptr;
  const bool large = bytes >= kLargeBlock;
  if (posix_memalign(&p, large ? kHugePage : 64, bytes) != 0) return nullptr;
#if defined(__linux__)
  if (large) madvise(p, bytes, MADV_HUGEPAGE);
#endif
  return p;
}

}  // namespace

const Runtime& runtime() {
  static const Runtime instance{&parallel, &allocate, &std::free};
  return instance;
}

bool startThread(void* (*enter)(void*), void* argument) {
  // The default is 8 MiB with glibc, 512 KiB on macOS and 128 KiB with musl: less than some kernels' frames with those below them.
  constexpr size_t stack = size_t{2} << 20;
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return false;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, stack);
  pthread_t thread;
  const bool started = pthread_create(&thread, &attributes, enter, argument) == 0;
  pthread_attr_destroy(&attributes);
  return started;
}

int threadCount() { return pool().wanted.load(); }
int defaultThreadCount() { return readDefault(); }
void setThreadCount(int n) { pool().wanted.store(n); }

}  // namespace logitcore
