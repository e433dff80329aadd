// The tensors of a call, as the checks that it shares with the CPU's addon want to see them.
#pragma once
#include <vector>

#include "../../cpp/addon/check.h"
#include "../engine/call.h"
#include "tensors.h"

namespace logitcore {

struct Operands {
  ArrayFacts facts[kMaxInputs + kMaxOutputs];  // inputs, then outputs, without those that are numbers
  const Tensor* numbers[kMaxOutputs] = {};     // for these
  Storage storage = Storage::f32;
};

// What a call was given: a tensor, or a list of numbers, of which there is a copy; neither for undefined.
struct Given {
  const Tensor* tensor = nullptr;
  std::vector<double> numbers;
  bool isList = false;
};

// Checks the types.
Failure describeOperands(const Plan& plan, const double* frame, const Given* given, Operands& operands);
// "options.weight" of an input, "options.out.loss" of an output.
std::string operandName(const Plan& plan, int index);
// Whether an output is one number, kept in a tensor of its own.
bool isNumber(const Plan& plan, const double* frame, int output);

}  // namespace logitcore
