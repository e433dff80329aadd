// Products of small matrices in double, their rows in a fixed order: Gram matrices and sums of weighted rows.
#pragma once
#include "definition.h"
#include "wide.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Rows of whole vectors, so that no product has a tail; what lies beyond a row's end is 0.
inline size_t wideStride(size_t columns) { return (columns + kWide - 1) / kWide * kWide; }

// out[i][j] = sum over terms of sign * a_i . b_j, for i < n and j < m, with rows of `d` (a wideStride). Long rows are cut so that a
// panel of them stays in the cache.
struct GramTerm {
  const double *a, *b;
  double sign;
};
template <int Terms> void gram(Call& call, const GramTerm (&terms)[Terms], size_t n, size_t m, size_t d, double* out) {
  constexpr size_t panel = 1024, group = 4;
  parallel(call, n, rowGrain(m * d), [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i)
      for (size_t j = 0; j < m; ++j) out[i * m + j] = 0;
    for (size_t from = 0; from < d; from += panel) {
      const size_t to = d - from < panel ? d : from + panel;
      for (size_t i = begin; i < end; ++i)
        for (const GramTerm& term : terms) {
          const double* a = term.a + i * d;
          for (size_t j = 0; j < m; j += group) {
            const size_t count = m - j < group ? m - j : group;
            const double* b[group];
            f64x8 acc[group];
            for (size_t k = 0; k < group; ++k) {
              b[k] = term.b + (k < count ? j + k : j) * d;
              acc[k] = broadcast<f64x8>(0);
            }
            for (size_t t = from; t < to; t += kWide) {
              const f64x8 x = load<f64x8>(a + t);
              for (size_t k = 0; k < group; ++k) acc[k] = fma(x, load<f64x8>(b[k] + t), acc[k]);
            }
            for (size_t k = 0; k < count; ++k) out[i * m + j + k] += term.sign * sum(acc[k]);
          }
        }
    }
  });
}

// out = sum_j weights[j * step] x_j over m rows of d columns. Rows of weight 0 are not read.
template <class A, class T> LC_FN void weightedSum(const A* weights, size_t step, const T* x, size_t m, size_t d, double* out) {
  constexpr size_t group = 4;
  for (size_t from = 0; from < d; from += group * kWide) {
    f64x8 acc[group];
    for (size_t k = 0; k < group; ++k) acc[k] = broadcast<f64x8>(0);
    const size_t left = d - from < group * kWide ? d - from : group * kWide;
    for (size_t j = 0; j < m; ++j) {
      const double w = static_cast<double>(weights[j * step]);
      if (w == 0) continue;
      const T* row = x + j * d + from;
      if (left == group * kWide) {
        for (size_t k = 0; k < group; ++k) acc[k] = fma(readWide(row + k * kWide, kWide), broadcast<f64x8>(w), acc[k]);
      } else {
        for (size_t k = 0; k * kWide < left; ++k) {
          const size_t count = left - k * kWide < kWide ? left - k * kWide : kWide;
          acc[k] = fma(readWide(row + k * kWide, count), broadcast<f64x8>(w), acc[k]);
        }
      }
    }
    for (size_t k = 0; k * kWide < left; ++k)
      storeFirst(out + from + k * kWide, acc[k], static_cast<int>(left - k * kWide < kWide ? left - k * kWide : kWide));
  }
}

inline double dotWide(const double* a, const double* b, size_t n) {
  return rowSumWide(n, [&](size_t i, size_t count) LC_LAMBDA { return readWide(a + i, count) * readWide(b + i, count); });
}

// The softmax of a row at a temperature, in double.
template <class T> void softmaxWide(const T* x, size_t c, double inverseTemperature, double* out) {
  f64x8 top = broadcast<f64x8>(-__builtin_huge_val());
  for (size_t i = 0; i < c; i += kWide) {
    const size_t count = c - i < kWide ? c - i : kWide;
    top = max(readWide(x + i, count, -__builtin_huge_val()), top);
  }
  const f64x8 shift = broadcast<f64x8>(maxAcross(top)), scale = broadcast<f64x8>(inverseTemperature);
  const double total = rowSumWide(c, [&](size_t i, size_t count) LC_LAMBDA {
    const f64x8 e = expFlush((readWide(x + i, count, -__builtin_huge_val()) - shift) * scale);
    storeFirst(out + i, e, static_cast<int>(count));
    return e;
  });
  const f64x8 inverse = broadcast<f64x8>(1 / total);
  for (size_t i = 0; i < c; i += kWide) {
    const size_t count = c - i < kWide ? c - i : kWide;
    storeFirst(out + i, readWide(out + i, count) * inverse, static_cast<int>(count));
  }
}

// Of the angle between two vectors; 0 where a norm is 0.
inline double cosineOf(double dot, double squareA, double squareB) {
  const double cosine = dot * reciprocalOrZero(sqrt(squareA) * sqrt(squareB));
  return cosine > 1 ? 1.0 : cosine < -1 ? -1.0 : cosine;
}

struct Spread {
  double norm, angle, maxAngle;
};
// Of the norms of vectors and of the angles between them, from their Gram matrix.
inline Spread spreadOf(const double* gram, size_t c) {
  const double classes = static_cast<double>(c), pairs = classes * (classes - 1) / 2, ideal = 1 / (classes - 1);
  double mean = 0, variance = 0, cosine = 0, away = 0, angles = 0;
  const auto cosineAt = [&](size_t i, size_t j) { return cosineOf(gram[i * c + j], gram[i * c + i], gram[j * c + j]); };
  for (size_t i = 0; i < c; ++i) mean += sqrt(gram[i * c + i]) / classes;
  for (size_t i = 0; i < c; ++i) {
    const double off = sqrt(gram[i * c + i]) - mean;
    variance += off * off / classes;
    for (size_t j = 0; j < i; ++j) {
      cosine += cosineAt(i, j) / pairs;
      away += abs(cosineAt(i, j) + ideal) / pairs;
    }
  }
  for (size_t i = 0; i < c; ++i)
    for (size_t j = 0; j < i; ++j) {
      const double off = cosineAt(i, j) - cosine;
      angles += off * off / pairs;
    }
  return {sqrt(variance) * reciprocalOrZero(mean), sqrt(angles), away};
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
