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

// A term without weight is left out, whatever it is.
LGC_FN double weighted(double weight, double value) { return weight == 0 ? 0.0 : weight * value; }

// -log p of a row's target, whose logit is x, and p - 1: of a confident row what the others sum to.
struct TargetTerm {
  double inverse, loss, slope;
  LGC_FN TargetTerm(const RowSum& s, size_t target, double x) {
    const double others = s.max == -__builtin_huge_val() ? __builtin_nan("") : s.others;
    inverse = 1.0 / (1.0 + others);
    loss = log1p(others) - (x - s.max);
    slope = target == s.argMax ? -others * inverse : exp(x - s.max) * inverse - 1.0;
  }
};

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

  static double studentTemperature(const Call& call) {
    return LGC_GIVEN(call, studentTemperature) ? LGC_OPTION(call, studentTemperature) : LGC_OPTION(call, temperature);
  }
  static double teacherTemperature(const Call& call) {
    return LGC_GIVEN(call, teacherTemperature) ? LGC_OPTION(call, teacherTemperature) : LGC_OPTION(call, temperature);
  }
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
  // How positions of one of so many sequences are compared: visit(of the student, of the teacher, share in the mean).
  struct Pairing {
    size_t sequences;
    int32_t ignore;
    bool skipStudent, skipTeacher;
    explicit Pairing(const Call& call)
        : sequences(call.dims['b']),
          ignore(ignoreIndexOf<UldSequenceLoss>(call)),
          skipStudent(LGC_OPTION(call, skipStudentEos) != 0),
          skipTeacher(LGC_OPTION(call, skipTeacherEos) != 0) {}
    template <class F> LGC_FN void each(const int32_t* targets, size_t t, const int32_t* marks, size_t u, F&& visit) const {
      const Span mine = answer(targets, t, ignore, skipStudent), theirs = answer(marks, u, ignore, skipTeacher);
      const size_t pairs = mine.length < theirs.length ? mine.length : theirs.length;
      for (size_t k = 0; k < pairs; ++k)
        visit(mine.start + k, theirs.start + k, 1.0 / (static_cast<double>(sequences) * static_cast<double>(pairs)));
    }
  };
};

}  // namespace LOGITCORE_LEVEL
}  // namespace logitcore
