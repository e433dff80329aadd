// Adam with decoupled weight decay, one step. Source: Loshchilov and Hutter 2019 (arXiv 1711.05101); the parametrisation with an
// independent decay is that of Wortsman et al. 2023 (arXiv 2309.14322).
#pragma once
#include "../engine/definition.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

template <class W> struct AdamLane {
  W param, m, v, update;
};

// m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,  update = m_hat / (sqrt(v_hat) + epsilon),  param - (rate update + decay param)
struct AdamWStep {
  static constexpr Record record{
      "adamWStep",
      "small-scale-proxies",
      {{"param", "*"}, {"grad", "*", Kind::real, Domain::gradient}, {"m", "*"}, {"v", "*", Kind::real, Domain::positive}},
      {atLeast(number("learningRate", 1e-3), 0), below(atLeast(number("beta1", 0.9), 0), 1), below(atLeast(number("beta2", 0.95), 0), 1),
       atLeast(number("epsilon", 1e-8), 0), atLeast(optionalNumber("weightDecay"), 0), atLeast(number("schedule", 1), 0),
       atLeast(integer("step", 1), 1), boolean("independentDecay", true), boolean("biasCorrection", true)},
      {inPlace(array("param", "*"), "param"), inPlace(array("m", "*"), "m"), inPlace(array("v", "*"), "v"), scalar("gradRms"),
       scalar("updateRms"), scalar("paramRms")},
      true};

  double beta1, beta2, epsilon, rate, decay, inverseM = 1, inverseRootV = 1;

  explicit AdamWStep(const Call& call)
      : beta1(LGC_OPTION(call, beta1)), beta2(LGC_OPTION(call, beta2)), epsilon(LGC_OPTION(call, epsilon)) {
    const bool independent = LGC_OPTION(call, independentDecay) != 0;
    const double schedule = LGC_OPTION(call, schedule), lambda = LGC_GIVEN(call, weightDecay) ? LGC_OPTION(call, weightDecay)
                                                                 : independent                ? 1e-4
                                                                                              : 0.1;
    rate = schedule * LGC_OPTION(call, learningRate);
    decay = lambda * (independent ? schedule : rate);
    if (LGC_OPTION(call, biasCorrection) == 0) return;
    const double step = LGC_OPTION(call, step);
    inverseM = 1.0 / (1.0 - pow(beta1, step));
    inverseRootV = 1.0 / sqrt(1.0 - pow(beta2, step));
  }
  template <class W> LGC_FN static W lanesOf(double x) { return broadcast<W>(static_cast<Scalar<W>>(x)); }
  template <class W> LGC_FN AdamLane<W> lane(W param, W grad, W m, W v) const {
    AdamLane<W> next;
    next.m = fma(lanesOf<W>(beta1), m, lanesOf<W>(1.0 - beta1) * grad);
    next.v = fma(lanesOf<W>(1.0 - beta2) * grad, grad, lanesOf<W>(beta2) * v);
    const W update = lanesOf<W>(inverseM) * next.m / fma(lanesOf<W>(inverseRootV), sqrt(next.v), lanesOf<W>(epsilon));
    // Without gradients there is nothing to divide, also with epsilon 0.
    next.update = select(next.m == broadcast<W>(0), broadcast<W>(0), update);
    next.param = param - fma(lanesOf<W>(decay), param, lanesOf<W>(rate) * next.update);
    return next;
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
