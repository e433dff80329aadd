// The k first entries of a row by key, and those of equal keys by index: a block narrows the range that holds the last of them, twelve bits
// at a time, until what is in front of its end fits a list in the memory of the block, which is then sorted. Twelve bits of a float are its
// sign, its exponent and three bits more: for logits they are mostly enough, and the row is read twice.
#pragma once
#include "../../cpp/engine/key_order.h"
#include "launch.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr unsigned kDigitBits = 12, kDigits = 1u << kDigitBits, kSelectThreads = 512, kListed = 2048;
// More of them are the beginning of a sort.
constexpr size_t kMostSelected = 1024;

struct SelectRoom {
  unsigned histogram[kDigits];
  unsigned scan[2][kSelectThreads];
  unsigned long long list[kListed];
  unsigned listed, digit, before;  // before: entries in front of the digit
};

struct SelectArguments {
  const void* row;
  Storage storage;
  size_t columns, k;
  float* values;
  int32_t* indices;
};

class Selection {
 public:
  LGC_DEVICE Selection(const SelectArguments& a, SelectRoom* room)
      : a_(a), room_(*room), start_(static_cast<size_t>(blockIdx.x) * a.columns), skip_(static_cast<unsigned>(start_ % kEight)) {}

  LGC_DEVICE void run() {
    const unsigned k = static_cast<unsigned>(a_.k);
    unsigned long long prefix = 0;  // the known bits of the last entry's composite
    unsigned known = 0, before = 0, upTo = static_cast<unsigned>(a_.columns);
    while (upTo > kListed) {
      const unsigned bits = 64 - known < kDigitBits ? 64 - known : kDigitBits;
      count(prefix, known, bits);
      find(k - before);
      const unsigned digit = room_.digit, inside = room_.histogram[digit];
      before += room_.before;
      upTo = before + inside;
      prefix = prefix << bits | digit;
      known += bits;
      __syncthreads();
    }
    collect(prefix, known);
    sort();
    for (unsigned r = threadIdx.x; r < k; r += kSelectThreads) {
      const unsigned j = static_cast<unsigned>(room_.list[r]);
      const size_t to = static_cast<size_t>(blockIdx.x) * a_.k + r;
      if (a_.values) a_.values[to] = readOne(a_.row, a_.storage, start_ + j);
      if (a_.indices) a_.indices[to] = static_cast<int32_t>(j);
    }
  }

 private:
  const SelectArguments& a_;
  SelectRoom& room_;
  size_t start_;
  unsigned skip_;

  // f(composite) of all entries: the key, then the index.
  template <class F> LGC_DEVICE void each(F&& f) const {
    const unsigned chunks = static_cast<unsigned>((skip_ + a_.columns + kEight - 1) / kEight);
    const KeyOrder<float> order = largestFirst<float>();
    for (unsigned q = threadIdx.x; q < chunks; q += kSelectThreads) {
      float v[kEight];
      const size_t at = start_ - skip_ + static_cast<size_t>(q) * kEight;
      readEight(a_.row, a_.storage, at, at + 4, v);
      const long long first = static_cast<long long>(q) * kEight - skip_;
      LGC_UNROLL
      for (int e = 0; e < static_cast<int>(kEight); ++e) {
        const long long j = first + e;
        if (j >= 0 && j < static_cast<long long>(a_.columns))
          f(static_cast<unsigned long long>(order(v[e])) << 32 | static_cast<unsigned long long>(j));
      }
    }
  }

  LGC_DEVICE void count(unsigned long long prefix, unsigned known, unsigned bits) {
    for (unsigned d = threadIdx.x; d < kDigits; d += kSelectThreads) room_.histogram[d] = 0;
    __syncthreads();
    const unsigned shift = 64 - known - bits;
    each([&](unsigned long long composite) {
      if (known == 0 || composite >> (64 - known) == prefix)
        atomicAdd(&room_.histogram[static_cast<unsigned>(composite >> shift) & ((1u << bits) - 1)], 1u);
    });
    __syncthreads();
  }

  // The digit that the wanted-th entry has.
  LGC_DEVICE void find(unsigned wanted) {
    constexpr unsigned share = kDigits / kSelectThreads;
    const unsigned t = threadIdx.x;
    unsigned mine = 0;
    for (unsigned d = 0; d < share; ++d) mine += room_.histogram[t * share + d];
    unsigned turn = 0;
    room_.scan[0][t] = mine;
    __syncthreads();
    for (unsigned step = 1; step < kSelectThreads; step *= 2) {
      const unsigned sum = room_.scan[turn][t] + (t >= step ? room_.scan[turn][t - step] : 0);
      room_.scan[turn ^ 1][t] = sum;
      turn ^= 1;
      __syncthreads();
    }
    unsigned before = room_.scan[turn][t] - mine;
    if (before < wanted && wanted <= before + mine) {
      unsigned d = t * share;
      while (before + room_.histogram[d] < wanted) before += room_.histogram[d++];
      room_.digit = d;
      room_.before = before;
    }
    __syncthreads();
  }

  LGC_DEVICE void collect(unsigned long long prefix, unsigned known) {
    for (unsigned r = threadIdx.x; r < kListed; r += kSelectThreads) room_.list[r] = ~0ull;
    if (threadIdx.x == 0) room_.listed = 0;
    __syncthreads();
    each([&](unsigned long long composite) {
      if (known == 0 || composite >> (64 - known) <= prefix) room_.list[atomicAdd(&room_.listed, 1u)] = composite;
    });
    __syncthreads();
  }

  // Bitonic, of as many as a power of two takes: they come in any order and leave in one.
  LGC_DEVICE void sort() {
    unsigned size = 2;
    while (size < room_.listed) size *= 2;
    for (unsigned run = 2; run <= size; run *= 2)
      for (unsigned step = run / 2; step > 0; step /= 2) {
        for (unsigned i = threadIdx.x; i < size / 2; i += kSelectThreads) {
          const unsigned a = 2 * i - (i & (step - 1)), b = a + step;
          const unsigned long long x = room_.list[a], y = room_.list[b];
          if ((x > y) == ((a & run) == 0)) {
            room_.list[a] = y;
            room_.list[b] = x;
          }
        }
        __syncthreads();
      }
  }
};

static LGC_KERNEL void selectRows(LGC_ARGUMENT SelectArguments a) { Selection(a, reinterpret_cast<SelectRoom*>(sharedMemory())).run(); }

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
