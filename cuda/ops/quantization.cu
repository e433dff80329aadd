#include "../../cpp/ops/quantization.h"
#include "../engine/flat.h"
#include "guidance.h"
#include "table.h"
#include "weights.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {
namespace {

// ---- fake quantisation

// The table of a call. A step of 0 is a fault, and all that comes of it is NaN.
template <class Table> struct Steps {
  Table table;
  Faults faults;
  LGC_DEVICE auto of(size_t group) const {
    auto step = table(group);
    if (step.step == 0) {
      faults.raise();
      step.step = __builtin_nan("");
    }
    return step;
  }
};
template <template <class> class Table> Steps<Table<float>> stepsOf(const DeviceCall& call) {
  return {Table<float>(call), faultsOf(call, inputIndex(*call.record, "scale"))};
}

template <class Steps> struct QuantizeAt {
  size_t length;  // of a group
  Steps steps;
  const float* x;
  float* out;
  int32_t* codes;
  LGC_DEVICE void operator()(size_t i) const {
    const auto step = steps.of(i / length);
    const double code = step.of(static_cast<double>(x[i])).code, stored = step.stored(code);
    codes[i] = isNan(stored) ? 0 : static_cast<int32_t>(stored);
    out[i] = static_cast<float>(step.output(code));
  }
};
template <class D, template <class> class Table> void quantize(DeviceCall& call) {
  static constexpr const Record& record = D::record;
  const Groups groups(call);
  forIndices(call, groups.count * groups.length,
             QuantizeAt<Steps<Table<float>>>{groups.length, stepsOf<Table>(call), LGC_INPUT(float, call, x), LGC_OUTPUT(float, call, out),
                                             LGC_OUTPUT(int32_t, call, codes)});
}

// Groups in pieces of a fixed length, a team each.
struct Piece {
  size_t group, begin, end;
};
struct GroupPieces : Groups {
  size_t pieces;  // a group
  GroupPieces(const Groups& groups) : Groups(groups), pieces(piecesOf(groups.length)) {}
  size_t all() const { return count * pieces; }
  size_t longest() const { return length < kPiece ? length : kPiece; }
  // Of an item that is none: no entries.
  LGC_DEVICE Piece at(size_t item, bool inside) const {
    if (!inside) return {0, 0, 0};
    const size_t group = item / pieces, begin = group * length + item % pieces * kPiece, stop = (group + 1) * length;
    return {group, begin, stop - begin < kPiece ? stop : begin + kPiece};
  }
};

// The gradient of x, and of each piece what it adds to those of step and offset.
template <class Steps> struct QuantizeBackwardPiece {
  GroupPieces groups;
  Steps steps;
  const float *x, *gradOut;
  float* gradX;
  double* partial;  // [2][pieces of all]
  LGC_DEVICE void operator()(size_t item, bool inside, Team& team) const {
    const Piece piece = groups.at(item, inside);
    const auto step = steps.of(piece.group);
    double sums[2];
    sumEntries<2>(team, piece.begin, piece.end, sums, [&](size_t i, double* t) {
      const double g = static_cast<double>(gradOut[i]);
      const auto q = step.of(static_cast<double>(x[i]));
      t[0] = g * q.stepSlope();
      t[1] = q.inside ? 0.0 : g;
      gradX[i] = q.inside ? gradOut[i] : 0.0f;
    });
    if (!inside || !team.leads()) return;
    partial[item] = sums[0];
    partial[groups.count * groups.pieces + item] = sums[1];
  }
};
// The gradients of the tables: of a column of them, the others are 0.
struct TableGradient {
  GroupPieces groups;
  const double* partial;
  const float* scale;
  size_t width, column;
  double factor;
  float *gradScale, *gradOffset;  // the second may be null
  LGC_DEVICE void operator()(size_t group, bool inside, Team& team) const {
    const size_t pieces = inside ? groups.pieces : 0, begin = group * pieces;
    double sums[2];
    sumEntries<2>(team, begin, begin + pieces, sums, [&](size_t i, double* t) {
      t[0] = partial[i];
      t[1] = partial[groups.count * groups.pieces + i];
    });
    for (size_t k = team.rank; inside && k < width; k += team.size) {
      const size_t cell = group * width + k;
      gradScale[cell] = k == column ? static_cast<float>(factor * signOf(static_cast<double>(scale[cell])) * sums[0]) : 0.0f;
      if (gradOffset) gradOffset[cell] = k == column ? static_cast<float>(factor * sums[1]) : 0.0f;
    }
  }
};
template <class D, template <class> class Table> void quantizeBackward(DeviceCall& call, size_t width, size_t column, float* gradOffset) {
  static constexpr const Record& record = D::record;
  const GroupPieces groups{Groups(call)};
  const auto steps = stepsOf<Table>(call);
  double* partial = call.scratch<double>(2 * groups.all());
  if (!partial) return;
  forTeams(call, groups.all(), groups.longest(),
           QuantizeBackwardPiece<Steps<Table<float>>>{groups, steps, LGC_INPUT(float, call, x), LGC_INPUT(float, call, gradOut),
                                                      LGC_OUTPUT(float, call, gradX), partial});
  forTeams(call, groups.count, groups.pieces,
           TableGradient{groups, partial, LGC_INPUT(float, call, scale), width, column, D::factorOf(call, groups, steps.table.levels),
                         LGC_OUTPUT(float, call, gradScale), gradOffset});
}

struct ElasticFakeQuantizeOp : ElasticFakeQuantize {
  static void run(DeviceCall& call) { quantize<ElasticFakeQuantize, ElasticTable>(call); }
};
struct AffineFakeQuantizeOp : AffineFakeQuantize {
  static void run(DeviceCall& call) { quantize<AffineFakeQuantize, AffineTable>(call); }
};
struct ElasticFakeQuantizeBackwardOp : ElasticFakeQuantizeBackward {
  static void run(DeviceCall& call) {
    quantizeBackward<ElasticFakeQuantizeBackward, ElasticTable>(call, call.dims['B'], static_cast<size_t>(columnOf(call)),
                                                                LGC_OUTPUT(float, call, gradOffset));
  }
};
struct AffineFakeQuantizeBackwardOp : AffineFakeQuantizeBackward {
  static void run(DeviceCall& call) { quantizeBackward<AffineFakeQuantizeBackward, AffineTable>(call, 1, 0, nullptr); }
};

// ---- the first step: all ranges of a batch at once, in pieces

struct ScaleRange {
  double least, most;
};
struct RangeOfPiece {
  GroupPieces groups;
  const float* x;
  ScaleRange* ranges;  // a piece
  LGC_DEVICE void operator()(size_t item, bool inside, Team& team) const {
    const Piece piece = groups.at(item, inside);
    PlacedValue<double> low{-kInfinity, 0}, high{-kInfinity, 0};
    double bad = 0;
    for (size_t i = piece.begin + team.rank; i < piece.end; i += team.size) {
      const double v = static_cast<double>(x[i]);
      low.value = max(-v, low.value);
      high.value = max(v, high.value);
      bad += isNan(v) ? v : 0.0;
    }
    bad = team.sum(bad);
    low = team.largest(low);
    high = team.largest(high);
    if (inside && team.leads()) ranges[item] = {bad - low.value, bad + high.value};
  }
};
struct JoinRanges {
  GroupPieces groups;
  ScaleRange* ranges;
  InitQuantScale::Found* found;
  LGC_DEVICE void operator()(size_t group) const {
    ScaleRange all = ranges[group * groups.pieces];
    for (size_t k = 1; k < groups.pieces; ++k) {
      const ScaleRange& r = ranges[group * groups.pieces + k];
      // NaN stays.
      all.least = isNan(all.least) || r.least >= all.least ? all.least : r.least;
      all.most = isNan(all.most) || r.most <= all.most ? all.most : r.most;
    }
    // Where the search reads it.
    ranges[group * groups.pieces] = all;
    found[group] = InitQuantScale::Found();
  }
};
constexpr int kStepsAtOnce = 16;
struct ScorePiece {
  InitQuantScale d;
  GroupPieces groups;
  const float* x;
  const ScaleRange* ranges;
  int first;
  double* partial;  // [step][piece of all]
  LGC_DEVICE void operator()(size_t item, bool inside, Team& team) const {
    const size_t all = groups.count * groups.pieces;
    const Piece piece = groups.at(item % all, inside);
    const ScaleRange& range = ranges[piece.group * groups.pieces];
    const ElasticStep quantizer = d.quantizer(first + static_cast<int>(item / all), range.least, range.most);
    double sum[1];
    sumEntries<1>(team, piece.begin, piece.end, sum, [&](size_t i, double* t) { t[0] = d.term(quantizer, static_cast<double>(x[i])); });
    if (inside && team.leads()) partial[item] = sum[0];
  }
};
struct ConsiderSteps {
  InitQuantScale d;
  GroupPieces groups;
  const ScaleRange* ranges;
  int first, count;
  const double* partial;
  InitQuantScale::Found* found;
  LGC_DEVICE void operator()(size_t item, bool inside, Team& team) const {
    const size_t group = inside ? item : 0, all = groups.count * groups.pieces, from = group * groups.pieces;
    const ScaleRange& range = ranges[from];
    InitQuantScale::Found best = found[group];
    for (int i = 0; i < count; ++i) {
      double sum[1];
      sumEntries<1>(team, from, from + groups.pieces, sum, [&](size_t k, double* t) { t[0] = partial[static_cast<size_t>(i) * all + k]; });
      const ElasticStep quantizer = d.quantizer(first + i, range.least, range.most);
      if (best.ended || quantizer.step <= 0) continue;
      d.consider(first + i, quantizer, sum[0] / static_cast<double>(groups.length), best);
    }
    if (inside && team.leads()) found[group] = best;
  }
};
struct StoreScale {
  InitQuantScale d;
  const InitQuantScale::Found* found;  // null: nothing was searched
  float *scale, *offset, *score;
  int32_t* index;
  LGC_DEVICE void operator()(size_t group) const {
    InitQuantScale::Found best = found ? found[group] : InitQuantScale::Found();
    d.finish(best);
    scale[group] = static_cast<float>(best.scale);
    offset[group] = static_cast<float>(best.offset);
    score[group] = static_cast<float>(best.score);
    index[group] = static_cast<int32_t>(best.index);
  }
};

struct InitQuantScaleOp : InitQuantScale {
  static void run(DeviceCall& call) {
    const InitQuantScale d(call);
    const bool perChannel = LGC_OPTION(call, perChannel) != 0;
    const size_t m = call.dims['m'], rest = call.dims['*'];
    const GroupPieces groups{perChannel ? Groups{m, rest} : Groups{1, m * rest}};
    const float* x = LGC_INPUT(float, call, x);
    StoreScale store{d,
                     nullptr,
                     LGC_OUTPUT(float, call, scale),
                     LGC_OUTPUT(float, call, offset),
                     LGC_OUTPUT(float, call, score),
                     LGC_OUTPUT(int32_t, call, index)};
    if (groups.all()) {
      ScaleRange* ranges = call.scratch<ScaleRange>(groups.all());
      Found* found = call.scratch<Found>(groups.count);
      double* partial = call.scratch<double>(kStepsAtOnce * groups.all());
      if (!ranges || !found || !partial) return;
      forTeams(call, groups.all(), groups.longest(), RangeOfPiece{groups, x, ranges});
      forIndices(call, groups.count, JoinRanges{groups, ranges, found});
      for (int first = 0; first < d.steps && call.failure == cudaSuccess; first += kStepsAtOnce) {
        const int count = d.steps - first < kStepsAtOnce ? d.steps - first : kStepsAtOnce;
        forTeams(call, groups.all() * static_cast<size_t>(count), groups.longest(), ScorePiece{d, groups, x, ranges, first, partial});
        forTeams(call, groups.count, groups.pieces, ConsiderSteps{d, groups, ranges, first, count, partial, found});
      }
      store.found = found;
    }
    forIndices(call, groups.count, store);
  }
};

}  // namespace
}  // namespace LOGITCORE_LEVEL
LOGITCORE_DEVICE_FAMILY(quantization, ElasticFakeQuantizeOp, ElasticFakeQuantizeBackwardOp, AffineFakeQuantizeOp,
                        AffineFakeQuantizeBackwardOp, InitQuantScaleOp, WeightMomentsOp, WdrLossOp, GroupProgressiveGuidanceOp)
}  // namespace logitcore
