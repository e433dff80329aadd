// Co-activation graphs of logits: which channels of a sequence are large together. The k largest logits of each position are the
// nodes; everything about the graph follows from them, so they are all that is kept of a position. Source: Wang et al. 2025, arXiv
// 2505.13893.
#pragma once
#include "uld.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

enum NodeTransform { kNodeNone, kNodeSoftmax, kNodeStandardize };

struct NodeOptions {
  size_t topK;
  bool vocab, mean;  // a node a class, not a rank; graphs are means over positions, not sums
  int transform;
  double temperature;
};

constexpr Option kTopK = between(integer("topK", 10), 1, 2147483647.0);
constexpr Option kNodes = choice("nodes", "rank,vocab");
constexpr Option kNodeValues = choice("transform", "none,softmax,standardize");
constexpr Option kPositionReduction = choice("positionReduction", "mean,sum");
constexpr Option kFeatureReduction = choice("featureReduction", "mean,sum");
constexpr Option kGwReduction = choice("gwReduction", "sum,mean");
constexpr Option kSize = between(integer("size", __builtin_nan("")), 1, 16777216.0);

template <class D> NodeOptions nodeOptions(const Call& call) {
  constexpr const Record& record = D::record;
  return {static_cast<size_t>(LGC_OPTION(call, topK)), LGC_OPTION(call, nodes) != 0, LGC_OPTION(call, positionReduction) == 0,
          static_cast<int>(LGC_OPTION(call, transform)), LGC_OPTION(call, temperature)};
}

// How the values of one position come from its logits. A position with NaN, or without a finite logit, has sigma NaN.
struct NodeRow {
  double sigma;             // sum of the node values
  double top, mean, scale;  // softmax: exp((z - top) / temperature) scale; standardize: (z - top - mean) scale
  double share;             // 1 / finite logits, for standardize
  uint32_t found;           // nodes; fewer than k where classes are masked
};

// The value of a node with logit v.
LGC_FN double nodeValue(const NodeOptions& o, const NodeRow& row, double v) {
  return o.transform == kNodeNone      ? v / o.temperature
         : o.transform == kNodeSoftmax ? exp((v - row.top) / o.temperature) * row.scale
                                       : (v - row.top - row.mean) * row.scale;
}
// How the slopes of a position's node values become those of its logits: `sum` of the slopes, `product` of slopes and values.
struct NodeSlopes {
  NodeOptions options;
  NodeRow row;
  double sum, product;

  // Of a logit that is no node: it moves the sum of exponentials, or mean and deviation.
  template <class W> LGC_FN W other(W v) const {
    using S = Scalar<W>;
    if (options.transform == kNodeNone) return broadcast<W>(0);
    const double inverse = 1.0 / options.temperature;
    if (options.transform == kNodeSoftmax)
      return exp((v - static_cast<S>(row.top)) * static_cast<S>(inverse)) * static_cast<S>(-product * inverse * row.scale);
    const W value = (v - static_cast<S>(row.top) - static_cast<S>(row.mean)) * static_cast<S>(row.scale);
    const W slope = fma(value, broadcast<W>(static_cast<S>(-product * row.share)), broadcast<W>(static_cast<S>(-sum * row.share))) *
                    static_cast<S>(row.scale);
    return select(abs(v) < broadcast<W>(__builtin_huge_val()), slope, broadcast<W>(0));
  }
  // Of a node with value x and slope dx.
  LGC_FN double node(double x, double dx) const {
    const double inverse = 1.0 / options.temperature;
    if (options.transform == kNodeNone) return dx * inverse;
    if (options.transform == kNodeSoftmax) return x * (dx - product) * inverse;
    return abs(x) < kInfinity ? (dx - sum * row.share - x * (product * row.share)) * row.scale : 0.0;
  }
};

constexpr Input kSequences{"logits", "*,l,c"};
constexpr Input kPositionMask = optionInput("mask", "**l", Domain::any, Kind::mask);

inline size_t dimOf(const Call& call, char letter) { return call.dims[static_cast<int>(letter)]; }

// How many nodes the graph of the call's logits has.
template <class D> size_t nodeCount(const Call& call) {
  const NodeOptions o = nodeOptions<D>(call);
  return o.vocab || o.topK > call.columns ? call.columns : o.topK;
}
template <class D> bool hasNodes(Call& call, const char* input, size_t expected) {
  const size_t given = dimOf(call, 'g');
  if (given == expected) return true;
  __builtin_snprintf(call.error, sizeof call.error, "%s has %zu nodes, expected %zu", input, given, expected);
  return false;
}
// Nodes of the features: those of the graph, and isolated ones up to options.size.
template <class D> bool featureCount(Call& call, size_t& size) {
  constexpr const Record& record = D::record;
  size = nodeCount<D>(call);
  if (!LGC_GIVEN(call, size)) return true;
  const double wanted = LGC_OPTION(call, size);
  if (wanted < static_cast<double>(size)) {
    __builtin_snprintf(call.error, sizeof call.error, "options.size is %.0f, expected an integer >= %zu, the number of nodes", wanted,
                       size);
    return false;
  }
  size = static_cast<size_t>(wanted);
  return true;
}

struct CoactivationGraph {
  static bool check(Call& call) {
    call.dims[static_cast<int>('g')] = nodeCount<CoactivationGraph>(call);
    return true;
  }
  static constexpr Record record{"coactivationGraph",
                                 "infigfusion-gw",
                                 {kSequences, kPositionMask},
                                 {kTopK, kNodes, kNodeValues, kTemperature, kPositionReduction},
                                 {array("graph", "*,g,g"), array("count", "*", Kind::index)},
                                 false,
                                 nullptr,
                                 &check};
};

struct CoactivationGraphBackward {
  static bool check(Call& call) {
    return hasNodes<CoactivationGraphBackward>(call, "gradGraph", nodeCount<CoactivationGraphBackward>(call));
  }
  static constexpr Record record{"coactivationGraphBackward",
                                 "infigfusion-gw",
                                 {kSequences, {"gradGraph", "*,g,g", Kind::real, Domain::gradient}, kPositionMask},
                                 {kTopK, kNodes, kNodeValues, kTemperature, kPositionReduction},
                                 {inPlace(array("gradLogits", "*,l,c"), "logits")},
                                 false,
                                 "coactivationGraph",
                                 &check};
};

struct CoactivationFeatures {
  static bool check(Call& call) { return featureCount<CoactivationFeatures>(call, call.dims[static_cast<int>('g')]); }
  static constexpr Record record{"coactivationFeatures",
                                 "infigfusion-gw",
                                 {kSequences, kPositionMask},
                                 {kTopK, kNodes, kNodeValues, kTemperature, kPositionReduction, kFeatureReduction, kSize},
                                 {array("features", "*,g"), array("count", "*", Kind::index)},
                                 false,
                                 nullptr,
                                 &check};
};

struct CoactivationFeaturesBackward {
  static bool check(Call& call) {
    size_t size = 0;
    return featureCount<CoactivationFeaturesBackward>(call, size) && hasNodes<CoactivationFeaturesBackward>(call, "gradFeatures", size);
  }
  static constexpr Record record{"coactivationFeaturesBackward",
                                 "infigfusion-gw",
                                 {kSequences, {"gradFeatures", "*,g", Kind::real, Domain::gradient}, kPositionMask},
                                 {kTopK, kNodes, kNodeValues, kTemperature, kPositionReduction, kFeatureReduction, kSize},
                                 {inPlace(array("gradLogits", "*,l,c"), "logits")},
                                 false,
                                 "coactivationFeatures",
                                 &check};
};

struct GwSortApprox {
  static bool check(Call& call) {
    const size_t a = dimOf(call, 'a'), b = dimOf(call, 'b');
    call.dims[static_cast<int>('g')] = a > b ? a : b;
    return true;
  }
  static constexpr Record record{"gwSortApprox",
                                 "infigfusion-gw",
                                 {{"C", "a,a"}, {"D", "b,b"}},
                                 {kFeatureReduction, kGwReduction, kGrad},
                                 {scalar("value"), array("featuresC", "g"), array("featuresD", "g"), scalar("lower"), scalar("upper"),
                                  gradient("gradC", "a,a", "C"), gradient("gradD", "b,b", "D")},
                                 false,
                                 nullptr,
                                 &check};
};

inline bool hasTeacherColumns(Call& call) {
  if (dimOf(call, 'v') > 0) return true;
  __builtin_snprintf(call.error, sizeof call.error, "teacherLogits has no columns, expected at least 1");
  return false;
}

struct GldLoss {
  static constexpr Record record{"gldLoss",
                                 "infigfusion-gw",
                                 {{"studentLogits", "*,l,c"},
                                  {"teacherLogits", "*,t,v"},
                                  optionInput("studentMask", "**l", Domain::any, Kind::mask),
                                  optionInput("teacherMask", "**t", Domain::any, Kind::mask)},
                                 {kTopK, kNodes, kNodeValues, kTemperature, kPositionReduction, kFeatureReduction, kGwReduction, kReduction,
                                  kGrad, boolean("teacherGrad")},
                                 {reduced("loss", "*"), gradient("gradStudent", "*,l,c", "studentLogits"),
                                  gradient("gradTeacher", "*,t,v", "teacherLogits", "teacherGrad")},
                                 false,
                                 nullptr,
                                 &hasTeacherColumns};
};

// Cross-entropy on the answer, the distance of its rows to the teacher's (ULD), and the distance of the graphs (GLD).
struct InfiGFusionLoss {
  static constexpr Record record{"infiGFusionLoss",
                                 "infigfusion-gw",
                                 {{"studentLogits", "*,l,c"},
                                  {"targets", "**l", Kind::target},
                                  {"teacherLogits", "*,t,v"},
                                  optionInput("teacherMask", "**t", Domain::any, Kind::mask)},
                                 {between(number("lambda", 0.5), 0, 1), number("uldWeight", 1), number("gldWeight", 1), kTopK, kNodes,
                                  kNodeValues, choice("uldTransform", "none,softmax,standardize", kUldSoftmax), kTemperature,
                                  kPositionReduction, kFeatureReduction, kGwReduction, kIgnoreIndex, kGrad},
                                 // Not in place: three terms read the student's rows.
                                 {scalar("loss"), scalar("sft"), scalar("uld"), scalar("gld"),
                                  Output{"gradStudent", "*,l,c", OutputKind::array, Kind::real, "grad", "studentLogits"}},
                                 false,
                                 nullptr,
                                 &hasTeacherColumns};

  // The three terms' weights in the loss.
  struct Weights {
    double sft, uld, gld;
    explicit Weights(const Call& call)
        : sft(1 - LGC_OPTION(call, lambda)),
          uld(LGC_OPTION(call, lambda) * LGC_OPTION(call, uldWeight)),
          gld(LGC_OPTION(call, lambda) * LGC_OPTION(call, gldWeight)) {}
    LGC_FN double loss(double ofSft, double ofUld, double ofGld) const {
      return weighted(sft, ofSft) + weighted(uld, ofUld) + weighted(gld, ofGld);
    }
  };
  // The i-th position of a student's sequence that counts is compared with the i-th of the teacher's: pair(student's, teacher's).
  template <class A, class B, class F> LGC_FN static void eachPair(size_t l, size_t t, A&& counts, B&& teacherCounts, F&& pair) {
    size_t u = 0;
    for (size_t i = 0; i < l; ++i) {
      if (!counts(i)) continue;
      while (u < t && !teacherCounts(u)) ++u;
      if (u == t) return;
      pair(i, u++);
    }
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
