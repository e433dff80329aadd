// Eigenvalues and eigenvectors of a symmetric matrix in double: Householder's tridiagonal form, then implicit QL (Martin, Reinsch and
// Wilkinson; Dubrulle). Inner loops run along rows in vectors, in one order.
#pragma once
#include "wide.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// x(k) for whole vectors of doubles, then for what is left.
template <class F> LGC_FN void alongRow(size_t begin, size_t end, F&& body) {
  size_t k = begin;
  for (; k + lanes<f64x8> <= end; k += lanes<f64x8>) body(k, f64x8{});
  for (; k < end; ++k) body(k, 0.0);
}

// v [n, n] holds the matrix, and afterwards the eigenvectors as rows, where the inner loops run along them. d: eigenvalues; e: room for
// n numbers.
inline void tridiagonalize(double* v, size_t n, double* d, double* e) {
  for (size_t j = 0; j < n; ++j) d[j] = v[j * n + n - 1];
  for (size_t i = n - 1; i > 0; --i) {
    double scale = 0, h = 0;
    for (size_t k = 0; k < i; ++k) scale += abs(d[k]);
    if (scale == 0) {
      e[i] = d[i - 1];
      for (size_t j = 0; j < i; ++j) {
        d[j] = v[j * n + i - 1];
        v[j * n + i] = v[i * n + j] = 0;
      }
    } else {
      for (size_t k = 0; k < i; ++k) {
        d[k] /= scale;
        h += d[k] * d[k];
      }
      const double f = d[i - 1], g = f > 0 ? -sqrt(h) : sqrt(h);
      e[i] = scale * g;
      h -= f * g;
      d[i - 1] = f - g;
      for (size_t j = 0; j < i; ++j) e[j] = 0;
      for (size_t j = 0; j < i; ++j) {
        const double t = d[j];
        v[i * n + j] = t;
        const double* row = v + j * n;
        double sum = e[j] + row[j] * t;
        f64x8 sums = broadcast<f64x8>(0);
        alongRow(j + 1, i, [&](size_t k, auto lane) LGC_LAMBDA {
          using W = decltype(lane);
          const W x = load<W>(row + k), product = x * load<W>(d + k);
          if constexpr (lanes<W> == 1)
            sum += product;
          else
            sums = sums + product;
          store(e + k, load<W>(e + k) + x * t);
        });
        e[j] = sum + logitcore::LOGITCORE_LEVEL::sum(sums);
      }
      double dot = 0;
      for (size_t j = 0; j < i; ++j) {
        e[j] /= h;
        dot += e[j] * d[j];
      }
      const double half = dot / (h + h);
      for (size_t j = 0; j < i; ++j) e[j] -= half * d[j];
      for (size_t j = 0; j < i; ++j) {
        const double f1 = d[j], g1 = e[j];
        double* row = v + j * n;
        alongRow(j, i, [&](size_t k, auto lane) LGC_LAMBDA {
          using W = decltype(lane);
          store(row + k, load<W>(row + k) - (load<W>(e + k) * f1 + load<W>(d + k) * g1));
        });
        d[j] = v[j * n + i - 1];
        v[j * n + i] = 0;
      }
    }
    d[i] = h;
  }
  // The reflections, multiplied out.
  for (size_t i = 0; i + 1 < n; ++i) {
    v[i * n + n - 1] = v[i * n + i];
    v[i * n + i] = 1;
    const double h = d[i + 1];
    if (h != 0) {
      for (size_t k = 0; k <= i; ++k) d[k] = v[(i + 1) * n + k] / h;
      for (size_t j = 0; j <= i; ++j) {
        double* row = v + j * n;
        const double g = dotWide(v + (i + 1) * n, row, i + 1);
        alongRow(0, i + 1, [&](size_t k, auto lane) LGC_LAMBDA {
          using W = decltype(lane);
          store(row + k, load<W>(row + k) - load<W>(d + k) * g);
        });
      }
    }
    for (size_t k = 0; k <= i; ++k) v[(i + 1) * n + k] = 0;
  }
  for (size_t j = 0; j < n; ++j) {
    d[j] = v[j * n + n - 1];
    v[j * n + n - 1] = 0;
  }
  v[n * n - 1] = 1;
  e[0] = 0;
}

inline double hypotenuse(double a, double b) {
  const double x = abs(a), y = abs(b), most = x > y ? x : y, least = x > y ? y : x;
  if (most == 0) return 0;
  const double r = least / most;
  return most * sqrt(1 + r * r);
}

inline void diagonalize(double* v, size_t n, double* d, double* e) {
  for (size_t i = 1; i < n; ++i) e[i - 1] = e[i];
  e[n - 1] = 0;
  double f = 0, largest = 0;
  for (size_t l = 0; l < n; ++l) {
    const double here = abs(d[l]) + abs(e[l]);
    largest = here > largest ? here : largest;
    size_t m = l;
    while (m + 1 < n && !(abs(e[m]) <= 0x1p-52 * largest)) ++m;
    // A matrix with NaN never converges.
    for (int turn = 0; m > l && turn < 60; ++turn) {
      double g = d[l], p = (d[l + 1] - g) / (2 * e[l]), r = hypotenuse(p, 1);
      if (p < 0) r = -r;
      d[l] = e[l] / (p + r);
      d[l + 1] = e[l] * (p + r);
      const double next = d[l + 1];
      double h = g - d[l];
      for (size_t i = l + 2; i < n; ++i) d[i] -= h;
      f += h;
      p = d[m];
      double c = 1, c2 = 1, c3 = 1, s = 0, s2 = 0;
      const double after = e[l + 1];
      for (size_t i = m; i-- > l;) {
        c3 = c2;
        c2 = c;
        s2 = s;
        g = c * e[i];
        h = c * p;
        r = hypotenuse(p, e[i]);
        e[i + 1] = s * r;
        s = e[i] / r;
        c = p / r;
        p = c * d[i] - s * g;
        d[i + 1] = h + s * (c * g + s * d[i]);
        double *low = v + i * n, *high = low + n;
        alongRow(0, n, [&](size_t k, auto lane) LGC_LAMBDA {
          using W = decltype(lane);
          const W x = load<W>(low + k), y = load<W>(high + k);
          store(high + k, x * s + y * c);
          store(low + k, x * c - y * s);
        });
      }
      p = -s * s2 * c3 * after * e[l] / next;
      e[l] = s * p;
      d[l] = c * p;
      if (abs(e[l]) <= 0x1p-52 * largest) break;
    }
    d[l] += f;
    e[l] = 0;
  }
}

inline void symmetricEigen(double* v, size_t n, double* d, double* e) {
  if (n == 0) return;
  tridiagonalize(v, n, d, e);
  diagonalize(v, n, d, e);
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
