// The general form of the row engine, for what row statistics cannot say: sums over lanes in one or more sweeps, each folded to
// row scalars, then one sweep that writes. A definition D has
//   record
//   softmaxInputs              the first so many row inputs come softcapped (option logitSoftcap), with maximum and exponentials
//   sweeps, sums[sweep]        how many sums each sweep takes
//   Row                        the row's scalars, in double
//   D(Call&), begin(Row&, const RowStart&)
//   terms<S>(row, lane, W* out), fold<S>(Row&, const double*)     for each sweep S
//   rowOutputs(row, double*)   per-row outputs (those without a column dimension), in the order of the record
//   write(row, lane, W* out)   outputs with columns, in the order of the record
// and optionally
//   atTarget(row)              what replaces the first written output at j = y
//   pivotInput                 of ops without targets: the row input whose first largest entry stands for the target
//   wideSums = true            lanes are summed in double
//   plainSoftmax = true        the option temperature is not that of the softmax inputs
// A sum that leaves out lane.isPivot keeps its digits where that entry is all but the whole.
//   columnSums, columnTerms(row, lane, W* out)   how many outputs of shape [c] are sums over the rows, and what a row adds to them
#pragma once
#include "row_loss.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Lanes of a sum, in T or in double.
template <bool Wide, class T> struct LaneSum {
  Vec<T> total = broadcast<Vec<T>>(0);
  LGC_FN void add(Vec<T> term) { total = total + term; }
  LGC_FN double fold() const { return foldSum(total); }
};
template <class T> struct LaneSum<true, T> {
  f64x8 half[Halves<T>::count];
  LGC_FN LaneSum() {
    for (f64x8& h : half) h = broadcast<f64x8>(0);
  }
  LGC_FN void add(Vec<T> term) {
    for (int h = 0; h < Halves<T>::count; ++h) half[h] = half[h] + Halves<T>::get(term, h);
  }
  LGC_FN double fold() const { return foldSum(Halves<T>::count == 2 ? half[0] + half[Halves<T>::count - 1] : half[0]); }
};
// Rows whose column sums are taken one after the other: few enough for threads, many enough that the sums take little memory.
inline size_t rowsOfChunk(size_t columns) { return rowGrain(columns) < 16 ? 16 : rowGrain(columns); }

template <class D, class T> struct RowSweeps {
  using W = Vec<T>;
  static constexpr size_t L = lanes<W>;
  static constexpr const StoredRecord& record = Store<D>::record;
  static constexpr int rowInputs = countRowInputs(D::record);
  static constexpr bool targeted = findKind(D::record, Kind::target, Kind::target) >= 0;
  static constexpr int softcapAt = findOption(D::record, "logitSoftcap");
  static constexpr int pivotInput = targeted ? -1 : PivotOf<D>::input;

  const D& d;
  Call& call;
  size_t c;
  double inverseTemperature = 1;
  T softcap = 0;
  const T* inputs[kMaxRowInputs] = {};
  const T* columns[kMaxColumnInputs] = {};
  int columnCount = 0, written = 0, perRow = 0;
  T* outputs[kMaxOutputs] = {};  // with columns; null where not asked for
  double* rowValues[kMaxOutputs] = {};
  static constexpr int columnSums = ColumnSumsOf<D>::count;
  T* columnOutputs[kMaxOutputs] = {};
  double* columnTotals = nullptr;  // [chunk][sum][columns rounded up to whole vectors]
  int rowOutputAt[kMaxOutputs] = {};
  bool writes = false;

  RowSweeps(const D& definition, Call& k) : d(definition), call(k), c(k.columns) {
    int rows = 0, summed = 0;
    for (int i = 0; i < record.inputCount(); ++i) {
      if (record.inputs[i].kind != Kind::real) continue;
      if (hasColumns(record.inputs[i].dims))
        inputs[rows++] = static_cast<const T*>(call.inputs[i]);
      else if (isColumn(record.inputs[i].dims))
        columns[columnCount++] = static_cast<const T*>(call.inputs[i]);
    }
    for (int i = 0; i < record.outputCount(); ++i) {
      const Output& o = record.outputs[i];
      if (o.kind == OutputKind::scalar) continue;
      if (hasColumns(o.dims) && o.kind == OutputKind::array) {
        outputs[written] = static_cast<T*>(call.outputs[i]);
        writes = writes || outputs[written];
        ++written;
      } else if (columnSums && isColumn(o.dims)) {
        columnOutputs[summed++] = static_cast<T*>(call.outputs[i]);
      } else {
        rowOutputAt[perRow++] = i;
      }
    }
    constexpr int at = HasPlainSoftmax<D>::value ? -1 : findOption(D::record, "temperature");
    if (at >= 0) inverseTemperature = 1.0 / call.options[at < 0 ? 0 : at];
    if (softcapAt >= 0) {
      const double cap = call.options[softcapAt < 0 ? 0 : softcapAt];
      if (cap == cap) softcap = static_cast<T>(cap);
    }
  }

  LGC_FN void read(size_t i, size_t j, size_t count, size_t pivot, const W* top, W scale, Lane<W>& lane) const {
    lane.isPivot = laneIndex<W>() == broadcast<W>(static_cast<T>(static_cast<int64_t>(pivot) - static_cast<int64_t>(j)));
    for (int k = 0; k < rowInputs; ++k) {
      const T* p = inputs[k] + i * c + j;
      const T fill = k < D::softmaxInputs ? static_cast<T>(-__builtin_huge_val()) : T(0);
      lane.x[k] = count == L ? load<W>(p) : loadFirst<W>(p, count, fill);
    }
    for (int k = 0; k < D::softmaxInputs; ++k) {
      if (softcapAt >= 0 && softcap != 0) lane.x[k] = tanh(lane.x[k] / broadcast<W>(softcap)) * broadcast<W>(softcap);
      lane.shifted[k] = (lane.x[k] - top[k]) * scale;
      lane.e[k] = expFlush(lane.shifted[k]);
    }
    for (int k = 0; k < kMaxColumnInputs; ++k) lane.column[k] = columns[k] ? loadFirst<W>(columns[k] + j, count, 0) : broadcast<W>(1);
  }

  template <int S> LGC_FN void sweep(size_t i, size_t pivot, typename D::Row& row, const W* top, W scale) const {
    if constexpr (S < D::sweeps) {
      constexpr int sums = D::sums[S];
      double total[kMaxSums] = {};
      const W zero = broadcast<W>(0);
      for (size_t start = 0; start < c; start += kBlock) {
        const size_t end = c - start < kBlock ? c : start + kBlock;
        LaneSum<HasWideSums<D>::value, T> acc[sums];
        for (size_t j = start; j < end; j += L) {
          const size_t count = end - j < L ? end - j : L;
          Lane<W> lane;
          W term[kMaxSums];
          read(i, j, count, pivot, top, scale, lane);
          d.template terms<S>(row, lane, term);
          if (count == L) {
            for (int k = 0; k < sums; ++k) acc[k].add(term[k]);
          } else {
            const auto in = firstLanes<W>(count);
            for (int k = 0; k < sums; ++k) acc[k].add(select(in, term[k], zero));
          }
        }
        for (int k = 0; k < sums; ++k) total[k] += acc[k].fold();
      }
      d.template fold<S>(row, total);
      sweep<S + 1>(i, pivot, row, top, scale);
    }
  }

  size_t stride() const { return (c + L - 1) / L * L; }

  LGC_FN void addColumns(const typename D::Row& row, const Lane<W>& lane, double* totals) const {
    W term[columnSums + 1];
    d.columnTerms(row, lane, term);
    for (int k = 0; k < columnSums; ++k)
      for (int h = 0; h < Halves<T>::count; ++h) {
        double* p = totals + static_cast<size_t>(k) * stride() + 8 * h;
        store(p, load<f64x8>(p) + Halves<T>::get(term[k], h));
      }
  }

  void rowOf(size_t i, Block<T>* blocks, double* factors, double* totals) {
    RowStart start{};
    start.index = i;
    start.columns = c;
    start.inverseTemperature = inverseTemperature;
    const int32_t* marks = rowMarks<D>(call);
    if (marks && marks[i] == ignoreIndexOf<D>(call)) {
      for (int k = 0; k < perRow; ++k) rowValues[k][i] = 0;
      for (int k = 0; k < written; ++k)
        if (outputs[k]) __builtin_memset(static_cast<void*>(outputs[k] + i * c), 0, c * sizeof(T));
      return;
    }
    size_t pivot = 0;
    if (targeted) {
      start.target = marks[i];
      pivot = static_cast<size_t>(marks[i]);
    } else if (pivotInput >= 0) {
      const Plain<T> r{inputs[pivotInput < 0 ? 0 : pivotInput] + i * c};
      pivot = firstEqual<T>(r, c, rowMax<T>(r, c));
    }
    if (targeted || pivotInput >= 0)
      for (int k = 0; k < rowInputs; ++k) start.targetValue[k] = static_cast<double>(inputs[k][i * c + pivot]);
    W top[2] = {broadcast<W>(0), broadcast<W>(0)};
    for (int k = 0; k < D::softmaxInputs; ++k) {
      const T* x = inputs[k] + i * c;
      if (softcapAt >= 0 && softcap != 0)
        start.softmax[k] = rowSum<false>(Softcapped<T>{x, softcap}, c, inverseTemperature, Destination<T>{}, blocks, factors);
      else
        start.softmax[k] = rowSum<false>(Plain<T>{x}, c, inverseTemperature, Destination<T>{}, blocks, factors);
      top[k] = broadcast<W>(static_cast<T>(start.softmax[k].max));
      if (start.softmax[k].max == -__builtin_huge_val()) start.softmax[k].others = __builtin_nan("");
    }
    const W scale = broadcast<W>(static_cast<T>(inverseTemperature));
    typename D::Row row{};
    d.begin(row, start);
    sweep<0>(i, pivot, row, top, scale);
    double values[kMaxOutputs] = {};
    d.rowOutputs(row, values);
    for (int k = 0; k < perRow; ++k) rowValues[k][i] = values[k];
    if (!writes && !totals) return;
    for (size_t j = 0; j < c; j += L) {
      const size_t count = c - j < L ? c - j : L;
      Lane<W> lane;
      W out[kMaxOutputs];
      read(i, j, count, pivot, top, scale, lane);
      d.write(row, lane, out);
      if constexpr (columnSums > 0) addColumns(row, lane, totals + j);
      for (int k = 0; k < written; ++k)
        if (outputs[k]) {
          if (count == L)
            store(outputs[k] + i * c + j, out[k]);
          else
            storeFirst(outputs[k] + i * c + j, out[k], count);
        }
    }
    if constexpr (HasTargetFix<D>::value)
      if (outputs[0]) outputs[0][i * c + pivot] = static_cast<T>(d.atTarget(row));
  }

  void rows(size_t begin, size_t end) {
    const size_t count = blockCount(c);
    Scratch<Block<T>> blocks(call, D::softmaxInputs ? count : 0);
    Scratch<double> factors(call, D::softmaxInputs ? count : 0);
    if (!blocks || !factors) return;
    if (!columnSums) {
      for (size_t i = begin; i < end; ++i) rowOf(i, blocks, factors, nullptr);
      return;
    }
    const size_t chunk = rowsOfChunk(c), sums = static_cast<size_t>(columnSums) * stride();
    for (size_t k = begin; k < end; ++k)
      for (size_t i = k * chunk; i < (k + 1) * chunk && i < call.rows; ++i) rowOf(i, blocks, factors, columnTotals + k * sums);
  }

  // Chunks are added in their order.
  void writeColumns(size_t chunks) {
    for (int k = 0; k < columnSums; ++k) {
      parallel(call, stride() / L, rowGrain(chunks * L), [&](size_t begin, size_t end) {
        for (size_t v = begin; v < end; ++v) {
          f64x8 half[2];
          for (int h = 0; h < Halves<T>::count; ++h) {
            half[h] = broadcast<f64x8>(0);
            for (size_t q = 0; q < chunks; ++q)
              half[h] = half[h] + load<f64x8>(columnTotals + (q * static_cast<size_t>(columnSums) + static_cast<size_t>(k)) * stride() +
                                              v * L + 8 * h);
          }
          storeFirst(columnOutputs[k] + v * L, Halves<T>::join(half), c - v * L < L ? c - v * L : L);
        }
      });
    }
  }
};

// After the rows: aggregates over rows, for definitions that have them: finish(Call&, double* const* rowValues).
template <class D, class = void> struct HasFinish {
  static constexpr bool value = false;
};
template <class D> struct HasFinish<D, decltype(void(&D::finish))> {
  static constexpr bool value = true;
};

template <class D, class T> void runRowSweeps(Call& call) {
  const D d(call);
  RowSweeps<D, T> engine(d, call);
  const size_t n = call.rows;
  Scratch<double> values(call, n * static_cast<size_t>(engine.perRow));
  if (!values) return;
  for (int k = 0; k < engine.perRow; ++k) engine.rowValues[k] = values + n * static_cast<size_t>(k);
  if constexpr (RowSweeps<D, T>::columnSums > 0) {
    const size_t chunk = rowsOfChunk(call.columns), chunks = (n + chunk - 1) / chunk;
    Scratch<double> totals(call, chunks * static_cast<size_t>(engine.columnSums) * engine.stride());
    if (!totals) return;
    engine.columnTotals = totals;
    parallel(call, chunks, 1, [&](size_t begin, size_t end) { engine.rows(begin, end); });
    engine.writeColumns(chunks);
  } else {
    parallel(call, n, rowGrain(call.columns), [&](size_t begin, size_t end) { engine.rows(begin, end); });
  }
  const int reduction = reductionOf<D>(call);
  for (int k = 0; k < engine.perRow; ++k) reduceRows<T>(call, engine.rowOutputAt[k], reduction, engine.rowValues[k]);
  if constexpr (HasFinish<D>::value) d.finish(call, engine.rowValues);
}

template <class D> struct RowSweepOp {
  static constexpr Kernels kernels() { return {&runRowSweeps<D, float>, &runRowSweeps<D, double>}; }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
