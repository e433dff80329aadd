// Fake quantisation with straight-through gradients, as functions of lanes, and how a tensor is cut into the groups that share a step.
// Sources: Xu et al. 2023 (arXiv 2308.07650), Esser et al. 2019 (arXiv 1902.08153, LSQ).
#pragma once
#include "../engine/definition.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

struct Levels {
  double least, most;
};
// Of signed codes, or of codes from 0.
inline Levels levelsOf(double bits, bool allPositive) {
  const double count = scaleByPowerOfTwo(1.0, bits);
  return allPositive ? Levels{0, count - 1} : Levels{-count / 2, count / 2 - 1};
}

template <class W> LGC_FN W clip(W v, const Levels& levels) { return clampKeepNan(v, levels.least, levels.most); }

template <class W> struct Quantized {
  W code, value;   // code - zero point, and the unrounded value it stands for
  Mask<W> inside;  // value is in range, ends included
  // What a gradient of 1 adds to that of the step.
  LGC_FN W stepSlope() const { return code - select(inside, value, broadcast<W>(0)); }
};

// x = code step + offset. Divided, not multiplied by a reciprocal: next to a tie the last bit decides a whole step.
struct ElasticStep {
  double step, offset;
  Levels levels;
  template <class W> LGC_FN Quantized<W> of(W x) const {
    Quantized<W> q;
    q.value = (x - broadcast<W>(offset)) / broadcast<W>(step);
    q.inside = (q.value >= broadcast<W>(levels.least)) & (q.value <= broadcast<W>(levels.most));
    q.code = roundEven(clip(q.value, levels));
    return q;
  }
  template <class W> LGC_FN W output(W code) const { return code * broadcast<W>(step) + broadcast<W>(offset); }
  template <class W> LGC_FN W stored(W code) const { return code; }
};

// x = (code - zero point) step, codes from 0.
struct AffineStep {
  double step, zeroPoint;
  Levels levels;
  template <class W> LGC_FN Quantized<W> of(W x) const {
    Quantized<W> q;
    q.value = x / broadcast<W>(step);
    const W code = roundEven(q.value) + broadcast<W>(zeroPoint);
    q.inside = (code >= broadcast<W>(levels.least)) & (code <= broadcast<W>(levels.most));
    q.code = clip(code, levels) - broadcast<W>(zeroPoint);
    return q;
  }
  template <class W> LGC_FN W output(W code) const { return code * broadcast<W>(step); }
  template <class W> LGC_FN W stored(W code) const { return code + broadcast<W>(zeroPoint); }
};

constexpr Input kTensor{"x", "m,*"}, kUpstream{"gradOut", "m,*", Kind::real, Domain::gradient};
constexpr Input kScaleTable{"scale", "g,B", Kind::real, Domain::positive}, kOffsetTable{"offset", "g,B", Kind::real, Domain::any, true};
constexpr Input kBitList{"bitList", "B", Kind::numbers, Domain::any, true, true};
constexpr Option kBits = between(integer("bits", 8), 1, 31), kAllPositive = boolean("allPositive");
constexpr Input kScales{"scale", "g", Kind::real, Domain::positive}, kZeroPoints{"zeroPoint", "g"};
constexpr Option kEps = atLeast(number("eps", 1e-6), 0);
constexpr double kUsualBits[] = {2, 3, 4, 5, 6, 7, 8};

inline const void* inputNamed(const Call& call, const char* name) { return call.inputs[inputIndex(*call.record, name)]; }

// Column of the width in the table, -1 if the list does not have it.
inline int columnOf(const Call& call) {
  const double bits = call.options[optionIndex(*call.record, "bits")];
  const double* list = static_cast<const double*>(inputNamed(call, "bitList"));
  for (size_t k = 0; k < call.dims['B']; ++k)
    if ((list ? list : kUsualBits)[k] == bits) return static_cast<int>(k);
  return -1;
}

inline bool checkTableRows(Call& call) {
  const size_t rows = call.dims['g'], channels = call.dims['m'];
  if (rows == 1 || rows == channels) return true;
  __builtin_snprintf(call.error, sizeof call.error, "scale has %.0f rows, expected 1 or %.0f, one for each slice of x",
                     static_cast<double>(rows), static_cast<double>(channels));
  return false;
}

inline bool checkElastic(Call& call) {
  if (!checkTableRows(call)) return false;
  const double* list = static_cast<const double*>(inputNamed(call, "bitList"));
  const size_t width = call.dims['B'];
  if (!list && width != 7) {
    __builtin_snprintf(call.error, sizeof call.error, "scale has %.0f columns, expected 7, one for each of the widths 2 to 8 (bitList)",
                       static_cast<double>(width));
    return false;
  }
  for (size_t k = 0; list && k < width; ++k)
    if (!(list[k] >= 1 && list[k] <= 64 && list[k] == floor(list[k]))) {
      __builtin_snprintf(call.error, sizeof call.error, "options.bitList[%.0f] is %.9g, expected an integer in [1, 64]",
                         static_cast<double>(k), list[k]);
      return false;
    }
  const int column = columnOf(call);
  if (column < 0) {
    __builtin_snprintf(call.error, sizeof call.error, "options.bits is %.0f, expected one of %s",
                       call.options[optionIndex(*call.record, "bits")], list ? "options.bitList" : "2, 3, 4, 5, 6, 7, 8 (bitList)");
    return false;
  }
  if (!kValuesOnHost || call.options[optionIndex(*call.record, "eps")] != 0) return true;
  const void* scale = inputNamed(call, "scale");
  for (size_t k = 0; k < call.dims['g']; ++k)
    if (numberAt(scale, call.isDouble, k * width + static_cast<size_t>(column)) == 0) {
      __builtin_snprintf(call.error, sizeof call.error, "scale[%.0f] is 0, expected another number where options.eps is 0",
                         static_cast<double>(k * width + static_cast<size_t>(column)));
      return false;
    }
  return true;
}

inline bool checkAffine(Call& call) {
  if (!checkTableRows(call)) return false;
  const void* scale = inputNamed(call, "scale");
  for (size_t k = 0; kValuesOnHost && k < call.dims['g']; ++k)
    if (numberAt(scale, call.isDouble, k) == 0) {
      __builtin_snprintf(call.error, sizeof call.error, "scale[%.0f] is 0, expected another number", static_cast<double>(k));
      return false;
    }
  return true;
}

template <class T> struct ElasticTable {
  const T* scale;
  const T* offset;
  size_t width, column;
  double eps;
  Levels levels;
  explicit ElasticTable(const Call& call)
      : scale(static_cast<const T*>(inputNamed(call, "scale"))),
        offset(static_cast<const T*>(inputNamed(call, "offset"))),
        width(call.dims['B']),
        column(static_cast<size_t>(columnOf(call))),
        eps(call.options[optionIndex(*call.record, "eps")]),
        levels(levelsOf(call.options[optionIndex(*call.record, "bits")], call.options[optionIndex(*call.record, "allPositive")] != 0)) {}
  LGC_FN ElasticStep operator()(size_t group) const {
    const size_t at = group * width + column;
    return {abs(static_cast<double>(scale[at])) + eps, offset ? static_cast<double>(offset[at]) : 0.0, levels};
  }
};

template <class T> struct AffineTable {
  const T* scale;
  const T* zeroPoint;
  Levels levels;
  explicit AffineTable(const Call& call)
      : scale(static_cast<const T*>(inputNamed(call, "scale"))),
        zeroPoint(static_cast<const T*>(inputNamed(call, "zeroPoint"))),
        levels(levelsOf(call.options[optionIndex(*call.record, "bits")], true)) {}
  LGC_FN AffineStep operator()(size_t group) const {
    return {abs(static_cast<double>(scale[group])), static_cast<double>(zeroPoint[group]), levels};
  }
};

// The groups of x [m, ...] that share a step: all of it, or the slices of its first dimension.
struct Groups {
  size_t count, length;
  Groups(size_t groups, size_t entries) : count(groups), length(entries) {}
  explicit Groups(const Call& call) : count(call.dims['g']), length(count ? call.dims['m'] * call.dims['*'] / count : 0) {}
};

// What multiplies the gradients of steps: 1 / sqrt(N levels), 1, or the number given.
inline double gradFactor(double number, bool lsq, size_t length, double levels) {
  if (number == number) return number;
  const double n = static_cast<double>(length) * levels;
  return lsq ? (n > 0 ? 1 / sqrt(n) : 0.0) : 1.0;
}

struct ElasticFakeQuantize {
  static constexpr Record record{"elasticFakeQuantize",
                                 "eq-net",
                                 {kTensor, kScaleTable, kOffsetTable, kBitList},
                                 {kBits, kAllPositive, kEps},
                                 {inPlace(array("out", "m,*"), "x"), array("codes", "m,*", Kind::index)},
                                 false,
                                 nullptr,
                                 &checkElastic};
};

struct ElasticFakeQuantizeBackward {
  static constexpr Record record{
      "elasticFakeQuantizeBackward",
      "eq-net",
      {kTensor, kUpstream, kScaleTable, kOffsetTable, kBitList},
      {kBits, kAllPositive, kEps, choice("scaleGradFactor", "lsq,none"), optionalNumber("scaleGradFactor")},
      {inPlace(array("gradX", "m,*"), "gradOut"), array("gradScale", "g,B"), when(array("gradOffset", "g,B"), "offset")},
      false,
      nullptr,
      &checkElastic};

  static double factorOf(const Call& call, const Groups& groups, const Levels& levels) {
    constexpr int at = optionIndex(record, "scaleGradFactor");
    return gradFactor(call.options[at + 1], call.options[at] == 0, groups.length, levels.most);
  }
};

struct AffineFakeQuantize {
  static constexpr Record record{"affineFakeQuantize",
                                 "eq-net",
                                 {kTensor, kScales, kZeroPoints},
                                 {kBits},
                                 {inPlace(array("out", "m,*"), "x"), array("codes", "m,*", Kind::index)},
                                 false,
                                 nullptr,
                                 &checkAffine};
};

struct AffineFakeQuantizeBackward {
  static constexpr Record record{"affineFakeQuantizeBackward",
                                 "eq-net",
                                 {kTensor, kUpstream, kScales, kZeroPoints},
                                 {kBits, choice("scaleGradFactor", "none,lsq"), optionalNumber("scaleGradFactor")},
                                 {inPlace(array("gradX", "m,*"), "gradOut"), array("gradScale", "g")},
                                 false,
                                 nullptr,
                                 &checkAffine};

  static double factorOf(const Call& call, const Groups& groups, const Levels& levels) {
    constexpr int at = optionIndex(record, "scaleGradFactor");
    return gradFactor(call.options[at + 1], call.options[at] == 1, groups.length, levels.most + 1);
  }
};

// The step whose rounding leaves the least mean |error|^p, of ranges shrunk step by step.
struct InitQuantScale {
  static bool shrinks(Call& call) {
    const double steps = LGC_OPTION(call, steps), shrink = LGC_OPTION(call, shrink);
    if (steps * shrink <= 1) return true;
    __builtin_snprintf(call.error, sizeof call.error, "options.steps times options.shrink is %.9g, expected at most 1", steps * shrink);
    return false;
  }
  static constexpr Record record{"initQuantScale",
                                 "eq-net",
                                 {kTensor},
                                 {kBits, boolean("symmetric", true), boolean("perChannel"), kAllPositive, above(number("p", 2.4), 0),
                                  between(integer("steps", 80), 1, 2147483647.0), atLeast(number("shrink", 0.01), 0)},
                                 {array("scale", "m?perChannel"), array("offset", "m?perChannel"), array("score", "m?perChannel"),
                                  array("index", "m?perChannel", Kind::index)},
                                 false,
                                 nullptr,
                                 &shrinks};

  Levels levels;
  bool symmetric, allPositive;
  double p, shrink;
  int steps;
  explicit InitQuantScale(const Call& call)
      : levels(levelsOf(LGC_OPTION(call, bits), LGC_OPTION(call, allPositive) != 0)),
        symmetric(LGC_OPTION(call, symmetric) != 0),
        allPositive(LGC_OPTION(call, allPositive) != 0),
        p(LGC_OPTION(call, p)),
        shrink(LGC_OPTION(call, shrink)),
        steps(static_cast<int>(LGC_OPTION(call, steps))) {}

  // The i-th range of values from `least` to `most`. A step of 0 or less is none.
  LGC_FN ElasticStep quantizer(int i, double least, double most) const {
    const double largest = abs(least) > abs(most) ? abs(least) : abs(most), f = fma(-static_cast<double>(i), shrink, 1.0);
    const double high = f * (symmetric ? largest : most), low = symmetric ? (allPositive ? 0.0 : -high) : f * least;
    const double step = (high - low) / (levels.most - levels.least);
    return {step, symmetric ? 0.0 : fma(-step, levels.least, low), levels};
  }
  template <class W> LGC_FN W term(const ElasticStep& quantizer, W x) const {
    return pow(abs(x - quantizer.output(quantizer.of(x).code)), broadcast<W>(p));
  }
  struct Found {
    double scale = 1, offset = 0, score = 0, index = -1;
    bool ended = false;  // by a score that is no number
  };
  LGC_FN void consider(int i, const ElasticStep& quantizer, double score, Found& best) const {
    if (best.index >= 0 && !(score < best.score)) return;
    best = {quantizer.step, quantizer.offset, score, static_cast<double>(i), score != score};
    if (best.ended) best.index = -1;
  }
  LGC_FN void finish(Found& best) const {
    if (best.index >= 0 && allPositive && !symmetric) best.offset = -1e-9;
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
