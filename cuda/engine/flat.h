// Sums over the entries of flat arrays, in pieces of a fixed length, so that their order does not depend on the device. What follows from
// the sums is found on the device too, where kernels that come after read it.
#pragma once
#include "collect.h"
#include "tasks.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr size_t kPiece = 8192;
inline size_t piecesOf(size_t n) { return (n + kPiece - 1) / kPiece; }

// The sums of term(i, t), which sets t[0] to t[K - 1], over [begin, end). All threads of the block get them.
template <int K, class F> LGC_DEVICE void sumEntries(Team& team, size_t begin, size_t end, double (&total)[K], F&& term) {
  for (int k = 0; k < K; ++k) total[k] = 0;
  for (size_t i = begin + team.rank; i < end; i += team.size) {
    double t[K];
    term(i, t);
    LGC_UNROLL
    for (int k = 0; k < K; ++k) total[k] += t[k];
  }
  team.sum(total);
}

// A term for sumPieces and sumFlat.
template <class T> struct Squares {
  const T* x;
  LGC_DEVICE void operator()(size_t i, double* t) const { t[0] = static_cast<double>(x[i]) * static_cast<double>(x[i]); }
};

// K sums, each in so many pieces.
template <int K> struct PartialSums {
  double* at;  // [K][pieces]; null if memory ran out
  size_t pieces;
  // Of a whole block, each of whose threads gets them.
  LGC_DEVICE void add(Team& team, double (&total)[K]) const {
    sumEntries<K>(team, 0, pieces, total, [&](size_t i, double* t) {
      for (int k = 0; k < K; ++k) t[k] = at[static_cast<size_t>(k) * pieces + i];
    });
  }
};
template <int K, class Term> struct SumPieces {
  Term term;
  size_t n;
  PartialSums<K> out;
  LGC_DEVICE void operator()(size_t piece, Team& team) const {
    const size_t begin = piece * kPiece, end = n - begin < kPiece ? n : begin + kPiece;
    double total[K];
    sumEntries<K>(team, begin, end, total, term);
    if (!team.leads()) return;
    for (int k = 0; k < K; ++k) out.at[static_cast<size_t>(k) * out.pieces + piece] = total[k];
  }
};
// term(i, t) sets t[0] to t[K - 1] of entry i.
template <int K, class Term> PartialSums<K> sumPieces(DeviceCall& call, size_t n, const Term& term) {
  const size_t pieces = piecesOf(n);
  const PartialSums<K> out{call.scratch<double>(K * pieces), pieces};
  forBlocks(call, pieces, SumPieces<K, Term>{term, n, out});
  return out;
}
template <int K, class Finish> struct JoinPieces {
  Finish finish;
  PartialSums<K> sums;
  LGC_DEVICE void operator()() const {
    Team team = wholeBlock();
    double total[K];
    sums.add(team, total);
    if (team.leads()) finish(total);
  }
};
// The same, then finish(sums) by one thread. False if memory ran out.
template <int K, class Term, class Finish> bool sumFlat(DeviceCall& call, size_t n, const Term& term, const Finish& finish) {
  const PartialSums<K> sums = sumPieces<K>(call, n, term);
  once(call, JoinPieces<K, Finish>{finish, sums});
  return sums.at != nullptr;
}

// The sums of each of so many rows of n entries: term(row, i, t) sets t[0] to t[K - 1], and finish(row, sums) is called by one thread.
template <int K, class Term, class Finish> struct SumRowPieces {
  Term term;
  Finish finish;
  size_t n, pieces;  // of a row
  double* partial;   // [rows][pieces][K]; not there for one piece
  LGC_DEVICE void operator()(size_t item, bool inside, Team& team) const {
    const size_t row = inside ? item / pieces : 0, begin = inside ? item % pieces * kPiece : n,
                 end = n - begin < kPiece ? n : begin + kPiece;
    double total[K];
    sumEntries<K>(team, begin, end, total, [&](size_t i, double* t) { term(row, i, t); });
    if (!inside || !team.leads()) return;
    if (pieces == 1) return finish(row, total);
    for (int k = 0; k < K; ++k) partial[item * K + static_cast<size_t>(k)] = total[k];
  }
};
template <int K, class Finish> struct JoinRowPieces {
  Finish finish;
  size_t pieces;
  const double* partial;
  LGC_DEVICE void operator()(size_t row, bool inside, Team& team) const {
    const size_t begin = inside ? row * pieces : 0;
    double total[K];
    sumEntries<K>(team, begin, inside ? begin + pieces : begin, total, [&](size_t i, double* t) {
      for (int k = 0; k < K; ++k) t[k] = partial[i * K + static_cast<size_t>(k)];
    });
    if (inside && team.leads()) finish(row, total);
  }
};
template <int K, class Term, class Finish>
void sumFlatRows(DeviceCall& call, size_t rows, size_t n, const Term& term, const Finish& finish) {
  const size_t pieces = n > kPiece ? piecesOf(n) : 1;
  double* partial = pieces > 1 ? call.scratch<double>(rows * pieces * K) : nullptr;
  forTeams(call, rows * pieces, n < kPiece ? n : kPiece, SumRowPieces<K, Term, Finish>{term, finish, n, pieces, partial});
  if (pieces > 1) forTeams(call, rows, pieces, JoinRowPieces<K, Finish>{finish, pieces, partial});
}

// Of the rows of a call, by all threads of one block: the largest value and the first place where it stands. NaN is passed over.
template <class F> LGC_DEVICE PlacedValue<double> largestRow(size_t rows, F&& value) {
  PlacedValue<double> top{-kInfinity, 0xffffffffu};
  for (size_t i = threadIdx.x; i < rows; i += blockDim.x) {
    const double v = value(i);
    if (v > top.value) top = {v, static_cast<unsigned>(i)};
  }
  // Others may still read what the sum before left.
  __syncthreads();
  Team team(blockDim.x, 1, reinterpret_cast<TeamRoom*>(sharedMemory()));
  return team.largest(top);
}
// The same, NaN if there is one.
template <class F> LGC_DEVICE double largestOrNan(size_t rows, F&& value) {
  const double most = largestRow(rows, value).value;
  return countRows(rows, [&](size_t i) { return isNan(value(i)); }) > 0 ? __builtin_nan("") : most;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
