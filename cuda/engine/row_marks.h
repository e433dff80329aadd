// Targets, or marks, of the rows: which count, and whether a target is a class.
#pragma once
#include "../../cpp/simd/exp2.h"
#include "row_layout.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct RowMarks {
  const int32_t* at;
  int32_t ignore;
  bool targeted;
  Faults faults;

  // The row's target; 0 where there is none.
  template <int N> LGC_DEVICE unsigned read(Rows<N>& rows) const {
    if (!at || !rows.inside) return 0;
    const int32_t mark = at[rows.row];
    if (mark == ignore) {
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
  return {rowMarks<D>(call), ignoreIndexOf<D>(call), target >= 0, faultsOf(call, any < 0 ? 0 : any)};
}

// exp(x) for x <= 0, 0 below exp(-87).
LGC_DEVICE float exponential(float x) { return exp2Flush(x * 1.4426950408889634f); }

// The largest entry and the sum of the other exponentials, of input K as `read` gives it. Infinite rows have no distribution.
template <int K, int N, class R> LGC_DEVICE RowSum rowSum(Rows<N>& rows, float scale, const R& read) {
  Placed top{-__builtin_huge_valf(), 0x7fffffffu};
  rows.each([&](int first, int low, int high, float(*v)[kEight]) {
    LGC_UNROLL
    for (int e = 0; e < static_cast<int>(kEight); ++e)
      if (e >= low && e < high) {
        const float x = read(v[K][e]);
        if (x > top.value) top = {x, static_cast<unsigned>(first + e)};
      }
  });
  top = rows.team.largest(top);
  const bool masked = top.value == -__builtin_huge_valf();
  if (masked) top.index = 0;
  const float origin = masked ? 0.0f : top.value;
  Sums<1> sums;
  rows.each([&](int first, int low, int high, float(*v)[kEight]) {
    LGC_UNROLL
    for (int e = 0; e < static_cast<int>(kEight); ++e)
      if (e >= low && e < high && static_cast<unsigned>(first + e) != top.index) sums.add(0, exponential((read(v[K][e]) - origin) * scale));
    sums.next();
  });
  sums.fold();
  rows.team.sum(sums.total);
  RowSum r;
  r.max = static_cast<double>(top.value);
  r.argMax = top.index;
  r.others = top.value == __builtin_huge_valf() ? __builtin_nan("") : sums.total[0];
  return r;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
