// Sweeps over the D rows of a factored layer, in pieces of a fixed number of rows that are taken one after another, in double: sums
// over classes have one order, and no sweep needs memory of the size of V.
#pragma once
#include "../engine/dense.h"
#include "../engine/eigen.h"
#include "../engine/solve.h"
#include "factored.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr size_t kPieceRows = 1024;

inline size_t pieceRows(size_t c) { return c < kPieceRows ? c : kPieceRows; }

template <class T> inline void widenRows(Call& call, const T* rows, size_t n, size_t d, double* out) {
  parallel(call, n, rowGrain(d), [&](size_t begin, size_t end) { widen(rows + begin * d, (end - begin) * d, out + begin * d); });
}
template <class T> inline void roundRows(Call& call, const double* rows, size_t n, size_t d, T* out) {
  parallel(call, n, rowGrain(d), [&](size_t begin, size_t end) { roundTo(rows + begin * d, (end - begin) * d, out + begin * d); });
}

// y = x for an output that is not its input's own array.
template <class T> inline void carry(const T* x, size_t n, T* y) {
  if (x != y && n) __builtin_memcpy(y, x, n * sizeof(T));
}

// body(first, rows, const double* piece) for every piece of v [c, d].
template <class T, class F> inline void eachPiece(Call& call, const T* v, size_t c, size_t d, F&& body) {
  Scratch<double> piece(call, pieceRows(c) * d, false);
  if (!piece) return;
  for (size_t first = 0; first < c && !call.outOfMemory; first += kPieceRows) {
    const size_t rows = c - first < kPieceRows ? c - first : kPieceRows;
    widenRows(call, v + first * d, rows, d, static_cast<double*>(piece));
    body(first, rows, static_cast<double*>(piece));
  }
}

// Q = V^T V [d, d], wbar = V^T 1 [d].
template <class T> inline void gramSweep(Call& call, const T* v, size_t c, size_t d, double* Q, double* wbar) {
  Scratch<double> sums(call, d);
  if (!sums) return;
  for (size_t j = 0; j < d; ++j) wbar[j] = 0;
  eachPiece(call, v, c, d, [&](size_t first, size_t rows, const double* piece) {
    const View<double> p = rowMajor(piece, d);
    multiply<double>(call, d, d, rows, 1, transposed(p), p, first == 0 ? 0 : 1, Q, d);
    sumColumns(piece, rows, d, sums);
    for (size_t j = 0; j < d; ++j) wbar[j] += sums[j];
  });
}

// out [c, d] = V U + 1 omega^T; out may be V's own array.
template <class T> inline void weightSweep(Call& call, const T* v, size_t c, size_t d, const double* u, const double* omega, T* out) {
  Scratch<double> w(call, pieceRows(c) * d, false);
  if (!w) return;
  eachPiece(call, v, c, d, [&](size_t first, size_t rows, const double* piece) {
    for (size_t i = 0; i < rows; ++i)
      for (size_t j = 0; j < d; ++j) w[i * d + j] = omega ? omega[j] : 0;
    multiply<double>(call, rows, d, d, 1, rowMajor(piece, d), rowMajor(u, d), 1, w, d);
    if (!call.outOfMemory) roundRows(call, static_cast<double*>(w), rows, d, out + first * d);
  });
}

// V += (V L^T) S, rows of L [r, d] orthonormal and S [r, d].
template <class T> inline void spreadSweep(Call& call, T* v, size_t c, size_t d, const double* l, const double* s, size_t r) {
  Scratch<double> along(call, pieceRows(c) * r, false);
  if (!along) return;
  eachPiece(call, v, c, d, [&](size_t first, size_t rows, double* piece) {
    multiply<double>(call, rows, r, d, 1, rowMajor<double>(piece, d), transposed(rowMajor(l, d)), 0, along, r);
    multiply<double>(call, rows, d, r, 1, rowMajor<double>(along, r), rowMajor(s, d), 1, piece, d);
    if (!call.outOfMemory) roundRows(call, piece, rows, d, v + first * d);
  });
}

inline void identity(double* x, size_t d) {
  for (size_t i = 0; i < d * d; ++i) x[i] = 0;
  for (size_t i = 0; i < d; ++i) x[i * d + i] = 1;
}

// The state of a call, all arrays the outputs.
template <class T> struct Layer {
  size_t classes, width;
  T* V;
  double *U, *inverse, *omega, *Q, *wbar;

  // V = W, U = 1, omega = 0.
  void restart(Call& call) {
    weightSweep<T>(call, V, classes, width, U, omega, V);
    identity(U, width);
    identity(inverse, width);
    for (size_t j = 0; j < width; ++j) omega[j] = 0;
  }
  void measure(Call& call) { gramSweep<T>(call, V, classes, width, Q, wbar); }
};

// That of an op, with what it does not write in place carried over; U^-1 where it is given.
template <class Op, class T> Layer<T> layerOf(Call& call) {
  constexpr const Record& record = Op::record;
  const size_t c = call.columns, d = call.dims[static_cast<size_t>('d')];
  const Layer<T> layer{c,
                       d,
                       LGC_OUTPUT(T, call, V),
                       LGC_OUTPUT(double, call, U),
                       LGC_OUTPUT(double, call, inverseU),
                       LGC_OUTPUT(double, call, omega),
                       LGC_OUTPUT(double, call, Q),
                       LGC_OUTPUT(double, call, wbar)};
  carry(LGC_INPUT(T, call, V), c * d, layer.V);
  carry(LGC_INPUT(double, call, U), d * d, layer.U);
  if (LGC_INPUT(double, call, inverseU)) carry(LGC_INPUT(double, call, inverseU), d * d, layer.inverse);
  carry(LGC_INPUT(double, call, omega), d, layer.omega);
  carry(LGC_INPUT(double, call, Q), d * d, layer.Q);
  carry(LGC_INPUT(double, call, wbar), d, layer.wbar);
  return layer;
}

// Whether all eigenvalues of s [d, d], symmetric, are surely within [low, high]: by Gershgorin's circles, or by its distance from a
// multiple of 1 in Frobenius' norm.
inline bool eigenvaluesWithin(const double* s, size_t d, double low, double high) {
  double trace = 0, squares = 0;
  bool circles = true;
  for (size_t i = 0; i < d; ++i) {
    const double diagonal = s[i * d + i];
    double radius = 0;
    for (size_t j = 0; j < d; ++j) {
      if (j == i) continue;
      radius += abs(s[i * d + j]);
      squares = fma(s[i * d + j], s[i * d + j], squares);
    }
    circles = circles && diagonal - radius >= low && diagonal + radius <= high;
    trace += diagonal;
  }
  if (circles) return true;
  const double centre = trace / static_cast<double>(d);
  for (size_t i = 0; i < d; ++i) squares = fma(s[i * d + i] - centre, s[i * d + i] - centre, squares);
  const double distance = sqrt(squares);
  return centre - distance >= low && centre + distance <= high;
}

// Whether all singular values of u [d, d] are surely within [low, high], by its distance from a multiple of 1.
inline bool singularValuesWithin(const double* u, size_t d, double low, double high) {
  double trace = 0, squares = 0;
  for (size_t i = 0; i < d; ++i) trace += u[i * d + i];
  const double centre = trace / static_cast<double>(d);
  for (size_t i = 0; i < d; ++i) {
    const double diagonal = u[i * d + i], off = diagonal - centre;
    squares += fma(-diagonal, diagonal, dotWide(u + i * d, u + i * d, d)) + off * off;
  }
  const double distance = sqrt(squares > 0 ? squares : 0);
  return abs(centre) - distance >= low && abs(centre) + distance <= high;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
