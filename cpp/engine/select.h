// The k largest entries of a row in descending order: NaN above +Infinity, -0 equal to +0, equal values by index. Candidates are
// gathered in a list of 2 k; when it is full it is sorted, cut to k, and its last entry becomes the bound that whole vectors of the
// row are compared with. A list as long as the row makes it a plain stable sort.
#pragma once
#include "kernel.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

template <class T> struct Ranked {
  Bits<T> key;
  uint32_t index;
};

// Orders as the values do; all NaNs are one value, above the rest.
template <class T> LC_FN Bits<T> orderKey(T x) {
  constexpr Bits<T> sign = Bits<T>{1} << (8 * sizeof(T) - 1);
  if (x != x) return ~Bits<T>{0};
  const Bits<T> bits = toBits(x == 0 ? T(0) : x);
  return bits & sign ? ~bits : bits | sign;
}

// Stable and descending; the result is in `list`. Ties keep their order, so lists built in the order of the row break them by index.
template <class T> inline void sortDescending(Ranked<T>* list, Ranked<T>* spare, size_t n) {
  if (n <= 48) {
    for (size_t i = 1; i < n; ++i) {
      const Ranked<T> item = list[i];
      size_t j = i;
      for (; j > 0 && list[j - 1].key < item.key; --j) list[j] = list[j - 1];
      list[j] = item;
    }
    return;
  }
  // By digits of 8 bits, the lowest first.
  Ranked<T>*from = list, *to = spare;
  for (int shift = 0; shift < static_cast<int>(8 * sizeof(T)); shift += 8) {
    size_t start[256] = {};
    for (size_t i = 0; i < n; ++i) ++start[static_cast<uint8_t>(~from[i].key >> shift)];
    if (start[static_cast<uint8_t>(~from[0].key >> shift)] == n) continue;
    size_t total = 0;
    for (size_t& at : start) {
      const size_t count = at;
      at = total;
      total += count;
    }
    for (size_t i = 0; i < n; ++i) to[start[static_cast<uint8_t>(~from[i].key >> shift)]++] = from[i];
    Ranked<T>* swap = from;
    from = to;
    to = swap;
  }
  if (from != list) __builtin_memcpy(static_cast<void*>(list), from, n * sizeof(Ranked<T>));
}

// Up to this k a list of k entries is kept in order all the time.
constexpr size_t kShortList = 16;

inline size_t selectCapacity(size_t c, size_t k) {
  const size_t wanted = k <= kShortList ? k : 2 * k;
  return wanted < c ? wanted : c;
}

// list and spare hold selectCapacity(c, k) entries; the first k of the result are the answer.
template <class T> inline const Ranked<T>* selectLargest(const T* x, size_t c, size_t k, Ranked<T>* list, Ranked<T>* spare) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  const size_t capacity = selectCapacity(c, k);
  for (size_t i = 0; i < capacity; ++i) list[i] = {orderKey(x[i]), static_cast<uint32_t>(i)};
  sortDescending(list, spare, capacity);
  if (capacity == c) return list;
  size_t size = k;
  Bits<T> bound;
  W limit;
  auto raise = [&] {
    bound = list[k - 1].key;
    limit = broadcast<W>(x[list[k - 1].index]);
  };
  raise();
  auto offer = [&](size_t start, size_t end) {
    for (size_t i = start; i < end; ++i) {
      const Bits<T> key = orderKey(x[i]);
      if (key <= bound) continue;
      if (k <= kShortList) {
        size_t j = k - 1;
        for (; j > 0 && list[j - 1].key < key; --j) list[j] = list[j - 1];
        list[j] = {key, static_cast<uint32_t>(i)};
        raise();
        continue;
      }
      if (size == capacity) {
        sortDescending(list, spare, size);
        size = k;
        raise();
        if (key <= bound) continue;
      }
      list[size++] = {key, static_cast<uint32_t>(i)};
    }
  };
  // Not at most the limit: larger, or NaN. Against a limit of NaN that lets everything through, and nothing passes the bound.
  auto passes = [&](size_t i) { return !(load<W>(x + i) <= limit); };
  size_t i = capacity;
  for (; i + 4 * L <= c; i += 4 * L) {
    const auto m0 = passes(i), m1 = passes(i + L), m2 = passes(i + 2 * L), m3 = passes(i + 3 * L);
    if (__builtin_expect(!any((m0 | m1) | (m2 | m3)), 1)) continue;
    if (any(m0)) offer(i, i + L);
    if (any(m1)) offer(i + L, i + 2 * L);
    if (any(m2)) offer(i + 2 * L, i + 3 * L);
    if (any(m3)) offer(i + 3 * L, i + 4 * L);
  }
  offer(i, c);
  if (size > k) sortDescending(list, spare, size);
  return list;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
