// Universal Logit Distillation: values of two rows of any lengths, each sorted, compared place by place. Source: Boizard et al. 2024,
// arXiv 2402.12030.
#pragma once
#include "softmax.h"

namespace logitcore {
namespace LOGITCORE_LEVEL {

enum UldTransform { kUldNone, kUldSoftmax, kUldStandardize };

// How the logits of one row become the values that are compared: term(z) times factor. Always doubles, whatever the logits are: a
// gradient is a sign.
struct UldValues {
  double shift = 0, scale = 1, factor = 1;
  double count = 0;  // finite entries of the row, for kUldStandardize
  bool exponential = false;

  // Lanes of doubles.
  template <class W> LGC_FN W term(W z) const {
    const W u = (z - shift) * scale;
    return exponential ? exp(u) : u;
  }
};

// Derivative at an entry with value x and sign s: (s - shift - x slope) times factor, and times x for a softmax.
struct UldSlope {
  double shift, slope, factor;
  bool timesValue;
  template <class W> LGC_FN W operator()(W x, W s) const {
    const W g = fnma(x, broadcast<W>(slope), s - shift) * factor;
    return timesValue ? x * g : g;
  }
};
// signs, products: the sums over the places of the signs, and of the signs times the values.
LGC_FN UldSlope uldSlope(int transform, const UldValues& v, double temperature, double signs, double products, double scale) {
  if (transform == kUldSoftmax) return {products, 0, scale / temperature, true};
  if (transform == kUldNone) return {0, 0, scale / temperature, false};
  const double share = reciprocalOrZero(v.count);
  return {signs * share, products * share, scale * v.scale, false};
}

// Not in place: two terms read the student's rows.
constexpr Output kGradStudent{"gradStudent", "b,t,c", OutputKind::array, Kind::real, "grad", "student"};

inline bool checkTeacherColumns(Call& call) {
  if (call.dims[static_cast<int>('v')] > 0) return true;
  __builtin_snprintf(call.error, sizeof call.error, "teacher has no columns, expected at least 1");
  return false;
}

struct UldLoss {
  static constexpr Record record{
      "uldLoss",
      "uld",
      {{"student", "n,c"}, {"teacher", "n,v"}, optionInput("mask", "n", Domain::any, Kind::mask)},
      {kTemperature, above(optionalNumber("studentTemperature"), 0), above(optionalNumber("teacherTemperature"), 0),
       between(integer("topK", 0), 0, 2147483647.0), choice("transform", "none,softmax,standardize", kUldSoftmax), kReduction, kGrad},
      {reduced("loss", "n"), gradient("gradStudent", "n,c", "student")},
      false,
      nullptr,
      &checkTeacherColumns};
};

// Cross-entropy of the next token plus the distance of the answers' rows, place by place.
struct UldSequenceLoss {
  static constexpr Record record{
      "uldSequenceLoss",
      "uld",
      {{"student", "b,t,c"}, {"teacher", "b,u,v"}, {"studentTargets", "b*t", Kind::target}, {"teacherTargets", "b*u", Kind::mark}},
      {number("ceWeight", 1), number("distillWeight", 1.5), above(number("studentTemperature", 1), 0),
       above(number("teacherTemperature", 1), 0), boolean("skipStudentEos", true), boolean("skipTeacherEos"), kIgnoreIndex, kGrad},
      {scalar("loss"), scalar("crossEntropy"), scalar("distillation"), kGradStudent},
      false,
      nullptr,
      &checkTeacherColumns};

  // The part of a sequence that is compared: from the position whose next token is the first that counts.
  struct Span {
    size_t start, length;
  };
  LGC_FN static Span answer(const int32_t* targets, size_t length, int32_t ignore, bool skipEos) {
    size_t lead = 0, counted = 0;
    while (lead < length && targets[lead] == ignore) ++lead;
    for (size_t i = lead; i < length; ++i) counted += targets[i] != ignore;
    return {lead ? lead - 1 : 0, counted && skipEos ? counted - 1 : counted};
  }
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
