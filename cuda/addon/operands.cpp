#include "operands.h"

#include "../../cpp/engine/members.h"

namespace logitcore {
namespace {

// Makes the facts of one tensor after another; the first array with classes says how all of them are stored.
struct Describer {
  const Plan& plan;
  const double* frame;
  Operands& out;
  Failure failure{};
  int first = -1;

  bool fail(const std::string& message) {
    failure = {Failure::type, std::string(plan.record->name) + ": " + message};
    return false;
  }
  bool expect(int index, const Tensor& t, DType dtype) {
    if (t.dtype == dtype) return true;
    return fail(operandName(plan, index) + " must be a device tensor of dtype " + nameOf(dtype) + ", got " + nameOf(t.dtype));
  }

  bool expectStored(int index, const Tensor& t) {
    if (first < 0) {
      if (t.dtype != DType::f32 && t.dtype != DType::bf16 && t.dtype != DType::f16)
        return fail(operandName(plan, index) + " must be a device tensor of dtype f32, bf16 or f16, got " + nameOf(t.dtype));
      first = index;
      stored = t.dtype;
      out.storage = t.dtype == DType::f32 ? Storage::f32 : t.dtype == DType::bf16 ? Storage::bf16 : Storage::f16;
    }
    if (t.dtype == stored) return true;
    return fail(operandName(plan, index) + " must be a device tensor of dtype " + nameOf(stored) + " like " + operandName(plan, first) +
                ", got " + nameOf(t.dtype));
  }

  bool describe(int index, const Given& given) {
    const Tensor* t = given.tensor;
    const bool input = index < plan.inputs;
    const int output = index - plan.inputs;
    const Kind kind = input ? plan.record->inputs[index].kind : plan.record->outputs[output].type;
    if (given.isList) {
      ArrayFacts& facts = out.facts[index];
      facts.type = ArrayType::float64;
      facts.data = const_cast<double*>(given.numbers.data());
      facts.length = given.numbers.size();
      facts.width = sizeof(double);
      return true;
    }
    if (!t)
      return !input || plan.record->inputs[index].optional || fail(operandName(plan, index) + " is missing, expected a device tensor");
    if (!t->data) return fail(operandName(plan, index) + " has been disposed of");
    if (kind == Kind::numbers) return fail(operandName(plan, index) + " must be a Float64Array, got a device tensor");
    if (kind == Kind::real64) return fail(operandName(plan, index) + " is not supported on the device");
    if (!input && isNumber(plan, frame, output)) {
      if (!expect(index, *t, DType::f64)) return false;
      out.numbers[output] = t;
      return true;
    }
    const char* dims = input ? plan.record->inputs[index].dims : plan.record->outputs[output].dims;
    if (!(kind != Kind::real                  ? expect(index, *t, DType::i32)
          : LOGITCORE_LEVEL::hasClasses(dims) ? expectStored(index, *t)
                                              : expect(index, *t, DType::f32)))
      return false;
    ArrayFacts& facts = out.facts[index];
    facts.type = kind == Kind::real ? ArrayType::float32 : ArrayType::int32;
    facts.data = t->data;
    facts.length = t->elements;
    facts.width = static_cast<int>(widthOf(t->dtype));
    return true;
  }

  DType stored = DType::f32;
};

}  // namespace

std::string operandName(const Plan& plan, int index) {
  if (index >= plan.inputs) return std::string("options.out.") + plan.record->outputs[index - plan.inputs].name;
  const Input& input = plan.record->inputs[index];
  return std::string(input.fromOptions ? "options." : "") + input.name;
}

bool isNumber(const Plan& plan, const double* frame, int output) {
  const Output& o = plan.record->outputs[output];
  if (o.kind != OutputKind::reduced) return o.kind == OutputKind::scalar;
  const double* slots = frame + plan.optionAt() + 2 * plan.reduction;
  return (slots[0] == 1 ? slots[1] : plan.record->options[plan.reduction].fallback) != kReduceNone;
}

Failure describeOperands(const Plan& plan, const double* frame, const Given* given, Operands& operands) {
  Describer describer{plan, frame, operands};
  for (int i = 0; i < plan.arrays(); ++i)
    if (!describer.describe(i, given[i])) break;
  return describer.failure;
}

}  // namespace logitcore
