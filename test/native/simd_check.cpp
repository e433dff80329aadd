// Checks cpp/simd: equal bits on all levels and scalars, and the error of the elementary
// functions. Exits with 1 on a violation.
//
//   F="-std=c++17 -O3 -Wall -Wextra -ffp-contract=off -fno-math-errno"
//   V="-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mprefer-vector-width=512"
//   g++ $F $V -DLOGITCORE_LEVEL=avx512 -c simd_levels.cpp -o avx512.o
//   g++ $F -mavx2 -mfma -DLOGITCORE_LEVEL=avx2 -c simd_levels.cpp -o avx2.o
//   g++ $F -DLOGITCORE_LEVEL=portable -c simd_levels.cpp -o portable.o
//   g++ $F -pthread simd_check.cpp avx512.o avx2.o portable.o -o simd_check
// and on AArch64 with -DLOGITCORE_LEVEL=neon and portable only.
//
//   simd_check [--count N]      N lanes of float data, half as many of double
//   simd_check --digest         only the hash of all results, to compare machines
//   simd_check --exhaustive [name]
//                               exp, expFlush, log, log1p, expm1 and tanh over all 2^32 floats
#include <sys/mman.h>
#include <unistd.h>

#include "runnable.h"
#include "simd_accuracy.h"
#include "simd_data.h"

extern "C" {
#define LGC_DECLARE(level) extern const SimdLevel simdLevel_##level;
LGC_COMPILED_LEVELS(LGC_DECLARE)
#undef LGC_DECLARE
}

namespace {

std::vector<const SimdLevel*> runnableLevels() {
#define LGC_ADDRESS(level) &simdLevel_##level,
  return runnable<SimdLevel>({LGC_COMPILED_LEVELS(LGC_ADDRESS)});
#undef LGC_ADDRESS
}

struct Digest {
  std::uint64_t value = 0xcbf29ce484222325ull;
  void add(std::uint64_t bits) {
    for (int i = 0; i < 8; ++i) value = (value ^ ((bits >> (8 * i)) & 0xff)) * 0x100000001b3ull;
  }
  template <class S> void add(const std::vector<S>& v) {
    for (S x : v) add(x != x ? 0x7ff8u : static_cast<std::uint64_t>(bitsOf(x)));
  }
};

template <class S> void expectSame(const char* level, const char* kind, const char* name, const std::vector<S>* in,
                                   const std::vector<S>& want, const std::vector<S>& got) {
  long wrong = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (same(want[i], got[i])) continue;
    if (wrong++ == 0)
      std::printf("DIFFERS %s %s %s%zu: (%a, %a, %a) -> %a, portable %a\n", level, kind, name, sizeof(S) * 8, double(in[0][i]),
                  double(in[1][i]), double(in[2][i]), double(got[i]), double(want[i]));
  }
  if (wrong) {
    std::printf("  %ld of %zu differ\n", wrong, want.size());
    ++failures;
  }
}

template <class S> void compareLevels(const std::vector<const SimdLevel*>& levels, long n, Digest& digest) {
  std::vector<S> in[3];
  makeData<S>(n, in);
  std::vector<S> want(in[0].size()), got(in[0].size());
  const SimdLevel* base = levels[0];
  for (int op = 0; op < base->operations; ++op) {
    Entry<S>::vector(base)(op, in[0].data(), in[1].data(), in[2].data(), n, want.data());
    digest.add(want);
    for (const SimdLevel* level : levels) {
      if (level != base) {
        Entry<S>::vector(level)(op, in[0].data(), in[1].data(), in[2].data(), n, got.data());
        expectSame(level->name, "vector", base->operationNames[op], in, want, got);
      }
      Entry<S>::scalar(level)(op, in[0].data(), in[1].data(), in[2].data(), n, got.data());
      expectSame(level->name, "scalar", base->operationNames[op], in, want, got);
    }
  }
  for (int op = 0; op < base->reductions; ++op) {
    Entry<S>::reduce(base)(op, in[0].data(), in[1].data(), n, want.data());
    digest.add(want);
    for (const SimdLevel* level : levels) {
      Entry<S>::reduce(level)(op, in[0].data(), in[1].data(), n, got.data());
      expectSame(level->name, "across", base->reductionNames[op], in, want, got);
    }
  }
  // The tree itself, written out once more: reductions 0, 1, 2 are sum, max and min.
  constexpr int lanes = sizeof(S) == 4 ? 16 : 8;
  for (int op = 0; op < 3; ++op) {
    Entry<S>::reduce(base)(op, in[0].data(), in[1].data(), n, want.data());
    for (long i = 0; i < n; i += lanes) {
      S w[lanes];
      std::memcpy(w, in[0].data() + i, sizeof w);
      for (int half = lanes / 2; half > 0; half /= 2)
        for (int j = 0; j < half; ++j) {
          const S a = w[j], b = w[j + half];
          w[j] = op == 0 ? a + b : op == 1 ? (a > b ? a : b) : (a < b ? a : b);
        }
      for (int j = 0; j < lanes; ++j) got[static_cast<std::size_t>(i + j)] = w[0];
    }
    expectSame("tree", "across", base->reductionNames[op], in, want, got);
  }
}

// Partial vectors flush against unmapped pages on both sides in turn.
template <class S> void checkPartial(const SimdLevel* level) {
  constexpr int lanes = sizeof(S) == 4 ? 16 : 8;
  const long page = sysconf(_SC_PAGESIZE);
  char* area = static_cast<char*>(mmap(nullptr, static_cast<std::size_t>(3 * page), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  char* out = static_cast<char*>(mmap(nullptr, static_cast<std::size_t>(3 * page), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (area == MAP_FAILED || out == MAP_FAILED) std::abort();
  mprotect(area + page, static_cast<std::size_t>(page), PROT_READ | PROT_WRITE);
  mprotect(out + page, static_cast<std::size_t>(page), PROT_READ | PROT_WRITE);
  bool good = true;
  for (int count = 0; count <= lanes; ++count) {
    S* from = reinterpret_cast<S*>(area + 2 * page) - count;
    S* to = reinterpret_cast<S*>(out + 2 * page) - count;
    if (count > 0) to[-1] = S(-7);
    for (int i = 0; i < count; ++i) from[i] = S(i + 10), to[i] = S(-9);
    S whole[lanes];
    Entry<S>::partial(level)(from, count, S(3), to, whole);
    for (int i = 0; i < count; ++i) good = good && to[i] == S(i + 10);
    if (count > 0) good = good && to[-1] == S(-7);
    for (int i = 0; i < lanes; ++i) good = good && whole[i] == (i < count ? S(i + 10) : S(4));
    // Inside one page nothing beyond count may change either.
    S room[lanes + 1];
    for (S& x : room) x = S(-5);
    Entry<S>::partial(level)(from, count, S(3), room, whole);
    for (int i = 0; i <= lanes; ++i) good = good && room[i] == (i < count ? S(i + 10) : S(-5));
  }
  munmap(area, static_cast<std::size_t>(3 * page));
  munmap(out, static_cast<std::size_t>(3 * page));
  if (!good) {
    std::printf("WRONG %s loadFirst, storeFirst or firstLanes, %zu bits\n", level->name, sizeof(S) * 8);
    ++failures;
  }
}

}  // namespace

int main(int argc, char** argv) {
  long count = 1 << 20;
  const char* only = nullptr;
  bool all = false, digestOnly = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--count") == 0 && i + 1 < argc) count = std::atol(argv[++i]) / 32 * 32;
    if (std::strcmp(argv[i], "--exhaustive") == 0) {
      all = true;
      if (i + 1 < argc) only = argv[++i];
    }
    if (std::strcmp(argv[i], "--digest") == 0) digestOnly = true;
  }
  const std::vector<const SimdLevel*> levels = runnableLevels();
  std::printf("levels:");
  for (const SimdLevel* level : levels) std::printf(" %s", level->name);
  std::printf("\n");
  if (all) {
    exhaustive(levels.back(), only);
    return failures != 0;
  }
  Digest digest;
  compareLevels<float>(levels, count, digest);
  compareLevels<double>(levels, count / 2, digest);
  for (const SimdLevel* level : levels) {
    checkPartial<float>(level);
    checkPartial<double>(level);
  }
  std::printf("digest of %ld lanes: %016llx\n", count, static_cast<unsigned long long>(digest.value));
  if (!digestOnly) {
    measure<float, double>(levels.back(), count);
    measure<double, long double>(levels.back(), count / 4);
    measureExp2(levels.back(), count);
    measurePowAndSine(levels.back(), count / 4);
  }
  std::printf(failures ? "FAILED: %d\n" : "ok\n", failures);
  return failures != 0;
}
