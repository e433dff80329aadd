// Losses that are a sum of one term an element, over the definitions of cpp/engine/elementwise.h. A thread takes eight elements at a time;
// each block leaves one sum.
#pragma once
#include "row_values.h"
#include "rows.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr int kElementInputs = 4, kElementColumns = 3, kElementOutputs = 2;
constexpr unsigned kElementThreads = 256, kMostElementBlocks = 4096;

struct ElementArguments {
  Elements inputs[kElementInputs];
  const int32_t* integers[kElementInputs];
  const float* columns[kElementColumns];
  Elements outputs[kElementOutputs];
  Elements losses;
  double* sums;  // one a block
  size_t total, columnCount;
};

LGC_DEVICE void writeElements(const Elements& to, size_t at, int count, const float* v) {
  if (count == static_cast<int>(kEight)) {
    writeEight(to.at, to.storage, at, at + 4, v);
    return;
  }
  for (int e = 0; e < count; ++e) writeOne(to.at, to.storage, at + static_cast<size_t>(e), v[e]);
}

template <class D> LGC_KERNEL void eachElement(LGC_ARGUMENT ElementArguments a, const Prepared<D>* prepared) {
  const D d = prepared->definition;
  Sums<1> sum;
  const size_t chunks = (a.total + kEight - 1) / kEight;
  for (size_t q = static_cast<size_t>(blockIdx.x) * kElementThreads + threadIdx.x; q < chunks;
       q += static_cast<size_t>(gridDim.x) * kElementThreads) {
    const size_t at = q * kEight;
    const int count = static_cast<int>(a.total - at < kEight ? a.total - at : kEight);
    float x[kElementInputs][kEight] = {}, out[kElementOutputs][kEight], losses[kEight];
    for (int k = 0; k < kElementInputs; ++k) {
      if (a.inputs[k].at) readEight(a.inputs[k].at, a.inputs[k].storage, at, at + 4, x[k]);
      if (a.integers[k])
        for (int e = 0; e < count; ++e) x[k][e] = static_cast<float>(a.integers[k][at + static_cast<size_t>(e)]);
    }
    for (int e = 0; e < count; ++e) {
      float lane[kElementInputs], column[kElementColumns], written[kMaxOutputs] = {}, loss = 0;
      const size_t j = a.columnCount ? (at + static_cast<size_t>(e)) % a.columnCount : 0;
      for (int k = 0; k < kElementInputs; ++k) lane[k] = x[k][e];
      for (int k = 0; k < kElementColumns; ++k) column[k] = a.columns[k] ? a.columns[k][j] : 1.0f;
      d.lane(lane, column, loss, written);
      losses[e] = loss;
      sum.add(0, loss);
      for (int k = 0; k < kElementOutputs; ++k) out[k][e] = written[k];
    }
    sum.next();
    if (a.losses.at) writeElements(a.losses, at, count, losses);
    for (int k = 0; k < kElementOutputs; ++k)
      if (a.outputs[k].at) writeElements(a.outputs[k], at, count, out[k]);
  }
  if (!a.sums) return;
  sum.fold();
  Team team(kElementThreads, 1, reinterpret_cast<TeamRoom*>(sharedMemory()));
  team.sum(sum.total);
  if (threadIdx.x == 0) a.sums[blockIdx.x] = sum.total[0];
}

template <class D> void runElements(DeviceCall& call) {
  constexpr const Record& record = D::record;
  ElementArguments a{};
  int inputs = 0, columns = 0, written = 0, lossAt = -1;
  const auto storageOf = [&](const char* dims) { return hasClasses(dims) ? call.storage : Storage::f32; };
  for (int i = 0; i < record.inputCount(); ++i) {
    const Input& in = record.inputs[i];
    if (isColumn(in.dims)) {
      if (call.inputs[i]) a.columnCount = call.columns;
      a.columns[columns++] = static_cast<const float*>(call.inputs[i]);
      continue;
    }
    if (inputs == 0) a.total = call.inputLength[i];
    if (in.kind == Kind::real)
      a.inputs[inputs] = {const_cast<void*>(call.inputs[i]), storageOf(in.dims)};
    else
      a.integers[inputs] = static_cast<const int32_t*>(call.inputs[i]);
    ++inputs;
  }
  for (int i = 0; i < record.outputCount(); ++i) {
    const Output& o = record.outputs[i];
    if (o.kind == OutputKind::reduced) {
      lossAt = i;
      if (reductionOf<D>(call) == kReduceNone) a.losses = {call.outputs[i], storageOf(o.dims)};
    } else if (o.kind == OutputKind::array) {
      a.outputs[written++] = {call.outputs[i], storageOf(o.dims)};
    }
  }
  const size_t chunks = (a.total + kEight - 1) / kEight, wanted = (chunks + kElementThreads - 1) / kElementThreads;
  const size_t blocks = wanted < kMostElementBlocks ? wanted : kMostElementBlocks;
  RowOutputs outputs;
  if (lossAt >= 0 && !a.losses.at) {
    outputs.add(call, lossAt, reductionOf<D>(call), blocks);
    a.sums = outputs.values.values[0];
  }
  const Prepared<D>* definition = prepared<D>(call);
  launch(call, {blocks, kElementThreads, sizeof(TeamRoom)}, eachElement<D>, a, definition);
  outputs.finish(call);
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
