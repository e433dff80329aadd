// Inputs and helpers shared by the checks of cpp/simd. For one translation unit.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include "simd_levels.h"

namespace {

int failures = 0;

std::uint64_t state = 0x9e3779b97f4a7c15ull;
std::uint64_t randomBits() {
  state += 0x9e3779b97f4a7c15ull;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}
double uniform(double low, double high) { return low + (high - low) * static_cast<double>(randomBits() >> 11) * 0x1p-53; }

template <class S> struct Form;
template <> struct Form<float> {
  using Bits = std::uint32_t;
  static constexpr int mantissa = 23;
  static constexpr int minExponent = -126;
};
template <> struct Form<double> {
  using Bits = std::uint64_t;
  static constexpr int mantissa = 52;
  static constexpr int minExponent = -1022;
};

template <class S> typename Form<S>::Bits bitsOf(S x) {
  typename Form<S>::Bits u;
  std::memcpy(&u, &x, sizeof u);
  return u;
}
template <class S> S ofBits(typename Form<S>::Bits u) {
  S x;
  std::memcpy(&x, &u, sizeof x);
  return x;
}
template <class S> bool same(S a, S b) { return (a != a && b != b) || bitsOf(a) == bitsOf(b); }

template <class S> std::vector<S> specials() {
  using L = std::numeric_limits<S>;
  std::vector<S> list{0,
                      1,
                      2,
                      3,
                      S(0.5),
                      S(0.25),
                      S(0.75),
                      S(1.5),
                      S(2.5),
                      L::min(),
                      L::denorm_min(),
                      L::min() / 2,
                      L::max(),
                      L::infinity(),
                      L::epsilon(),
                      L::epsilon() / 2,
                      1 + L::epsilon(),
                      1 - L::epsilon() / 2,
                      S(0x1p23),
                      S(0x1p22) + S(0.5),
                      S(0x1p52),
                      S(1e5)};
  for (double x : {0.34657359,
                   0.69314718,
                   0.7071,
                   1.4142,
                   17.3,
                   18.0,
                   19.5,
                   37.0,
                   40.0,
                   43.6,
                   44.0,
                   87.3365447506,
                   87.3365,
                   88.0,
                   88.3762655,
                   88.7228317,
                   88.722839,
                   89.0,
                   103.2789,
                   103.9721,
                   104.0,
                   150.0,
                   708.396418532264,
                   709.436139303104,
                   709.782712893384,
                   710.0,
                   744.4400719,
                   745.1332191,
                   746.0,
                   1000.0})
    for (int step = -3; step <= 3; ++step) list.push_back(ofBits<S>(bitsOf(S(x)) + static_cast<typename Form<S>::Bits>(step)));
  const std::size_t n = list.size();
  for (std::size_t i = 0; i < n; ++i) list.push_back(-list[i]);
  list.push_back(L::quiet_NaN());
  return list;
}

// Three inputs: all pairs of specials, then a mixture of ranges.
template <class S> void makeData(long n, std::vector<S>* inputs) {
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

template <class S> struct Entry;
template <> struct Entry<float> {
  static auto vector(const SimdLevel* l) { return l->vectorFloat; }
  static auto scalar(const SimdLevel* l) { return l->scalarFloat; }
  static auto reduce(const SimdLevel* l) { return l->reduceFloat; }
  static auto partial(const SimdLevel* l) { return l->partialFloat; }
};
template <> struct Entry<double> {
  static auto vector(const SimdLevel* l) { return l->vectorDouble; }
  static auto scalar(const SimdLevel* l) { return l->scalarDouble; }
  static auto reduce(const SimdLevel* l) { return l->reduceDouble; }
  static auto partial(const SimdLevel* l) { return l->partialDouble; }
};

}  // namespace
