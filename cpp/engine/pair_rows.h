// Rows that are compared in pairs (row_pair.h), N of them at a time: each is swept by itself, and what follows from the sums is done in
// N lanes (pair_facts.h). V is double for one long row, f64x8 for eight shorter ones.
#pragma once
#include "pair_sweeps.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

template <class T, class V> class PairRows {
 public:
  static constexpr size_t L = lanes<Vec<T>>, N = lanes<V>;

  PairRows(const PairScaling& scaling, size_t columns, bool targeted, T* exponentials)
      : scaling_(scaling), c_(columns), targeted_(targeted), own_(exponentials) {}
  // Entries that the exponentials of N rows take, both of a pair or the teacher's alone.
  static size_t room(size_t columns, bool both) { return (both ? 2 : 1) * N * stride(columns); }

  // Everything of row r that does not depend on the temperature. The student's exponentials go to `out`, unless that is null; `next`
  // says whether the row N rows on follows in memory.
  LGC_SHARED void scan(size_t r, const T* student, const T* teacher, size_t hole, T* out, bool next) {
    PairRow<T>& row = rows_[r];
    const size_t room = stride(c_);
    row = {{student, teacher},
           {out ? out : own_ + (N + r) * room, own_ + r * room},
           c_,
           hole,
           {},
           {},
           {},
           {1, 1},
           next ? N * c_ : 0,
           false,
           !out};
    on_[r] = true;
    for (int k = 0; k < 2; ++k) {
      const PairScan<T> s = scanRow(row.x[k], c_, hole, scaling_.standardize);
      note(r, k, s);
      const Numbers& n = numbers_[k];
      if (!(scaling_.standardize ? inRange<T>(n.m2[r], n.count[r], n.mean[r], n.top[r]) : s.finite)) row.masked = true;
    }
    if (!row.masked) return;
    for (int k = 0; k < 2; ++k) {
      note(r, k, scanBlocks(row.x[k], c_, hole, false));
      if (scaling_.standardize) scanMasked(r, k);
    }
  }
  void skip(size_t r) { on_[r] = false; }
  // When all rows have been scanned.
  LGC_SHARED void settle() {
    for (int k = 0; k < 2; ++k) {
      const Numbers& n = numbers_[k];
      PairSide<V>& s = side_[k];
      s.top = load<V>(n.top);
      s.mean = load<V>(n.mean);
      s.m2 = load<V>(n.m2);
      s.count = load<V>(n.count);
      s.hole = load<V>(n.hole);
      findDeviation(scaling_, s);
    }
  }

  // The sums at one temperature. Exponentials are kept for write() if `keep`.
  LGC_SHARED PairFacts<V> facts(double temperature, bool keep, bool covariance) {
    alignas(64) double scale[2][N], total[kPairSums][N] = {};
    // Rows that differ by less than T can scale keep a finite scale.
    constexpr double most = sizeof(T) == 4 ? 3.0e38 : 1.7e308, nats = 1 / Base<T>::perNat;
    for (int k = 0; k < 2; ++k) {
      findUnit(scaling_, temperature, side_[k]);
      store(scale[k], side_[k].inverse * Base<T>::perNat);
    }
    const bool stored = keep || covariance;
    for (size_t r = 0; r < N; ++r) {
      if (!on_[r]) continue;
      PairRow<T>& row = rows_[r];
      for (int k = 0; k < 2; ++k) {
        const double exact = row.masked ? scale[k][r] / row.grain[k] : scale[k][r];
        row.scale[k] = static_cast<T>(exact > most ? most : exact);
      }
      double sums[kPairSums] = {};
      if (row.masked)
        sumPair<true, true>(row, stored, sums);
      else if (scaling_.standardize || covariance)
        sumPair<false, true>(row, stored, sums);
      else
        sumPair<false, false>(row, stored, sums);
      for (int k = 0; k < kPairSums; ++k) total[k][r] = sums[k];
    }
    V lane[kPairSums];
    for (int k = 0; k < kPairSums; ++k) lane[k] = load<V>(total[k]);
    PairFacts<V> f = factsOf(side_, lane, temperature, nats, targeted_);
    if (covariance) {
      store(total[0], (f.gap + f.crossed) * Base<T>::perNat);
      store(total[1], f.gap * Base<T>::perNat);
      for (size_t r = 0; r < N; ++r) total[2][r] = on_[r] ? covarianceOf(rows_[r], total[0][r], total[1][r]) : 0.0;
      f.covariance = load<V>(total[2]) * (f.most[1] * (nats * nats));
    }
    return f;
  }

  // The gradients, of row r at out + r * c, from the exponentials that facts() kept.
  LGC_SHARED void write(const PairFacts<V>& f, const PairSlopes<V>& slopes, T* out, bool accumulate) {
    const PairGradient<V> g = gradientOf(scaling_, side_[0], f, slopes, targeted_);
    alignas(64) double student[N], teacher[N], linear[N], atTop[N], atTarget[N];
    store(student, g.student);
    store(teacher, g.teacher);
    store(linear, g.linear);
    store(atTop, g.atTop);
    store(atTarget, g.atTarget);
    for (size_t r = 0; r < N; ++r, out += c_) {
      if (!on_[r]) continue;
      const PairRow<T>& row = rows_[r];
      const size_t top = row.argMax[0], hole = row.hole;
      const T topBefore = accumulate ? out[top] : T(0), holeBefore = accumulate && targeted_ ? out[hole] : T(0);
      const PairCoefficients k = {student[r], teacher[r], linear[r], numbers_[0].mean[r]};
      if (row.masked)
        accumulate ? writePair<true, true, true>(row, k, out) : writePair<true, true, false>(row, k, out);
      else if (scaling_.standardize)
        accumulate ? writePair<true, false, true>(row, k, out) : writePair<true, false, false>(row, k, out);
      else
        accumulate ? writePair<false, false, true>(row, k, out) : writePair<false, false, false>(row, k, out);
      out[top] = top == row.argMax[1] ? topBefore + static_cast<T>(atTop[r]) : out[top];
      if (targeted_) out[hole] = holeBefore + static_cast<T>(atTarget[r]);
    }
  }

 private:
  struct Numbers {
    alignas(64) double top[N] = {}, mean[N] = {}, m2[N] = {}, count[N] = {}, hole[N] = {};
  };

  const PairScaling& scaling_;
  size_t c_;
  bool targeted_;
  bool on_[N] = {};
  T* own_;
  PairRow<T> rows_[N];
  Numbers numbers_[2];
  PairSide<V> side_[2];

  static size_t stride(size_t columns) { return (columns + L - 1) / L * L; }

  LGC_SHARED void note(size_t r, int k, const PairScan<T>& s) {
    PairRow<T>& row = rows_[r];
    Numbers& n = numbers_[k];
    row.top[k] = s.top;
    row.argMax[k] = s.argMax;
    n.top[r] = static_cast<double>(s.top);
    n.mean[r] = s.mean;
    n.m2[r] = s.m2;
    n.count[r] = static_cast<double>(c_);
    if (targeted_) n.hole[r] = static_cast<double>(row.x[k][row.hole]);
  }
  LGC_SHARED void scanMasked(size_t r, int k) {
    PairRow<T>& row = rows_[r];
    T pivot = row.top[k];
    if (targeted_ && row.x[k][row.hole] > pivot) pivot = row.x[k][row.hole];
    const MaskedMoments m = maskedMoments(row.x[k], c_, pivot);
    Numbers& n = numbers_[k];
    n.mean[r] = m.mean;
    n.m2[r] = m.m2;
    n.count[r] = m.count;
    PairSide<double> s{};
    s.m2 = m.m2;
    s.count = m.count;
    findDeviation(scaling_, s);
    row.grain[k] = grainOf(s.sd, sizeof(T) == 8);
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
