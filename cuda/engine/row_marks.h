// Targets, or marks, of the rows: which count, and whether a target is a class.
#pragma once
#include "../../cpp/simd/exp2.h"
#include "row_layout.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct RowMarks {
  const int32_t* at;
  int32_t ignore;
  bool targeted, ignores;  // ignores: ops without that option take every mark for a target
  Faults faults;

  // The row's target; 0 where there is none.
  template <int N> LGC_DEVICE unsigned read(Rows<N>& rows) const { return read(rows, rows.row); }
  // Where rows share their marks: the mark at `place`.
  template <int N> LGC_DEVICE unsigned read(Rows<N>& rows, size_t place) const {
    if (!at || !rows.inside) return 0;
    const int32_t mark = at[place];
    if (ignores && mark == ignore) {
      rows.fate = Fate::dropped;
      return 0;
    }
    if (!targeted) return 0;
    if (mark >= 0 && static_cast<size_t>(mark) < rows.shape.columns) return static_cast<unsigned>(mark);
    rows.fate = Fate::lost;
    if (rows.team.leads()) faults.raise();
    return 0;
  }
};

template <class D> RowMarks marksOf(const DeviceCall& call) {
  constexpr int target = findKind(D::record, Kind::target, Kind::target), any = findKind(D::record, Kind::target, Kind::mark);
  return {rowMarks<D>(call), ignoreIndexOf<D>(call), target >= 0, findOption(D::record, "ignoreIndex") >= 0,
          faultsOf(call, any < 0 ? 0 : any)};
}

// 2^y for y <= 0, 0 below 2^-126. The instruction errs by two units in the last place.
LGC_DEVICE float power2(float y) {
#if defined(__CUDA_ARCH__)
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(y));
  return power;
#else
  return exp2Flush(y);
#endif
}
constexpr float kPerNat = 1.4426950408889634f;
LGC_DEVICE float exponential(float x) { return power2(x * kPerNat); }

// The larger, of a number and NaN the number.
LGC_DEVICE float larger(float a, float b) {
#if defined(__CUDACC__)
  return fmaxf(a, b);
#else
  return b > a || a != a ? b : a;
#endif
}

// Of `count` inputs from the first on, as `read` gives them: the largest entry and its first column, which is not `except`. Rows without
// any have -Infinity and no column.
template <int count, int input = 0, int N, class R>
LGC_DEVICE void findTops(Rows<N>& rows, const R& read, unsigned except, Placed (&top)[count]) {
  // Which four columns it is in: one question for each, and the column is looked up at the end.
  int four[count];
  LGC_UNROLL
  for (int k = 0; k < count; ++k) {
    top[k] = {-__builtin_huge_valf(), kNoMark};
    four[k] = kNoColumn;
  }
  rows.sweepBut(Marked{{except, kNoMark, kNoMark}}, [&](const auto& chunk, float(*v)[kEight]) {
    LGC_UNROLL
    for (int k = 0; k < count; ++k) {
      LGC_UNROLL
      for (int first = 0; first < static_cast<int>(kEight); first += 4) {
        float most = -__builtin_huge_valf();
        LGC_UNROLL
        for (int e = first; e < first + 4; ++e)
          if (chunk.has(e) && !chunk.is(e, except)) most = larger(most, read(v[input + k][e]));
        const int start = chunk.column(first);
        if (most > top[k].value || (!chunk.inOrder && most == top[k].value && start < four[k])) {
          top[k].value = most;
          four[k] = start;
        }
      }
    }
  });
  LGC_UNROLL
  for (int k = 0; k < count; ++k) {
    // Columns of four begin at -7 at the earliest.
    top[k].index = static_cast<unsigned>(four[k] + 8);
    top[k] = rows.team.largest(top[k]);
    top[k].index = top[k].value == -__builtin_huge_valf()
                       ? kNoMark
                       : rows.firstEqual(input + k, static_cast<int>(top[k].index) - 8, top[k].value, except, read);
  }
}

// Of the first `count` inputs, as `read` gives them: the largest entry and the sum of the other exponentials. Infinite rows have no
// distribution.
template <int count, int N, class R> LGC_DEVICE void rowSums(Rows<N>& rows, float scale, const R& read, RowSum* out) {
  Placed top[count];
  float origin[count];
  Marked marked{{kNoMark, kNoMark, kNoMark}};
  findTops<count>(rows, read, kNoMark, top);
  LGC_UNROLL
  for (int k = 0; k < count; ++k) {
    const bool masked = top[k].value == -__builtin_huge_valf();
    if (masked) top[k].index = 0;
    origin[k] = masked ? 0.0f : top[k].value;
    marked.at[k] = top[k].index;
  }
  Sums<count> sums;
  const float unit = scale * kPerNat;
  rows.sweepBut(marked, [&](const auto& chunk, float(*v)[kEight]) {
    LGC_UNROLL
    for (int e = 0; e < static_cast<int>(kEight); ++e) {
      if (!chunk.has(e)) continue;
      LGC_UNROLL
      for (int k = 0; k < count; ++k) {
        const float power = power2((read(v[k][e]) - origin[k]) * unit);
        if (!chunk.is(e, top[k].index)) sums.add(k, power);
      }
    }
    sums.next();
  });
  sums.fold();
  rows.team.sum(sums.total);
  LGC_UNROLL
  for (int k = 0; k < count; ++k) {
    out[k].max = static_cast<double>(top[k].value);
    out[k].argMax = top[k].index;
    out[k].others = top[k].value == __builtin_huge_valf() ? __builtin_nan("") : sums.total[k];
  }
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
