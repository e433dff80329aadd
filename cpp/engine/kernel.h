// What every engine file needs inside a kernel: threads and scratch memory through the call's runtime.
#pragma once
#include "dual.h"
#include "record.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

template <class A, class B> struct SameType {
  static constexpr bool value = false;
};
template <class A> struct SameType<A, A> {
  static constexpr bool value = true;
};

// Lanes of a block are summed in T, blocks are folded in double: a row of a million logits keeps its last digits.
constexpr size_t kBlock = 4096;
// Work below this many elements a piece, some 50 microseconds, is not worth waking a thread.
constexpr size_t kGrainElements = 65536;

template <class F> inline void parallel(Call& call, size_t count, size_t grain, F&& body) {
  struct Thunk {
    static void run(void* context, size_t begin, size_t end) { (*static_cast<F*>(context))(begin, end); }
  };
  call.runtime->parallel(count, grain ? grain : 1, const_cast<void*>(static_cast<const void*>(&body)), &Thunk::run);
}

inline size_t rowGrain(size_t columns) { return kGrainElements / (columns ? columns : 1) + 1; }

// Scratch memory, zeroed unless the kernel writes all of it first; on failure marks the call, and the kernel returns at once.
template <class T> class Scratch {
 public:
  Scratch(Call& call, size_t count, bool zeroed = true) : runtime_(call.runtime) {
    data_ = static_cast<T*>(runtime_->allocate((count ? count : 1) * sizeof(T)));
    if (!data_) {
      call.outOfMemory = true;
      return;
    }
    if (zeroed) __builtin_memset(static_cast<void*>(data_), 0, count * sizeof(T));
  }
  ~Scratch() {
    if (data_) runtime_->release(data_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  explicit operator bool() const { return data_ != nullptr; }
  operator T*() { return data_; }

 private:
  const Runtime* runtime_;
  T* data_;
};

// The sum of per-row values in one fixed order (pairs of halves), whatever the threads did.
inline double orderedSum(const double* values, size_t count) {
  if (count <= 32) {
    double s = 0;
    for (size_t i = 0; i < count; ++i) s += values[i];
    return s;
  }
  size_t half = count / 2;
  return orderedSum(values, half) + orderedSum(values + half, count - half);
}

// Sums of f32 lanes leave in double.
LGC_FN double foldSum(f32x16 a) { return sum(widenSum(a)); }
LGC_FN double foldSum(f64x8 a) { return sum(a); }

// A row scalar leaves in the type of the array.
template <class T> LGC_FN void storeScalar(void* p, size_t i, double v) { static_cast<T*>(p)[i] = static_cast<T>(v); }

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
