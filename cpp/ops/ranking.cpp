// Agreement of two orders: Kendall's rank correlation in O(n log n) (Knight 1966).
#include "ranking.h"

#include "../engine/family.h"
#include "../engine/wide.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct Pair {
  double a, b;
};
inline bool comesBefore(const Pair& x, const Pair& y) { return x.a < y.a || (x.a == y.a && x.b < y.b); }

// Sorts by merging runs of doubling length. Returns how many pairs were in the wrong order.
template <class T, class F> inline double mergeSort(T* x, T* spare, size_t n, F&& before) {
  double swaps = 0;
  T* from = x;
  T* to = spare;
  for (size_t run = 1; run < n; run *= 2) {
    for (size_t start = 0; start < n; start += 2 * run) {
      const size_t middle = n - start < run ? n : start + run, end = n - middle < run ? n : middle + run;
      size_t left = start, right = middle;
      for (size_t at = start; at < end; ++at) {
        const bool takeRight = left == middle || (right < end && before(from[right], from[left]));
        if (takeRight) swaps += static_cast<double>(middle - left);
        to[at] = takeRight ? from[right++] : from[left++];
      }
    }
    T* const done = to;
    to = from;
    from = done;
  }
  if (from != x) __builtin_memcpy(static_cast<void*>(x), static_cast<const void*>(from), n * sizeof(T));
  return swaps;
}

// Pairs within runs of equal neighbours.
template <class F> inline double tiedPairs(size_t n, F&& equal) {
  double tied = 0;
  for (size_t start = 0, i = 1; i <= n; ++i)
    if (i == n || !equal(i - 1, i)) {
      tied += pairsOf(static_cast<double>(i - start));
      start = i;
    }
  return tied;
}

struct KendallTauOp : KendallTau {
  template <class T> static void run(Call& call) {
    const size_t n = call.dims['n'];
    const T* a = LGC_INPUT(T, call, predicted);
    const T* b = LGC_INPUT(T, call, actual);
    Scratch<Pair> pairs(call, n), sparePairs(call, n);
    Scratch<double> values(call, n), spare(call, n);
    if (!pairs || !sparePairs || !values || !spare) return;
    double squares = 0;
    if (!sumOver<double, 1>(call, n, &squares, [&](size_t i, size_t count, f64x8* term) LGC_LAMBDA {
          const f64x8 d = readWide(a + i, count) - readWide(b + i, count);
          term[0] = d * d;
        }))
      return;
    LGC_NUMBER(call, rmse) = sqrt(squares / static_cast<double>(n));
    Pair* p = pairs;
    double* v = values;
    bool ordered = true;
    for (size_t i = 0; i < n; ++i) {
      p[i] = {static_cast<double>(a[i]), static_cast<double>(b[i])};
      ordered = ordered && !isNan(p[i].a) && !isNan(p[i].b);
    }
    // NaN has no order.
    const double none = __builtin_nan("");
    Counts counts{pairsOf(static_cast<double>(n)), none, none, none, none};
    if (ordered) {
      mergeSort(p, static_cast<Pair*>(sparePairs), n, comesBefore);
      counts.tiesA = tiedPairs(n, [p](size_t i, size_t j) { return p[i].a == p[j].a; });
      counts.tiesBoth = tiedPairs(n, [p](size_t i, size_t j) { return p[i].a == p[j].a && p[i].b == p[j].b; });
      for (size_t i = 0; i < n; ++i) v[i] = p[i].b;
      counts.discordant = mergeSort(v, static_cast<double*>(spare), n, [](double x, double y) { return x < y; });
      counts.tiesB = tiedPairs(n, [v](size_t i, size_t j) { return v[i] == v[j]; });
    }
    LGC_NUMBER(call, tau) = counts.tau(LGC_OPTION(call, variant) == 0);
    LGC_NUMBER(call, concordant) = counts.concordant();
    LGC_NUMBER(call, discordant) = counts.discordant;
    LGC_NUMBER(call, tiesA) = counts.tiesA;
    LGC_NUMBER(call, tiesB) = counts.tiesB;
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(ranking, KendallTauOp)
}  // namespace logitcore
