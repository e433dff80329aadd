// The k largest entries of a row in descending order: NaN above +Infinity, -0 equal to +0, equal values by index. Candidates are
// gathered in a list of 2 k; when it is full it is sorted, cut to k, and its last entry becomes the bound that whole vectors of the
// row are compared with. A list as long as the row makes it a plain stable sort.
#pragma once
#include "sort.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Up to this k a list of k entries is kept in order all the time.
constexpr size_t kShortList = 16;

inline size_t selectCapacity(size_t c, size_t k) {
  const size_t wanted = k <= kShortList ? k : 2 * k;
  return wanted < c ? wanted : c;
}

// list and spare hold selectCapacity(c, k) entries; the first k of the result are the answer.
template <class T> inline const SortItem* selectLargest(const T* x, size_t c, size_t k, SortItem* list, SortItem* spare) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  const KeyOrder<T> order = largestFirst<T>();
  const size_t capacity = selectCapacity(c, k);
  // Lists are built in the order of the row, so a stable sort breaks ties by index.
  auto sort = [&](size_t n) {
    for (size_t i = 0; i < n; ++i) list[i].key = upperHalf(order(x[list[i].index]));
    const SortItem* sorted = sortItems(x, order, list, spare, n);
    if (sorted == list) return;
    SortItem* swap = list;
    list = spare;
    spare = swap;
  };
  for (size_t i = 0; i < capacity; ++i) list[i].index = static_cast<uint32_t>(i);
  sort(capacity);
  if (capacity == c) return list;
  size_t size = k;
  Bits<T> bound;
  W limit;
  auto raise = [&] {
    const T last = x[list[k - 1].index];
    bound = order(last);
    limit = broadcast<W>(last);
  };
  raise();
  auto offer = [&](size_t start, size_t end) {
    for (size_t i = start; i < end; ++i) {
      const Bits<T> key = order(x[i]);
      if (key >= bound) continue;
      if (k <= kShortList) {
        size_t j = k - 1;
        for (; j > 0 && key < order(x[list[j - 1].index]); --j) list[j] = list[j - 1];
        list[j].index = static_cast<uint32_t>(i);
        raise();
        continue;
      }
      if (size == capacity) {
        sort(size);
        size = k;
        raise();
        if (key >= bound) continue;
      }
      list[size++].index = static_cast<uint32_t>(i);
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
  if (size > k) sort(size);
  return list;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
