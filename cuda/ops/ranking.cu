#include "../../cpp/ops/ranking.h"
#include "../engine/flat.h"
#include "table.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

// A sort by merging counts what it puts in order, as on the CPU (Knight 1966): every entry finds its place among those of the other run
// by a search, and what a right one does not pass of the left run are the pairs in opposite order. A million values take 20 merges;
// comparisons of all their pairs, which are as many as 10^12, would take thousands of times as long.
struct Pair {
  float a, b;
  LGC_DEVICE bool isBefore(const Pair& o) const { return a < o.a || (a == o.a && b < o.b); }
};
struct Value {
  float b;
  LGC_DEVICE bool isBefore(const Value& o) const { return b < o.b; }
};

// Merges runs of `run` entries two by two. Equal ones keep their order.
template <class Item> struct MergeRuns {
  const Item* from;
  Item* to;
  size_t n, run;
  uint32_t* swaps;  // a place; null: they are not counted
  LGC_DEVICE void operator()(size_t i) const {
    const Item own = from[i];
    const size_t start = i / (2 * run) * (2 * run), middle = n - start < run ? n : start + run, end = n - middle < run ? n : middle + run;
    const bool isLeft = i < middle;
    size_t low = isLeft ? middle : start, high = isLeft ? end : middle;
    const size_t first = low;
    while (low < high) {
      const size_t at = low + (high - low) / 2;
      // Of the left run those that are equal too come before this one.
      if (isLeft ? from[at].isBefore(own) : !own.isBefore(from[at]))
        low = at + 1;
      else
        high = at;
    }
    to[(isLeft ? i : i - (middle - start)) + (low - first)] = own;
    if (swaps && !isLeft) swaps[i] += static_cast<uint32_t>(middle - low);
  }
};
// The list that has the result.
template <class Item> Item* mergeSort(DeviceCall& call, Item* x, Item* spare, size_t n, uint32_t* swaps) {
  for (size_t run = 1; run < n; run *= 2) {
    forIndices(call, n, MergeRuns<Item>{x, spare, n, run, swaps});
    Item* const done = spare;
    spare = x;
    x = done;
  }
  return x;
}

// How many before entry i of a sorted list are equal to it: over all entries, the tied pairs.
template <class F> LGC_DEVICE double tiedBefore(size_t i, F&& equal) {
  size_t low = 0, high = i;
  while (low < high) {
    const size_t at = low + (high - low) / 2;
    if (equal(at))
      high = at;
    else
      low = at + 1;
  }
  return static_cast<double>(i - low);
}

struct MakePairs {
  const float *a, *b;
  Pair* pairs;
  LGC_DEVICE void operator()(size_t i) const { pairs[i] = {a[i], b[i]}; }
};
struct MakeValues {
  const Pair* pairs;
  Value* values;
  uint32_t* swaps;
  LGC_DEVICE void operator()(size_t i) const {
    values[i] = {pairs[i].b};
    swaps[i] = 0;
  }
};
struct PairTerms {
  static constexpr int count = 6;
  const float *a, *b;
  const Pair* pairs;    // by a, then by b
  const Value* values;  // sorted
  const uint32_t* swaps;
  LGC_DEVICE void operator()(size_t i, double* t) const {
    const Pair own = pairs[i];
    t[0] = tiedBefore(i, [&](size_t j) { return pairs[j].a == own.a; });
    t[1] = tiedBefore(i, [&](size_t j) { return pairs[j].a == own.a && pairs[j].b == own.b; });
    t[2] = tiedBefore(i, [&](size_t j) { return values[j].b == values[i].b; });
    t[3] = static_cast<double>(swaps[i]);
    const double error = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    t[4] = error * error;
    t[5] = isNan(a[i]) || isNan(b[i]) ? 1.0 : 0.0;
  }
};
struct GiveTau {
  size_t n;
  bool corrected;
  double *tau, *rmse, *concordant, *discordant, *tiesA, *tiesB;
  LGC_DEVICE void operator()(const double* sums) const {
    const double count = static_cast<double>(n), nan = __builtin_nan("");
    KendallTau::Counts c{pairsOf(count), nan, nan, nan, nan};
    // NaN has no order.
    if (sums[5] == 0) {
      c.tiesA = sums[0];
      c.tiesBoth = sums[1];
      c.tiesB = sums[2];
      c.discordant = sums[3];
    }
    give(tau, c.tau(corrected));
    give(rmse, sqrt(sums[4] / count));
    give(concordant, c.concordant());
    give(discordant, c.discordant);
    give(tiesA, c.tiesA);
    give(tiesB, c.tiesB);
  }
};

struct KendallTauOp : KendallTau {
  static void run(DeviceCall& call) {
    const size_t n = call.dims['n'];
    const float *a = LGC_INPUT(float, call, predicted), *b = LGC_INPUT(float, call, actual);
    Pair *first = call.scratch<Pair>(n), *sparePairs = call.scratch<Pair>(n);
    Value *second = call.scratch<Value>(n), *spareValues = call.scratch<Value>(n);
    uint32_t* swaps = call.scratch<uint32_t>(n);
    if (call.outOfMemory) return;
    forIndices(call, n, MakePairs{a, b, first});
    const Pair* pairs = mergeSort(call, first, sparePairs, n, nullptr);
    forIndices(call, n, MakeValues{pairs, second, swaps});
    const Value* values = mergeSort(call, second, spareValues, n, swaps);
    sumFlat<PairTerms::count>(
        call, n, PairTerms{a, b, pairs, values, swaps},
        GiveTau{n, LGC_OPTION(call, variant) == 0, LGC_NUMBER_AT(call, tau), LGC_NUMBER_AT(call, rmse), LGC_NUMBER_AT(call, concordant),
                LGC_NUMBER_AT(call, discordant), LGC_NUMBER_AT(call, tiesA), LGC_NUMBER_AT(call, tiesB)});
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(ranking, KendallTauOp)
}  // namespace logitcore
