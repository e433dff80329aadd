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
  // Whether entry e stands in a marked column.
  LGC_DEVICE bool is(int e, unsigned marked) const { return static_cast<unsigned>(column(e)) == marked; }
  // Whether a thread has swept all columns before it.
  static constexpr bool inOrder = false;
};
// One that has all of them, none of which is marked: nothing is asked for each.
struct WholeChunk : Chunk {
  LGC_DEVICE constexpr bool has(int) const { return true; }
  LGC_DEVICE constexpr bool is(int, unsigned) const { return false; }
  static constexpr bool inOrder = true;
};
// Of a row that waits in the memory of the block and is stored as S.
template <Storage S> struct PlainChunk : WholeChunk {};

// Columns that a sweep does something else with.
constexpr int kMarks = 3;
struct Marked {
  unsigned at[kMarks];
};
constexpr unsigned kNoMark = kNoColumn;

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
    room_ = room;
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
      readAny(near, far, v);
      if (chunk.whole())
        f(WholeChunk{chunk}, v);
      else
        f(chunk, v);
    });
  }
  // The same for loops that the time of a call goes into: one for each type of rows that wait in the block's memory, without a question to
  // any entry. Chunks that are not whole, or have a marked column, come after the others as plain `Chunk`s.
  // Ops of three rows and more, whose loops are long, have one loop for all.
  template <class F> LGC_DEVICE void sweep(F&& f) const { sweepBut(Marked{{kNoMark, kNoMark, kNoMark}}, f); }
  template <class F> LGC_DEVICE void sweepBut(const Marked& marked, F&& f) const {
    if (!reads()) return;
    const Strides s(*this);
    unsigned odd[kMarks], near = s.first;
    LGC_UNROLL
    for (int i = 0; i < kMarks; ++i) {
      odd[i] = s.chunkOf(marked.at[i] + skip_);
      for (int k = 0; k < i; ++k)
        if (odd[k] == odd[i]) odd[i] = kNoMark;
    }
    const bool fast = N <= 2 && shape.resident;
    if (fast) {
      if (shape.storage == Storage::f32)
        near = sweepNear<Storage::f32>(s, odd, f);
      else if (shape.storage == Storage::bf16)
        near = sweepNear<Storage::bf16>(s, odd, f);
      else
        near = sweepNear<Storage::f16>(s, odd, f);
    }
    // All chunks of the other rows, and of these those that were left out.
    const auto passed = [&](unsigned at) { return at >= s.from && at < near && ((at - s.from) & (s.step - 1)) == 0; };
    bool left = !fast || s.from != s.first || near < s.end;
    LGC_UNROLL
    for (int i = 0; i < kMarks; ++i) left = left || passed(odd[i]);
    if (!left) return;
    LGC_ROLLED
    for (unsigned turn = 0;; ++turn) {
      unsigned at = s.first + turn * s.step;
      if (fast) {
        if (turn == kMarks + 2) break;
        at = turn == 0 ? (s.from != s.first ? s.first : kNoMark) : near;
        LGC_UNROLL
        for (unsigned i = 0; i < kMarks; ++i)
          if (turn == i + 1) at = passed(odd[i]) ? odd[i] : kNoMark;
        if (at >= s.end) continue;
      } else if (at >= s.end) {
        break;
      }
      const unsigned far = at + s.apart;
      const Chunk chunk = chunkAt(at, far);
      bool plain = chunk.whole();
      LGC_UNROLL
      for (int i = 0; i < kMarks; ++i) plain = plain && at != odd[i];
      float v[N][kEight];
      readAny(base_ + at, base_ + (far < end_ * kEight ? far : at), v);
      if (plain)
        f(WholeChunk{chunk}, v);
      else
        f(chunk, v);
    }
  }
  // Entries of an output, in the columns of a chunk.
  LGC_DEVICE void write(void* out, const Chunk& chunk, const float* v) const {
    LGC_UNROLL
    for (int e = 0; e < static_cast<int>(kEight); ++e)
      if (chunk.has(e)) writeOne(out, shape.storage, base_ + skip_ + static_cast<size_t>(chunk.column(e)), v[e]);
  }
  LGC_DEVICE void write(void* out, const WholeChunk& chunk, const float* v) const {
    const size_t start = base_ + skip_;
    writeEight(out, shape.storage, start + static_cast<size_t>(chunk.near), start + static_cast<size_t>(chunk.far), v);
  }
  template <Storage S> LGC_DEVICE void write(void* out, const PlainChunk<S>& chunk, const float* v) const {
    char* const first = static_cast<char*>(out) + base_ * bytesOf(S);
    writeEight<S>(first, static_cast<unsigned>(chunk.near) + skip_, static_cast<unsigned>(chunk.far) + skip_, v);
  }
  LGC_DEVICE void fill(void* out, float value) const {
    if (!inside) return;
    float v[kEight];
    for (float& x : v) x = value;
    eachChunk([&](const Chunk& chunk, size_t, size_t) { write(out, chunk, v); });
  }
  // The first of four columns from `start` on, without `except`, whose entry is the value as `read` gives it.
  template <class R> LGC_DEVICE unsigned firstEqual(int input, int start, float value, unsigned except, const R& read) const {
    int first = start;
    for (int j = start + 3; j >= start; --j)
      if (j >= 0 && j < static_cast<int>(shape.columns) && static_cast<unsigned>(j) != except &&
          read(entry(input, static_cast<size_t>(j))) == value)
        first = j;
    return static_cast<unsigned>(first);
  }
  // An entry of this row, from the array itself: before anything is written in place of it.
  LGC_DEVICE float entry(int input, size_t j) const { return readOne(inputs_.at[input], shape.storage, row * shape.columns + j); }

 private:
  const RowInputs& inputs_;
  const void* source_[N];
  char* room_;
  size_t base_, origin_;  // entry of the arrays from which chunks count, and the entry at which the copies begin
  unsigned skip_;         // entries of the first chunk that belong to the row before
  unsigned begin_, end_;  // eights of entries of this block

  LGC_DEVICE void readAny(size_t near, size_t far, float (*v)[kEight]) const {
    LGC_UNROLL
    for (int k = 0; k < N; ++k) readEight(source_[k], shape.storage, near - origin_, far - origin_, v[k]);
  }
  // The chunk at entry `near`; its second four are none of the block's where they lie behind its end.
  LGC_DEVICE Chunk chunkAt(unsigned near, unsigned far) const {
    const int before = static_cast<int>(skip_);
    return {static_cast<int>(near) - before, far < end_ * kEight ? static_cast<int>(far) - before : kNoColumn,
            static_cast<int>(shape.columns)};
  }
  // How a thread goes from chunk to chunk: entries from base_ on.
  struct Strides {
    unsigned unit, apart, step, begin, first;
    unsigned from, end;  // only a thread's first chunk can begin before the row, and only its last can end behind what the block has of it
    LGC_DEVICE explicit Strides(const Rows& r) : unit(r.shape.storage == Storage::f32 ? 4 : 8) {
      apart = unit == 4 ? 4 * r.team.size : 4;
      step = kEight * r.team.size;
      begin = r.begin_ * kEight;
      first = begin + r.team.rank * unit;
      from = first >= r.skip_ ? first : first + step;
      const unsigned all = r.skip_ + static_cast<unsigned>(r.shape.columns);
      end = r.end_ * kEight < all ? r.end_ * kEight : all;
    }
    // Where the chunk with that entry begins, whichever thread has it. Teams are powers of two.
    LGC_DEVICE unsigned chunkOf(unsigned entry) const {
      const unsigned beyond = entry - begin, turn = beyond & ~(step - 1), rest = beyond - turn;
      return begin + turn + (unit == 8 ? rest & ~7u : rest & (apart - 1) & ~3u);
    }
  };
  // f(chunk, near, far), both as entries of the arrays; far is near where the block has no second four.
  template <class F> LGC_DEVICE void eachChunk(F&& f) const {
    const Strides s(*this);
    for (unsigned near = s.first; near < s.end; near += s.step) {
      const unsigned far = near + s.apart;
      f(chunkAt(near, far), base_ + near, base_ + (far < end_ * kEight ? far : near));
    }
  }
  // Whole chunks without a mark. Gives the place of the first that a thread did not come to.
  template <Storage S, class F> LGC_DEVICE unsigned sweepNear(const Strides& s, const unsigned (&odd)[kMarks], F&& f) const {
    const unsigned apart = S == Storage::f32 ? 4 * team.size : 4, step = kEight * team.size;
    const int before = static_cast<int>(skip_), columns = static_cast<int>(shape.columns);
    // Blocks that begin within the row have their first copy at entry begin_ * kEight.
    const char* const copies =
        room_ + (static_cast<std::ptrdiff_t>(base_) - static_cast<std::ptrdiff_t>(origin_)) * static_cast<int>(bytesOf(S));
    unsigned near = s.from;
    for (; near + apart + 4 <= s.end; near += step) {
      bool marked = false;
      LGC_UNROLL
      for (int i = 0; i < kMarks; ++i) marked = marked || near == odd[i];
      if (marked) continue;
      const unsigned far = near + apart;
      float v[N][kEight];
      LGC_UNROLL
      for (int k = 0; k < N; ++k) readEight<S>(copies + k * shape.roomPerInput, near, far, v[k]);
      f(PlainChunk<S>{{{static_cast<int>(near) - before, static_cast<int>(far) - before, columns}}}, v);
    }
    return near;
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
  LGC_DEVICE void addSquare(int k, float x) { part[k] = fma(x, x, part[k]); }
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

// In double from the start, where single terms would lose what counts.
template <int N> struct WideSums {
  double total[N] = {};
  LGC_DEVICE void add(int k, double x) { total[k] += x; }
  LGC_DEVICE void addSquare(int k, double x) { total[k] = fma(x, x, total[k]); }
  LGC_DEVICE void next() {}
  LGC_DEVICE void fold() {}
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
