// Prints the share of the peak that products reach with one thread. Every round measures the peak and all shapes, so that a slow spell
// of the machine meets all of them; shares are medians over rounds.
//
//   matrix_bench [rounds]
#include <cstdio>
#include <cstdlib>

#include "../../cpp/engine/threads.h"
#include "matrix_time.h"

namespace {

using std::size_t;

struct Shape {
  const char* what;
  size_t m, n, k;
  bool turnA, turnB;
};

const Shape kShapes[] = {{"1024^3", 1024, 1024, 1024, false, false},
                         {"1024^3, A B^T", 1024, 1024, 1024, false, true},
                         {"1024^3, A^T B", 1024, 1024, 1024, true, false},
                         {"512^3", 512, 512, 512, false, false},
                         {"128^3", 128, 128, 128, false, false},
                         {"128^3, A B^T", 128, 128, 128, false, true},
                         {"32^3", 32, 32, 32, false, false},
                         {"X W^T, 32 rows, 4096 classes, d 256", 32, 4096, 256, false, true},
                         {"X W^T, 32 rows, 8192 classes, d 1024", 32, 8192, 1024, false, true},
                         {"W X^T, 4096 classes, 32 rows, d 256", 4096, 32, 256, false, true},
                         {"W X^T, 8192 classes, 32 rows, d 1024", 8192, 32, 1024, false, true},
                         {"G W, 32 rows, 4096 classes, d 1024", 32, 1024, 4096, false, false},
                         {"G^T X, 4096 classes, 32 rows, d 1024", 4096, 1024, 32, true, false},
                         {"8192 x 4, k 1024", 8192, 4, 1024, false, true},
                         {"8192 x 2, k 1024", 8192, 2, 1024, false, true}};
// Too large for the caches, and small enough for them.
const Shape kVectors[] = {{"A x, 16384 x 2048", 16384, 1, 2048, false, false},
                          {"A^T x, 16384 x 2048", 2048, 1, 16384, true, false},
                          {"A x, 256 x 256", 256, 1, 256, false, false},
                          {"A^T x, 256 x 256", 256, 1, 256, true, false}};

template <class T> struct Bench {
  const MatrixFunctions<T>& level;
  std::vector<T> a = std::vector<T>(size_t{1} << 25, T(0.25)), b = std::vector<T>(size_t{1} << 23, T(0.5)), c = a;
  logitcore::Call call;

  explicit Bench(const MatrixFunctions<T>& functions) : level(functions) { call.runtime = &logitcore::runtime(); }

  MatrixCase<T> caseOf(const Shape& s) {
    return {s.m,      s.n, s.k, 1, 0, a.data(), s.turnA ? 1 : s.k, s.turnA ? s.m : 1, b.data(), s.turnB ? 1 : s.n, s.turnB ? s.k : 1,
            c.data(), s.n};
  }
  // Seconds a run, over about a twentieth of a second.
  template <class F> double time(double products, F&& run) {
    const int runs = static_cast<int>(1e9 / products) + 1;
    const double start = cpuSeconds();
    for (int i = 0; i < runs; ++i) run();
    return (cpuSeconds() - start) / runs;
  }
  static double products(const Shape& s) { return static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k); }
};

template <class T> T touch(const std::vector<T>& x) {
  // As many sums as the compiler can keep in registers.
  constexpr size_t count = 128 / sizeof(T);
  T sums[count] = {};
  for (size_t i = 0; i < x.size(); i += count)
    for (size_t q = 0; q < count; ++q) sums[q] += x[i + q];
  T all = 0;
  for (T s : sums) all += s;
  return all;
}

template <class T> void run(const char* name, const MatrixFunctions<T>& level, int rounds) {
  Bench<T> bench(level);
  std::vector<double> peaks, reads, shares[sizeof kShapes / sizeof *kShapes], rates[sizeof kVectors / sizeof *kVectors];
  volatile T sink;
  for (int round = 0; round < rounds; ++round) {
    const double peak = peakRate(level, 1 << 21);
    peaks.push_back(peak);
    size_t at = 0;
    for (const Shape& s : kShapes) {
      const double seconds = bench.time(Bench<T>::products(s), [&] { level.multiply(bench.call, bench.caseOf(s)); });
      shares[at++].push_back(Bench<T>::products(s) / seconds / peak);
    }
    const double bytes = static_cast<double>(bench.a.size() * sizeof(T));
    reads.push_back(bytes / bench.time(1e9, [&] { sink = touch(bench.a); }));
    at = 0;
    for (const Shape& s : kVectors) {
      const double seconds = bench.time(Bench<T>::products(s) * 8, [&] { level.vector(bench.call, bench.caseOf(s)); });
      rates[at++].push_back(Bench<T>::products(s) * sizeof(T) / seconds);
    }
  }
  static_cast<void>(sink);
  std::printf("%s float%zu: peak %.1f G fused multiply-adds/s, memory is read at %.1f GB/s\n", name, sizeof(T) * 8, median(peaks) * 1e-9,
              median(reads) * 1e-9);
  size_t at = 0;
  for (const Shape& s : kShapes) std::printf("  %-40s %.3f of the peak\n", s.what, median(shares[at++]));
  at = 0;
  for (const Shape& s : kVectors) std::printf("  %-40s %.1f GB/s\n", s.what, median(rates[at++]) * 1e-9);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 9;
  logitcore::setThreadCount(1);
  const MatrixLevel* level = runnableMatrixLevels().back();
  run(level->name, level->f32, rounds);
  run(level->name, level->f64, rounds);
}
