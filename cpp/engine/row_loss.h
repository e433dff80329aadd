// The row engine: runs a definition (a function of row statistics) over [n, c], value and gradient in one call. A definition has
//   record                     what it takes and gives
//   needs                      its statistics (statistics.h)
//   D(Call&)                   reads options and divisors once a call
//   rowParameters(i, y, p)     optional: per-row numbers
//   loss(Statistics<T>)        the row's term, already scaled by its divisor
//   extra(Statistics<V>)       optional: a second per-row output
#pragma once
#include "members.h"
#include "row_exp.h"
#include "row_moments.h"
#include "short_rows.h"
#include "tiny_rows.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// The gradient of a row that waits for the next one's exponentials.
template <class T> struct Waiting {
  Scaling<T> scaling;
  double atTarget = 0;
  size_t target = 0;
  // When the sweep has passed.
  void finish(bool targeted) {
    if (targeted) scaling.out[target] = static_cast<T>(atTarget);
    scaling.out = nullptr;
  }
};

// What a gradient needs besides its exponentials. A softcap of 0 is none.
template <class T> struct Shaping {
  bool smooth;
  const T* classWeight;
  T softcap;
};
// The gradient from the logits, with class weights or a softcap.
template <class T, class R> LGC_SHARED void gradientAgain(const R& r, size_t c, double max, double inverseTemperature,
                                                          const Coefficients<double>& k, const Shaping<T>& shaping, T* out) {
  using W = Vec<T>;
  constexpr size_t L = lanes<W>;
  constexpr bool capped = !SameType<R, Plain<T>>::value;
  const W top = broadcast<W>(static_cast<T>(max == -__builtin_huge_val() ? 0.0 : max));
  const W scale = broadcast<W>(static_cast<T>(inverseTemperature * Base<T>::perNat)), factor = broadcast<W>(static_cast<T>(k.e));
  const W cw = broadcast<W>(static_cast<T>(k.w)), one = broadcast<W>(1), inverseCap = broadcast<W>(capped ? shaping.softcap : T(1));
  for (size_t i = 0; i < c; i += L) {
    const size_t count = c - i < L ? c - i : L;
    const W v = count == L ? r.at(i) : r.first(i, count);
    W g = Base<T>::power((v - top) * scale) * factor;
    if (shaping.smooth) g = fma(cw, shaping.classWeight ? loadFirst<W>(shaping.classWeight + i, count, 0) : one, g);
    if (capped) {
      const W t = v / inverseCap;
      g = g * fnma(t, t, one);
    }
    storeFirst(out + i, g, count);
  }
}

template <class D, class T> struct RowLoss {
  using W = Vec<T>;
  static constexpr size_t L = lanes<W>;
  static constexpr bool exponentials = (D::needs & kExponentials) != 0;
  static constexpr bool moments = (D::needs & kMoments) != 0, centred = (D::needs & kCentred) != 0;
  static constexpr bool withoutTarget = (D::needs & kWithoutTarget) != 0;
  static constexpr bool targeted = findKind(D::record, Kind::target, Kind::target) >= 0;
  static constexpr int softcapAt = findOption(D::record, "logitSoftcap");
  static constexpr int gradientAt = findGradient(D::record);
  static constexpr int lossAt = findRowOutput(D::record, 0), extraAt = findRowOutput(D::record, 1);

  const D& d;
  Call& call;
  const T* logits;
  const T* classWeight = nullptr;
  T* grad = nullptr;
  const int32_t* marks = nullptr;
  int32_t ignore = 0;
  size_t c = 0;
  RowShape shape{};
  T softcap = 0;
  bool smooth = false;
  double* losses = nullptr;
  double* extras = nullptr;

  bool kept(size_t i) const { return !marks || marks[i] != ignore; }
  // Constants in ops without the option, whose code is then left out.
  bool capping() const { return softcapAt >= 0 && softcap != 0; }
  bool smoothing() const { return HasSmoothing<D>::value && smooth; }

  // One row of any length. blocks and factors hold blockCount(c) entries. `before` is the scaling of the row before, if it waits;
  // the row's own is left there if it may wait.
  template <class R> void row(size_t i, const R& r, Block<T>* blocks, double* factors, T* spare, Waiting<T>& before) {
    T* out = grad ? grad + i * c : nullptr;
    const T* x = logits + i * c;
    losses[i] = 0;
    if (extras) extras[i] = 0;
    if (!kept(i)) {
      if (out) __builtin_memset(static_cast<void*>(out), 0, c * sizeof(T));
      return;
    }
    const size_t y = targeted ? static_cast<size_t>(marks[i]) : 0;
    constexpr bool capped = !SameType<R, Plain<T>>::value;
    // Smoothing and softcaps need the logits again in the gradient sweep, which may be written over them.
    const bool keep = out && exponentials && !capped && !smoothing();
    constexpr bool waits = exponentials && !moments && !capped;
    Facts<double> f{};
    f.target = static_cast<double>(capped ? get(r.from(y).first(0, 1), 0) : x[y]);
    if (exponentials) {
      RowSum s;
      if (waits && before.scaling.out) {
        s = rowSum<true>(r, c, shape.inverseTemperature, {out, spare}, blocks, factors, before.scaling);
        before.finish(targeted);
      } else {
        s = keep ? rowSum<true>(r, c, shape.inverseTemperature, {out, spare}, blocks, factors)
                 : rowSum<false>(r, c, shape.inverseTemperature, Destination<T>{}, blocks, factors);
      }
      f.max = s.max;
      f.others = s.others;
      f.targetIsMax = s.argMax == y;
      if (smoothing()) f.smoothShift = shiftSum<T>(r, c, static_cast<T>(s.max), shape.inverseTemperature, classWeight);
    }
    Moments m;
    if (moments) {
      m = withoutTarget ? rowMomentsWithout(x, c, y) : rowMoments(x, c);
      f.mean = m.mean;
      f.m2 = m.m2;
    }
    if constexpr (HasParameters<D>::value) d.rowParameters(i, static_cast<int32_t>(y), f.parameter);
    Coefficients<double> k{};
    double extra = 0;
    const double wy = smoothing() ? (classWeight ? static_cast<double>(classWeight[y]) : 1.0) : 0.0;
    evaluate(d, f, shape, out != nullptr, wy, losses[i], extra, k);
    if (extras) extras[i] = extra;
    if (!out) return;
    if (waits && keep) {
      before = {{out, k.e, factors}, k.atTarget, y};
      return;
    }
    if (capped || smoothing())
      gradientAgain<T>(r, c, f.max, shape.inverseTemperature, k, {smoothing(), classWeight, capped ? softcap : T(0)}, out);
    else
      gradient(x, f, k, factors, out);
    if (targeted) {
      double slope = 1;
      if (capped) {
        const double t = f.target / static_cast<double>(softcap);
        slope = fma(-t, t, 1.0);
      }
      out[y] = static_cast<T>(k.atTarget * slope);
    }
  }

  // From the stored exponentials, if there are any, and the logits.
  void gradient(const T* x, const Facts<double>& f, const Coefficients<double>& k, const double* factors, T* out) {
    const W slope = broadcast<W>(static_cast<T>(k.x)), centre = broadcast<W>(static_cast<T>(centred ? f.mean : 0.0));
    const double drift = centred ? static_cast<double>(get(centre, 0)) - f.mean : 0.0;
    const W constant = broadcast<W>(static_cast<T>(fma(k.x, drift, k.constant)));
    for (size_t start = 0; start < c; start += kBlock) {
      const size_t end = c - start < kBlock ? c : start + kBlock;
      const W factor = broadcast<W>(static_cast<T>(exponentials ? k.e * factors[start / kBlock] : 0.0));
      auto lane = [&](W e, W v) LGC_LAMBDA {
        const W linear = fma(centred ? v - centre : v, slope, constant);
        return exponentials ? fma(e, factor, linear) : linear;
      };
      size_t i = start;
      for (; i + 2 * L <= end; i += 2 * L) {
        const W g0 = lane(load<W>((exponentials ? out : x) + i), load<W>(x + i));
        const W g1 = lane(load<W>((exponentials ? out : x) + i + L), load<W>(x + i + L));
        store(out + i, g0);
        store(out + i + L, g1);
      }
      for (; i < end; i += L) {
        const size_t count = end - i < L ? end - i : L;
        storeFirst(out + i, lane(loadFirst<W>((exponentials ? out : x) + i, count, 0), loadFirst<W>(x + i, count, 0)), count);
      }
    }
  }

  void tinyRows(size_t begin, size_t end);
  void shortRows(size_t begin, size_t end);
  // The rows of a group that no row of the next one stood beside.
  void finishGroup(Waiting<T>* group) const {
    for (size_t r = 0; r < kGroup; ++r) {
      if (!group[r].scaling.out) continue;
      sweepAlone<T>(group[r].scaling, c);
      group[r].finish(targeted);
    }
  }

  void rows(size_t begin, size_t end) {
    if (c <= kTinyColumns) return tinyRows(begin * L, end * L < call.rows ? end * L : call.rows);
    if (exponentials && !moments && !capping() && !smoothing() && c <= kShortColumns) return shortRows(begin, end);
    const size_t count = blockCount(c);
    Scratch<Block<T>> blocks(call, count);
    Scratch<double> factors(call, 2 * count);
    const bool inPlace = grad == logits && c > kBlock;
    Scratch<T> spare(call, inPlace ? 2 * kBlock : 0);
    if (!blocks || !factors || !spare) return;
    T* const kept = inPlace ? static_cast<T*>(spare) : nullptr;
    Waiting<T> before;
    for (size_t i = begin; i < end; ++i) {
      const T* x = logits + i * c;
      // Two sets of factors: those of the row that waits, and this row's.
      double* mine = factors + (before.scaling.out && before.scaling.factors == factors ? count : 0);
      if constexpr (softcapAt >= 0) {
        if (softcap != 0) {
          row(i, Softcapped<T>{x, softcap}, blocks, mine, kept, before);
          continue;
        }
      }
      row(i, Plain<T>{x}, blocks, mine, kept, before);
    }
    if (!before.scaling.out) return;
    sweepAlone<T>(before.scaling, c);
    before.finish(targeted);
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore

#include "row_loss_run.h"
