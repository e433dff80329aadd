// The k largest entries of a row in descending order: NaN above +Infinity, -0 equal to +0, equal values by index. Candidates gather in
// a list of twice k. A full list is cut to its k first keys, not sorted: the last of these is found by halving the range of keys, and
// becomes the bound that whole vectors of the row are compared with. Only the k that are left at the end are sorted.
#pragma once
#include "sort.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// A list this long is cut in little more time than a shorter one.
constexpr size_t kShortestList = 128;

inline size_t selectCapacity(size_t c, size_t k) {
  const size_t wanted = 2 * k > kShortestList ? 2 * k : kShortestList;
  return wanted < c ? wanted : c;
}

// How many keys are at most `bound`.
template <class K> LGC_FN size_t countUpTo(const K* keys, size_t n, K bound) {
  K count = 0;
  for (size_t i = 0; i < n; ++i) count += keys[i] <= bound;
  return static_cast<size_t>(count);
}

// Keys and indices of candidates in the order of the row, so that the first of equal keys is the one with the lower index.
template <class T> struct Candidates {
  using Key = Bits<T>;
  Key* keys;
  SortItem* items;
  size_t size = 0;

  LGC_FN void add(Key key, size_t index) {
    keys[size] = key;
    items[size++].index = static_cast<uint32_t>(index);
  }
  // Keeps the k that come first; returns the key of the last of these.
  Key cut(size_t k) {
    Key low = keys[0], high = low;
    for (size_t i = 0; i < size; ++i) {
      low = keys[i] < low ? keys[i] : low;
      high = keys[i] > high ? keys[i] : high;
    }
    while (low < high) {
      const Key middle = low + (high - low) / 2;
      const size_t count = countUpTo(keys, size, middle);
      if (count < k) {
        low = middle + 1;
        continue;
      }
      high = middle;
      if (count == k) break;
    }
    size_t equal = k - (high == 0 ? 0 : countUpTo(keys, size, static_cast<Key>(high - 1)));
    Key last = 0;
    size_t kept = 0;
    for (size_t i = 0; i < size; ++i) {
      const Key key = keys[i];
      const bool isEqual = key == high, keeps = key < high || (isEqual && equal > 0);
      equal -= isEqual && keeps;
      last = keeps && key > last ? key : last;
      keys[kept] = key;
      items[kept].index = items[i].index;
      kept += keeps;
    }
    size = k;
    return last;
  }
};

// list and spare hold selectCapacity(c, k) entries; the first k of the result are the answer.
template <class T> inline const SortItem* selectLargest(const T* x, size_t c, size_t k, SortItem* list, SortItem* spare) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  static_assert(sizeof(Bits<T>) <= sizeof(SortItem), "the keys of a full list fit the spare one");
  const KeyOrder<T> order = largestFirst<T>();
  const size_t capacity = selectCapacity(c, k);
  Candidates<T> found{reinterpret_cast<Bits<T>*>(spare), list};
  for (size_t i = 0; i < capacity; ++i) found.add(order(x[i]), i);
  if (capacity < c) {
    Bits<T> bound = found.cut(k);
    W limit = broadcast<W>(order.value(bound));
    const auto offer = [&](size_t i) {
      const Bits<T> key = order(x[i]);
      if (key >= bound) return;
      if (found.size == capacity) {
        bound = found.cut(k);
        limit = broadcast<W>(order.value(bound));
        if (key >= bound) return;
      }
      found.add(key, i);
    };
    // Not at most the limit: larger, or NaN. Against a limit of NaN that lets everything through, and nothing passes the bound.
    const auto passes = [&](size_t i) LGC_LAMBDA { return !(load<W>(x + i) <= limit); };
    size_t i = capacity;
    for (; i + 4 * L <= c; i += 4 * L) {
      const auto m0 = passes(i), m1 = passes(i + L), m2 = passes(i + 2 * L), m3 = passes(i + 3 * L);
      if (__builtin_expect(!any((m0 | m1) | (m2 | m3)), 1)) continue;
      const decltype(m0) masks[] = {m0, m1, m2, m3};
      for (size_t q = 0; q < 4; ++q)
        for (unsigned bits = maskBits(masks[q]); bits; bits &= bits - 1) offer(i + q * L + static_cast<size_t>(__builtin_ctz(bits)));
    }
    for (; i < c; ++i) offer(i);
  }
  if (found.size > k) found.cut(k);
  for (size_t i = 0; i < k; ++i) list[i].key = upperHalf(order(x[list[i].index]));
  return sortItems(x, order, list, spare, k);
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
