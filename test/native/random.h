// The numbers of the native programs: the same on every machine.
#pragma once

#include <cstddef>
#include <cstdint>

struct Random {
  std::uint64_t state;
  std::uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
  }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53 * 2 - 1; }
  std::size_t below(std::size_t n) { return static_cast<std::size_t>((next() >> 11) % n); }
};
