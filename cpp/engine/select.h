// The k largest entries of a row in descending order: NaN above +Infinity, -0 equal to +0, equal values by index. Candidates are
// gathered in a list of about 2 k; when it is full it is sorted, cut to k, and its last entry becomes the bound that whole vectors
// of the row are compared with. A list as long as the row makes it a plain stable sort.
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
  constexpr size_t run = 8;
  for (size_t start = 0; start < n; start += run) {
    const size_t end = n - start < run ? n : start + run;
    for (size_t i = start + 1; i < end; ++i) {
      const Ranked<T> item = list[i];
      size_t j = i;
      for (; j > start && list[j - 1].key < item.key; --j) list[j] = list[j - 1];
      list[j] = item;
    }
  }
  Ranked<T>*from = list, *to = spare;
  for (size_t width = run; width < n; width *= 2) {
    for (size_t start = 0; start < n; start += 2 * width) {
      const size_t middle = n - start < width ? n : start + width, end = n - middle < width ? n : middle + width;
      size_t a = start, b = middle, at = start;
      while (a < middle && b < end) {
        const bool second = from[b].key > from[a].key;
        to[at++] = from[second ? b : a];
        b += second;
        a += !second;
      }
      while (a < middle) to[at++] = from[a++];
      while (b < end) to[at++] = from[b++];
    }
    Ranked<T>* swap = from;
    from = to;
    to = swap;
  }
  if (from != list) __builtin_memcpy(static_cast<void*>(list), from, n * sizeof(Ranked<T>));
}

inline size_t selectCapacity(size_t c, size_t k) {
  const size_t wanted = k + (k < 8 ? 8 : k);
  return wanted < c ? wanted : c;
}

// list and spare hold selectCapacity(c, k) entries; the first k of the result are the answer.
template <class T> inline const Ranked<T>* selectLargest(const T* x, size_t c, size_t k, Ranked<T>* list, Ranked<T>* spare) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  const size_t capacity = selectCapacity(c, k);
  size_t size = 0;
  for (; size < capacity; ++size) list[size] = {orderKey(x[size]), static_cast<uint32_t>(size)};
  sortDescending(list, spare, size);
  if (capacity == c) return list;
  size = k;
  Bits<T> bound = list[k - 1].key;
  W limit = broadcast<W>(x[list[k - 1].index]);
  auto offer = [&](size_t start, size_t end) {
    for (size_t i = start; i < end; ++i) {
      const Bits<T> key = orderKey(x[i]);
      if (key <= bound) continue;
      if (size == capacity) {
        sortDescending(list, spare, size);
        size = k;
        bound = list[k - 1].key;
        limit = broadcast<W>(x[list[k - 1].index]);
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
  sortDescending(list, spare, size);
  return list;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
