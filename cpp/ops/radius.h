// Safe step sizes along a direction from the complex zeros of the partition function: the definitions that are a function of one
// element or of a few row values. Source: Sao 2026, arXiv 2603.13552.
#pragma once
#include "../engine/definition.h"
#include "../engine/quantile.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr double kPi = 3.14159265358979323846;

constexpr Input kJvp{"jvp", "n,c"};

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

struct ConvergenceRadius {
  static constexpr Record record{
      "convergenceRadius",
      "ghosts-of-softmax",
      {kJvp},
      {kTemperature, between(number("quantile", 1), 0, 1)},
      {array("spread", "n"), array("rho", "n"), scalar("batchSpread"), scalar("batchRho"), scalar("bottleneck")}};
};

struct MarginRadius {
  static bool pairs(Call& call) { return call.columns >= 2 || refuse(call, "logits has 1 column, expected at least 2"); }
  static constexpr Record record{"marginRadius",
                                 "ghosts-of-softmax",
                                 {{"logits", "n,c"}, kJvp, {"targets", "n", Kind::target, Domain::any, true}},
                                 {kTemperature},
                                 {array("rho", "n"), scalar("batchRho"), array("margin", "n"), array("slope", "n"),
                                  array("competitor", "n", Kind::index), scalar("bottleneck")},
                                 false,
                                 nullptr,
                                 &pairs};
};

enum ControllerMode { kCap, kSet };

struct RadiusController {
  static constexpr Record record{
      "radiusController",
      "ghosts-of-softmax",
      {{"update", "p"}, kJvp},
      {kTemperature, above(number("target", 1), 0), choice("mode", "cap,set"), boolean("unitDirection", true),
       between(number("quantile", 1), 0, 1)},
      {inPlace(array("out", "p"), "update"), scalar("scale"), scalar("rho"), scalar("stepNorm"), scalar("rBefore"), scalar("r")}};

  double temperature, target;
  bool caps, alongUnit;
  LGC_FN explicit RadiusController(const Call& call)
      : temperature(LGC_OPTION(call, temperature)),
        target(LGC_OPTION(call, target)),
        caps(LGC_OPTION(call, mode) == kCap),
        alongUnit(LGC_OPTION(call, unitDirection) != 0) {}

  struct Step {
    double scale, rho, before;
  };
  LGC_FN Step stepOf(double spread, double norm) const {
    Step step{1, spreadRadius(spread, temperature), 0};
    // Along the raw update tau counts in units of its length.
    if (!alongUnit && step.rho != kInfinity) step.rho *= norm;
    if (norm != 0 && step.rho != kInfinity) {
      step.before = norm / step.rho;
      step.scale = target / step.before;
      if (caps && step.scale > 1) step.scale = 1;
    }
    return step;
  }
};

enum Gap { kMaxMin, kTopTwo };
enum GapReduce { kMeanGap, kMaxGap, kEveryGap };

// Largest minus smallest, or largest minus second, of the logits that are not masked: one alone has gap 0, none has NaN.
LGC_FN double gapOfRange(double low, double high) { return high == -kInfinity ? __builtin_nan("") : high - low; }
LGC_FN double gapOfTopTwo(double first, double second) { return second == -kInfinity && first != second ? 0.0 : first - second; }

struct LogitGapRadius {
  static bool pairs(Call& call) {
    return LGC_OPTION(call, gap) == kMaxMin || call.columns >= 2 || refuse(call, "logits has 1 column, expected at least 2 for gap 'top2'");
  }
  static constexpr Record record{"logitGapRadius",
                                 "ghosts-of-softmax",
                                 {{"logits", "*,c"}},
                                 {choice("gap", "maxmin,top2"), choice("reduce", "mean,max,none"), atLeast(number("epsilon", 1e-6), 0),
                                  optionalNumber("cap"), optionalNumber("floor")},
                                 {reduced("rho", "*")},
                                 false,
                                 nullptr,
                                 &pairs};

  double epsilon, cap, least;
  LGC_FN explicit LogitGapRadius(const Call& call)
      : epsilon(LGC_OPTION(call, epsilon)), cap(LGC_OPTION(call, cap)), least(LGC_OPTION(call, floor)) {}
  LGC_FN double radius(double gap) const {
    double r = kPi / (gap + epsilon);
    if (r > cap) r = cap;
    return r < least ? least : r;
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
