// The row engine of a GPU for losses of row statistics, over the definitions of cpp/engine/row_loss.h: the row is read once, swept for its
// statistics in the memory of the block, and the gradient written from it. What follows from the statistics one thread a row works out in
// double.
#pragma once
#include "row_marks.h"
#include "row_values.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct LossArguments {
  RowLayout layout;
  RowInputs inputs;
  RowMarks marks;
  RowValues values;
  void* gradient;
  const float* classWeight;
  double inverseTemperature;
  float softcap;  // 0: none
};

struct LossControl {
  Coefficients<double> coefficients;
  double mean;
};

// Shaped: with a softcap or smoothing. Other calls take a kernel that does not ask.
template <class D, bool Shaped> LGC_ROW_KERNEL(3) void lossRows(LGC_ARGUMENT LossArguments a, const Prepared<D>* prepared) {
  constexpr unsigned needs = D::needs;
  constexpr bool exponentials = (needs & kExponentials) != 0, moments = (needs & kMoments) != 0, centred = (needs & kCentred) != 0;
  constexpr bool withoutTarget = (needs & kWithoutTarget) != 0;
  constexpr bool canCap = Shaped && findOption(D::record, "logitSoftcap") >= 0, canSmooth = Shaped && HasSmoothing<D>::value;
  constexpr bool targeted = findKind(D::record, Kind::target, Kind::target) >= 0;
  const BlockRoom<LossControl> room(a.layout);
  Rows<1> rows(a.layout, a.inputs, room.rows, room.team);
  // Asked for a flag here, and for the rest by one thread at the end.
  const D& d = prepared->definition;
  const unsigned y = a.marks.read(rows);
  // Constants in ops without the option, whose code is then left out.
  const bool capping = canCap && a.softcap != 0;
  const float cap = canCap ? a.softcap : 1.0f;
  const auto capped = [&](float x) { return capping ? tanh(x / cap) * cap : x; };
  const float scale = static_cast<float>(a.inverseTemperature);

  bool smooth = false;
  if constexpr (canSmooth) smooth = d.smooths();
  const float rawTarget = targeted && rows.reads() ? rows.entry(0, y) : 0.0f;
  Facts<double> f{};
  f.target = static_cast<double>(capped(rawTarget));
  if (exponentials) {
    RowSum s;
    rowSums<1>(rows, scale, capped, &s);
    f.max = s.max;
    f.others = s.others;
    f.targetIsMax = s.argMax == y;
  }
  if (canSmooth && smooth) {
    Sums<1> shift;
    const float top = static_cast<float>(f.max);
    rows.each([&](const auto& chunk, float(*v)[kEight]) {
      LGC_UNROLL
      for (int e = 0; e < static_cast<int>(kEight); ++e)
        if (chunk.has(e)) {
          const float w = a.classWeight ? a.classWeight[chunk.column(e)] : 1.0f;
          shift.add(0, w == 0 ? 0.0f : w * ((capped(v[0][e]) - top) * scale));
        }
      shift.next();
    });
    shift.fold();
    rows.team.sum(shift.total);
    f.smoothShift = shift.total[0];
  }
  if (moments) {
    // Equal entries have a mean that is exactly theirs: the origin is one of those that count.
    const size_t c = a.layout.columns;
    const unsigned left = withoutTarget ? y : kNoMark;
    const Marked marked{{left, kNoMark, kNoMark}};
    const float origin = rows.reads() ? rows.entry(0, withoutTarget && y == 0 && c > 1 ? 1 : 0) : 0.0f;
    const double counted = static_cast<double>(withoutTarget ? c - 1 : c), divisor = counted == 0 ? 1.0 : counted;
    Sums<1> away;
    rows.sweepBut(marked, [&](const auto& chunk, float(*v)[kEight]) {
      LGC_UNROLL
      for (int e = 0; e < static_cast<int>(kEight); ++e)
        if (chunk.has(e) && !chunk.is(e, left)) away.add(0, v[0][e] - origin);
      away.next();
    });
    away.fold();
    rows.team.sum(away.total);
    const float centre = static_cast<float>(static_cast<double>(origin) + away.total[0] / divisor);
    Sums<2> spread;
    rows.sweepBut(marked, [&](const auto& chunk, float(*v)[kEight]) {
      LGC_UNROLL
      for (int e = 0; e < static_cast<int>(kEight); ++e)
        if (chunk.has(e) && !chunk.is(e, left)) {
          const float x = v[0][e] - centre;
          spread.add(0, x);
          spread.addSquare(1, x);
        }
      spread.next();
    });
    spread.fold();
    rows.team.sum(spread.total);
    const double shift = spread.total[0] / divisor, m2 = spread.total[1] - spread.total[0] * shift;
    f.mean = counted == 0 ? 0.0 : static_cast<double>(centre) + shift;
    f.m2 = m2 < 0 ? 0.0 : m2;
  }

  const bool wantsGradient = a.gradient != nullptr;
  if (rows.team.leads() && rows.inside) {
    RowShape shape;
    shape.classes = static_cast<double>(a.layout.columns);
    shape.inverseTemperature = a.inverseTemperature;
    shape.weightSum = prepared->weightSum;
    double loss = 0, extra = 0;
    Coefficients<double> k{};
    if (rows.fate == Fate::kept) {
      if constexpr (HasParameters<D>::value) d.rowParameters(rows.row, static_cast<int32_t>(y), f.parameter);
      const double wy = !smooth ? 0.0 : a.classWeight ? static_cast<double>(a.classWeight[y]) : 1.0;
      evaluate(d, f, shape, wantsGradient, wy, loss, extra, k);
    } else if (rows.fate == Fate::lost) {
      loss = extra = __builtin_nan("");
    }
    if (rows.team.block == 0) {
      a.values.set(0, rows.row, loss);
      if (a.values.count > 1) a.values.set(1, rows.row, extra);
    }
    room.mine->coefficients = k;
    room.mine->mean = f.mean;
  }
  if (wantsGradient) {
    rows.team.sync();
    if (rows.fate != Fate::kept) {
      rows.fill(a.gradient, rows.fate == Fate::lost ? __builtin_nanf("") : 0.0f);
    } else {
      const Coefficients<double> k = room.mine->coefficients;
      const double mean = room.mine->mean;
      const float top = f.max == -__builtin_huge_val() ? 0.0f : static_cast<float>(f.max), factor = static_cast<float>(k.e);
      const float slope = static_cast<float>(k.x), centre = centred ? static_cast<float>(mean) : 0.0f;
      const float constant = static_cast<float>(fma(k.x, static_cast<double>(centre) - (centred ? mean : 0.0), k.constant));
      const float cw = static_cast<float>(k.w), unit = scale * kPerNat;
      double capSlope = 1;
      if (capping) {
        const double t = f.target / static_cast<double>(cap);
        capSlope = fma(-t, t, 1.0);
      }
      const float atTarget = static_cast<float>(k.atTarget * capSlope);
      const unsigned target = targeted ? y : kNoMark;
      rows.sweepBut(Marked{{target, kNoMark, kNoMark}}, [&](const auto& chunk, float(*v)[kEight]) {
        float out[kEight];
        LGC_UNROLL
        for (int e = 0; e < static_cast<int>(kEight); ++e) {
          if (!chunk.has(e)) continue;
          const float x = capped(v[0][e]);
          float g = moments ? fma(x - centre, slope, constant) : 0.0f;
          if (exponentials) g = moments ? fma(power2((x - top) * unit), factor, g) : power2((x - top) * unit) * factor;
          if (canSmooth && smooth) g = fma(cw, a.classWeight ? a.classWeight[chunk.column(e)] : 1.0f, g);
          if (capping) {
            const float t = x / cap;
            g = g * fnma(t, t, 1.0f);
          }
          out[e] = chunk.is(e, target) ? atTarget : g;
        }
        rows.write(a.gradient, chunk, out);
      });
    }
  }
  rows.team.leave();
}

template <class D> void runRowLoss(DeviceCall& call) {
  constexpr const Record& record = D::record;
  constexpr int logitsAt = findInput(record, "logits") >= 0 ? findInput(record, "logits") : firstColumns(record);
  constexpr int weightAt = findInput(record, "weight"), temperatureAt = findOption(record, "temperature");
  constexpr int softcapAt = findOption(record, "logitSoftcap"), gradientAt = findGradient(record);
  constexpr int lossAt = findRowOutput(record, 0), extraAt = findRowOutput(record, 1);
  const int reduction = reductionOf<D>(call);
  LossArguments a{};
  RowInputs inputs{};
  inputs.at[inputs.count++] = call.inputs[logitsAt];
  const RowLaunch l = layoutOf(call, inputs, sizeof(LossControl));
  a.layout = l.layout;
  a.inputs = inputs;
  a.marks = marksOf<D>(call);
  a.gradient = gradientAt < 0 ? nullptr : call.outputs[gradientAt < 0 ? 0 : gradientAt];
  if (weightAt >= 0) a.classWeight = static_cast<const float*>(call.inputs[weightAt < 0 ? 0 : weightAt]);
  a.inverseTemperature = temperatureAt < 0 ? 1.0 : 1.0 / call.options[temperatureAt < 0 ? 0 : temperatureAt];
  if (softcapAt >= 0) {
    const double cap = call.options[softcapAt < 0 ? 0 : softcapAt];
    a.softcap = cap == cap ? static_cast<float>(cap) : 0.0f;
  }
  const ClassWeights weights{HasSmoothing<D>::value ? a.classWeight : nullptr, call.columns};
  const Prepared<D>* definition = prepared<D>(call, weights);
  RowOutputs outputs;
  if (lossAt >= 0) outputs.add(call, lossAt < 0 ? 0 : lossAt, reduction, call.rows);
  if (extraAt >= 0) outputs.add(call, extraAt < 0 ? 0 : extraAt, reduction, call.rows);
  a.values = outputs.values;
  constexpr int smoothingAt = findOption(record, "labelSmoothing");
  constexpr bool shapes = softcapAt >= 0 || HasSmoothing<D>::value;
  const bool shaped =
      a.softcap != 0 || (HasSmoothing<D>::value && smoothingAt >= 0 && call.options[smoothingAt < 0 ? 0 : smoothingAt] != 0);
  launch(call, l.launch, shaped ? lossRows<D, shapes> : lossRows<D, false>, a, definition);
  outputs.finish(call);
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
