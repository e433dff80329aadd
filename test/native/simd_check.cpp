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
//   simd_check --exhaustive     exp, expFlush and log over all 2^32 floats
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "simd_levels.h"

extern "C" {
extern const SimdLevel simdLevel_portable;
#if defined(__x86_64__)
extern const SimdLevel simdLevel_avx2, simdLevel_avx512;
#elif defined(__aarch64__)
extern const SimdLevel simdLevel_neon;
#endif
}

namespace {

std::vector<const SimdLevel*> runnableLevels() {
  std::vector<const SimdLevel*> levels{&simdLevel_portable};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    levels.push_back(&simdLevel_avx2);
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    levels.push_back(&simdLevel_avx512);
#elif defined(__aarch64__)
  levels.push_back(&simdLevel_neon);
#endif
  return levels;
}

int failures = 0;

std::uint64_t state = 0x9e3779b97f4a7c15ull;
std::uint64_t randomBits() {
  state += 0x9e3779b97f4a7c15ull;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}
double uniform(double low, double high) {
  return low + (high - low) * static_cast<double>(randomBits() >> 11) * 0x1p-53;
}

template <class S>
struct Form;
template <>
struct Form<float> {
  using Bits = std::uint32_t;
  static constexpr int mantissa = 23;
  static constexpr int minExponent = -126;
};
template <>
struct Form<double> {
  using Bits = std::uint64_t;
  static constexpr int mantissa = 52;
  static constexpr int minExponent = -1022;
};

template <class S>
typename Form<S>::Bits bitsOf(S x) {
  typename Form<S>::Bits u;
  std::memcpy(&u, &x, sizeof u);
  return u;
}
template <class S>
S ofBits(typename Form<S>::Bits u) {
  S x;
  std::memcpy(&x, &u, sizeof x);
  return x;
}
template <class S>
bool same(S a, S b) {
  return (a != a && b != b) || bitsOf(a) == bitsOf(b);
}

template <class S>
std::vector<S> specials() {
  using L = std::numeric_limits<S>;
  std::vector<S> list{0, 1, 2, 3, S(0.5), S(0.25), S(0.75), S(1.5), S(2.5), L::min(), L::denorm_min(),
                      L::min() / 2, L::max(), L::infinity(), L::epsilon(), L::epsilon() / 2,
                      1 + L::epsilon(), 1 - L::epsilon() / 2, S(0x1p23), S(0x1p22) + S(0.5), S(0x1p52), S(1e5)};
  for (double x : {0.34657359, 0.69314718, 0.7071, 1.4142, 17.3, 18.0, 19.5, 37.0, 40.0, 43.6, 44.0, 87.3365447506,
                   87.3365, 88.0, 88.3762655, 88.7228317, 88.722839, 89.0, 103.2789, 103.9721, 104.0, 150.0, 708.396418532264,
                   709.436139303104, 709.782712893384, 710.0, 744.4400719, 745.1332191, 746.0, 1000.0})
    for (int step = -3; step <= 3; ++step) list.push_back(ofBits<S>(bitsOf(S(x)) + static_cast<typename Form<S>::Bits>(step)));
  const std::size_t n = list.size();
  for (std::size_t i = 0; i < n; ++i) list.push_back(-list[i]);
  list.push_back(L::quiet_NaN());
  return list;
}

// Three inputs: all pairs of specials, then a mixture of ranges.
template <class S>
void makeData(long n, std::vector<S>* inputs) {
  const std::vector<S> special = specials<S>();
  const long k = static_cast<long>(special.size());
  for (int j = 0; j < 3; ++j) {
    inputs[j].resize(static_cast<std::size_t>(n));
    for (long i = 0; i < n; ++i) {
      S& x = inputs[j][static_cast<std::size_t>(i)];
      if (i < k * k && j < 2) {
        x = special[static_cast<std::size_t>(j == 0 ? i % k : i / k)];
        continue;
      }
      switch (randomBits() % 8) {
        case 0:
        case 1: x = ofBits<S>(static_cast<typename Form<S>::Bits>(randomBits())); break;
        case 2: x = S(uniform(-110, 110)); break;
        case 3: x = S(uniform(-3, 3)); break;
        case 4: x = S(1 + uniform(-1, 1) * std::ldexp(1.0, -static_cast<int>(randomBits() % 30))); break;
        case 5: x = S(static_cast<double>(static_cast<std::int64_t>(randomBits() % 2001) - 1000) * 0.5); break;
        case 6: x = S(uniform(-1, 1) * std::ldexp(1.0, Form<S>::minExponent - static_cast<int>(randomBits() % 20))); break;
        default: x = special[randomBits() % static_cast<std::uint64_t>(k)];
      }
    }
  }
}

struct Digest {
  std::uint64_t value = 0xcbf29ce484222325ull;
  void add(std::uint64_t bits) {
    for (int i = 0; i < 8; ++i) value = (value ^ ((bits >> (8 * i)) & 0xff)) * 0x100000001b3ull;
  }
  template <class S>
  void add(const std::vector<S>& v) {
    for (S x : v) add(x != x ? 0x7ff8u : static_cast<std::uint64_t>(bitsOf(x)));
  }
};

template <class S>
void expectSame(const char* level, const char* kind, const char* name, const std::vector<S>* in, const std::vector<S>& want,
                const std::vector<S>& got) {
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

template <class S>
struct Entry;
template <>
struct Entry<float> {
  static auto vector(const SimdLevel* l) { return l->vectorFloat; }
  static auto scalar(const SimdLevel* l) { return l->scalarFloat; }
  static auto reduce(const SimdLevel* l) { return l->reduceFloat; }
  static auto partial(const SimdLevel* l) { return l->partialFloat; }
};
template <>
struct Entry<double> {
  static auto vector(const SimdLevel* l) { return l->vectorDouble; }
  static auto scalar(const SimdLevel* l) { return l->scalarDouble; }
  static auto reduce(const SimdLevel* l) { return l->reduceDouble; }
  static auto partial(const SimdLevel* l) { return l->partialDouble; }
};

template <class S>
void compareLevels(const std::vector<const SimdLevel*>& levels, long n, Digest& digest) {
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
template <class S>
void checkPartial(const SimdLevel* level) {
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

// ---- accuracy --------------------------------------------------------------------

// Distance in units in the last place of the exact value.
template <class S, class R>
double ulpError(S got, R exact) {
  const R limit = R(std::numeric_limits<S>::max());
  if (exact != exact) return got != got ? 0 : 1e9;
  if (got != got) return 1e9;
  if (exact > limit || exact < -limit) {
    if (std::isinf(got)) return std::signbit(got) == std::signbit(exact) ? 0 : 1e9;
    if (std::isinf(exact)) return 1e9;
  }
  if (got == 0 && exact == 0) return std::signbit(got) == std::signbit(exact) ? 0 : 1e9;
  int e = 0;
  std::frexp(exact, &e);
  --e;
  if (e < Form<S>::minExponent) e = Form<S>::minExponent;
  if (e > -Form<S>::minExponent + 1) e = -Form<S>::minExponent + 1;
  if (std::isinf(got)) {
    // Overflow where the exact value rounds to the largest number.
    const R next = std::ldexp(R(1), -Form<S>::minExponent + 2);
    return static_cast<double>(std::ldexp(std::fabs(next - std::fabs(exact)), Form<S>::mantissa - e));
  }
  return static_cast<double>(std::ldexp(std::fabs(R(got) - exact), Form<S>::mantissa - e));
}

int operationIndex(const SimdLevel* level, const char* name) {
  for (int i = 0; i < level->operations; ++i)
    if (std::strcmp(level->operationNames[i], name) == 0) return i;
  std::abort();
}

template <class R>
R reference(const std::string& name, R x) {
  if (name == "exp" || name == "expFlush") return std::exp(x);
  if (name == "log") return std::log(x);
  if (name == "log1p") return std::log1p(x);
  if (name == "expm1") return std::expm1(x);
  if (name == "tanh") return std::tanh(x);
  if (name == "sigmoid") return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
  if (name == "softplus") return (x > 0 ? x : R(0)) + std::log1p(std::exp(-std::fabs(x)));
  std::abort();
}

// expFlush promises nothing but 0 or infinity outside these bounds.
template <class S>
bool flushed(const std::string& name, S x, S got) {
  if (name != "expFlush") return false;
  const double low = sizeof(S) == 4 ? -87.33654475 : -708.396418532264;
  const double high = sizeof(S) == 4 ? 88.37626 : 709.436;
  return (x < low && got == 0) || (x > high && std::isinf(got) && got > 0);
}

template <class S>
struct Limit {
  const char* name;
  double ulp;
  double low, high;
};

template <class S, class R>
void measure(const SimdLevel* level, long n) {
  const bool single = sizeof(S) == 4;
  const double tail = single ? 104 : 746;
  const Limit<S> limits[] = {{"exp", 1, -tail, tail}, {"expFlush", 1, -tail, tail}, {"log", 1, 0, 4},
                             {"log1p", 2, -1, 3},     {"expm1", 2, -45, tail},      {"tanh", 2, -24, 24},
                             {"sigmoid", 4, -tail, tail}, {"softplus", 4, -tail, tail}};
  std::vector<S> in(static_cast<std::size_t>(n)), out(in.size());
  const std::vector<S> special = specials<S>();
  for (const Limit<S>& limit : limits) {
    for (long i = 0; i < n; ++i) {
      S& x = in[static_cast<std::size_t>(i)];
      const long pick = i < static_cast<long>(special.size()) ? -1 : static_cast<long>(randomBits() % 4);
      if (pick < 0) x = special[static_cast<std::size_t>(i)];
      else if (pick == 0) x = S(uniform(limit.low, limit.high));
      else if (pick == 1) x = S(uniform(-1.5, 1.5));
      else if (pick == 2) x = S(uniform(limit.low, limit.high) * std::ldexp(1.0, -static_cast<int>(randomBits() % 30)));
      else x = ofBits<S>(static_cast<typename Form<S>::Bits>(randomBits()));
    }
    Entry<S>::vector(level)(operationIndex(level, limit.name), in.data(), in.data(), in.data(), n, out.data());
    double worst = 0, at = 0;
    for (std::size_t i = 0; i < in.size(); ++i) {
      if (flushed<S>(limit.name, in[i], out[i])) continue;
      const double e = ulpError<S, R>(out[i], reference<R>(limit.name, R(in[i])));
      if (e > worst) worst = e, at = double(in[i]);
    }
    const bool bad = !(worst <= limit.ulp);
    failures += bad;
    std::printf("%-9s f%zu  %.4f ulp at %a%s\n", limit.name, sizeof(S) * 8, worst, at, bad ? "  TOO LARGE" : "");
  }
}

void measureExp2(const SimdLevel* level, long n) {
  int op = 0;
  while (std::strcmp(level->reductionNames[op], "exp2Flush") != 0) ++op;
  std::vector<float> in(static_cast<std::size_t>(n)), out(in.size());
  for (float& x : in) x = float(uniform(-127, 0) * std::ldexp(1.0, -static_cast<int>(randomBits() % 12)));
  level->reduceFloat(op, in.data(), in.data(), n, out.data());
  double worst = 0, at = 0;
  for (std::size_t i = 0; i < in.size(); ++i) {
    const double e = in[i] < -126 ? (out[i] == 0 ? 0 : 1e9) : ulpError<float, double>(out[i], std::exp2(double(in[i])));
    if (e > worst) worst = e, at = double(in[i]);
  }
  failures += !(worst <= 2);
  std::printf("exp2Flush f32  %.4f ulp at %a%s\n", worst, at, worst <= 2 ? "" : "  TOO LARGE");
}

void measurePowAndSine(const SimdLevel* level, long n) {
  std::vector<double> a(static_cast<std::size_t>(n)), b(a.size()), out(a.size()), cosine(a.size());
  const int pow = operationIndex(level, "pow");
  for (int kind = 0; kind < 3; ++kind) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      a[i] = kind == 0 ? uniform(0, 1) : kind == 1 ? std::exp(uniform(-700, 700)) : 1 + uniform(-1e-3, 1e-3);
      b[i] = kind == 0 ? uniform(0, 6) : kind == 1 ? uniform(-2, 2) : uniform(-700, 700) / std::log(a[i]);
      if (a[i] == 0 || b[i] != b[i]) a[i] = 0.5;
    }
    Entry<double>::vector(level)(pow, a.data(), a.data(), b.data(), n, out.data());
    double worst = 0, atA = 0, atB = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double e = ulpError<double, long double>(out[i], std::pow(static_cast<long double>(a[i]), static_cast<long double>(b[i])));
      if (e > worst) worst = e, atA = a[i], atB = b[i];
    }
    failures += !(worst <= 2);
    std::printf("pow %d     f64  %.4f ulp at %a, %a%s\n", kind, worst, atA, atB, worst <= 2 ? "" : "  TOO LARGE");
  }
  struct Case {
    double a, b, want;
  };
  const double inf = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<Case> cases{{0, 0, 1},   {0, 2, 0},     {0, -1, inf},  {1, inf, 1},   {1, nan, 1},   {nan, 0, 1},   {nan, 1, nan}, {2, nan, nan},
                          {-1, 2, nan}, {inf, 2, inf}, {inf, -2, 0}, {0.5, inf, 0}, {2, inf, inf}, {2, -inf, 0},  {2, 1024, inf}, {2, -1074, 0x1p-1074},
                          {2, 10, 1024}, {10, 2, 100}};
  while (cases.size() % 16 != 0) cases.push_back({1, 1, 1});
  std::vector<float> fa, fb, fout(cases.size());
  a.clear(), b.clear();
  for (const Case& c : cases) a.push_back(c.a), b.push_back(c.b), fa.push_back(float(c.a)), fb.push_back(float(c.b));
  out.resize(cases.size());
  Entry<double>::vector(level)(pow, a.data(), a.data(), b.data(), long(cases.size()), out.data());
  Entry<float>::vector(level)(pow, fa.data(), fa.data(), fb.data(), long(cases.size()), fout.data());
  for (std::size_t i = 0; i < cases.size(); ++i)
    if (!same(out[i], cases[i].want) || !same(fout[i], float(cases[i].want))) {
      std::printf("WRONG pow(%g, %g) = %g, %g\n", cases[i].a, cases[i].b, out[i], double(fout[i]));
      ++failures;
    }

  a.resize(static_cast<std::size_t>(n)), out.resize(a.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    a[i] = i % 3 == 0 ? uniform(-1e5, 1e5) : i % 3 == 1 ? uniform(-4, 4) : std::nearbyint(uniform(-6e4, 6e4)) * 1.5707963267948966;
  level->sineCosine(a.data(), n, out.data(), cosine.data());
  double worst = 0, at = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double e = std::fmax(ulpError<double, long double>(out[i], std::sin(static_cast<long double>(a[i]))),
                               ulpError<double, long double>(cosine[i], std::cos(static_cast<long double>(a[i]))));
    if (e > worst) worst = e, at = a[i];
  }
  failures += !(worst <= 2);
  std::printf("sincos    f64  %.4f ulp at %a%s\n", worst, at, worst <= 2 ? "" : "  TOO LARGE");
}

void exhaustive(const SimdLevel* level) {
  constexpr long block = 1 << 16;
  for (const char* name : {"exp", "expFlush", "log"}) {
    const int op = operationIndex(level, name);
    std::atomic<long> next{0};
    double worst[2] = {0, 0};
    float at[2] = {0, 0};
    const auto work = [&](int thread) {
      std::vector<float> in(block), out(block);
      for (long chunk; (chunk = next++) < (1l << 32) / block;) {
        if (chunk % 4096 == 0) std::fprintf(stderr, "%s %ld/16\n", name, chunk / 4096);
        for (long i = 0; i < block; ++i) in[std::size_t(i)] = ofBits<float>(static_cast<std::uint32_t>(chunk * block + i));
        level->vectorFloat(op, in.data(), in.data(), in.data(), block, out.data());
        for (std::size_t i = 0; i < std::size_t(block); ++i) {
          if (flushed<float>(name, in[i], out[i])) continue;
          const double e = ulpError<float, double>(out[i], reference<double>(name, double(in[i])));
          if (e > worst[thread]) worst[thread] = e, at[thread] = in[i];
        }
      }
    };
    std::thread second(work, 1);
    work(0);
    second.join();
    const int w = worst[1] > worst[0];
    const bool bad = !(worst[w] <= 1);
    failures += bad;
    std::printf("%-9s all float32 on %s: %.5f ulp at %a%s\n", name, level->name, worst[w], double(at[w]), bad ? "  TOO LARGE" : "");
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  long count = 1 << 20;
  bool all = false, digestOnly = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--count") == 0 && i + 1 < argc) count = std::atol(argv[++i]) / 32 * 32;
    if (std::strcmp(argv[i], "--exhaustive") == 0) all = true;
    if (std::strcmp(argv[i], "--digest") == 0) digestOnly = true;
  }
  const std::vector<const SimdLevel*> levels = runnableLevels();
  std::printf("levels:");
  for (const SimdLevel* level : levels) std::printf(" %s", level->name);
  std::printf("\n");
  if (all) {
    exhaustive(levels.back());
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
