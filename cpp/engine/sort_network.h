// Sorting networks for up to kNetwork keys: registers as rows of a matrix whose columns are sorted first and then merged pair by pair,
// until one column of whole registers is left.
#pragma once
#include "../simd/sorting.h"
#include "kernel.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr size_t kRegister = kKeyLanes, kNetworkRows = 16, kNetwork = kNetworkRows * kRegister;

LGC_FN void orderPair(Keys& a, Keys& b) {
  const Keys low = smaller(a, b);
  b = larger(a, b);
  a = low;
}

// Networks are made for a power of two, N registers. Those from Rows on would hold nothing but the largest key, which no comparison
// moves, and so neither they nor their comparisons are there.

// Batcher's odd-even merge of two sorted halves, lane by lane: of N registers from First on, every Step-th.
template <int Rows, int First, int N, int Step = 1> LGC_FN void mergeColumns(Keys* v) {
  if constexpr (2 * Step < N) {
    mergeColumns<Rows, First, N, 2 * Step>(v);
    mergeColumns<Rows, First + Step, N, 2 * Step>(v);
#pragma GCC unroll 16
    for (int i = First + Step; i + Step < First + N; i += 2 * Step)
      if (i + Step < Rows) orderPair(v[i], v[i + Step]);
  } else if constexpr (Step < N && First + Step < Rows) {
    orderPair(v[First], v[First + Step]);
  }
}
template <int Rows, int First, int N> LGC_FN void sortColumns(Keys* v) {
  if constexpr (N > 1 && First < Rows) {
    sortColumns<Rows, First, N / 2>(v);
    sortColumns<Rows, First + N / 2, N / 2>(v);
    mergeColumns<Rows, First, N>(v);
  }
}

// Bitonic merges. Groups of Width / 2 lanes are sorted, row by row; afterwards groups of Width are. Every half cleaner leaves one half
// of a group in order and the other in reverse, so that partners are found by turning rows and lanes round.
template <int Run> LGC_FN void orderWithinRuns(Keys& a, Keys& b) {
  if constexpr (Run > 1) {
    orderRuns<Run / 2, false>(a, b);
    orderWithinRuns<Run / 2>(a, b);
  }
}
template <int Rows, int First, int N, int Width> LGC_FN void mergeHalves(Keys* v) {
  if constexpr (First < Rows && N > 1) {
#pragma GCC unroll 16
    for (int i = First, j = First + N - 1; i < j; ++i, --j) {
      if (j >= Rows) continue;
      const Keys a = v[i], b = exchangeLanes<Width - 1>(v[j]);
      v[i] = smaller(a, b);
      v[j] = larger(a, b);
    }
    mergeHalves<Rows, First, N / 2, Width>(v);
    mergeHalves<Rows, First + N / 2, N / 2, Width>(v);
    if constexpr (N == 2) {
      orderRuns<Width / 2, true>(v[First], v[First + 1]);
      orderWithinRuns<Width / 2>(v[First], v[First + 1]);
    }
  }
}
template <int Rows, int N, int Width = 2> LGC_FN void mergeLanes(Keys* v) {
  if constexpr (Width <= kKeyLanes) {
    mergeHalves<Rows, 0, N, Width>(v);
    mergeLanes<Rows, N, 2 * Width>(v);
  }
}
constexpr int powerFrom(int n) { return n <= 1 ? 1 : 2 * powerFrom((n + 1) / 2); }

// Writes what `values` makes of the sorted keys. `room` says how much of `out` may be written: nonsense follows the n values.
template <int Rows, class Values> LGC_SHARED void sortRows(const int32_t* from, size_t n, Values values, int32_t* out, size_t room) {
  static_assert(Rows % 2 == 0, "lanes are ordered in two rows at a time");
  const Keys last = spreadKey(2147483647);
  Keys v[Rows];
  int32_t edge[Rows * kRegister];
  if (n < kRegister) {
    storeKeys(edge, last);
    for (size_t i = 0; i < n; ++i) edge[i] = from[i];
    v[0] = loadKeys(edge);
    for (size_t r = 1; r < Rows; ++r) v[r] = last;
  } else {
#pragma GCC unroll 16
    for (size_t r = 0; r + 2 < Rows; ++r) v[r] = loadKeys(from + r * kRegister);
    // The last registers end where the keys do, and leave out what they share with those before.
    for (size_t r = Rows - 2; r < Rows; ++r) {
      const size_t begin = r * kRegister < n - kRegister ? r * kRegister : n - kRegister;
      v[r] = lanesFrom(static_cast<int32_t>(r * kRegister - begin), loadKeys(from + begin), last);
    }
  }
  sortColumns<Rows, 0, powerFrom(Rows)>(v);
  mergeLanes<Rows, powerFrom(Rows)>(v);
  int32_t* to = Rows * kRegister <= room ? out : edge;
#pragma GCC unroll 16
  for (size_t r = 0; r < Rows; ++r) storeKeys(to + r * kRegister, values(v[r]));
  if (to != out) __builtin_memcpy(out, edge, n * sizeof *out);
}

// n is 1 to kNetwork.
template <class Values> LGC_FN void sortNetwork(const int32_t* from, size_t n, Values values, int32_t* out, size_t room) {
  static_assert(kNetworkRows == 16, "one case for every two rows");
  switch ((n - 1) / (2 * kRegister)) {
    case 0: return sortRows<2>(from, n, values, out, room);
    case 1: return sortRows<4>(from, n, values, out, room);
    case 2: return sortRows<6>(from, n, values, out, room);
    case 3: return sortRows<8>(from, n, values, out, room);
    case 4: return sortRows<10>(from, n, values, out, room);
    case 5: return sortRows<12>(from, n, values, out, room);
    case 6: return sortRows<14>(from, n, values, out, room);
    default: return sortRows<16>(from, n, values, out, room);
  }
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
