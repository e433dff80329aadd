// Kernels for ops that are no loss of the engine's own forms. A task is a copyable struct of sizes and pointers; what it does is its
// operator(), of which there is one a row, a block, an index or a call. Kernels are named after their tasks, which therefore stand in
// unnamed namespaces: two files may have tasks of the same name.
#pragma once
#include "row_layout.h"
#include "row_marks.h"
#include "row_values.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// task(rows), with rows as in rows.h: all threads of a block come to all sums, also those whose row lies beyond the last
// (rows.inside) or does not count (rows.fate), whose loops over columns are empty.
template <int N, class Task> LGC_ROW_KERNEL(2)
void taskRows(LGC_ARGUMENT RowLayout layout, LGC_ARGUMENT RowInputs inputs, LGC_ARGUMENT Task task) {
  const BlockRoom<unsigned> room(layout);
  Rows<N> rows(layout, inputs, room.rows, room.team);
  task(rows);
  rows.team.leave();
}
// Inputs of [rows, columns] in the type of the call's logits.
template <int N, class Task> void forRows(DeviceCall& call, size_t rows, size_t columns, const void* const (&inputs)[N], const Task& task) {
  RowInputs in{};
  in.count = N;
  for (int k = 0; k < N; ++k) in.at[k] = inputs[k];
  const RowLaunch l = layoutOf(call, rows, columns, in, sizeof(unsigned));
  launch(call, l.launch, taskRows<N, Task>, l.layout, in, task);
}
template <int N, class Task> void forRows(DeviceCall& call, const void* const (&inputs)[N], const Task& task) {
  forRows(call, call.rows, call.columns, inputs, task);
}

// visit(e, x) of the entries that a chunk has: x[k] is that of input k.
template <int N, class C, class F> LGC_DEVICE void eachEntry(const C& chunk, const float (*v)[kEight], F&& visit) {
  LGC_UNROLL
  for (int e = 0; e < static_cast<int>(kEight); ++e) {
    if (!chunk.has(e)) continue;
    float x[N];
    LGC_UNROLL
    for (int k = 0; k < N; ++k) x[k] = v[k][e];
    visit(e, x);
  }
}
// visit(j, x): x[k] is the entry of input k in column j. Every thread has its own columns.
template <int N, class F> LGC_DEVICE void eachColumn(const Rows<N>& rows, F&& visit) {
  rows.each(
      [&](const auto& chunk, float(*v)[kEight]) { eachEntry<N>(chunk, v, [&](int e, const float(&x)[N]) { visit(chunk.column(e), x); }); });
}
// Sums over the columns, which all threads get: term(j, x, t) sets t[0] to t[S - 1].
template <int S, int N, class F> LGC_DEVICE void sumColumns(Rows<N>& rows, double (&total)[S], F&& term) {
  Sums<S> acc;
  rows.each([&](const auto& chunk, float(*v)[kEight]) {
    eachEntry<N>(chunk, v, [&](int e, const float(&x)[N]) {
      float t[S];
      term(chunk.column(e), x, t);
      LGC_UNROLL
      for (int k = 0; k < S; ++k) acc.add(k, t[k]);
    });
    acc.next();
  });
  acc.fold();
  for (int k = 0; k < S; ++k) total[k] = acc.total[k];
  rows.team.sum(total);
}
// The same of terms in double, where single ones would lose what counts.
template <int S, int N, class F> LGC_DEVICE void sumColumnsWide(Rows<N>& rows, double (&total)[S], F&& term) {
  for (int k = 0; k < S; ++k) total[k] = 0;
  eachColumn(rows, [&](int j, const float(&x)[N]) {
    double t[S];
    term(j, x, t);
    for (int k = 0; k < S; ++k) total[k] += t[k];
  });
  rows.team.sum(total);
}
// entry(j, x) into column j of an output that is stored as the inputs are, which it may take the place of.
template <int N, class F> LGC_DEVICE void writeColumns(const Rows<N>& rows, void* out, F&& entry) {
  rows.each([&](const auto& chunk, float(*v)[kEight]) {
    float written[kEight];
    eachEntry<N>(chunk, v, [&](int e, const float(&x)[N]) { written[e] = entry(chunk.column(e), x); });
    rows.write(out, chunk, written);
  });
}

// task(item, team): a block of kRowThreads for each of `count`.
template <class Task> LGC_ROW_KERNEL(2) void taskBlocks(LGC_ARGUMENT Task task) {
  Team team(kRowThreads, 1, reinterpret_cast<TeamRoom*>(sharedMemory()));
  task(static_cast<size_t>(blockIdx.x), team);
}
template <class Task> void forBlocks(DeviceCall& call, size_t count, const Task& task) {
  launch(call, {count, kRowThreads, sizeof(TeamRoom)}, taskBlocks<Task>, task);
}

// task(item, inside, team): a team for each of `count` items of about `length` entries, several short ones a block. All threads of a
// block come to all sums, also those whose item lies beyond the last (not inside).
template <class Task> LGC_ROW_KERNEL(2) void taskTeams(size_t count, unsigned size, LGC_ARGUMENT Task task) {
  Team team(size, 1, reinterpret_cast<TeamRoom*>(sharedMemory()));
  const size_t item = static_cast<size_t>(blockIdx.x) * (kRowThreads / size) + threadIdx.x / size;
  task(item, item < count, team);
}
template <class Task> void forTeams(DeviceCall& call, size_t count, size_t length, const Task& task) {
  const unsigned size = length > kWarpLanes * kEight ? kRowThreads : powerOf2((length + kEight - 1) / kEight), items = kRowThreads / size;
  launch(call, {(count + items - 1) / items, kRowThreads, sizeof(TeamRoom)}, taskTeams<Task>, count, size, task);
}

// task(i) for each of `count`, neighbours in neighbouring threads.
constexpr unsigned kIndexThreads = 256;
constexpr size_t kMostIndexBlocks = 65536;
template <class Task> LGC_ROW_KERNEL(1) void taskIndices(size_t count, LGC_ARGUMENT Task task) {
  for (size_t i = static_cast<size_t>(blockIdx.x) * kIndexThreads + threadIdx.x; i < count;
       i += static_cast<size_t>(gridDim.x) * kIndexThreads)
    task(i);
}
template <class Task> void forIndices(DeviceCall& call, size_t count, const Task& task) {
  const size_t blocks = (count + kIndexThreads - 1) / kIndexThreads;
  launch(call, {blocks < kMostIndexBlocks ? blocks : kMostIndexBlocks, kIndexThreads}, taskIndices<Task>, count, task);
}

// What kernels before have left, as the arrays of a call are stored.
template <class T> struct StoreEntry {
  const T* from;
  Elements to;
  T scale;
  LGC_DEVICE void operator()(size_t i) const { writeOne(to.at, to.storage, i, static_cast<float>(from[i] * scale)); }
};
template <class T> void storeAs(DeviceCall& call, const T* from, size_t count, const Elements& to, T scale = 1) {
  forIndices(call, count, StoreEntry<T>{from, to, scale});
}
inline void storeAs(DeviceCall& call, const double* from, size_t count, float* to) {
  storeAs(call, from, count, Elements{to, Storage::f32});
}
// An output in float32 until all that goes into it is there, whatever it is stored as.
class FloatOutput {
 public:
  float* at = nullptr;  // null: it is not wanted

  FloatOutput(DeviceCall& call, void* out, size_t count) : out_{out, call.storage}, count_(count) {
    if (out) at = call.storage == Storage::f32 ? static_cast<float*>(out) : call.scratch<float>(count);
  }
  void finish(DeviceCall& call) const {
    if (at && at != out_.at) storeAs(call, at, count_, out_);
  }

 private:
  Elements out_;
  size_t count_;
};

// task() by all threads of one block: for numbers of a whole call, by sumRows and countRows, which all threads have to come to.
constexpr unsigned kOnceThreads = 512;
template <class Task> LGC_KERNEL void taskOnce(LGC_ARGUMENT Task task) { task(); }
// Its threads, for a task that needs more than sums. It may not use those functions beside: both have the same memory.
LGC_DEVICE Team wholeBlock() { return Team(blockDim.x, 1, reinterpret_cast<TeamRoom*>(sharedMemory())); }
template <class Task> void once(DeviceCall& call, const Task& task) {
  launch(call, {1, kOnceThreads, sizeof(TeamRoom)}, taskOnce<Task>, task);
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
