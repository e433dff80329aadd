// What cuda_bench found, as text and as JSON.
#pragma once
#include <string>
#include <vector>

#include "../engine/call.h"
#include "../runtime/device.h"
#include "timing.h"

namespace logitcore {
namespace bench {

#if defined(__CUDACC__)
constexpr bool kEmulated = false;
#else
constexpr bool kEmulated = true;
#endif

struct Timed {
  const char* op;
  const char* dtype;
  size_t rows, columns, sets, bytes;
  Spread call, copy;  // microseconds
  Spread share;       // of the rate of the copy, formed within each round
  double gigabytes() const { return static_cast<double>(bytes) / call.median / 1e3; }
};
struct Latency {
  const char* op;
  double alone;   // microseconds until a call of one row has ended, as the host sees it
  double inARow;  // microseconds a call, when none is waited for
};
struct Report {
  std::string device, driver, runtime;
  int major = 0, minor = 0, multiprocessors = 0;
  size_t memory = 0, cache = 0, rounds = 0;
  std::vector<Timed> rows;
  std::vector<Latency> latencies;
  std::vector<std::string> left;  // shapes that were not timed, and why
  std::string samples;            // entries of a JSON list

  void describe(const Device& d);
};

void print(const Timed& t);
void print(const Latency& l);
bool writeJson(const Report& r, const std::string& path);

}  // namespace bench
}  // namespace logitcore
