// Gromov-Wasserstein energies of two graphs, given by matrices C and D, in double. Sources: Peyre, Cuturi, Solomon 2016; Memoli 2011.
#pragma once
#include "softmax.h"
#include "weights.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

enum GwLoss { kGwSquare = 0, kGwKl = 1, kGwAbs = 2 };

// The loss as f1(a) + f2(b) - factor h1(a) h2(b), with h1(a) = a: (a - b)^2, or a log(a / b) - a + b.
template <class W> LGC_FN W gwFirst(W a, bool kl) { return kl ? select(a == broadcast<W>(0), broadcast<W>(0), a * log(a) - a) : a * a; }
template <class W> LGC_FN W gwSecond(W b, bool kl) { return kl ? b : b * b; }
template <class W> LGC_FN W gwCross(W b, bool kl) { return kl ? log(b) : b; }
LGC_FN double gwFactor(bool kl) { return kl ? 1.0 : 2.0; }

// A constant far larger than the differences would eat their digits; squares of differences do not depend on it. From the least and the
// largest entry of both graphs: what is taken from all, 0 if nothing is.
LGC_FN double gwOffset(double low, double high) {
  const double least = low > 0 ? low : high < 0 ? -high : 0.0;
  return !(least > high - low) || high - low == kInfinity ? 0.0 : low;
}

// Gradients by an entry x of C or D, from the product of the marginals there and the entry of T h2(D) T' or T' C T.
template <class W> LGC_FN W gwSlopeC(W x, W weight, W cross, bool kl) {
  const W zero = broadcast<W>(0);
  const W own = kl ? select(weight == zero, zero, log(x) * weight) : 2.0 * x * weight;
  return fma(cross, broadcast<W>(-gwFactor(kl)), own);
}
template <class W> LGC_FN W gwSlopeD(W x, W weight, W cross, bool kl) { return kl ? weight - cross / x : 2.0 * (x * weight - cross); }
// t (log t - 1)
template <class W> LGC_FN W planEntropy(W t) {
  const W zero = broadcast<W>(0);
  return select(t == zero, zero, t * (log(t) - 1.0));
}

constexpr Input kGraphC{"C", "a,a"}, kGraphD{"D", "b,b"};

// a log(a / b) has no meaning below these.
LGC_FN bool isKlEntry(double x, bool first) { return first ? !(x < 0) : !(x <= 0); }
template <class T> bool inKlDomain(Call& call) {
  const T* c = static_cast<const T*>(call.inputs[0]);
  const T* d = static_cast<const T*>(call.inputs[1]);
  for (size_t i = 0; i < call.inputLength[0] + call.inputLength[1]; ++i) {
    const bool first = i < call.inputLength[0];
    const size_t at = first ? i : i - call.inputLength[0];
    if (isKlEntry(static_cast<double>(first ? c[at] : d[at]), first)) continue;
    __builtin_snprintf(call.error, sizeof call.error, "%s[%zu] is %.9g, expected a number %s for loss 'kl'", first ? "C" : "D", at,
                       static_cast<double>(first ? c[at] : d[at]), first ? ">= 0" : "> 0");
    return false;
  }
  return true;
}
inline bool checkKlDomain(Call& call) { return !kValuesOnHost || (call.isDouble ? inKlDomain<double>(call) : inKlDomain<float>(call)); }

struct GwObjective {
  static bool check(Call& call) {
    const double loss = call.options[0];
    if (loss == kGwKl) return checkKlDomain(call);
    const size_t n = call.dims[static_cast<int>('a')], m = call.dims[static_cast<int>('b')];
    if (loss != kGwAbs || (n <= 64 && m <= 64)) return true;
    __builtin_snprintf(call.error, sizeof call.error, "%s has %zu rows, expected at most 64 for options.loss 'abs'", n > 64 ? "C" : "D",
                       n > 64 ? n : m);
    return false;
  }
  static constexpr Record record{
      "gwObjective",
      "infigfusion-gw",
      {kGraphC, kGraphD, {"plan", "a,b", Kind::real, Domain::positive}},
      {choice("loss", "square,kl,abs"), kGrad},
      {scalar("value"), gradient("gradPlan", "a,b", "plan"), gradient("gradC", "a,a", "C"), gradient("gradD", "b,b", "D")},
      false,
      nullptr,
      &check};
};

struct EntropicGw {
  static bool check(Call& call) {
    if (!checkWeights(call, "p") || !checkWeights(call, "q") || !checkWeights(call, "initPlan")) return false;
    return LGC_OPTION(call, loss) != kGwKl || checkKlDomain(call);
  }
  static constexpr Record record{
      "entropicGW",
      "infigfusion-gw",
      {kGraphC, kGraphD, optionInput("p", "a", Domain::positive), optionInput("q", "b", Domain::positive),
       optionInput("initPlan", "a*b", Domain::positive)},
      {above(number("epsilon", 0.05), 0), choice("loss", "square,kl"), between(integer("outerIterations", 100), 1, 2147483647.0),
       between(integer("innerIterations", 200), 1, 2147483647.0), atLeast(number("tol", 1e-7), 0), atLeast(number("innerTol", 1e-9), 0),
       number("gradScale", 2), kGrad},
      {array("plan", "a,b"), scalar("value"), scalar("objective"), when(array("gradC", "a,a"), "grad"), when(array("gradD", "b,b"), "grad"),
       scalar("converged"), scalar("iterations"), scalar("change")},
      false,
      nullptr,
      &check};
};

struct GwBruteForce {
  static bool check(Call& call) {
    const size_t n = call.dims[static_cast<int>('a')];
    if (n <= 8) return true;
    __builtin_snprintf(call.error, sizeof call.error, "C has %zu rows, expected at most 8", n);
    return false;
  }
  static constexpr Record record{"gwBruteForce",
                                 "infigfusion-gw",
                                 {kGraphC, {"D", "a,a"}},
                                 {atLeast(number("order", 1), 1)},
                                 {scalar("value"), array("permutation", "a", Kind::index)},
                                 false,
                                 nullptr,
                                 &check};

  LGC_FN static double cost(double c, double d, double order) {
    const double x = abs(c - d);
    return order == 1 ? x : order == 2 ? x * x : pow(x, order);
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
