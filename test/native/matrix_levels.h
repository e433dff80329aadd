// What every level exports to matrix_check.cpp and matrix_bench.cpp.
#pragma once

#include "../../cpp/engine/record.h"

template <class T> struct MatrixCase {
  std::size_t m, n, k;
  double alpha, beta;
  const T* a;
  std::size_t aRowStep, aColumnStep;
  const T* b;
  std::size_t bRowStep, bColumnStep;
  T* c;
  std::size_t stride;
};

template <class T> struct MatrixFunctions {
  void (*multiply)(logitcore::Call&, const MatrixCase<T>&);
  // Stores the tiles of multiplyTiles in c; false if they did not come in the order that is documented.
  bool (*tiles)(logitcore::Call&, const MatrixCase<T>&);
  void (*symmetric)(logitcore::Call&, const MatrixCase<T>&);
  // x is b, y is c.
  void (*vector)(logitcore::Call&, const MatrixCase<T>&);
  // Runs `steps` fused multiply-adds on each of as many vectors as fill the registers, and returns how many on numbers that makes.
  double (*peak)(long steps, T* sink);
};

struct MatrixLevel {
  const char* name;
  MatrixFunctions<float> f32;
  MatrixFunctions<double> f64;
};
