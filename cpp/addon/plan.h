// A record with its dimension strings parsed, made once an op when the addon loads.
#pragma once
#include <string>
#include <vector>

#include "../dispatch/dispatch.h"

namespace logitcore {

struct Dim {
  char letter = 0;  // 0: a constant
  size_t plus = 0;
  char times = 0;   // "b*t": the product of two sizes in one dimension
  int when = -1;    // "m?perChannel": 1 unless the option is set
  int option = -1;  // the option of the letter's name (k of topK), where no input has the size
};
using Dims = std::vector<Dim>;

struct Plan {
  const StoredRecord* record = nullptr;
  const char* family = nullptr;
  Kernels kernels{};
  int inputs = 0, options = 0, outputs = 0;
  std::vector<Dims> inputDims, outputDims;
  std::vector<std::vector<std::string>> choices;  // by option
  // Places among the options, or -1: of reduced outputs (`reduce` has 'none' where `reduction` has it), and of ignored rows.
  int reduction = -1, ignoreIndex = -1;
  // Of an output: the option, else the input, that asks for it.
  std::vector<int> whenOption, whenInput;

  // Layout of the frame, the Float64Array that carries all numbers of a call in and out:
  // (rank, 8 sizes) an input, (given, value) an option, one scalar an output.
  static constexpr int kInputSlots = 1 + kMaxRank;
  int optionAt() const { return inputs * kInputSlots; }
  int scalarAt() const { return optionAt() + 2 * options; }
  int frameLength() const { return scalarAt() + outputs; }
  int arrays() const { return inputs + outputs; }
};

const std::vector<Plan>& plans();
std::vector<std::string> splitList(const char* text);

}  // namespace logitcore
