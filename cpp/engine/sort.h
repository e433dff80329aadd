// Stable sorts of rows of any length, by order-preserving integer keys: equal values keep their order in both directions, -0 equals
// +0, and where NaN goes is said by the caller. A stable order is unique, so neither levels nor threads can change a result.
//
// Keys have 32 bits and are sorted by digits, the lowest first. A double is sorted by the upper half of its key, then every run of
// equal upper halves by the lower half: two entries of a row of logits seldom share the upper one.
#pragma once
#include "kernel.h"
#include "key_order.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

LGC_FN uint32_t upperHalf(uint32_t key) { return key; }
LGC_FN uint32_t upperHalf(uint64_t key) { return static_cast<uint32_t>(key >> 32); }

struct SortItem {
  uint32_t key, index;
};
LGC_FN uint32_t keyOf(SortItem item) { return item.key; }
LGC_FN uint32_t keyOf(uint32_t key) { return key; }
LGC_FN SortItem less(SortItem item, uint32_t base) { return {item.key - base, item.index}; }

// In place of an emitter: the sorted items stay in memory.
struct KeepItems {
  template <class Item> LGC_FN void operator()(size_t, Item) const {}
};

constexpr size_t kInsertionSort = 8;
// Up to this length all comparisons, in whole vectors and without a branch, cost less than the passes of a radix sort.
constexpr size_t kRankSort = 128;
// From here on the counts of digits of 11 bits cost less than a fourth pass does.
constexpr size_t kLongSort = 4096;

// By the low `bits` of the keys, which lie within Digits digits. The last pass hands its items to `emit` with their places.
template <int Digit, int Digits, class Item, class Emit> inline Item* radixSort(Item* from, Item* to, size_t n, Emit emit) {
  constexpr uint32_t size = 1u << Digit;
  uint32_t start[Digits][size];
  __builtin_memset(start, 0, sizeof start);
  for (size_t i = 0; i < n; ++i) {
    const uint32_t key = keyOf(from[i]);
    for (int d = 0; d < Digits; ++d) ++start[d][(key >> (d * Digit)) % size];
  }
  int passes[Digits], count = 0;
  const uint32_t first = keyOf(from[0]);
  for (int d = 0; d < Digits; ++d) {
    if (start[d][(first >> (d * Digit)) % size] == n) continue;
    passes[count++] = d;
    uint32_t total = 0;
    for (uint32_t& at : start[d]) {
      const uint32_t here = at;
      at = total;
      total += here;
    }
  }
  for (int p = 0; p < count; ++p) {
    const int shift = passes[p] * Digit;
    uint32_t* at = start[passes[p]];
    auto place = [&](size_t i) LGC_LAMBDA { return at[(keyOf(from[i]) >> shift) % size]++; };
    if (p + 1 < count || SameType<Emit, KeepItems>::value) {
      for (size_t i = 0; i < n; ++i) to[place(i)] = from[i];
      Item* swap = from;
      from = to;
      to = swap;
    } else {
      for (size_t i = 0; i < n; ++i) emit(place(i), from[i]);
    }
  }
  return from;
}

// An item's place is the number of items that come before it.
template <class Item, class Emit> inline Item* rankSort(const Item* list, Item* spare, size_t n, Emit emit) {
  uint32_t keys[kRankSort];
  for (size_t i = 0; i < n; ++i) keys[i] = keyOf(list[i]);
  // Whole vectors: the largest key is never before another.
  const size_t padded = (n + 15) / 16 * 16;
  for (size_t i = n; i < padded; ++i) keys[i] = ~0u;
  for (size_t i = 0; i < n; ++i) {
    const uint32_t key = keys[i];
    uint32_t before = 0, equal = 0;
    for (size_t j = 0; j < padded; ++j) {
      before += keys[j] < key;
      equal += keys[j] == key;
    }
    if (equal > 1)
      for (size_t j = 0; j < i; ++j) before += keys[j] == key;
    if (SameType<Emit, KeepItems>::value)
      spare[before] = list[i];
    else
      emit(before, list[i]);
  }
  return spare;
}

// Stable, by the low `bits` of the keys, above which they are equal. Returns where the items are if they are kept.
template <class Item, class Emit> inline Item* sortByKey(Item* list, Item* spare, size_t n, int bits, Emit emit) {
  constexpr bool keep = SameType<Emit, KeepItems>::value;
  size_t rising = n ? 1 : 0, falling = rising;
  while (rising < n && keyOf(list[rising - 1]) <= keyOf(list[rising])) ++rising;
  if (rising < n && n > kInsertionSort) {
    while (falling < n && keyOf(list[falling - 1]) >= keyOf(list[falling])) ++falling;
    if (falling == n) {
      // Equal keys keep their order, so the row is turned round run by run.
      size_t at = 0;
      for (size_t end = n; end > 0;) {
        size_t begin = end - 1;
        while (begin > 0 && keyOf(list[begin - 1]) == keyOf(list[begin])) --begin;
        for (size_t i = begin; i < end; ++i, ++at) {
          if (keep)
            spare[at] = list[i];
          else
            emit(at, list[i]);
        }
        end = begin;
      }
      return spare;
    }
    if (n <= kRankSort) return rankSort(list, spare, n, emit);
    if (n < kLongSort) return bits > 24 ? radixSort<8, 4>(list, spare, n, emit) : radixSort<8, 3>(list, spare, n, emit);
    return bits > 22 ? radixSort<11, 3>(list, spare, n, emit) : radixSort<11, 2>(list, spare, n, emit);
  }
  for (size_t i = rising; i < n; ++i) {
    const Item item = list[i];
    size_t j = i;
    for (; j > 0 && keyOf(item) < keyOf(list[j - 1]); --j) list[j] = list[j - 1];
    list[j] = item;
  }
  if (!keep)
    for (size_t i = 0; i < n; ++i) emit(i, list[i]);
  return list;
}

// Items of x whose keys are the upper halves; the result is in one of the two lists, where keys mean nothing any more.
template <class T> inline SortItem* sortItems(const T* x, KeyOrder<T> order, SortItem* list, SortItem* spare, size_t n, int bits = 32) {
  SortItem* sorted = sortByKey(list, spare, n, bits, KeepItems{});
  if (sizeof(T) == 4) return sorted;
  SortItem* other = sorted == list ? spare : list;
  for (size_t i = 0, end; i < n; i = end) {
    end = i + 1;
    while (end < n && sorted[end].key == sorted[i].key) ++end;
    if (end - i == 1) continue;
    for (size_t k = i; k < end; ++k) sorted[k].key = static_cast<uint32_t>(order(x[sorted[k].index]));
    const SortItem* run = sortByKey(sorted + i, other + i, end - i, 32, KeepItems{});
    if (run != sorted + i) __builtin_memcpy(sorted + i, run, (end - i) * sizeof(SortItem));
  }
  return sorted;
}

// What a sort writes: the order.
template <class T> struct OrderOutput {
  using Item = SortItem;
  const T* x;
  KeyOrder<T> key;
  uint32_t* order;
  uint32_t base = 0;  // what keys are less by

  LGC_FN Item item(size_t i) const { return {upperHalf(key(x[i])), static_cast<uint32_t>(i)}; }
  void finish(Item* list, Item* spare, size_t begin, size_t end, int bits) const {
    uint32_t* to = order + begin;
    if (sizeof(T) == 4) {
      sortByKey(list + begin, spare + begin, end - begin, bits, [to](size_t at, Item item) LGC_LAMBDA { to[at] = item.index; });
      return;
    }
    const Item* sorted = sortItems(x, key, list + begin, spare + begin, end - begin, bits);
    for (size_t i = begin; i < end; ++i) *to++ = (sorted++)->index;
  }
};

template <class T> constexpr size_t sortScratchBytes(size_t n) { return 2 * (n ? n : 1) * sizeof(SortItem); }

template <class Output> inline void sortRow(const Output& output, size_t n, void* scratch) {
  using Item = typename Output::Item;
  Item *list = static_cast<Item*>(scratch), *spare = list + n;
  for (size_t i = 0; i < n; ++i) list[i] = output.item(i);
  output.finish(list, spare, 0, n, 32);
}

// A row from this length on is first split by the leading digits of its keys, in parts that stay in the cache and that threads share.
// The split costs as much as the sort of a row that fits the cache, which two threads would not earn back.
constexpr size_t kSplitSort = size_t{1} << 20, kSortChunk = size_t{1} << 16, kSortPart = size_t{1} << 13;
constexpr int kSplitDigit = 11;

template <class Output> inline void splitSortRow(Call& call, Output output, size_t n, void* scratch) {
  using Item = typename Output::Item;
  Item *list = static_cast<Item*>(scratch), *spare = list + n;
  int digit = 1;
  while (digit < kSplitDigit && n >> digit > kSortPart) ++digit;
  const size_t chunks = (n + kSortChunk - 1) / kSortChunk, parts = size_t{1} << digit;
  Scratch<uint32_t> counts(call, chunks * parts), starts(call, parts + 1);
  if (!counts || !starts) return;
  uint32_t *counted = counts, *start = starts;
  auto overChunks = [&](auto&& body) {
    parallel(call, chunks, 1, [&](size_t first, size_t last) {
      for (size_t chunk = first; chunk < last; ++chunk) {
        const size_t begin = chunk * kSortChunk, end = n - begin < kSortChunk ? n : begin + kSortChunk;
        body(counted + chunk * parts, begin, end);
      }
    });
  };
  // The row is read once: it may be memory that changes meanwhile. The leading digit starts at the highest bit in which keys differ.
  overChunks([&](uint32_t* range, size_t begin, size_t end) {
    uint32_t low = ~0u, high = 0;
    for (size_t i = begin; i < end; ++i) {
      const Item item = output.item(i);
      const uint32_t key = keyOf(item);
      spare[i] = item;
      low = key < low ? key : low;
      high = key > high ? key : high;
    }
    range[0] = low;
    range[1] = high;
  });
  uint32_t low = ~0u, high = 0;
  for (size_t chunk = 0; chunk < chunks; ++chunk) {
    uint32_t* range = counted + chunk * parts;
    low = range[0] < low ? range[0] : low;
    high = range[1] > high ? range[1] : high;
    range[0] = range[1] = 0;
  }
  output.base = low;
  const int width = high == low ? 0 : 32 - __builtin_clz(high - low), shift = width > digit ? width - digit : 0;
  overChunks([&](uint32_t* count, size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) ++count[(keyOf(spare[i]) - low) >> shift];
  });
  uint32_t total = 0;
  for (size_t part = 0; part < parts; ++part) {
    start[part] = total;
    for (size_t chunk = 0; chunk < chunks; ++chunk) {
      uint32_t& at = counted[chunk * parts + part];
      const uint32_t here = at;
      at = total;
      total += here;
    }
  }
  start[parts] = total;
  overChunks([&](uint32_t* at, size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const Item item = less(spare[i], low);
      list[at[keyOf(item) >> shift]++] = item;
    }
  });
  parallel(call, parts, 1, [&](size_t first, size_t last) {
    for (size_t k = first; k < last; ++k) {
      // Neighbours are full or empty together: a stride hands them to different threads.
      const size_t part = k * 1021 % parts;
      output.finish(list, spare, start[part], start[part + 1], shift);
    }
  });
}

// The indices of x in order, NaN last in both directions. Scratch of sortScratchBytes<T>(n) need not be zeroed.
template <class T> inline void argsort(const T* x, size_t n, bool descending, uint32_t* order, void* scratch) {
  sortRow(OrderOutput<T>{x, nanLast<T>(descending), order}, n, scratch);
}

// One long row by all threads.
template <class T> inline void argsort(Call& call, const T* x, size_t n, bool descending, uint32_t* order, void* scratch) {
  if (n < kSplitSort) return argsort(x, n, descending, order, scratch);
  splitSortRow(call, OrderOutput<T>{x, nanLast<T>(descending), order}, n, scratch);
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
