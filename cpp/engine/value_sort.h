// The values of a row in order, without their places. Floats become keys without anything attached, of which any order of work makes the
// same row: quicksort, whose partitions and short lists are done in whole registers. A list of which too many pivots were bad is left to
// the radix sort. Doubles go by way of their order.
#pragma once
#include "sort.h"
#include "sort_network.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Signed keys in the order of the values, -0 before +0 if that is ascending. All NaN have one key, above all others.
struct FloatKeys {
  int32_t flip;  // the sign bit if the order is descending

  static constexpr int32_t nan = 0x7fc00000, infinity = 0x7f800000, magnitude = 0x7fffffff, sign = -magnitude - 1;

  LGC_FN Keys key(Keys bits) const {
    bits ^= spreadKey(flip);
    const Keys ordered = bits ^ ((bits >> 31) & spreadKey(magnitude));
    return (bits & spreadKey(magnitude)) > spreadKey(infinity) ? spreadKey(nan) : ordered;
  }
  // The bits of the value.
  LGC_FN Keys operator()(Keys key) const { return key ^ ((key >> 31) & spreadKey(magnitude)) ^ ((key < spreadKey(nan)) & spreadKey(flip)); }
};
struct KeepKeys {
  LGC_FN Keys operator()(Keys key) const { return key; }
};
// Neither NaN nor zero, to fill a register with.
constexpr int32_t kOneBits = 0x3f800000;

// Every register of a row, the last one as far back as it must be: body(i) may be done twice for the same place.
template <class F> LGC_FN void overRegisters(size_t n, F&& body) {
  for (size_t i = 0; i + kRegister <= n; i += kRegister) body(i);
  if (n % kRegister) body(n - kRegister);
}

// Reads each value once. Which zeros there are: bit 0 for keys of -1, bit 1 for keys of 0.
LGC_FN unsigned makeKeys(const float* x, size_t n, FloatKeys keys, int32_t* list) {
  Keys negative{}, positive{};
  const auto make = [&](const void* from, int32_t* to) LGC_LAMBDA {
    const Keys key = keys.key(loadKeys(from));
    storeKeys(to, key);
    negative |= key == spreadKey(-1);
    positive |= key == spreadKey(0);
  };
  if (n < kRegister) {
    int32_t edge[kRegister];
    storeKeys(edge, spreadKey(kOneBits));
    __builtin_memcpy(edge, x, n * sizeof *x);
    make(edge, edge);
    for (size_t i = 0; i < n; ++i) list[i] = edge[i];
  } else {
    overRegisters(n, [&](size_t i) LGC_LAMBDA { make(x + i, list + i); });
  }
  return (keyMask(negative) ? 1u : 0u) | (keyMask(positive) ? 2u : 0u);
}
constexpr unsigned kBothZeros = 3;

// Keys below the pivot go to the front of `to`, the others to its end; returns how many are below. n is at least two registers.
LGC_FN size_t partitionKeys(const int32_t* from, size_t n, int32_t pivot, int32_t* to) {
  const Keys pivots = spreadKey(pivot);
  size_t i = n % kRegister, gap = n - i;
  size_t low = splitFirstKeys(loadKeys(from), static_cast<unsigned>(i), pivots, to, to + n);
#pragma GCC unroll 4
  for (; i < n; i += kRegister) {
    int32_t* high = to + low + gap;
    gap -= kRegister;
    low += splitKeys(loadKeys(from + i), pivots, to + low, high);
  }
  return low;
}

LGC_FN Keys middle(Keys a, Keys b, Keys c) { return larger(smaller(a, b), smaller(larger(a, b), c)); }

// From here on a sample costs little beside the partition.
constexpr size_t kSampledList = 4096;

// A key near the median, by a sample of the list; or by medians of three in three registers of it.
LGC_FN int32_t pivotOf(const int32_t* from, size_t n, bool sampled) {
  if (!sampled && n < kSampledList) {
    // No simple parts of the list, which a pattern could repeat in.
    const auto at = [&](size_t part) LGC_LAMBDA { return loadKeys(from + (n - kRegister) * part / 256); };
    const Keys across = middle(at(37), at(113), at(211));
    const Keys pairs = middle(across, exchangeLanes<1>(across), exchangeLanes<2>(across));
    return middle(pairs, exchangeLanes<3>(pairs), exchangeLanes<kKeyLanes - 1>(pairs))[0];
  }
  constexpr size_t count = 8 * kRegister;
  int32_t sample[count];
  const size_t step = n / count;
  for (size_t i = 0; i < count; ++i) sample[i] = from[i * step + step / 2];
  sortRows<8>(sample, count, KeepKeys{}, sample, count);
  return sample[count / 2];
}

LGC_FN void fillValue(int32_t key, FloatKeys keys, int32_t* out, size_t n) {
  const int32_t bits = keys(spreadKey(key))[0];
  for (size_t i = 0; i < n; ++i) __builtin_memcpy(out + i, &bits, sizeof bits);
}

// What became of a list: `low` keys in front, which are below the pivot, or equal to it and written.
struct Split {
  size_t low;
  bool done;
};
// One step of quicksort into `to`.
LGC_FN Split splitList(const int32_t* from, size_t n, int32_t* to, FloatKeys keys, int32_t* out, bool sampled) {
  const int32_t pivot = pivotOf(from, n, sampled);
  const size_t low = partitionKeys(from, n, pivot, to);
  if (low > 0) return {low, false};
  // The pivot is the least key.
  const size_t equal = partitionKeys(from, n, pivot + 1, to);
  fillValue(pivot, keys, out, equal);
  return {equal, true};
}

LGC_SHARED void radixSortKeys(int32_t* list, int32_t* spare, size_t n, FloatKeys keys, int32_t* out) {
  uint32_t* from = reinterpret_cast<uint32_t*>(list);
  for (size_t i = 0; i < n; ++i) from[i] ^= 1u << 31;
  const uint32_t* sorted = radixSort<11, 3>(from, reinterpret_cast<uint32_t*>(spare), n, KeepItems{});
  const Keys top = spreadKey(FloatKeys::sign);
  overRegisters(n, [&](size_t i) LGC_LAMBDA { storeKeys(out + i, keys(loadKeys(sorted + i) ^ top)); });
}

// How many splits a list of n keys may take: twice as many as good ones are. Lane by lane, the splits of a long list cost more than a
// radix sort.
constexpr size_t kLongestSplit = LGC_LEVEL_ID == LGC_LEVEL_ID_portable ? kLongSort - 1 : ~size_t{0};
LGC_FN int splitsOf(size_t n) { return n > kLongestSplit ? 0 : 2 * (64 - __builtin_clzll(n | 1)); }

// The values of the keys in order. `spare` holds n keys, `room` is what of `out` may be written.
LGC_SHARED void sortKeys(int32_t* list, int32_t* spare, size_t n, FloatKeys keys, int32_t* out, size_t room, int splits) {
  bool sampled = false;
  while (n > kNetwork) {
    if (splits-- == 0) return radixSortKeys(list, spare, n, keys, out);
    const Split split = splitList(list, n, spare, keys, out, sampled);
    const size_t low = split.low;
    // A bad split may be no accident.
    sampled = low < n / 8 || low > n - n / 8;
    if (!split.done) sortKeys(spare, list, low, keys, out, room, splits);
    int32_t* const rest = spare + low;
    spare = list + low;
    list = rest;
    out += low;
    room -= low;
    n -= low;
  }
  if (n) sortNetwork(list, n, keys, out, room);
}

// A row that is in order or in reverse is written at once.
LGC_FN bool isRising(const int32_t* list, size_t n, size_t before, size_t after) {
  for (size_t i = 0; i + 1 + kRegister <= n; i += kRegister)
    if (keyMask(loadKeys(list + i + before) > loadKeys(list + i + after))) return false;
  return !keyMask(loadKeys(list + n - 1 - kRegister + before) > loadKeys(list + n - 1 - kRegister + after));
}
LGC_SHARED bool writeOrdered(const int32_t* list, size_t n, FloatKeys keys, int32_t* out) {
  if (isRising(list, n, 0, 1)) {
    overRegisters(n, [&](size_t i) LGC_LAMBDA { storeKeys(out + i, keys(loadKeys(list + i))); });
    return true;
  }
  if (!isRising(list, n, 1, 0)) return false;
  overRegisters(n,
                [&](size_t i) LGC_LAMBDA { storeKeys(out + i, keys(exchangeLanes<kKeyLanes - 1>(loadKeys(list + n - kRegister - i)))); });
  return true;
}

// Zeros are equal and keep their order: takes their signs out of the keys, and puts them back into the values.
class ZeroSigns {
 public:
  // `spare` holds 2 n keys.
  ZeroSigns(int32_t* list, size_t n, int32_t* spare) : zeros_(spare) {
    Keys below{};
    size_t i = 0;
    // The other keys of each register are of no use, and go to the far end.
    for (; i + kRegister <= n; i += kRegister) {
      const Keys key = loadKeys(list + i), negative = key == spreadKey(-1);
      const Keys zero = negative | (key == spreadKey(0));
      count_ += splitKeys(zero ? key : spreadKey(1), spreadKey(1), zeros_ + count_, zeros_ + 2 * n);
      below -= key < spreadKey(-1);
      storeKeys(list + i, key - negative);
    }
    for (int lane = 0; lane < kKeyLanes; ++lane) below_ += static_cast<size_t>(below[lane]);
    for (; i < n; ++i) {
      const int32_t key = list[i];
      zeros_[count_] = key;
      count_ += key == 0 || key == -1;
      below_ += key < -1;
      list[i] = key + (key == -1);
    }
  }
  void write(FloatKeys keys, int32_t* out) const {
    for (size_t i = 0; i < count_; ++i) {
      const int32_t bits = (zeros_[i] ^ keys.flip) & FloatKeys::sign;
      __builtin_memcpy(out + below_ + i, &bits, sizeof bits);
    }
  }

 private:
  int32_t* zeros_;
  size_t count_ = 0, below_ = 0;
};

// Less than a register. False, and nothing written, if zeros of both signs are there.
LGC_FN bool sortFewFloats(const float* x, size_t n, FloatKeys keys, float* out) {
  int32_t edge[2 * kRegister];
  storeKeys(edge, spreadKey(FloatKeys::nan));
  for (size_t i = 0; i < n; ++i) __builtin_memcpy(edge + i, x + i, sizeof *x);
  Keys v[2] = {keys.key(loadKeys(edge)), spreadKey(FloatKeys::nan)};
  if (keyMask(v[0] == spreadKey(-1)) && keyMask(v[0] == spreadKey(0))) return false;
  mergeLanes<2, 2>(v);
  storeKeys(edge, keys(v[0]));
  for (size_t i = 0; i < n; ++i) __builtin_memcpy(out + i, edge + i, sizeof *out);
  return true;
}

LGC_SHARED void sortFloats(const float* x, size_t n, bool descending, float* out, void* scratch) {
  const FloatKeys keys{descending ? FloatKeys::sign : 0};
  if (n < kRegister && sortFewFloats(x, n, keys, out)) return;
  int32_t *list = static_cast<int32_t*>(scratch), *spare = list + n, *values = reinterpret_cast<int32_t*>(out);
  const bool signs = makeKeys(x, n, keys, list) == kBothZeros;
  const ZeroSigns zeros(list, signs ? n : 0, spare + n);
  if (n <= kRegister || !writeOrdered(list, n, keys, values)) sortKeys(list, spare, n, keys, values, n, splitsOf(n));
  zeros.write(keys, values);
}

// A list in the two buffers that splits go between.
struct KeyList {
  size_t begin, end;
};
constexpr int kMostRounds = 8;

// One long row by all threads: every round splits all lists in two.
inline void sortFloats(Call& call, const float* x, size_t n, bool descending, float* out, void* scratch) {
  const FloatKeys keys{descending ? FloatKeys::sign : 0};
  int32_t *from = static_cast<int32_t*>(scratch), *to = from + n, *values = reinterpret_cast<int32_t*>(out);
  const size_t chunks = (n + kSortChunk - 1) / kSortChunk;
  int rounds = 0;
  while (rounds < kMostRounds && n >> rounds > kSortChunk) ++rounds;
  const size_t most = size_t{1} << rounds;
  Scratch<unsigned> found(call, chunks);
  Scratch<KeyList> lists(call, 2 * most);
  if (!found || !lists) return;
  unsigned* zerosOf = found;
  parallel(call, chunks, 1, [&](size_t first, size_t last) {
    for (size_t chunk = first; chunk < last; ++chunk) {
      const size_t begin = chunk * kSortChunk, count = n - begin < kSortChunk ? n - begin : kSortChunk;
      zerosOf[chunk] = makeKeys(x + begin, count, keys, from + begin);
    }
  });
  unsigned signs = 0;
  for (size_t chunk = 0; chunk < chunks; ++chunk) signs |= zerosOf[chunk];
  const ZeroSigns zeros(from, signs == kBothZeros ? n : 0, to + n);
  if (!writeOrdered(from, n, keys, values)) {
    const auto finish = [&](KeyList list) {
      const size_t count = list.end - list.begin;
      sortKeys(from + list.begin, to + list.begin, count, keys, values + list.begin, count, splitsOf(count));
    };
    KeyList *now = lists, *next = now + most;
    *now = {0, n};
    for (int round = 0; round < rounds; ++round) {
      parallel(call, size_t{1} << round, 1, [&](size_t first, size_t last) {
        for (size_t k = first; k < last; ++k) {
          const KeyList list = now[k];
          KeyList* halves = next + 2 * k;
          halves[0] = halves[1] = {list.end, list.end};
          if (list.end - list.begin <= kSortChunk / 2) {
            finish(list);
            continue;
          }
          const Split split = splitList(from + list.begin, list.end - list.begin, to + list.begin, keys, values + list.begin, true);
          halves[1].begin = list.begin + split.low;
          if (!split.done) halves[0] = {list.begin, list.begin + split.low};
        }
      });
      KeyList* const lately = now;
      now = next;
      next = lately;
      int32_t* const emptied = from;
      from = to;
      to = emptied;
    }
    parallel(call, most, 1, [&](size_t first, size_t last) {
      for (size_t k = first; k < last; ++k) finish(now[k]);
    });
  }
  zeros.write(keys, values);
}

// Values by way of their order, into the spare list: `out` may be x itself.
struct SlotOutput : OrderOutput<double> {
  void finish(SortItem* list, SortItem* spare, size_t begin, size_t end, int bits) const {
    const SortItem* sorted = sortItems(x, key, list + begin, spare + begin, end - begin, bits);
    for (size_t i = begin; i < end; ++i) __builtin_memcpy(spare + i, x + (sorted++)->index, sizeof(double));
  }
};
inline void copySlots(const SortItem* slots, double* out, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) __builtin_memcpy(out + i, slots + i, sizeof(double));
}

// The values in order, NaN last in both directions; `out` may be x itself. Scratch of sortScratchBytes<T>(n) need not be zeroed.
inline void sortValues(const float* x, size_t n, bool descending, float* out, void* scratch) { sortFloats(x, n, descending, out, scratch); }
inline void sortValues(const double* x, size_t n, bool descending, double* out, void* scratch) {
  sortRow(SlotOutput{{x, nanLast<double>(descending), nullptr}}, n, scratch);
  copySlots(static_cast<const SortItem*>(scratch) + n, out, 0, n);
}
// One long row by all threads.
inline void sortValues(Call& call, const float* x, size_t n, bool descending, float* out, void* scratch) {
  if (n < kSplitSort) return sortFloats(x, n, descending, out, scratch);
  sortFloats(call, x, n, descending, out, scratch);
}
inline void sortValues(Call& call, const double* x, size_t n, bool descending, double* out, void* scratch) {
  if (n < kSplitSort) return sortValues(x, n, descending, out, scratch);
  splitSortRow(call, SlotOutput{{x, nanLast<double>(descending), nullptr}}, n, scratch);
  parallel(call, n, kGrainElements,
           [&](size_t begin, size_t end) { copySlots(static_cast<const SortItem*>(scratch) + n, out, begin, end); });
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
