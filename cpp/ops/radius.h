// Safe step sizes along a direction from the complex zeros of the partition function: the definitions that are a function of one
// element or of a few row values. Source: Sao 2026, arXiv 2603.13552.
#pragma once
#include "../engine/definition.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr double kPi = 3.14159265358979323846;

inline bool refuse(Call& call, const char* message) {
  size_t i = 0;
  for (; message[i] && i + 1 < sizeof call.error; ++i) call.error[i] = message[i];
  call.error[i] = 0;
  return false;
}

// (z(theta + h v) - z(theta)) / h. A class masked in both has no slope.
struct FiniteDifferenceJvp {
  static bool stepNotZero(Call& call) {
    return LGC_OPTION(call, step) != 0 || refuse(call, "options.step is 0, expected a finite number other than 0");
  }
  static constexpr Record record{"finiteDifferenceJvp",
                                 "ghosts-of-softmax",
                                 {{"logitsMoved", "*"}, {"logitsBase", "*"}},
                                 {required(number("step", 1))},
                                 {inPlace(array("jvp", "*"), "logitsMoved")},
                                 false,
                                 nullptr,
                                 &stepNotZero};

  double step;
  LGC_FN explicit FiniteDifferenceJvp(const Call& call) : step(LGC_OPTION(call, step)) {}
  template <class W> LGC_FN void lane(const W* x, const W*, W&, W* out) const {
    const W masked = broadcast<W>(-__builtin_huge_val());
    const W slope = (x[0] - x[1]) / broadcast<W>(static_cast<Scalar<W>>(step));
    out[0] = select((x[0] == masked) & (x[1] == masked), broadcast<W>(0), slope);
  }
};

enum Activation { kRelu, kLeakyRelu, kSigmoid, kSilu, kSoftplus, kTanh, kGelu };

// Distance from h to the activation's nearest complex singularity, over |dh/dtau|.
struct ActivationRadius {
  static constexpr Record record{
      "activationRadius",
      "ghosts-of-softmax",
      {{"preactivation", "*"}, {"derivative", "*"}},
      {required(choice("activation", "relu,leakyRelu,sigmoid,silu,softplus,tanh,gelu")), between(number("quantile", 0), 0, 1)},
      {inPlace(array("rho", "*"), "preactivation"), scalar("batchRho")}};

  int activation;
  LGC_FN explicit ActivationRadius(const Call& call) : activation(static_cast<int>(LGC_OPTION(call, activation))) {}
  template <class W> LGC_FN void lane(const W* x, const W*, W&, W* out) const {
    using S = Scalar<W>;
    const W h = abs(x[0]), slope = abs(x[1]), infinity = broadcast<W>(__builtin_huge_val());
    const double imaginary = activation <= kLeakyRelu ? 0.0 : activation == kTanh ? kPi / 2 : kPi;
    W distance = h;
    if (activation == kGelu) {
      distance = select(h == h, infinity, h);
    } else if (imaginary != 0) {
      // Beyond 1e9 the imaginary part is lost in the rounding of h, and h * h may overflow.
      const W near = sqrt(fma(h, h, broadcast<W>(static_cast<S>(imaginary * imaginary))));
      distance = select(h > broadcast<W>(1e9f), h, near);
    }
    const W ratio = select((distance == infinity) & (slope == slope), infinity, distance / slope);
    out[0] = select((slope == broadcast<W>(0)) & (h == h), infinity, ratio);
  }
};

// pi T / spread: all exponentials stay in one half plane within it.
LGC_FN double spreadRadius(double spread, double temperature) { return kPi * temperature / spread; }

// The zero of exp(z_y + a_y t) + exp(z_j + a_j t) nearest to 0, for a margin and a slope of the pair.
LGC_FN double pairRadius(double margin, double slope, double temperature) {
  const double m = abs(margin), s = abs(slope), gap = kPi * temperature;
  if (m == __builtin_huge_val() || s == 0) return isNan(margin) ? margin : __builtin_huge_val();
  // As a ratio of the larger: margins of float64 may not be squared.
  const double large = m > gap ? m : gap, small = m > gap ? gap : m;
  return isNan(m) ? m : large * sqrt(1 + (small / large) * (small / large)) / s;
}

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
