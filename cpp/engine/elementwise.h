// Losses that are a sum of one term an element: no row has a statistic of its own. A definition D has
//   record          inputs of the logits' shape (integer ones are read as numbers), then inputs of shape [c]
//   D(Call&)
//   lane(const W* x, const W* column, W& loss, W* out)    out: the outputs that have the logits' shape, in the order of the record
// Elements are cut into pieces whose length follows from the shape alone. With [c] inputs a piece is a part of a long row, or as
// many short rows as fill it, with the [c] inputs repeated to that length: rows of one or two columns fill the lanes too.
#pragma once
#include "row_loss.h"
#include "vector.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr int kMaxElementInputs = 4, kMaxColumns = 3;

template <class D, class T> void runElementwise(Call& call) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  constexpr const StoredRecord& record = Store<D>::record;
  const D d(call);
  const T* inputs[kMaxElementInputs] = {};
  const int32_t* integers[kMaxElementInputs] = {};
  const T* columns[kMaxColumns] = {};
  int count = 0, columnCount = 0, lossAt = -1, outCount = 0;
  bool byColumn = false;
  size_t total = 0;
  T* outputs[kMaxOutputs] = {};
  for (int i = 0; i < record.inputCount(); ++i) {
    const Input& in = record.inputs[i];
    if (in.dims[0] == 'c') {
      byColumn = byColumn || call.inputs[i];
      columns[columnCount++] = static_cast<const T*>(call.inputs[i]);
    } else {
      if (in.kind == Kind::real)
        inputs[count] = static_cast<const T*>(call.inputs[i]);
      else
        integers[count] = static_cast<const int32_t*>(call.inputs[i]);
      if (count++ == 0) total = call.inputLength[i];
    }
  }
  T* elementLoss = nullptr;
  for (int i = 0; i < record.outputCount(); ++i) {
    if (record.outputs[i].kind == OutputKind::reduced) {
      lossAt = i;
      elementLoss = static_cast<T*>(call.outputs[i]);
    } else if (record.outputs[i].kind == OutputKind::array) {
      outputs[outCount++] = static_cast<T*>(call.outputs[i]);
    }
  }
  const size_t c = byColumn && call.columns ? call.columns : 1;
  const bool longRows = c > kBlock;
  const size_t most = longRows ? kBlock : c * (kBlock / c), piece = total && total < most ? total : most;
  const size_t segments = longRows ? (c + kBlock - 1) / kBlock : 1;
  const size_t pieces = longRows ? total / c * segments : (total + piece - 1) / piece;
  Scratch<T> tiled(call, byColumn && !longRows ? piece * static_cast<size_t>(columnCount) : 0);
  Scratch<double> partial(call, pieces);
  if (!tiled || !partial) return;
  for (int k = 0; k < columnCount; ++k) {
    if (!columns[k] || longRows) continue;
    T* copies = tiled + static_cast<size_t>(k) * piece;
    for (size_t j = 0; j < piece; ++j) copies[j] = columns[k][j % c];
    columns[k] = copies;
  }
  parallel(call, pieces, rowGrain(piece), [&](size_t first, size_t last) {
    for (size_t p = first; p < last; ++p) {
      const size_t offset = longRows ? p % segments * piece : 0;
      const size_t base = longRows ? p / segments * c + offset : p * piece, rest = longRows ? c - offset : total - base;
      const size_t length = rest < piece ? rest : piece;
      double sum = 0;
      for (size_t start = 0; start < length; start += kBlock) {
        const size_t end = length - start < kBlock ? length : start + kBlock;
        W acc = broadcast<W>(0);
        for (size_t j = start; j < end; j += L) {
          const size_t n = end - j < L ? end - j : L;
          W x[kMaxElementInputs], column[kMaxColumns], out[kMaxOutputs], loss = broadcast<W>(0);
          for (int k = 0; k < kMaxElementInputs; ++k) {
            if (inputs[k]) {
              x[k] = readLanes(inputs[k] + base + j, n);
            } else if (integers[k]) {
              T numbers[L] = {};
              for (size_t q = 0; q < n; ++q) numbers[q] = static_cast<T>(integers[k][base + j + q]);
              x[k] = load<W>(numbers);
            } else {
              x[k] = broadcast<W>(0);
            }
          }
          for (int k = 0; k < kMaxColumns; ++k) column[k] = columns[k] ? readLanes(columns[k] + offset + j, n) : broadcast<W>(1);
          d.lane(x, column, loss, out);
          acc = acc + (n == L ? loss : select(firstLanes<W>(n), loss, broadcast<W>(0)));
          if (elementLoss) writeLanes(elementLoss + base + j, loss, n);
          for (int k = 0; k < outCount; ++k)
            if (outputs[k]) writeLanes(outputs[k] + base + j, out[k], n);
        }
        sum += foldSum(acc);
      }
      partial[p] = sum;
    }
  });
  if (lossAt >= 0) call.scalars[lossAt] = orderedSum(partial, pieces);
}

template <class D> struct ElementwiseOp {
  static constexpr Kernels kernels() { return {&runElementwise<D, float>, &runElementwise<D, double>}; }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
