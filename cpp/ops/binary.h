// Losses of independent yes/no decisions, one an element. Sources: PyTorch (binary_cross_entropy_with_logits), Lin et al. 2017
// (arXiv 1708.02002, focal loss) as in torchvision (sigmoid_focal_loss).
#pragma once
#include "softmax.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr Input kElementTargets{"targets", "*,c", Kind::real, Domain::probability};
constexpr Output kElementLoss = reduced("loss", "*,c");

// Both sides of a logit from one exponential of -|x|, so that neither is 1 minus the other.
template <class W> struct Sides {
  W sigmoid, minusSigmoid, softplus, minusSoftplus;  // of x and of -x
  LGC_FN explicit Sides(W x) {
    const W zero = broadcast<W>(0), one = broadcast<W>(1);
    const W e = exp(-abs(x)), large = one / (one + e), small = e * large, rest = log1p(e);
    const auto positive = x > zero;
    sigmoid = select(positive, large, small);
    minusSigmoid = select(positive, small, large);
    softplus = select(positive, x + rest, rest);
    minusSoftplus = select(positive, rest, rest - x);
  }
};

// a x with 0 * Infinity = 0: an outcome of no weight has no loss.
template <class W> LGC_FN W weighted(W a, W x) { return select(a == broadcast<W>(0), broadcast<W>(0), a * x); }

template <class D> LGC_FN double elementScale(const Call& call) {
  return reductionOf<D>(call) == kReduceMean ? reciprocalOrZero(static_cast<double>(call.inputLength[0])) : 1.0;
}

// w (posWeight y softplus(-x) + (1 - y) softplus(x))
struct BceWithLogits {
  static constexpr Record record{
      "bceWithLogits",
      "core",
      {kLeadingLogits, kElementTargets, optionInput("weight", "c", Domain::positive), optionInput("posWeight", "c", Domain::positive)},
      {kReduction, kGrad},
      {kElementLoss, gradient("gradLogits", "*,c", "logits")}};

  double scale;
  LGC_FN explicit BceWithLogits(const Call& call) : scale(elementScale<BceWithLogits>(call)) {}
  template <class W> LGC_FN void lane(const W* x, const W* column, W& loss, W* out) const {
    const Sides<W> s(x[0]);
    const W yes = x[1] * column[1], no = broadcast<W>(1) - x[1], w = column[0] * broadcast<W>(scale);
    loss = weighted(w, weighted(yes, s.minusSoftplus) + weighted(no, s.softplus));
    out[0] = w * fma(s.sigmoid, no, -(yes * s.minusSigmoid));
  }
};

// alpha_t (1 - p_t)^gamma bce with p_t the probability given to the target
struct SigmoidFocalLoss {
  static constexpr Record record{"sigmoidFocalLoss",
                                 "core",
                                 {kLeadingLogits, kElementTargets},
                                 {atLeast(number("gamma", 2), 0), number("alpha", 0.25), kReduction, kGrad},
                                 {kElementLoss, gradient("gradLogits", "*,c", "logits")}};

  double gamma, alpha, scale;
  LGC_FN explicit SigmoidFocalLoss(const Call& call)
      : gamma(LGC_OPTION(call, gamma)), alpha(LGC_OPTION(call, alpha)), scale(elementScale<SigmoidFocalLoss>(call)) {}
  template <class W> LGC_FN W power(W x) const {
    if (gamma == 2) return x * x;
    if (gamma == 1) return x;
    if (gamma == 0) return broadcast<W>(1);
    return pow(x, broadcast<W>(gamma));
  }
  template <class W> LGC_FN void lane(const W* x, const W*, W& loss, W* out) const {
    const W zero = broadcast<W>(0), one = broadcast<W>(1), y = x[1], no = one - y;
    const Sides<W> s(x[0]);
    const W bce = weighted(y, s.minusSoftplus) + weighted(no, s.softplus);
    const W miss = fma(s.sigmoid, no, s.minusSigmoid * y);  // 1 - p_t
    W share = broadcast<W>(scale);
    if (alpha >= 0) share = share * fma(broadcast<W>(alpha), y, broadcast<W>(1 - alpha) * no);
    const W factor = share * power(miss);
    loss = weighted(factor, bce);
    const W both = s.sigmoid * s.minusSigmoid;
    const W turn = select((both == zero) | (miss == zero), zero, both / miss * bce * (no - y));
    out[0] = factor * fma(broadcast<W>(gamma), turn, fma(s.sigmoid, no, -(s.minusSigmoid * y)));
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
