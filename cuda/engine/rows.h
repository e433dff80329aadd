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

template <int I> struct Constant {
  LGC_DEVICE constexpr operator int() const { return I; }
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

  LGC_DEVICE bool reads() const { return inside && fate == Fate::kept; }

  // f(first, low, high, v): entries first + e of the row with low <= e < high, v[k][e] those of input k. The bounds of a whole chunk are
  // constants, so that nothing is asked for each of its entries.
  template <class F> LGC_DEVICE void each(F&& f) const {
    if (!reads()) return;
    for (unsigned q = begin_ + team.rank; q < end_; q += team.size) {
      float v[N][kEight];
      const size_t at = base_ + static_cast<size_t>(q) * kEight;
      LGC_UNROLL
      for (int k = 0; k < N; ++k) readEight(source_[k], shape.storage, at - origin_, v[k]);
      const int first = static_cast<int>(q * kEight) - static_cast<int>(skip_);
      if (first >= 0 && first + static_cast<long long>(kEight) <= static_cast<long long>(shape.columns))
        f(first, Constant<0>{}, Constant<static_cast<int>(kEight)>{}, v);
      else
        f(first, low(first), high(first), v);
    }
  }
  // Eight entries of an output, where `first` is as each() gave it.
  LGC_DEVICE void write(void* out, int first, const float* v) const {
    writeEight(out, shape.storage, base_ + static_cast<size_t>(first + static_cast<int>(skip_)), v, low(first), high(first));
  }
  LGC_DEVICE void fill(void* out, float value) const {
    if (!inside) return;
    float v[kEight];
    for (float& x : v) x = value;
    for (unsigned q = begin_ + team.rank; q < end_; q += team.size) write(out, static_cast<int>(q * kEight) - static_cast<int>(skip_), v);
  }
  // An entry of this row, from the array itself: before anything is written in place of it.
  LGC_DEVICE float entry(int input, size_t j) const { return readOne(inputs_.at[input], shape.storage, row * shape.columns + j); }
  LGC_DEVICE void writeEntry(void* out, size_t j, float x) const { writeOne(out, shape.storage, row * shape.columns + j, x); }

 private:
  const RowInputs& inputs_;
  const void* source_[N];
  size_t base_, origin_;  // entry of the arrays from which chunks count, and the entry at which the copies begin
  unsigned skip_;         // entries of the first chunk that belong to the row before
  unsigned begin_, end_;  // chunks of this block

  LGC_DEVICE int low(int first) const { return first < 0 ? -first : 0; }
  LGC_DEVICE int high(int first) const {
    const long long left = static_cast<long long>(shape.columns) - first;
    return left < static_cast<long long>(kEight) ? static_cast<int>(left) : static_cast<int>(kEight);
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
