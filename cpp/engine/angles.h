// What the Gram matrix of vectors says about their norms and angles.
#pragma once
#include "definition.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// Of the angle between two vectors; 0 where a norm is 0.
LGC_FN double cosineOf(double dot, double squareA, double squareB) {
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
