// Rows of Universal Logit Distillation on the device, and the cross-entropy that goes with them.
#pragma once
#include "../../cpp/ops/uld.h"
#include "../engine/places.h"
#include "../engine/tasks.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct UldSide {
  const void* logits;
  Places places;
  size_t columns;
  double temperature;
};

// One block a row of the student. Everything is in double, as on the CPU: a gradient is a sign. Both sides are summed by the same threads
// in the same order, so that equal rows have distance 0.
struct UldTask {
  UldSide student, teacher;
  Storage storage;
  int transform;
  const int32_t* mask;      // rows that count; null: all
  const uint32_t* partner;  // the teacher's row from 1, 0 for none; null: that of the same number
  const double* share;      // of each row's distance in the loss; null: 1
  const double* scale;      // of all gradients; null: 1
  double weight;            // of all gradients; what has none moves nothing, also where it is infinite
  double* distances;        // times share; 0 in rows that do not count
  Elements gradient;        // written; 0 in rows that do not count

  LGC_DEVICE void operator()(size_t row, Team& team) const {
    const bool counts = (!mask || mask[row] != 0) && (!partner || partner[row] != 0);
    const double part = share ? share[row] : 1.0;
    const double distance = counts ? distanceOf(row, partner ? partner[row] - 1 : row, part, team) : 0.0;
    if (!counts || weight == 0) fill(row, 0, team);
    if (team.leads()) distances[row] = part * distance;
  }

 private:
  LGC_DEVICE void fill(size_t row, float value, const Team& team) const {
    if (!gradient.at) return;
    for (size_t j = team.rank; j < student.columns; j += team.size)
      writeOne(gradient.at, gradient.storage, row * student.columns + j, value);
  }

  // A row of one side: its k largest values, and all of them.
  struct Row {
    const UldSide& side;
    Storage storage;
    const float* sorted;
    size_t start, count;  // count: places that are not masked
    UldValues values;

    LGC_DEVICE bool whole() const { return side.places.count >= side.columns; }
    LGC_DEVICE size_t summed() const { return whole() ? count : side.columns; }
    LGC_DEVICE double entry(size_t i) const { return static_cast<double>(whole() ? sorted[i] : readOne(side.logits, storage, start + i)); }
    // 0 beyond the last place.
    LGC_DEVICE double value(size_t i) const { return (i < count ? values.term(static_cast<double>(sorted[i])) : 0.0) * values.factor; }
    template <class F> LGC_DEVICE double over(Team& team, double shift, F&& term) const {
      double sum = 0;
      for (size_t i = team.rank; i < summed(); i += team.size) {
        const double z = entry(i);
        if (z != -__builtin_huge_val()) sum += term(z - shift);
      }
      return team.sum(sum);
    }
  };
  LGC_DEVICE Row rowOf(const UldSide& side, size_t row, Team& team) const {
    Row r{side, storage, side.places.values + row * side.places.count, row * side.columns, 0, {}};
    double found = 0;
    for (size_t i = team.rank; i < side.places.count; i += team.size) found += r.sorted[i] != -__builtin_huge_valf();
    r.count = static_cast<size_t>(team.sum(found));
    UldValues& v = r.values;
    v.scale = 1.0 / side.temperature;
    if (transform != kUldNone) v.shift = static_cast<double>(r.sorted[0]);
    if (transform == kUldStandardize) {
      v.count = r.over(team, 0, [](double) { return 1.0; });
      // Around the largest value: a constant row has deviation 0 exactly.
      v.shift += r.over(team, v.shift, [](double d) { return d; }) / v.count;
      const double variance = r.over(team, v.shift, [](double d) { return d * d; }) / v.count;
      v.scale = variance == 0 ? 0.0 : 1.0 / sqrt(variance);
    }
    v.exponential = transform == kUldSoftmax;
    if (v.exponential) v.factor = 1.0 / r.over(team, 0, [&](double z) { return v.term(z); });
    return r;
  }

  LGC_DEVICE double distanceOf(size_t row, size_t teacherRow, double part, Team& team) const {
    const Row mine = rowOf(student, row, team), theirs = rowOf(teacher, teacherRow, team);
    const float nan = __builtin_nanf("");
    const size_t a = mine.count, b = theirs.count;
    double sums[3] = {0, 0, 0};
    for (size_t i = team.rank; i < a || i < b; i += team.size) {
      const double x = mine.value(i), difference = x - theirs.value(i), sign = i < a ? signOf(difference) : 0.0;
      sums[0] += abs(difference);
      sums[1] += sign;
      sums[2] = fma(x, sign, sums[2]);
    }
    team.sum(sums);
    const double total = a == 0 || b == 0 ? __builtin_nan("") : sums[0];
    if (!gradient.at || weight == 0) return total;
    if (isNan(total)) {
      fill(row, nan, team);
      return total;
    }
    const size_t c = student.columns;
    const UldSlope slope = uldSlope(transform, mine.values, student.temperature, sums[1], sums[2], weight * part * (scale ? *scale : 1.0));
    // Entries that no place compares move the others only, by the sum of exponentials or by mean and deviation.
    if (!mine.whole())
      for (size_t j = team.rank; j < c; j += team.size) {
        const double z = mine.entry(j);
        const bool still = transform == kUldNone || z == -__builtin_huge_val();
        put(mine.start + j, still ? 0.0 : slope(mine.values.term(z) * mine.values.factor, 0.0));
      }
    team.sync();
    const uint32_t* order = student.places.order + row * student.places.stride;
    for (size_t i = team.rank; i < a; i += team.size) {
      const double x = mine.value(i);
      put(mine.start + order[i], slope(x, signOf(x - theirs.value(i))));
    }
    if (mine.whole())
      for (size_t i = a + team.rank; i < c; i += team.size) put(mine.start + order[i], 0);
    return total;
  }
  LGC_DEVICE void put(size_t at, double x) const { writeOne(gradient.at, gradient.storage, at, static_cast<float>(x)); }
};

// The sum of the values of rows, or pairs: times scale[0], and NaN as a mean over none, scale[1].
struct TotalOf {
  const double *values, *scale;
  size_t count;
  bool mean;
  double* loss;
  LGC_DEVICE void operator()() const {
    const double total = sumRows(count, [&](size_t i) { return values[i]; });
    if (threadIdx.x == 0) *loss = mean && scale[1] == 0 ? __builtin_nan("") : total * scale[0];
  }
};
inline void reduceValues(DeviceCall& call, int output, int reduction, const double* values, const double* scale, size_t count) {
  if (reduction == kReduceNone)
    storeAs(call, values, count, static_cast<float*>(call.outputs[output]));
  else if (call.numbers[output])
    once(call, TotalOf{values, scale, count, reduction == kReduceMean, call.numbers[output]});
}

// -log p_y of rows, and weight times its gradient on top of what is in `gradient`, which is float32 whatever the logits are.
struct AddedCrossEntropy {
  RowMarks marks;
  const double* scale;
  double weight;
  double* losses;  // 0 in rows that do not count
  float* gradient;

  LGC_DEVICE void operator()(Rows<1>& rows) const {
    const unsigned target = marks.read(rows);
    RowSum s;
    rowSums<1>(
        rows, 1.0f, [](float x) { return x; }, &s);
    const TargetTerm term(s, target, rows.reads() ? static_cast<double>(rows.entry(0, target)) : 0.0);
    if (rows.leads()) losses[rows.row] = rows.fate == Fate::kept ? term.loss : rows.fate == Fate::lost ? __builtin_nan("") : 0.0;
    if (!gradient || !rows.inside) return;
    float* g = gradient + rows.row * rows.shape.columns;
    if (rows.fate == Fate::lost) {
      for (size_t j = rows.team.rank; j < rows.shape.columns; j += rows.team.size) g[j] = __builtin_nanf("");
      return;
    }
    const double factor = weight * (scale ? *scale : 1.0);
    const float top = static_cast<float>(s.max), ofOthers = static_cast<float>(factor * term.inverse),
                ofTarget = static_cast<float>(factor * term.slope);
    eachColumn(rows, [&](int j, const float(&z)[1]) {
      g[j] += static_cast<unsigned>(j) == target ? ofTarget : exponential(z[0] - top) * ofOthers;
    });
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
