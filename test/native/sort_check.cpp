// Checks cpp/engine/value_sort.h against a plain stable sort: all lengths around its thresholds, bad pivots, and what it may write, also
// while another thread overwrites the row. Exits with 1 on a violation.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "random.h"
#include "runnable.h"
#include "sort_levels.h"

extern "C" {
#define LGC_DECLARE(level) extern const SortLevel sortLevel_##level;
LGC_COMPILED_LEVELS(LGC_DECLARE)
#undef LGC_DECLARE
}

namespace {

using std::size_t;

std::vector<const SortLevel*> runnableLevels() {
#define LGC_ADDRESS(level) &sortLevel_##level,
  return runnable<SortLevel>({LGC_COMPILED_LEVELS(LGC_ADDRESS)});
#undef LGC_ADDRESS
}

float fromBits(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// Values of n entries by kind.
constexpr int kKinds = 14;
float valueOf(int kind, size_t i, size_t n, Random& random) {
  const float special[] = {0.f, -0.f, NAN, INFINITY, -INFINITY, 1e-40f, -1e-40f, 3e38f, -3e38f, -NAN, 1, -1};
  const double place = static_cast<double>(i);
  switch (kind) {
    case 0: return fromBits(static_cast<std::uint32_t>(random.next() >> 20));
    case 1: return static_cast<float>(random.below(2));
    case 2: return static_cast<float>(random.below(5)) - 2;
    case 3: return special[random.below(12)];
    case 4: return static_cast<float>(i < n / 2 ? i : n - i);
    case 5: return static_cast<float>(i % (n / 8 + 1));
    case 6: return static_cast<float>(i + random.below(16));
    case 7: return static_cast<float>(n - i + random.below(3));
    // One value among many, and what a bound is off by.
    case 8: return i == n / 3 ? -1.f : 1.f;
    case 9: return random.below(2) ? -INFINITY : static_cast<float>(random.next() >> 40);
    case 10: return static_cast<float>(i);
    case 11: return static_cast<float>(n - i);
    case 12: return random.below(2) ? 0.f : -0.f;
    default: return static_cast<float>(std::sin(place * place));
  }
}

bool before(float a, float b, bool descending) {
  if (a != a || b != b) return a == a && b != b;
  return descending ? a > b : a < b;
}
bool same(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b); }

int failures = 0;
void fail(const SortLevel* level, const char* what, size_t n, int kind, size_t at) {
  if (++failures <= 20) std::printf("%s: %s, n %zu, kind %d, at %zu\n", level->name, what, n, kind, at);
}

// An output and a scratch of which all beyond their ends must stay as it is.
constexpr size_t kGuard = 64;
struct Memory {
  std::vector<float> out;
  std::vector<std::uint32_t> scratch;
  size_t n;
  explicit Memory(size_t size) : out(size + 2 * kGuard, 77.f), scratch(4 * size + 2 * kGuard, 77u), n(size) {}
  float* values() { return out.data() + kGuard; }
  void* room() { return scratch.data() + kGuard; }
  bool untouched(size_t written) const {
    for (size_t i = 0; i < kGuard; ++i)
      if (out[i] != 77.f || out[n + kGuard + i] != 77.f || scratch[i] != 77u || scratch[4 * n + kGuard + i] != 77u) return false;
    for (size_t i = written; i < n; ++i)
      if (out[kGuard + i] != 77.f) return false;
    return true;
  }
};

void checkValues(const SortLevel* level, size_t n, int kind, bool descending, Random& random) {
  std::vector<float> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = valueOf(kind, i, n, random);
  std::vector<float> expected = x;
  std::stable_sort(expected.begin(), expected.end(), [&](float a, float b) { return before(a, b, descending); });
  Memory memory(n);
  level->values({x.data(), n, descending, memory.values(), memory.room()});
  for (size_t i = 0; i < n; ++i)
    if (!same(memory.values()[i], expected[i])) {
      fail(level, "values", n, kind, i);
      break;
    }
  if (!memory.untouched(n)) fail(level, "written beyond the end", n, kind, 0);
  // In place.
  level->values({x.data(), n, descending, x.data(), memory.room()});
  if (!std::equal(x.begin(), x.end(), expected.begin(), same)) fail(level, "in place", n, kind, 0);
}

// As if pivots were bad: the rest is left to the radix sort. Without zeros of both signs, whose order keys do not know.
void checkSplits(const SortLevel* level, size_t n, int kind, int splits, Random& random) {
  std::vector<float> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = valueOf(kind, i, n, random) + 0.f;
  const bool descending = random.below(2);
  std::vector<float> expected = x;
  std::sort(expected.begin(), expected.end(), [&](float a, float b) { return before(a, b, descending); });
  const size_t room = n + random.below(2 * n);
  Memory memory(3 * n);
  level->keys({x.data(), n, descending, memory.values(), memory.room()}, splits, room);
  if (!std::equal(expected.begin(), expected.end(), memory.values(), same)) fail(level, "few splits", n, kind, 0);
  if (!memory.untouched(room)) fail(level, "written beyond its room", n, kind, room);
}

// The row changes while it is sorted. No matter which values come of it, nothing else may be written.
void checkOverwritten(const SortLevel* level, size_t n, Random& random) {
  std::vector<float> x(n);
  volatile float* shared = x.data();
  std::atomic<bool> stop{false};
  Random other{random.next() | 1};
  std::thread writer([&] {
    while (!stop.load(std::memory_order_relaxed))
      for (int k = 0; k < 1000; ++k) shared[other.below(n)] = valueOf(static_cast<int>(other.below(4)), 0, n, other);
  });
  Memory memory(n);
  for (int k = 0; k < 200; ++k) {
    level->values({x.data(), n, k % 2 == 1, memory.values(), memory.room()});
    if (!memory.untouched(n)) fail(level, "overwritten meanwhile", n, 0, 0);
  }
  stop = true;
  writer.join();
}

void checkLevel(const SortLevel* level) {
  Random random{0x9e3779b97f4a7c15u};
  std::vector<size_t> lengths;
  for (size_t n = 1; n <= 2 * level->network + 40; ++n) lengths.push_back(n);
  for (size_t n : {1000, 1023, 4095, 4096, 4103, 9000, 70001}) lengths.push_back(n);
  for (size_t n : lengths)
    for (int kind = 0; kind < kKinds; ++kind)
      for (bool descending : {false, true}) checkValues(level, n, kind, descending, random);
  // A network that sorts every row of zeros and ones sorts all.
  for (size_t n = 1; n <= level->network; ++n)
    for (int k = 0; k < 200; ++k) checkValues(level, n, k % 2, false, random);
  for (size_t n : {level->network + 1, 3 * level->network, size_t{5000}, size_t{20000}})
    for (int kind = 0; kind < kKinds; ++kind)
      for (int splits : {0, 1, 2, 5, 60}) checkSplits(level, n, kind, splits, random);
  for (size_t n : {size_t{5}, level->network - 1, size_t{700}, size_t{20000}}) checkOverwritten(level, n, random);
}

}  // namespace

int main() {
  std::printf("levels:");
  for (const SortLevel* level : runnableLevels()) std::printf(" %s", level->name);
  std::printf("\n");
  for (const SortLevel* level : runnableLevels()) checkLevel(level);
  std::printf(failures ? "FAILED: %d\n" : "ok\n", failures);
  return failures != 0;
}
