// What every level exports to sort_check.cpp.
#pragma once

#include <cstddef>

struct SortCase {
  const float* x;
  std::size_t n;
  bool descending;
  float* out;
  void* scratch;  // 16 bytes a value
};

struct SortLevel {
  const char* name;
  std::size_t network;  // the longest list that is sorted without a split
  void (*values)(const SortCase&);
  // As a list of which only so many splits in a row are tried, and of whose output only `room` places may be written. Zeros as their
  // keys are.
  void (*keys)(const SortCase&, int splits, std::size_t room);
};
