// Two rows compared by their softmaxes on a GPU, over the definitions of cpp/engine/row_pair.h: both are swept in the memory of the block
// for their maxima and moments, then for the sums of their exponentials; the value and the gradient's coefficients follow in double.
#pragma once
#include "../../cpp/engine/pair_facts.h"
#include "row_marks.h"
#include "row_values.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr size_t kFewColumns = 64;

struct PairArguments {
  RowLayout layout;
  RowInputs inputs;  // student, teacher
  RowMarks marks;
  RowValues values;
  void* gradient;
};

struct PairControl {
  PairGradient<double> gradient;
};

// Of one of the two rows.
struct PairRowOf {
  float top, scale, grain;
  unsigned argMax;
  // w, in nats. Masked entries have none.
  LGC_DEVICE float of(float x) const {
    const float w = (x * grain - top * grain) * scale;
    return w < -3e38f ? -3e38f : w;
  }
};

template <class D> struct PairTeam {
  static constexpr bool targeted = findKind(D::record, Kind::target, Kind::target) >= 0;
  const D& d;
  Rows<2>& rows;
  unsigned hole;  // 0 in ops without targets
  PairSide<double> side[2];
  PairRowOf row[2];
  unsigned left;  // the column of the target, if the op leaves it out

  LGC_DEVICE PairTeam(const D& definition, Rows<2>& pairs, unsigned target)
      : d(definition), rows(pairs), hole(target), side{}, row{}, left(targeted ? target : kNoMark) {}

  LGC_DEVICE Marked marked() const { return {{left, row[0].argMax, row[1].argMax}}; }

  LGC_DEVICE void findLargest() {
    Placed top[2];
    findTops<2>(
        rows, [](float x) { return x; }, left, top);
    LGC_UNROLL
    for (int k = 0; k < 2; ++k) {
      // A row without any has its first entry for it, as on the CPU.
      if (top[k].index == kNoMark) top[k].index = targeted && hole == 0 ? 1 : 0;
      row[k].top = top[k].value;
      row[k].argMax = top[k].index;
      side[k].top = static_cast<double>(top[k].value);
      side[k].hole = targeted && rows.reads() ? static_cast<double>(rows.entry(k, hole)) : 0.0;
    }
  }

  // Of the entries that are not masked, those that are left out of the softmaxes among them. In double in short rows; in longer ones
  // in float, and once more in double where squares leave its range.
  LGC_DEVICE void findMoments() {
    LGC_UNROLL
    for (int k = 0; k < 2; ++k) {
      side[k].mean = side[k].m2 = 0;
      side[k].count = static_cast<double>(rows.shape.columns);
    }
    if (!d.scaling.standardize) return;
    // Of two entries the standardised ones are always the same: what is left of a gradient then are the last digits.
    if (rows.shape.columns <= kFewColumns) return moments<double, WideSums<4>>();
    moments<float, Sums<4>>();
    bool precise = true;
    for (const PairSide<double>& s : side) precise = precise && s.m2 > 1e-30 * s.count && s.m2 < 1e36;
    if (!rows.team.any(!precise)) return;
    // Other rows of the warp may have asked for it: what a row gives does not depend on them.
    const PairSide<double> found[2] = {side[0], side[1]};
    moments<double, WideSums<4>>();
    LGC_UNROLL
    for (int k = 0; k < 2; ++k)
      if (precise) side[k] = found[k];
  }
  template <class T, class Totals> LGC_DEVICE void moments() {
    double centre[2];
    LGC_UNROLL
    for (int k = 0; k < 2; ++k) centre[k] = targeted && side[k].hole > side[k].top ? side[k].hole : side[k].top;
    Totals mean, spread;
    sumDeviations<T>(centre, mean, [&](int k, T away) {
      mean.add(2 * k, 1);
      mean.add(2 * k + 1, away);
    });
    LGC_UNROLL
    for (int k = 0; k < 2; ++k) centre[k] = static_cast<double>(static_cast<T>(centre[k] + mean.total[2 * k + 1] / mean.total[2 * k]));
    sumDeviations<T>(centre, spread, [&](int k, T away) {
      spread.add(2 * k, away);
      spread.addSquare(2 * k + 1, away);
    });
    LGC_UNROLL
    for (int k = 0; k < 2; ++k) {
      const double count = mean.total[2 * k], shift = spread.total[2 * k] / count,
                   m2 = spread.total[2 * k + 1] - spread.total[2 * k] * shift;
      side[k].count = count;
      side[k].mean = centre[k] + shift;
      side[k].m2 = m2 < 0 ? 0.0 : m2;
    }
  }
  // term(side, x - centre) of all that are not masked.
  template <class T, class Totals, class F> LGC_DEVICE void sumDeviations(const double (&centre)[2], Totals& sums, F&& term) {
    const T from[2] = {static_cast<T>(centre[0]), static_cast<T>(centre[1])};
    const auto visit = [&](const auto& chunk, float(*v)[kEight]) {
      LGC_UNROLL
      for (int e = 0; e < static_cast<int>(kEight); ++e) {
        if (!chunk.has(e)) continue;
        LGC_UNROLL
        for (int k = 0; k < 2; ++k)
          if (v[k][e] != -__builtin_huge_valf()) term(k, static_cast<T>(v[k][e]) - from[k]);
      }
      sums.next();
    };
    if constexpr (sizeof(T) == sizeof(float))
      rows.sweep(visit);
    else
      rows.each(visit);
    sums.fold();
    rows.team.sum(sums.total);
  }

  LGC_DEVICE void findUnits() {
    LGC_UNROLL
    for (int k = 0; k < 2; ++k) {
      findDeviation(d.scaling, side[k]);
      findUnit(d.scaling, d.scaling.temperature, side[k]);
      const double grain = d.scaling.standardize ? grainOf(side[k].sd, false) : 1.0, scale = side[k].inverse / grain;
      row[k].grain = static_cast<float>(grain);
      row[k].scale = static_cast<float>(scale > 3.0e38 ? 3.0e38 : scale);
    }
  }

  LGC_DEVICE PairFacts<double> facts(bool covariance) {
    constexpr float masked = -__builtin_huge_valf(), infinite = __builtin_huge_valf();
    Sums<kPairSums> sums;
    rows.sweepBut(marked(), [&](const auto& chunk, float(*v)[kEight]) {
      LGC_UNROLL
      for (int e = 0; e < static_cast<int>(kEight); ++e) {
        if (!chunk.has(e) || chunk.is(e, left)) continue;
        const float u = v[0][e], t = v[1][e];
        float wx = row[0].of(u);
        const float wy = row[1].of(t), px = exponential(wx), py = exponential(wy);
        const bool deadX = u == masked, deadY = t == masked;
        const float apart = deadX || deadY ? 0.0f : wy - wx;
        if (deadX) wx = 0;
        if (!chunk.is(e, row[0].argMax)) sums.add(0, px);
        if (!chunk.is(e, row[1].argMax)) sums.add(1, py);
        sums.add(2, px * wx);
        sums.add(3, py * wx);
        sums.add(4, deadX && !deadY ? infinite : py * apart);
      }
      sums.next();
    });
    sums.fold();
    rows.team.sum(sums.total);
    PairFacts<double> f = factsOf(side, sums.total, d.scaling.temperature, 1.0, targeted);
    if (covariance) {
      const float mean = static_cast<float>(f.gap + f.crossed), gap = static_cast<float>(f.gap);
      Sums<1> covered;
      rows.sweepBut(marked(), [&](const auto& chunk, float(*v)[kEight]) {
        LGC_UNROLL
        for (int e = 0; e < static_cast<int>(kEight); ++e) {
          if (!chunk.has(e) || chunk.is(e, left) || v[1][e] == masked) continue;
          const float wx = row[0].of(v[0][e]), wy = row[1].of(v[1][e]);
          covered.add(0, exponential(wy) * (wy - mean) * (wy - wx - gap));
        }
        covered.next();
      });
      covered.fold();
      rows.team.sum(covered.total);
      f.covariance = covered.total[0] * f.most[1];
    }
    return f;
  }

  LGC_DEVICE void write(const PairGradient<double>& g, void* out) const {
    eachGradient(g, [&](const auto& chunk, const float* line) { rows.write(out, chunk, line); });
  }
  // f(chunk, line): the entries of the gradient in the columns of a chunk.
  template <class F> LGC_DEVICE void eachGradient(const PairGradient<double>& g, F&& f) const {
    constexpr float masked = -__builtin_huge_valf();
    const float student = static_cast<float>(g.student), teacher = static_cast<float>(g.teacher);
    const double grain = static_cast<double>(row[0].grain), centred = static_cast<double>(static_cast<float>(g.mean));
    const float slope = static_cast<float>(g.linear / grain), centre = static_cast<float>(centred * grain);
    // What rounding the mean to float left out.
    const float rest = static_cast<float>(g.linear == 0 ? 0.0 : g.linear * (centred - g.mean));
    const float atTop = static_cast<float>(g.atTop), atTarget = static_cast<float>(g.atTarget);
    const unsigned common = row[0].argMax == row[1].argMax ? row[0].argMax : kNoMark;
    rows.sweepBut(Marked{{left, common, kNoMark}}, [&](const auto& chunk, float(*v)[kEight]) {
      float line[kEight];
      LGC_UNROLL
      for (int e = 0; e < static_cast<int>(kEight); ++e) {
        if (!chunk.has(e)) continue;
        const float u = v[0][e];
        float x = fma(exponential(row[0].of(u)), student, exponential(row[1].of(v[1][e])) * teacher);
        if (d.scaling.standardize) x = fma(u * row[0].grain - centre, slope, x + rest);
        if (u == masked) x = 0;
        if (chunk.is(e, common)) x = atTop;
        line[e] = chunk.is(e, left) ? atTarget : x;
      }
      f(chunk, line);
    });
  }
};

template <class D> LGC_ROW_KERNEL(2) void pairRows(LGC_ARGUMENT PairArguments a, const Prepared<D>* prepared) {
  const BlockRoom<PairControl> room(a.layout);
  Rows<2> rows(a.layout, a.inputs, room.rows, room.team);
  const D d = prepared->definition;
  const unsigned hole = a.marks.read(rows);
  PairTeam<D> pair(d, rows, hole);
  pair.findLargest();
  pair.findMoments();
  pair.findUnits();
  const PairFacts<double> f = pair.facts(d.covariance);
  if (rows.team.leads() && rows.inside) {
    double values[kMaxOutputs] = {};
    const PairSlopes<double> slopes = d.fold(f, values);
    if (rows.team.block == 0)
      for (int k = 0; k < a.values.count; ++k)
        a.values.set(k, rows.row, rows.fate == Fate::kept ? values[k] : rows.fate == Fate::lost ? __builtin_nan("") : 0.0);
    if (a.gradient) room.mine->gradient = gradientOf(d.scaling, pair.side[0], f, slopes, PairTeam<D>::targeted);
  }
  if (a.gradient) {
    rows.team.sync();
    if (rows.fate == Fate::kept)
      pair.write(room.mine->gradient, a.gradient);
    else
      rows.fill(a.gradient, rows.fate == Fate::lost ? __builtin_nanf("") : 0.0f);
  }
  rows.team.leave();
}

template <class D> void runRowPair(DeviceCall& call) {
  constexpr const Record& record = D::record;
  constexpr int gradientAt = findGradient(record);
  const int reduction = reductionOf<D>(call);
  PairArguments a{};
  a.inputs = {{call.inputs[inputIndex(record, "student")], call.inputs[inputIndex(record, "teacher")]}, 2};
  a.gradient = call.outputs[gradientAt];
  RowOutputs outputs;
  for (int i = 0; i < record.outputCount(); ++i)
    if (i != gradientAt) outputs.add(call, i, reduction, call.rows);
  const RowLaunch l = layoutOf(call, a.inputs, sizeof(PairControl));
  a.layout = l.layout;
  a.marks = marksOf<D>(call);
  a.values = outputs.values;
  const Prepared<D>* definition = prepared<D>(call);
  launch(call, l.launch, pairRows<D>, a, definition);
  outputs.finish(call);
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
