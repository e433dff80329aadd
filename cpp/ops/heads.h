// Losses on logits as independent sigmoids, and the two-headed objective made of one of them and cross-entropy. Source: Yang et al.
// 2024 (dual-head knowledge distillation, arXiv 2411.08937).
#pragma once
#include "../engine/angles.h"
#include "divergence.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

// s(a) - s(b) of sigmoids with d = a - b, from factors: where both round to 1, or are close, their difference would not keep a digit.
template <class W> LGC_FN W sigmoidDifference(W a, W b, W d) {
  const auto above = a > b;
  const W upper = select(above, a, b), lower = select(above, b, a);
  return copysign(sigmoid(upper) * sigmoid(-lower) * -expm1(-abs(d)), d);
}

// KL of two Bernoulli distributions with logits b and a, d = a - b: softplus(a) - softplus(b) - s(b) d, in nats.
template <class W> LGC_FN W bernoulliDivergence(W a, W b, W d) {
  const W zero = broadcast<W>(0), one = broadcast<W>(1);
  // On the side where the probability is at most 1/2.
  const auto flip = b > zero;
  const W x = select(flip, -b, b), y = select(flip, -a, a), e = select(flip, -d, d);
  const W p = sigmoid(x), size = abs(e);
  // 0 * Infinity: what has no probability has no term.
  const W cross = select(p == zero, zero, p * e);
  // A probability of 0 or 1 that the other does not have.
  const W infinite = broadcast<W>(__builtin_huge_val());
  const W far = select(y == infinite, y + p, (softplus(y) - softplus(x)) - cross);
  const W nearer = log1p(p * expm1(min(one, e))) - p * e;
  // The series in d with the cumulants of the distribution: the difference above has only eps / d digits.
  const W v = p * sigmoid(-x), skew = one - (p + p);
  W series = fma(v, fma(v, broadcast<W>(120), broadcast<W>(-30)), one) / broadcast<W>(720);
  series = fma(series, e, skew * fma(v, broadcast<W>(-12), one) / broadcast<W>(120));
  series = fma(series, e, fma(v, broadcast<W>(-6), one) / broadcast<W>(24));
  series = fma(series, e, skew / broadcast<W>(6));
  series = fma(series, e, broadcast<W>(0.5)) * (v * e * e);
  const double little = sizeof(Scalar<W>) == 4 ? 0.125 : 1.0 / 256;
  return select(size < broadcast<W>(static_cast<Scalar<W>>(little)), series, select(size < one, nearer, far));
}

// log cosh(h)
template <class W> LGC_FN W logCosh(W h) {
  const W one = broadcast<W>(1), a = abs(h), e = expm1(min(one, a));
  const W near = log1p(e * e / (broadcast<W>(2) * (one + e)));
  const W far = a + log1p(exp(broadcast<W>(-2) * a)) - broadcast<W>(static_cast<Scalar<W>>(0.6931471805599453));
  return select(a < broadcast<W>(0.5), near, far);
}

constexpr Option kBinaryEps = below(atLeast(number("eps", 0), 0), 0.5);
constexpr Option kPairTemperature = above(number("temperature", 2), 0);

// One class of a pair of logits. Probabilities clamped to [eps, 1 - eps] are logits clamped to [-limit, limit].
struct BinaryTerm {
  bool norm;
  double inverse, limit;  // 1 / temperature

  LGC_FN BinaryTerm(bool normed, double temperature, double eps)
      : norm(normed), inverse(1 / temperature), limit(eps > 0 ? log1p(-eps) - log(eps) : __builtin_huge_val()) {}

  template <class W> LGC_FN W clamped(W x) const { return clampKeepNan(x, static_cast<Scalar<W>>(-limit), static_cast<Scalar<W>>(limit)); }
  // Equal infinities, a class that is masked on both sides, have no difference.
  template <class W> LGC_FN W difference(W s, W t) const {
    return select(s == t, broadcast<W>(0), (s - t) * broadcast<W>(static_cast<Scalar<W>>(inverse)));
  }
  template <class W> LGC_FN void scaled(W s, W t, W& a, W& b, W& d) const {
    const W unit = broadcast<W>(static_cast<Scalar<W>>(inverse)), x = s * unit, y = t * unit;
    a = clamped(x);
    b = clamped(y);
    d = select((a == x) & (b == y), difference(s, t), a - b);
  }
  // In units of the temperature squared.
  template <class W> LGC_FN W loss(W s, W t) const {
    if (norm) return logCosh(clamped(difference(s, t)) * broadcast<W>(0.5));
    W a, b, d;
    scaled(s, t, a, b, d);
    return bernoulliDivergence(a, b, d);
  }
  // By the scaled logit: p_s - p_t, or u - 1/2. None beyond the clamp.
  template <class W> LGC_FN W slope(W s, W t) const {
    const W zero = broadcast<W>(0), most = broadcast<W>(static_cast<Scalar<W>>(limit));
    if (norm) {
      const W v = difference(s, t);
      return select(abs(v) > most, zero, tanh(v * broadcast<W>(0.5)) * broadcast<W>(0.5));
    }
    W a, b, d;
    scaled(s, t, a, b, d);
    const W x = s * broadcast<W>(static_cast<Scalar<W>>(inverse));
    return select(abs(x) > most, zero, sigmoidDifference(a, b, d));
  }
};

// T^2 sum_k of one of the terms above.
struct BinaryPair {
  static constexpr int softmaxInputs = 0, sweeps = 1;
  static constexpr int sums[1] = {1};
  struct Row {
    double loss;
  };
  BinaryTerm term;
  double lossScale, slopeScale;

  LGC_FN BinaryPair(bool norm, double temperature, double eps, double scale)
      : term(norm, temperature, eps), lossScale(scale * temperature * temperature), slopeScale(scale * temperature) {}
  LGC_FN void begin(Row&, const RowStart&) const {}
  template <int, class W> LGC_FN void terms(const Row&, const Lane<W>& lane, W* out) const { out[0] = term.loss(lane.x[0], lane.x[1]); }
  template <int> LGC_FN void fold(Row& row, const double* sum) const { row.loss = lossScale * sum[0]; }
  LGC_FN void rowOutputs(const Row& row, double* out) const { out[0] = row.loss; }
  template <class W> LGC_FN void write(const Row&, const Lane<W>& lane, W* out) const {
    out[0] = term.slope(lane.x[0], lane.x[1]) * broadcast<W>(static_cast<Scalar<W>>(slopeScale));
  }
};

template <bool Norm> struct BinaryKl : BinaryPair {
  static constexpr Record record{Norm ? "binaryKlNorm" : "binaryKlDiv",
                                 "dual-head-kd",
                                 {kStudent, kTeacher, kRowLabels},
                                 {kPairTemperature, kBinaryEps, kIgnoreIndex, kReduction, kGrad},
                                 {reduced("loss", "n"), kGradStudent}};
  LGC_FN explicit BinaryKl(const Call& call)
      : BinaryPair(Norm, LGC_OPTION(call, temperature), LGC_OPTION(call, eps), meanScale<BinaryKl>(call)) {}
};

// gamma CE(logitsCls, y) + alpha L(logitsAux, teacher)
struct DhkdLoss {
  static constexpr Record record{"dhkdLoss",
                                 "dual-head-kd",
                                 {{"logitsCls", "n,c"}, {"logitsAux", "n,c"}, kTeacher, kTargets},
                                 {number("alpha", 1), number("gamma", 1), kPairTemperature, choice("variant", "norm,plain"), kBinaryEps,
                                  kIgnoreIndex, kReduction, kGrad},
                                 {reduced("loss", "n"), reduced("ceLoss", "n"), reduced("kdLoss", "n"),
                                  gradient("gradLogitsCls", "n,c", "logitsCls"), gradient("gradLogitsAux", "n,c", "logitsAux")}};
  static constexpr int softmaxInputs = 1, sweeps = 1;
  static constexpr int sums[1] = {1};
  static constexpr bool plainSoftmax = true;
  struct Row {
    double crossEntropy, divergence, inverseSum, complement;
  };
  BinaryTerm term;
  double alpha, gamma, scale, lossScale, slopeScale;

  LGC_FN explicit DhkdLoss(const Call& call)
      : term(LGC_OPTION(call, variant) == 0, LGC_OPTION(call, temperature), LGC_OPTION(call, eps)),
        alpha(LGC_OPTION(call, alpha)),
        gamma(LGC_OPTION(call, gamma)),
        scale(meanScale<DhkdLoss>(call)),
        lossScale(scale * LGC_OPTION(call, temperature) * LGC_OPTION(call, temperature)),
        slopeScale(alpha * scale * LGC_OPTION(call, temperature)) {}
  LGC_FN void begin(Row& row, const RowStart& start) const {
    const RowSum& s = start.softmax[0];
    const double behind = start.targetValue[0] - s.max, logSum = log1p(s.others);
    const bool leads = static_cast<size_t>(start.target) == s.argMax;
    row.inverseSum = 1 / (1 + s.others);
    row.crossEntropy = scale * (leads ? logSum : logSum - behind);
    // 1 - p_y, from the other terms where the target leads.
    row.complement = leads ? s.others * row.inverseSum : 1 - exp(behind) * row.inverseSum;
  }
  template <int, class W> LGC_FN void terms(const Row&, const Lane<W>& lane, W* out) const { out[0] = term.loss(lane.x[1], lane.x[2]); }
  template <int> LGC_FN void fold(Row& row, const double* sum) const { row.divergence = lossScale * sum[0]; }
  LGC_FN void rowOutputs(const Row& row, double* out) const {
    // A term of weight 0 is 0, also where it is infinite.
    out[0] = (gamma == 0 ? 0.0 : gamma * row.crossEntropy) + (alpha == 0 ? 0.0 : alpha * row.divergence);
    out[1] = row.crossEntropy;
    out[2] = row.divergence;
  }
  template <class W> LGC_FN void write(const Row& row, const Lane<W>& lane, W* out) const {
    out[0] = lane.e[0] * broadcast<W>(static_cast<Scalar<W>>(gamma * scale * row.inverseSum));
    out[1] = term.slope(lane.x[1], lane.x[2]) * broadcast<W>(static_cast<Scalar<W>>(slopeScale));
  }
  LGC_FN double atTarget(const Row& row) const { return -gamma * scale * row.complement; }
};

// g_main + g_aux, without the part of g_aux that is opposed to g_main.
struct GradAlign {
  static constexpr Record record{"gradAlign",
                                 "dual-head-kd",
                                 {{"gradMain", "k", Kind::real, Domain::gradient}, {"gradAux", "k", Kind::real, Domain::gradient}},
                                 {},
                                 {inPlace(array("out", "k"), "gradMain"), inPlace(array("aligned", "k"), "gradAux"), scalar("dot"),
                                  scalar("cosine"), scalar("projected")}};

  // The sums over all elements, and what follows from them.
  template <class W> LGC_FN static void terms(W main, W aux, W* t) {
    t[0] = main * aux;
    t[1] = main * main;
    t[2] = aux * aux;
  }
  LGC_FN static bool isProjected(const double* sums) { return sums[0] < 0 && sums[1] > 0; }
  LGC_FN static double shareOf(const double* sums) { return isProjected(sums) ? sums[0] / sums[1] : 0.0; }
  template <class W> LGC_FN static W keptOf(bool projected, double share, W main, W aux) {
    return projected ? fnma(broadcast<W>(share), main, aux) : aux;
  }
};

// Gradients of a linear head by two losses: by its weights G^T H a class, by its inputs G W a row.
struct HeadConflict {
  static constexpr Record record{
      "headConflict",
      "dual-head-kd",
      {{"gradA", "n,c", Kind::real, Domain::gradient},
       {"gradB", "n,c", Kind::real, Domain::gradient},
       {"features", "n,d"},
       {"weight", "c,d"}},
      {},
      {array("cosWeight", "c"), array("cosFeature", "n"), scalar("cosWeightAll"), scalar("conflictWeight"), scalar("conflictFeature")}};
};

// Minus the gradients of summed cross-entropy and distillation through a linear head, split at the target.
struct HeadForces {
  static constexpr Record record{
      "headForces",
      "dual-head-kd",
      {kLogitsInput, kTeacher, {"features", "n,d"}, {"weight", "c,d"}, kTargets},
      {kPairTemperature, choice("variant", "plain,norm")},
      {array("cePullWeight", "c,d"), array("cePushWeight", "c,d"), array("kdPullWeight", "c,d"), array("kdPushWeight", "c,d"),
       array("cePullFeature", "n,d"), array("cePushFeature", "n,d"), array("kdPullFeature", "n,d"), array("kdPushFeature", "n,d"),
       scalar("targetConflict"), scalar("nonTargetConflict")}};
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
