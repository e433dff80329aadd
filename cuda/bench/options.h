// The command line of cuda_bench.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "../engine/call.h"

namespace logitcore {
namespace bench {

struct Options {
  bool quick = false;
  std::vector<std::string> ops;  // labels; empty: all
  std::vector<Storage> dtypes = {Storage::f32, Storage::bf16};
  std::vector<size_t> columns = {1024, 4096, 8192, 32768, 65536, 131072, 262144};
  std::vector<size_t> rows = {32768, 16384, 8192};  // the first with which a shape fits the memory is taken
  size_t rounds = 15;
  double gibibytes = 0;  // that the arrays of a shape may take; 0: six tenths of what is free
  std::string json, samples;
};

// False with what is wrong, or with the usage.
bool readOptions(int argc, char** argv, Options& options, std::string& message);

}  // namespace bench
}  // namespace logitcore
