// The general form of the row engine on a GPU, over the definitions of cpp/engine/row_sweeps.h: sums in one or more sweeps over the row in
// the memory of the block, folded to the row's scalars by one of its threads, then a sweep that writes.
#pragma once
#include <type_traits>

#include "row_marks.h"
#include "row_values.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr int kMostWritten = 3, kMostColumns = kMaxColumnInputs;

struct SweepArguments {
  RowLayout layout;
  RowInputs inputs;
  RowMarks marks;
  RowValues values;
  void* written[kMostWritten];
  const float* columns[kMostColumns];
  void* keptRows;  // where definitions with sums over columns leave the row's scalars
  double inverseTemperature;
  float softcap;  // 0: none
  bool writes;
};

template <class D> constexpr int countWritten() {
  int n = 0;
  for (int i = 0; i < D::record.outputCount(); ++i)
    n += D::record.outputs[i].kind == OutputKind::array && hasColumns(D::record.outputs[i].dims);
  return n;
}

template <class D> constexpr bool canCap = findOption(D::record, "logitSoftcap") >= 0;

// What a lane sees of one column, of one row.
template <class D, int N> struct LaneReader {
  const SweepArguments& a;
  float top[2], scale;
  unsigned pivot;  // none in ops without

  LGC_DEVICE Marked marked() const { return {{pivot, kNoMark, kNoMark}}; }
  LGC_DEVICE void read(const float (*v)[kEight], int e, int j, bool isPivot, Lane<float>& lane) const {
    lane.isPivot = isPivot;
    for (int k = 0; k < N; ++k) lane.x[k] = v[k][e];
    for (int k = 0; k < D::softmaxInputs; ++k) {
      if (canCap<D> && a.softcap != 0) lane.x[k] = tanh(lane.x[k] / a.softcap) * a.softcap;
      lane.shifted[k] = (lane.x[k] - top[k]) * scale;
      lane.e[k] = exponential(lane.shifted[k]);
    }
    for (int k = 0; k < kMostColumns; ++k) lane.column[k] = a.columns[k] ? a.columns[k][j] : 1.0f;
  }
};

template <int S, class D, int N>
LGC_DEVICE void sweepFrom(const D& d, Rows<N>& rows, const LaneReader<D, N>& reader, typename D::Row* shared) {
  if constexpr (S < D::sweeps) {
    constexpr int sums = D::sums[S];
    const typename D::Row row = *shared;
    std::conditional_t<HasWideSums<D>::value, WideSums<sums>, Sums<sums>> acc;
    rows.sweepBut(reader.marked(), [&](const auto& chunk, float(*v)[kEight]) {
      LGC_UNROLL
      for (int e = 0; e < static_cast<int>(kEight); ++e) {
        if (!chunk.has(e)) continue;
        Lane<float> lane;
        float term[kMaxSums];
        reader.read(v, e, chunk.column(e), chunk.is(e, reader.pivot), lane);
        d.template terms<S>(row, lane, term);
        for (int k = 0; k < sums; ++k) acc.add(k, term[k]);
      }
      acc.next();
    });
    acc.fold();
    rows.team.sum(acc.total);
    // Others may still read the scalars of the sweep before.
    rows.team.sync();
    if (rows.team.leads()) d.template fold<S>(*shared, acc.total);
    rows.team.sync();
    sweepFrom<S + 1>(d, rows, reader, shared);
  }
}

template <class D> LGC_ROW_KERNEL(countRowInputs(D::record) > 1 ? 2 : 3)
void sweepRows(LGC_ARGUMENT SweepArguments a, const Prepared<D>* prepared) {
  constexpr int N = countRowInputs(D::record), W = countWritten<D>();
  static_assert(W <= kMostWritten, "more outputs than there are places for");
  constexpr bool targeted = findKind(D::record, Kind::target, Kind::target) >= 0;
  constexpr int pivotInput = targeted ? -1 : PivotOf<D>::input;
  using Row = typename D::Row;
  const BlockRoom<Row> room(a.layout);
  Rows<N> rows(a.layout, a.inputs, room.rows, room.team);
  const D d = prepared->definition;
  unsigned pivot = a.marks.read(rows);
  if constexpr (pivotInput >= 0) {
    Placed top[1];
    findTops<1, pivotInput>(
        rows, [](float x) { return x; }, kNoMark, top);
    pivot = top[0].index == kNoMark ? 0 : top[0].index;
  }
  RowStart start{};
  start.index = rows.row;
  start.columns = a.layout.columns;
  start.target = static_cast<int32_t>(pivot);
  start.inverseTemperature = a.inverseTemperature;
  if (targeted || pivotInput >= 0)
    for (int k = 0; k < N; ++k) start.targetValue[k] = rows.reads() ? static_cast<double>(rows.entry(k, pivot)) : 0.0;
  LaneReader<D, N> reader{a, {0, 0}, static_cast<float>(a.inverseTemperature), targeted || pivotInput >= 0 ? pivot : kNoMark};
  const auto capped = [&](float x) { return canCap<D> && a.softcap != 0 ? tanh(x / a.softcap) * a.softcap : x; };
  if constexpr (D::softmaxInputs > 0) rowSums<D::softmaxInputs>(rows, reader.scale, capped, start.softmax);
  for (int k = 0; k < D::softmaxInputs; ++k) {
    reader.top[k] = static_cast<float>(start.softmax[k].max);
    if (start.softmax[k].max == -__builtin_huge_val()) start.softmax[k].others = __builtin_nan("");
  }
  if (rows.team.leads()) {
    *room.mine = Row{};
    d.begin(*room.mine, start);
  }
  rows.team.sync();
  sweepFrom<0>(d, rows, reader, room.mine);
  if (rows.team.leads() && rows.inside && rows.team.block == 0) {
    double values[kMaxOutputs] = {};
    if (rows.fate == Fate::kept) d.rowOutputs(*room.mine, values);
    if constexpr (ColumnSumsOf<D>::count > 0) static_cast<Row*>(a.keptRows)[rows.row] = *room.mine;
    for (int k = 0; k < a.values.count; ++k) a.values.set(k, rows.row, rows.fate == Fate::lost ? __builtin_nan("") : values[k]);
  }
  if (a.writes) {
    if (rows.fate != Fate::kept) {
      for (void* out : a.written)
        if (out) rows.fill(out, rows.fate == Fate::lost ? __builtin_nanf("") : 0.0f);
    } else {
      const Row row = *room.mine;
      float target = 0;
      if constexpr (HasTargetFix<D>::value) target = static_cast<float>(d.atTarget(row));
      rows.sweepBut(reader.marked(), [&](const auto& chunk, float(*v)[kEight]) {
        float out[W ? W : 1][kEight];
        LGC_UNROLL
        for (int e = 0; e < static_cast<int>(kEight); ++e) {
          if (!chunk.has(e)) continue;
          Lane<float> lane;
          float lanes_[kMaxOutputs] = {};
          reader.read(v, e, chunk.column(e), chunk.is(e, reader.pivot), lane);
          d.write(row, lane, lanes_);
          if (HasTargetFix<D>::value && lane.isPivot) lanes_[0] = target;
          LGC_UNROLL
          for (int k = 0; k < W; ++k) out[k][e] = lanes_[k];
        }
        LGC_UNROLL
        for (int k = 0; k < W; ++k)
          if (a.written[k]) rows.write(a.written[k], chunk, out[k]);
      });
    }
  }
  rows.team.leave();
}

// Sums over the rows, for outputs of shape [c]: threads have a column each and take the rows of their share one after the other. The
// shares are added up in their order.
constexpr unsigned kColumnThreads = 128;
constexpr size_t kShareRows = 64;

template <class D> LGC_KERNEL void columnShares(LGC_ARGUMENT SweepArguments a, const Prepared<D>* prepared, double* shares) {
  constexpr int N = countRowInputs(D::record), sums = ColumnSumsOf<D>::count;
  const size_t c = a.layout.columns, strips = (c + kColumnThreads - 1) / kColumnThreads;
  const size_t share = blockIdx.x / strips, j = (blockIdx.x % strips) * kColumnThreads + threadIdx.x;
  if (j >= c) return;
  const D d = prepared->definition;
  LaneReader<D, N> reader{a, {0, 0}, static_cast<float>(a.inverseTemperature), ~0u};
  double total[sums] = {};
  const size_t end = (share + 1) * kShareRows < a.layout.rows ? (share + 1) * kShareRows : a.layout.rows;
  for (size_t i = share * kShareRows; i < end; ++i) {
    float v[N][kEight];
    for (int k = 0; k < N; ++k) v[k][0] = readOne(a.inputs.at[k], a.layout.storage, i * c + j);
    Lane<float> lane;
    float term[sums];
    reader.read(v, 0, static_cast<int>(j), false, lane);
    d.columnTerms(static_cast<const typename D::Row*>(a.keptRows)[i], lane, term);
    for (int k = 0; k < sums; ++k) total[k] += static_cast<double>(term[k]);
  }
  for (int k = 0; k < sums; ++k) shares[(share * sums + static_cast<size_t>(k)) * c + j] = total[k];
}

struct ColumnOutputs {
  float* at[kMostColumns];
};
static LGC_KERNEL void addShares(const double* shares, size_t count, size_t columns, int sums, LGC_ARGUMENT ColumnOutputs out) {
  const size_t j = static_cast<size_t>(blockIdx.x) * kColumnThreads + threadIdx.x;
  if (j >= columns) return;
  for (int k = 0; k < sums; ++k) {
    double total = 0;
    for (size_t s = 0; s < count; ++s) total += shares[(s * static_cast<size_t>(sums) + static_cast<size_t>(k)) * columns + j];
    if (out.at[k]) out.at[k][j] = static_cast<float>(total);
  }
}

template <class D> void runRowSweeps(DeviceCall& call) {
  constexpr const Record& record = D::record;
  constexpr int temperatureAt = HasPlainSoftmax<D>::value ? -1 : findOption(record, "temperature");
  constexpr int softcapAt = findOption(record, "logitSoftcap"), columnSums = ColumnSumsOf<D>::count;
  const int reduction = reductionOf<D>(call);
  SweepArguments a{};
  ColumnOutputs columnOutputs{};
  int columns = 0, written = 0, summed = 0;
  for (int i = 0; i < record.inputCount(); ++i) {
    const Input& in = record.inputs[i];
    if (in.kind != Kind::real) continue;
    if (hasColumns(in.dims))
      a.inputs.at[a.inputs.count++] = call.inputs[i];
    else if (isColumn(in.dims))
      a.columns[columns++] = static_cast<const float*>(call.inputs[i]);
  }
  RowOutputs outputs;
  for (int i = 0; i < record.outputCount(); ++i) {
    const Output& o = record.outputs[i];
    if (o.kind == OutputKind::scalar) continue;
    if (hasColumns(o.dims) && o.kind == OutputKind::array) {
      a.written[written] = call.outputs[i];
      a.writes = a.writes || call.outputs[i];
      ++written;
    } else if (columnSums > 0 && isColumn(o.dims)) {
      columnOutputs.at[summed++] = static_cast<float*>(call.outputs[i]);
    } else {
      outputs.add(call, i, reduction, call.rows);
    }
  }
  const RowLaunch l = layoutOf(call, a.inputs, sizeof(typename D::Row));
  a.layout = l.layout;
  a.marks = marksOf<D>(call);
  a.values = outputs.values;
  a.inverseTemperature = temperatureAt < 0 ? 1.0 : 1.0 / call.options[temperatureAt < 0 ? 0 : temperatureAt];
  if (softcapAt >= 0) {
    const double cap = call.options[softcapAt < 0 ? 0 : softcapAt];
    a.softcap = cap == cap ? static_cast<float>(cap) : 0.0f;
  }
  const Prepared<D>* definition = prepared<D>(call);
  if constexpr (columnSums > 0) a.keptRows = call.scratch<typename D::Row>(call.rows);
  // What is written in place of an input, sums over columns must have seen before.
  SweepArguments first = a;
  bool inPlace = false;
  for (int k = 0; columnSums > 0 && k < a.inputs.count; ++k)
    for (const void* out : a.written) inPlace = inPlace || (out && out == a.inputs.at[k]);
  first.writes = a.writes && !inPlace;
  launch(call, l.launch, sweepRows<D>, first, definition);
  if constexpr (columnSums > 0) {
    const size_t c = call.columns, strips = (c + kColumnThreads - 1) / kColumnThreads, count = (call.rows + kShareRows - 1) / kShareRows;
    double* shares = call.scratch<double>(count * static_cast<size_t>(columnSums) * c);
    launch(call, {strips * count, kColumnThreads}, columnShares<D>, a, definition, shares);
    launch(call, {strips, kColumnThreads}, addShares, shares, count, c, columnSums, columnOutputs);
    if (inPlace) launch(call, l.launch, sweepRows<D>, a, definition);
  }
  outputs.finish(call);
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
