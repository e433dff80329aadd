#include "quantization.h"

#include "../engine/family.h"
#include "guidance.h"
#include "weight_moments.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

constexpr Input kTensor{"x", "m,*"}, kUpstream{"gradOut", "m,*", Kind::real, Domain::gradient};
constexpr Input kScaleTable{"scale", "g,B", Kind::real, Domain::positive}, kOffsetTable{"offset", "g,B", Kind::real, Domain::any, true};
constexpr Input kBitList{"bitList", "B", Kind::numbers, Domain::any, true, true};
constexpr Option kBits = between(integer("bits", 8), 1, 31), kAllPositive = boolean("allPositive");
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
  if (call.options[optionIndex(*call.record, "eps")] != 0) return true;
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
  for (size_t k = 0; k < call.dims['g']; ++k)
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
  ElasticStep operator()(size_t group) const {
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
  AffineStep operator()(size_t group) const {
    return {abs(static_cast<double>(scale[group])), static_cast<double>(zeroPoint[group]), levels};
  }
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

  template <class T> static void run(Call& call) {
    quantize(call, Groups(call, call.dims['g']), LGC_INPUT(T, call, x), LGC_OUTPUT(T, call, out), LGC_OUTPUT(int32_t, call, codes),
             ElasticTable<T>(call));
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
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

  template <class T> static void run(Call& call) {
    const Groups groups(call, call.dims['g']);
    const ElasticTable<T> table(call);
    T* gradScale = LGC_OUTPUT(T, call, gradScale);
    T* gradOffset = LGC_OUTPUT(T, call, gradOffset);
    Scratch<double> sums(call, 2 * groups.groups);
    if (!sums || !quantizeBackward(call, groups, LGC_INPUT(T, call, x), LGC_INPUT(T, call, gradOut), LGC_OUTPUT(T, call, gradX),
                                   static_cast<double*>(sums), table))
      return;
    constexpr int at = optionIndex(record, "scaleGradFactor");
    const double factor = gradFactor(call.options[at + 1], call.options[at] == 0, groups.length, table.levels.most);
    const size_t size = groups.groups * table.width * sizeof(T);
    __builtin_memset(static_cast<void*>(gradScale), 0, size);
    if (gradOffset) __builtin_memset(static_cast<void*>(gradOffset), 0, size);
    for (size_t k = 0; k < groups.groups; ++k) {
      const size_t cell = k * table.width + table.column;
      gradScale[cell] = static_cast<T>(factor * signOf(static_cast<double>(table.scale[cell])) * sums[2 * k]);
      if (gradOffset) gradOffset[cell] = static_cast<T>(factor * sums[2 * k + 1]);
    }
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

constexpr Input kScales{"scale", "g", Kind::real, Domain::positive}, kZeroPoints{"zeroPoint", "g"};

struct AffineFakeQuantize {
  static constexpr Record record{"affineFakeQuantize",
                                 "eq-net",
                                 {kTensor, kScales, kZeroPoints},
                                 {kBits},
                                 {inPlace(array("out", "m,*"), "x"), array("codes", "m,*", Kind::index)},
                                 false,
                                 nullptr,
                                 &checkAffine};

  template <class T> static void run(Call& call) {
    quantize(call, Groups(call, call.dims['g']), LGC_INPUT(T, call, x), LGC_OUTPUT(T, call, out), LGC_OUTPUT(int32_t, call, codes),
             AffineTable<T>(call));
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
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

  template <class T> static void run(Call& call) {
    const Groups groups(call, call.dims['g']);
    const AffineTable<T> table(call);
    T* gradScale = LGC_OUTPUT(T, call, gradScale);
    Scratch<double> sums(call, 2 * groups.groups);
    if (!sums || !quantizeBackward(call, groups, LGC_INPUT(T, call, x), LGC_INPUT(T, call, gradOut), LGC_OUTPUT(T, call, gradX),
                                   static_cast<double*>(sums), table))
      return;
    constexpr int at = optionIndex(record, "scaleGradFactor");
    const double factor = gradFactor(call.options[at + 1], call.options[at] == 1, groups.length, table.levels.most + 1);
    for (size_t k = 0; k < groups.groups; ++k)
      gradScale[k] = static_cast<T>(factor * signOf(static_cast<double>(table.scale[k])) * sums[2 * k]);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
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

  struct Found {
    double scale = 1, offset = 0, score = 0, index = -1;
  };
  struct Search {
    Levels levels;
    bool symmetric, allPositive;
    double p, shrink;
    int steps;
    // sumOf(term) adds term(lanes) over the group.
    template <class F> Found run(double least, double most, double count, F&& sumOf) const {
      Found best;
      const double largest = abs(least) > abs(most) ? abs(least) : abs(most);
      for (int i = 0; i < steps && count > 0; ++i) {
        const double f = fma(-static_cast<double>(i), shrink, 1.0);
        const double high = f * (symmetric ? largest : most), low = symmetric ? (allPositive ? 0.0 : -high) : f * least;
        const double step = (high - low) / (levels.most - levels.least);
        if (step <= 0) continue;
        const ElasticStep quantizer{step, symmetric ? 0.0 : fma(-step, levels.least, low), levels};
        const double score =
            sumOf([&](f64x8 x) LGC_LAMBDA { return pow(abs(x - quantizer.output(quantizer.of(x).code)), broadcast<f64x8>(p)); }) / count;
        if (best.index >= 0 && !(score < best.score)) continue;
        best = {step, quantizer.offset, score, static_cast<double>(i)};
        if (score != score) {
          best.index = -1;
          return best;
        }
      }
      if (best.index >= 0 && allPositive && !symmetric) best.offset = -1e-9;
      return best;
    }
  };

  template <class T> static void run(Call& call) {
    const size_t channels = call.dims['m'], total = channels * call.dims['*'];
    const bool perChannel = LGC_OPTION(call, perChannel) != 0;
    const Search search{levelsOf(LGC_OPTION(call, bits), LGC_OPTION(call, allPositive) != 0),
                        LGC_OPTION(call, symmetric) != 0,
                        LGC_OPTION(call, allPositive) != 0,
                        LGC_OPTION(call, p),
                        LGC_OPTION(call, shrink),
                        static_cast<int>(LGC_OPTION(call, steps))};
    const T* x = LGC_INPUT(T, call, x);
    const auto store = [&](size_t group, const Found& f) {
      LGC_OUTPUT(T, call, scale)[group] = static_cast<T>(f.scale);
      LGC_OUTPUT(T, call, offset)[group] = static_cast<T>(f.offset);
      LGC_OUTPUT(T, call, score)[group] = static_cast<T>(f.score);
      LGC_OUTPUT(int32_t, call, index)[group] = static_cast<int32_t>(f.index);
    };
    if (perChannel) {
      const size_t length = call.dims['*'];
      parallel(call, channels, rowGrain(length), [&](size_t begin, size_t end) {
        for (size_t k = begin; k < end; ++k) {
          const T* row = x + k * length;
          double least = 0, most = 0;
          rangeOf(row, length, least, most);
          store(k, search.run(least, most, static_cast<double>(length), [&](auto&& term) {
            return rowSumWide(length, [&](size_t i, size_t count) LGC_LAMBDA { return term(readWide(row + i, count)); });
          }));
        }
      });
      return;
    }
    double least = 0, most = 0;
    rangeOf(x, total, least, most);
    bool ok = true;
    const Found found = search.run(least, most, static_cast<double>(total), [&](auto&& term) {
      double sum = 0;
      ok = ok && sumOver<double, 1>(call, total, &sum,
                                    [&](size_t i, size_t count, f64x8* out) LGC_LAMBDA { out[0] = term(readWide(x + i, count)); });
      return sum;
    });
    if (ok) store(0, found);
  }

  // NaN if there is one.
  template <class T> static void rangeOf(const T* x, size_t n, double& least, double& most) {
    if (!n) return;
    f64x8 low = broadcast<f64x8>(kInfinity), high = broadcast<f64x8>(-kInfinity), bad = broadcast<f64x8>(0);
    for (size_t i = 0; i < n; i += kWide) {
      const f64x8 v = readWide(x + i, n - i < kWide ? n - i : kWide, static_cast<double>(x[i]));
      low = min(v, low);
      high = max(v, high);
      bad = bad + select(isNan(v), v, broadcast<f64x8>(0));
    }
    least = minAcross(low) + sum(bad);
    most = maxAcross(high) + sum(bad);
  }
  static constexpr Kernels kernels() { return {&run<float>, &run<double>}; }
};

}  // namespace LOGITCORE_LEVEL
LOGITCORE_FAMILY(quantization, ElasticFakeQuantize, ElasticFakeQuantizeBackward, AffineFakeQuantize, AffineFakeQuantizeBackward,
                 InitQuantScale, WeightMoments, WdrLoss, GroupProgressiveGuidance)
}  // namespace logitcore
