// Everything that must hold before a kernel touches memory. Works on plain facts about the arguments, so that nothing here can
// run JavaScript.
#pragma once
#include <string>

#include "plan.h"

namespace logitcore {

enum class ArrayType : uint8_t { none, float32, float64, int32, other };
struct ArrayFacts {
  ArrayType type = ArrayType::none;  // none: undefined was passed
  const char* typeName = "undefined";
  void* data = nullptr;
  size_t length = 0;
  int width = 4;  // bytes of a value
  bool detached = false;
  bool shared = false;
};

struct Failure {
  enum Kind { none, type, range } kind = none;
  std::string message;
  explicit operator bool() const { return kind != none; }
};

// arrays: the inputs of the plan, then its outputs. Fills `call` when nothing is wrong.
Failure checkCall(const Plan& plan, const double* frame, const ArrayFacts* arrays, Call& call);
// Whether a call asks for this output.
bool isWanted(const Plan& plan, int output, const Call& call);
// Lists of numbers, which are on the host whatever the arrays are on.
Failure checkNumbers(const Plan& plan, const Call& call);
// Values of Int32Arrays; separate, since they are checked on a private copy when the array is shared.
Failure checkIndices(const Plan& plan, const Call& call);

}  // namespace logitcore
