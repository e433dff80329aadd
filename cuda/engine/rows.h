// Rows on their way through a block. The row inputs of a call are copied to the memory of the block, where they are swept as often as an
// op needs; a block has several short rows, a long row has the blocks of a cluster, and one that no cluster holds is read again for every
// sweep. Arrays of one call have the same columns, so that a place in one is the place in all.
#pragma once
#include "../../cpp/engine/definition.h"
#include "storage.h"
#include "team.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr int kRowInputs = kMaxRowInputs;
constexpr int kNoColumn = 0x7ffffff0;

// How rows are dealt out, the same for all blocks of a launch.
struct RowLayout {
  size_t rows, columns;
  unsigned team, rowsPerBlock, cluster;
  bool resident;          // rows wait in the memory of the block
  unsigned roomPerInput;  // bytes of it
  Storage storage;
};

struct RowInputs {
  const void* at[kRowInputs];
  int count;
};

// What becomes of a row: it counts, it is left out (loss and gradient 0), or its target is none (NaN, and the call has failed).
enum class Fate : unsigned char { kept, dropped, lost };

// Eight entries of a row that a thread has at a time, four by four. Of float32 the second four lie as far away as the team reaches with its
// first, so that the lanes of a warp read and write whole lines; of halves they are neighbours.
struct Chunk {
  int near, far;  // columns
  int columns;    // of the row; what lies before it or behind is not the row's
  LGC_DEVICE int column(int e) const { return (e < 4 ? near : far - 4) + e; }
  LGC_DEVICE bool has(int e) const { return column(e) >= 0 && column(e) < columns; }
  LGC_DEVICE bool whole() const { return near >= 0 && far <= columns - 4; }
};
// One that has all of them: nothing is asked for each.
struct WholeChunk : Chunk {
  LGC_DEVICE constexpr bool has(int) const { return true; }
};

// N: the row inputs.
template <int N> class Rows {
 public:
  const RowLayout& shape;
  Team team;
  size_t row;  // of this team; team.size threads beyond the last row have none
  bool inside;
  Fate fate;

  LGC_DEVICE Rows(const RowLayout& s, const RowInputs& inputs, char* room, TeamRoom* teamRoom)
      : shape(s), team(s.team, s.cluster, teamRoom), inside(true), fate(Fate::kept), inputs_(inputs) {
    const size_t first = static_cast<size_t>(blockIdx.x / s.cluster) * s.rowsPerBlock;
    row = first + threadIdx.x / s.team;
    inside = row < s.rows;
    const size_t start = (inside ? row : 0) * s.columns;
    skip_ = static_cast<unsigned>(start % kEight);
    base_ = start - skip_;
    const unsigned chunks = static_cast<unsigned>((skip_ + s.columns + kEight - 1) / kEight), share = (chunks + s.cluster - 1) / s.cluster;
    begin_ = share * team.block;
    end_ = begin_ + share < chunks ? begin_ + share : chunks;
    origin_ = 0;
    LGC_UNROLL
    for (int k = 0; k < N; ++k) source_[k] = inputs.at[k];
    if (!s.resident) return;
    // Of the whole block: short rows lie side by side, and so do their copies.
    const size_t blockStart = first * s.columns, last = first + s.rowsPerBlock < s.rows ? first + s.rowsPerBlock : s.rows;
    origin_ = blockStart - blockStart % kEight + static_cast<size_t>(begin_) * kEight * (s.cluster > 1 ? 1 : 0);
    const size_t blockEnd = s.cluster > 1 ? base_ + static_cast<size_t>(end_) * kEight : (last * s.columns + kEight - 1) / kEight * kEight;
    const size_t bytes = blockEnd > origin_ ? (blockEnd - origin_) * bytesOf(s.storage) : 0;
    LGC_UNROLL
    for (int k = 0; k < N; ++k) {
      Sixteen* to = reinterpret_cast<Sixteen*>(room + static_cast<size_t>(k) * s.roomPerInput);
      const Sixteen* from = reinterpret_cast<const Sixteen*>(static_cast<const char*>(inputs.at[k]) + origin_ * bytesOf(s.storage));
      for (unsigned u = threadIdx.x; u < bytes / sizeof(Sixteen); u += blockDim.x) copyAhead(to + u, from + u);
      source_[k] = to;
    }
    awaitCopies();
    __syncthreads();
  }

  // Of all threads that have this row, the one that leaves its numbers.
  LGC_DEVICE bool leads() const { return inside && team.leads() && team.block == 0; }
  LGC_DEVICE bool reads() const { return inside && fate == Fate::kept; }

  // f(chunk, v): v[k][e] is the entry of input k in column chunk.column(e), of those that the chunk has.
  template <class F> LGC_DEVICE void each(F&& f) const {
    if (!reads()) return;
    eachChunk([&](const Chunk& chunk, size_t near, size_t far) {
      float v[N][kEight];
      LGC_UNROLL
      for (int k = 0; k < N; ++k) readEight(source_[k], shape.storage, near - origin_, far - origin_, v[k]);
      if (chunk.whole())
        f(WholeChunk{chunk}, v);
      else
        f(chunk, v);
    });
  }
  // Entries of an output, in the columns of a chunk.
  LGC_DEVICE void write(void* out, const Chunk& chunk, const float* v) const {
    const size_t start = base_ + skip_;
    if (chunk.whole()) {
      writeEight(out, shape.storage, start + static_cast<size_t>(chunk.near), start + static_cast<size_t>(chunk.far), v);
      return;
    }
    LGC_UNROLL
    for (int e = 0; e < static_cast<int>(kEight); ++e)
      if (chunk.has(e)) writeOne(out, shape.storage, start + static_cast<size_t>(chunk.column(e)), v[e]);
  }
  LGC_DEVICE void fill(void* out, float value) const {
    if (!inside) return;
    float v[kEight];
    for (float& x : v) x = value;
    eachChunk([&](const Chunk& chunk, size_t, size_t) { write(out, chunk, v); });
  }
  // An entry of this row, from the array itself: before anything is written in place of it.
  LGC_DEVICE float entry(int input, size_t j) const { return readOne(inputs_.at[input], shape.storage, row * shape.columns + j); }

 private:
  const RowInputs& inputs_;
  const void* source_[N];
  size_t base_, origin_;  // entry of the arrays from which chunks count, and the entry at which the copies begin
  unsigned skip_;         // entries of the first chunk that belong to the row before
  unsigned begin_, end_;  // eights of entries of this block

  // f(chunk, near, far), both as entries of the arrays; far is near where the block has no second four.
  template <class F> LGC_DEVICE void eachChunk(F&& f) const {
    const bool wide = shape.storage == Storage::f32;
    const unsigned unit = wide ? 4 : 8, apart = wide ? 4 * team.size : 4, step = 8 * team.size;
    const int before = static_cast<int>(skip_), end = static_cast<int>(shape.columns);
    for (unsigned near = begin_ * kEight + team.rank * unit; near < end_ * kEight; near += step) {
      const unsigned far = near + apart;
      const bool both = far < end_ * kEight;
      const Chunk chunk{static_cast<int>(near) - before, both ? static_cast<int>(far) - before : kNoColumn, end};
      f(chunk, base_ + near, base_ + (both ? far : near));
    }
  }
};

// Sums in float over so many entries of a thread, then in double.
constexpr unsigned kFloatTerms = 16;

template <int N> struct Sums {
  double total[N];
  float part[N];
  unsigned chunks = 0;
  LGC_DEVICE Sums() {
    for (int k = 0; k < N; ++k) {
      total[k] = 0;
      part[k] = 0;
    }
  }
  LGC_DEVICE void add(int k, float x) { part[k] += x; }
  // After every chunk.
  LGC_DEVICE void next() {
    if (++chunks % kFloatTerms == 0) fold();
  }
  LGC_DEVICE void fold() {
    for (int k = 0; k < N; ++k) {
      total[k] += static_cast<double>(part[k]);
      part[k] = 0;
    }
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
