#include "check.h"

#include <cmath>
#include <cstdio>
#include <cstring>

namespace logitcore {
namespace {

std::string text(double x) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, x == std::floor(x) && std::fabs(x) < 1e15 ? "%.0f" : "%.9g", x);
  if (std::isinf(x)) return x > 0 ? "Infinity" : "-Infinity";
  if (std::isnan(x)) return "NaN";
  return buffer;
}

// A shape costs nothing to write down, and working memory grows with rows and columns: an array without elements vouches for none.
constexpr size_t kMostWithoutElements = size_t{1} << 24;

struct Checker {
  const Plan& plan;
  const StoredRecord& r;
  Failure failure;

  std::string name(int input) const {
    return r.inputs[input].fromOptions ? std::string("options.") + r.inputs[input].name : r.inputs[input].name;
  }
  std::string outName(int output) const { return std::string("options.out.") + r.outputs[output].name; }
  bool fail(Failure::Kind kind, const std::string& message) {
    failure.kind = kind;
    failure.message = std::string(r.name) + ": " + message;
    return false;
  }

  // Doubles whatever the type of the call.
  static bool isWide(Kind kind) { return kind == Kind::numbers || kind == Kind::real64; }
  static const char* wantedType(Kind kind, bool isDouble) {
    if (isWide(kind)) return "Float64Array";
    return kind == Kind::real ? (isDouble ? "Float64Array" : "Float32Array") : "Int32Array";
  }

  // The first real array decides float32 or float64; all others follow.
  bool types(const ArrayFacts* arrays, Call& call) {
    int first = -1;
    for (int i = 0; i < plan.arrays(); ++i) {
      const ArrayFacts& a = arrays[i];
      const bool input = i < plan.inputs;
      const Kind kind = input ? r.inputs[i].kind : r.outputs[i - plan.inputs].type;
      // Messages are put together only when something is wrong: strings would cost more than a small op.
      const auto who = [&] { return input ? name(i) : outName(i - plan.inputs); };
      if (a.type == ArrayType::none) {
        if (input && !r.inputs[i].optional)
          return fail(Failure::type,
                      who() + " is missing, expected " + (kind == Kind::real ? "Float32Array or Float64Array" : wantedType(kind, false)));
        continue;
      }
      if (kind == Kind::real && first < 0) {
        if (a.type != ArrayType::float32 && a.type != ArrayType::float64)
          return fail(Failure::type, who() + " must be a Float32Array or Float64Array, got " + a.typeName);
        first = i;
        call.isDouble = a.type == ArrayType::float64;
      }
      const ArrayType real = call.isDouble ? ArrayType::float64 : ArrayType::float32;
      const ArrayType wanted = kind == Kind::real ? real : isWide(kind) ? ArrayType::float64 : ArrayType::int32;
      if (a.type != wanted)
        return fail(
            Failure::type,
            who() + " must be " + (wantedType(kind, call.isDouble)[0] == 'I' ? "an " : "a ") + wantedType(kind, call.isDouble) +
                (kind == Kind::real && first != i ? " like " + (first < plan.inputs ? name(first) : std::string("the output")) : "") +
                ", got " + a.typeName);
      if (a.detached) return fail(Failure::type, who() + " has a detached ArrayBuffer");
    }
    return true;
  }

  bool shape(int i, const double* slots, const ArrayFacts& a, Call& call, bool* bound) {
    const Dims& dims = plan.inputDims[static_cast<size_t>(i)];
    const double rankGiven = slots[0];
    if (!(rankGiven >= 0 && rankGiven <= kMaxRank && rankGiven == std::floor(rankGiven)))
      return fail(Failure::range, name(i) + " has " + text(rankGiven) + " dimensions, expected at most " + std::to_string(kMaxRank));
    const int rank = static_cast<int>(rankGiven);
    size_t sizes[kMaxRank];
    double elements = 1;
    for (int k = 0; k < rank; ++k) {
      const double s = slots[1 + k];
      if (!(s >= 0 && s <= 9007199254740991.0 && s == std::floor(s)))
        return fail(Failure::range, name(i) + ".shape[" + std::to_string(k) + "] is " + text(s) + ", expected a non-negative integer");
      sizes[k] = static_cast<size_t>(s);
      elements *= s;
    }
    if (elements != static_cast<double>(a.length))
      return fail(Failure::range, name(i) + " has shape " + shapeText(sizes, rank) + " (" + text(elements) + " elements) but " +
                                      std::to_string(a.length) + " values");
    for (int k = 0; a.length == 0 && k < rank; ++k)
      if (sizes[k] > kMostWithoutElements)
        return fail(Failure::range, name(i) + ".shape[" + std::to_string(k) + "] is " + std::to_string(sizes[k]) + ", expected at most " +
                                        std::to_string(kMostWithoutElements) + " in an array without elements");
    const bool leading = !dims.empty() && dims[0].letter == '*' && !dims[0].times, trailing = dims.size() > 1 && dims.back().letter == '*';
    const bool open = leading || trailing;
    const int fixed = static_cast<int>(dims.size()) - (open ? 1 : 0), first = leading ? rank - fixed : 0;
    if (isFlattened(dims, sizes, rank, call)) return true;
    if (open ? rank < fixed : rank != fixed)
      return fail(Failure::range, name(i) + " must have " + (open ? "at least " : "") + std::to_string(fixed) +
                                      (fixed == 1 ? " dimension" : " dimensions") + " " + r.inputs[i].dims + ", got shape " +
                                      shapeText(sizes, rank));
    if (open) {
      const size_t* free = sizes + (leading ? 0 : fixed);
      size_t product = 1;
      for (int k = 0; k < rank - fixed; ++k) product *= free[k];
      side_ = leading ? "leading" : "trailing";
      if (!bind('*', product, i, call, bound)) return false;
      if (!(leading && fixed == 0 && rank == 1) && !sameFree(free, rank - fixed, i)) return false;
    }
    for (int k = 0; k < fixed; ++k) {
      const Dim& d = dims[static_cast<size_t>(k + (leading ? 1 : 0))];
      const size_t s = sizes[first + k];
      if (d.times) {
        const size_t expected = sizeOf(d.letter, call) * sizeOf(d.times, call);
        if (s == expected) continue;
        return fail(Failure::range, name(i) + " has " + std::to_string(s) + " values, expected " + std::to_string(expected) + " (" +
                                        d.letter + " * " + d.times + ")");
      }
      if (!d.letter) {
        if (s != d.plus)
          return fail(Failure::range, name(i) + " has " + std::to_string(s) + " columns, expected " + std::to_string(d.plus));
        continue;
      }
      if (s < d.plus)
        return fail(Failure::range, name(i) + " needs at least " + std::to_string(d.plus) + " entries, got " + std::to_string(s));
      if (!bind(d.letter, s - d.plus, i, call, bound)) return false;
    }
    return true;
  }

  bool bind(char letter, size_t size, int input, Call& call, bool* bound) {
    const int at = static_cast<unsigned char>(letter) & 127;
    if (!bound[at]) {
      bound[at] = true;
      call.dims[at] = size;
      owner_[at] = input;
      return true;
    }
    if (call.dims[at] == size) return true;
    const std::string what = letter == '*' ? std::string(side_) + " size" : std::string("size ") + letter;
    return fail(Failure::range, name(input) + " has " + what + " " + std::to_string(size) + ", expected " + std::to_string(call.dims[at]) +
                                    " as in " + name(owner_[at]));
  }
  // Equally many rows are not the same rows: [2, 3] against [3, 2]. A flat array without columns stands for any leading dimensions.
  bool sameFree(const size_t* sizes, int count, int input) {
    if (freeOwner_ < 0) {
      freeOwner_ = input;
      freeCount_ = count;
      for (int k = 0; k < count; ++k) free_[k] = sizes[k];
      return true;
    }
    bool same = count == freeCount_;
    for (int k = 0; same && k < count; ++k) same = sizes[k] == free_[k];
    if (same) return true;
    return fail(Failure::range, name(input) + " has " + side_ + " shape " + shapeText(sizes, count) + ", expected " +
                                    shapeText(free_, freeCount_) + " as in " + name(freeOwner_));
  }
  static size_t sizeOf(char letter, const Call& call) { return call.dims[static_cast<unsigned char>(letter) & 127]; }
  // An array of b * t values may come in its two dimensions.
  static bool isFlattened(const Dims& dims, const size_t* sizes, int rank, const Call& call) {
    return rank == 2 && dims.size() == 1 && dims[0].times && sizes[0] == sizeOf(dims[0].letter, call) &&
           sizes[1] == sizeOf(dims[0].times, call);
  }
  const char* side_ = "leading";
  size_t free_[kMaxRank] = {};
  int freeCount_ = 0, freeOwner_ = -1;
  int owner_[128] = {};

  static std::string shapeText(const size_t* sizes, int rank) {
    std::string s = "[";
    for (int k = 0; k < rank; ++k) s += (k ? ", " : "") + std::to_string(sizes[k]);
    return s + "]";
  }

  bool option(int i, const double* slots, Call& call) {
    const Option& o = r.options[i];
    call.given[i] = slots[0] == 1;
    const double v = call.given[i] ? slots[1] : o.fallback;
    call.options[i] = v;
    const auto who = [&] { return std::string("options.") + o.name; };
    if (!call.given[i])
      return !o.required ||
             fail(Failure::type, who() + " is missing, expected " + (o.choices ? std::string("one of ") + o.choices : rangeText(o)));
    if (o.kind == OptionKind::choice) {
      const auto& list = plan.choices[static_cast<size_t>(i)];
      if (v >= 0 && v < static_cast<double>(list.size()) && v == std::floor(v)) return true;
      return fail(Failure::range, who() + " must be one of " + o.choices);
    }
    const bool whole = o.kind != OptionKind::integer || v == std::floor(v);
    const bool inside = std::isfinite(v) && whole && (o.lowOpen ? v > o.low : v >= o.low) && (o.highOpen ? v < o.high : v <= o.high);
    if (inside) return true;
    return fail(Failure::range, who() + " is " + text(v) + ", expected " + rangeText(o));
  }

  static std::string rangeText(const Option& o) {
    std::string s = o.kind == OptionKind::integer ? "an integer" : o.kind == OptionKind::boolean ? "true or false" : "a finite number";
    if (o.kind == OptionKind::boolean) return s;
    const bool low = std::isfinite(o.low), high = std::isfinite(o.high);
    if (low && high) return s + " in " + (o.lowOpen ? "(" : "[") + text(o.low) + ", " + text(o.high) + (o.highOpen ? ")" : "]");
    if (low) return s + (o.lowOpen ? " > " : " >= ") + text(o.low);
    if (high) return s + (o.highOpen ? " < " : " <= ") + text(o.high);
    return s;
  }

  bool output(int i, const ArrayFacts& a, Call& call, bool* bound) {
    const Output& o = r.outputs[i];
    if (!isWanted(plan, i, call)) return true;
    if (o.kind == OutputKind::scalar) return true;
    if (o.kind == OutputKind::reduced && call.options[plan.reduction] != kReduceNone) return true;
    if (a.type == ArrayType::none) return fail(Failure::type, outName(i) + " is missing");
    size_t elements = 1;
    for (const Dim& d : plan.outputDims[static_cast<size_t>(i)]) {
      const int at = static_cast<unsigned char>(d.letter) & 127;
      size_t size = d.plus;
      if (d.when >= 0 && call.options[d.when] == 0)
        size += 1;
      else if (d.letter && bound[at])
        size += call.dims[at];
      else if (d.letter)
        // A size that no input has comes from an option, or from the record's check.
        size += d.option >= 0 ? static_cast<size_t>(call.options[d.option]) : call.dims[at];
      elements *= size;
    }
    if (a.length != elements)
      return fail(Failure::range, outName(i) + " has " + std::to_string(a.length) + " values, expected " + std::to_string(elements));
    call.outputs[i] = a.data;
    return true;
  }
};

bool overlaps(const ArrayFacts& a, const ArrayFacts& b) {
  const auto bytes = [](const ArrayFacts& f) { return f.length * static_cast<size_t>(f.width); };
  const char* p = static_cast<const char*>(a.data);
  const char* q = static_cast<const char*>(b.data);
  return a.length && b.length && p < q + bytes(b) && q < p + bytes(a);
}

bool checkOverlap(Checker& c, const ArrayFacts* arrays, const Call& call) {
  const Plan& plan = c.plan;
  for (int o = 0; o < plan.outputs; ++o) {
    if (!call.outputs[o]) continue;
    const ArrayFacts& out = arrays[plan.inputs + o];
    const Output& record = c.r.outputs[o];
    for (int i = 0; i < plan.arrays(); ++i) {
      const int other = i - plan.inputs;
      if (other == o || arrays[i].type == ArrayType::none || (other >= 0 && !call.outputs[other])) continue;
      if (!overlaps(out, arrays[i])) continue;
      const bool same = out.data == arrays[i].data && out.length == arrays[i].length;
      if (other < 0 && same && record.inPlaceOf && std::strcmp(record.inPlaceOf, c.r.inputs[i].name) == 0) continue;
      const std::string with = other < 0 ? c.name(i) : std::string("options.out.") + c.r.outputs[other].name;
      return c.fail(Failure::range,
                    std::string("options.out.") + record.name + " overlaps " + with +
                        (record.inPlaceOf ? std::string("; only the very array of ") + record.inPlaceOf + " may be written in place"
                                          : std::string("; it needs memory of its own")));
    }
  }
  return true;
}

}  // namespace

bool isWanted(const Plan& plan, int output, const Call& call) {
  const size_t i = static_cast<size_t>(output);
  const int option = plan.whenOption[i], input = plan.whenInput[i];
  if (option >= 0) return std::isnan(call.options[option]) ? false : call.options[option] != 0;
  return input < 0 || call.inputs[input] != nullptr;
}

Failure checkCall(const Plan& plan, const double* frame, const ArrayFacts* arrays, Call& call) {
  Checker c{plan, *plan.record, {}};
  call.record = plan.record;
  if (!c.types(arrays, call)) return c.failure;
  bool bound[128] = {};
  for (int i = 0; i < plan.inputs; ++i) {
    if (arrays[i].type == ArrayType::none) continue;
    if (!c.shape(i, frame + i * Plan::kInputSlots, arrays[i], call, bound)) return c.failure;
    // An empty array is present: only its length says that nothing may be read.
    static double nothing = 0;
    call.inputs[i] = arrays[i].data ? arrays[i].data : &nothing;
    call.inputLength[i] = arrays[i].length;
  }
  for (int i = 0; i < plan.options; ++i)
    if (!c.option(i, frame + plan.optionAt() + 2 * i, call)) return c.failure;
  call.rows = bound[static_cast<int>('*')] ? call.dims[static_cast<int>('*')] : call.dims[static_cast<int>('n')];
  call.columns = call.dims[static_cast<int>('c')];
  if (bound[static_cast<int>('c')] && call.columns == 0) {
    c.fail(Failure::range, std::string(c.name(0)) + " has no columns, expected at least 1");
    return c.failure;
  }
  if (plan.record->nonEmpty)
    for (int i = 0; i < plan.inputs; ++i)
      if (arrays[i].type != ArrayType::none && arrays[i].length == 0) {
        c.fail(Failure::range, c.name(i) + " is empty, expected at least one value");
        return c.failure;
      }
  // A size that nothing names is 1 (the only layer, where no input cuts the weights into several), unless the check knows better.
  for (const Dims& dims : plan.outputDims)
    for (const Dim& d : dims)
      if (!bound[static_cast<unsigned char>(d.letter) & 127]) call.dims[static_cast<unsigned char>(d.letter) & 127] = 1;
  if (plan.record->check && !plan.record->check(call)) {
    c.fail(Failure::range, call.error);
    return c.failure;
  }
  for (int i = 0; i < plan.outputs; ++i)
    if (!c.output(i, arrays[plan.inputs + i], call, bound)) return c.failure;
  checkOverlap(c, arrays, call);
  return c.failure;
}

Failure checkNumbers(const Plan& plan, const Call& call) {
  Checker c{plan, *plan.record, {}};
  for (int i = 0; i < plan.inputs; ++i) {
    if (!call.inputs[i] || plan.record->inputs[i].kind != Kind::numbers) continue;
    const double* values = static_cast<const double*>(call.inputs[i]);
    for (size_t k = 0; k < call.inputLength[i]; ++k) {
      if (std::isfinite(values[k])) continue;
      c.fail(Failure::range, c.name(i) + "[" + std::to_string(k) + "] is " + text(values[k]) + ", expected a finite number");
      return c.failure;
    }
  }
  return c.failure;
}

Failure checkIndices(const Plan& plan, const Call& call) {
  Checker c{plan, *plan.record, {}};
  const bool hasIgnore = plan.ignoreIndex >= 0;
  const int32_t ignore = hasIgnore ? static_cast<int32_t>(call.options[plan.ignoreIndex]) : 0;
  for (int i = 0; i < plan.inputs; ++i) {
    const Kind kind = plan.record->inputs[i].kind;
    if (!call.inputs[i] || (kind != Kind::target && kind != Kind::sign)) continue;
    const int32_t* values = static_cast<const int32_t*>(call.inputs[i]);
    for (size_t k = 0; k < call.inputLength[i]; ++k) {
      const int32_t v = values[k];
      if (kind == Kind::sign) {
        if (v == 1 || v == -1) continue;
        c.fail(Failure::range, c.name(i) + "[" + std::to_string(k) + "] is " + std::to_string(v) + ", expected 1 or -1");
        return c.failure;
      }
      if ((hasIgnore && v == ignore) || (v >= 0 && static_cast<size_t>(v) < call.columns)) continue;
      c.fail(Failure::range, c.name(i) + "[" + std::to_string(k) + "] is " + std::to_string(v) + ", expected 0.." +
                                 std::to_string(call.columns - 1) + (hasIgnore ? " or ignoreIndex (" + std::to_string(ignore) + ")" : ""));
      return c.failure;
    }
  }
  return c.failure;
}

}  // namespace logitcore
