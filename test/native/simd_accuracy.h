// Errors of the elementary functions against double, and of the double ones against long
// double, which is accurate enough only where it is wider than double (x86, AArch64 Linux).
#pragma once
#include <atomic>
#include <string>
#include <thread>

#include "simd_data.h"

namespace {

// Distance in units in the last place of the exact value.
template <class S, class R> double ulpError(S got, R exact) {
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

template <class R> R reference(const std::string& name, R x) {
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
template <class S> bool flushed(const std::string& name, S x, S got) {
  if (name != "expFlush") return false;
  const double low = sizeof(S) == 4 ? -87.33654475 : -708.396418532264;
  const double high = sizeof(S) == 4 ? 88.37626 : 709.436;
  return (x < low && got == 0) || (x > high && std::isinf(got) && got > 0);
}

template <class S> struct Limit {
  const char* name;
  double ulp;
  double low, high;
};

template <class S, class R> void measure(const SimdLevel* level, long n) {
  const bool single = sizeof(S) == 4;
  const double tail = single ? 104 : 746;
  const Limit<S> limits[] = {{"exp", 1, -tail, tail},     {"expFlush", 1, -tail, tail}, {"log", 1, 0, 4},
                             {"log1p", 2, -1, 3},         {"expm1", 2, -45, tail},      {"tanh", 2, -24, 24},
                             {"sigmoid", 4, -tail, tail}, {"softplus", 4, -tail, tail}};
  std::vector<S> in(static_cast<std::size_t>(n)), out(in.size());
  const std::vector<S> special = specials<S>();
  for (const Limit<S>& limit : limits) {
    for (long i = 0; i < n; ++i) {
      S& x = in[static_cast<std::size_t>(i)];
      const long pick = i < static_cast<long>(special.size()) ? -1 : static_cast<long>(randomBits() % 4);
      if (pick < 0)
        x = special[static_cast<std::size_t>(i)];
      else if (pick == 0)
        x = S(uniform(limit.low, limit.high));
      else if (pick == 1)
        x = S(uniform(-1.5, 1.5));
      else if (pick == 2)
        x = S(uniform(limit.low, limit.high) * std::ldexp(1.0, -static_cast<int>(randomBits() % 30)));
      else
        x = ofBits<S>(static_cast<typename Form<S>::Bits>(randomBits()));
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
  std::vector<Case> cases{{0, 0, 1},     {0, 2, 0},     {0, -1, inf},   {1, inf, 1},           {1, nan, 1},   {nan, 0, 1},
                          {nan, 1, nan}, {2, nan, nan}, {-1, 2, nan},   {inf, 2, inf},         {inf, -2, 0},  {0.5, inf, 0},
                          {2, inf, inf}, {2, -inf, 0},  {2, 1024, inf}, {2, -1074, 0x1p-1074}, {2, 10, 1024}, {10, 2, 100}};
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

void exhaustive(const SimdLevel* level, const char* only) {
  constexpr long block = 1 << 16;
  struct Promise {
    const char* name;
    double ulp;
  };
  for (const Promise promise :
       {Promise{"exp", 1}, Promise{"expFlush", 1}, Promise{"log", 1}, Promise{"log1p", 2}, Promise{"expm1", 2}, Promise{"tanh", 2}}) {
    const char* name = promise.name;
    if (only && std::strcmp(only, name) != 0) continue;
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
    const bool bad = !(worst[w] <= promise.ulp);
    failures += bad;
    std::printf("%-9s all float32 on %s: %.5f ulp at %a%s\n", name, level->name, worst[w], double(at[w]), bad ? "  TOO LARGE" : "");
    std::fflush(stdout);
  }
}

}  // namespace
