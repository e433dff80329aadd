// What every level exports to simd_check.cpp.
#pragma once

struct SimdLevel {
  const char* name;
  // Operations of lane a[i], b[i], c[i] to out[i], by vectors or by the scalar overloads.
  int operations;
  const char* const* operationNames;
  void (*vectorFloat)(int operation, const float* a, const float* b, const float* c, long n, float* out);
  void (*scalarFloat)(int operation, const float* a, const float* b, const float* c, long n, float* out);
  void (*vectorDouble)(int operation, const double* a, const double* b, const double* c, long n, double* out);
  void (*scalarDouble)(int operation, const double* a, const double* b, const double* c, long n, double* out);
  // Operations across the lanes of a vector; the result fills its lanes of out.
  int reductions;
  const char* const* reductionNames;
  void (*reduceFloat)(int reduction, const float* a, const float* b, long n, float* out);
  void (*reduceDouble)(int reduction, const double* a, const double* b, long n, double* out);
  // One vector with count lanes in use, between memory that must not be touched.
  void (*partialFloat)(const float* a, int count, float fill, float* out, float* whole);
  void (*partialDouble)(const double* a, int count, double fill, double* out, double* whole);
  void (*sineCosine)(const double* a, long n, double* sine, double* cosine);
};
