// Time of this thread and the rate of fused multiply-adds that registers alone allow.
#pragma once

#include <time.h>

#include <algorithm>
#include <vector>

#include "matrix_runnable.h"

// Processor time, since others may be using the machine.
inline double cpuSeconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// Fused multiply-adds a second, each on one number.
template <class T> double peakRate(const MatrixFunctions<T>& level, long steps) {
  T sink[1024];
  for (T& x : sink) x = static_cast<T>(0.5);
  const double start = cpuSeconds();
  const double count = level.peak(steps, sink);
  return count / (cpuSeconds() - start);
}
