#include "options.h"

#include <cstdlib>
#include <cstring>

#include "case.h"

namespace logitcore {
namespace bench {
namespace {

std::vector<std::string> partsOf(const std::string& text) {
  std::vector<std::string> parts(1);
  for (char c : text) {
    if (c == ',')
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

bool readSizes(const std::string& text, std::vector<size_t>& sizes) {
  sizes.clear();
  for (const std::string& part : partsOf(text)) {
    char* end = nullptr;
    const unsigned long long size = std::strtoull(part.c_str(), &end, 10);
    if (part.empty() || part[0] < '0' || part[0] > '9' || *end || size == 0) return false;
    sizes.push_back(static_cast<size_t>(size));
  }
  return true;
}

bool readDtypes(const std::string& text, std::vector<Storage>& dtypes) {
  dtypes.clear();
  for (const std::string& part : partsOf(text)) {
    if (part == "f32")
      dtypes.push_back(Storage::f32);
    else if (part == "bf16")
      dtypes.push_back(Storage::bf16);
    else if (part == "f16")
      dtypes.push_back(Storage::f16);
    else
      return false;
  }
  return true;
}

bool readOps(const std::string& text, std::vector<std::string>& ops) {
  ops = partsOf(text);
  for (const std::string& op : ops) {
    bool known = false;
    for (const BenchOp& b : benchOps()) known = known || op == b.label;
    if (!known) return false;
  }
  return true;
}

std::string usage() {
  std::string text =
      "usage: cuda_bench [options]; lists are separated by commas\n"
      "  --quick          three widths, five rounds, 4 GiB\n"
      "  --ops LIST       of";
  for (const BenchOp& b : benchOps()) text += std::string(" ") + b.label;
  return text +
         "\n"
         "  --dtype LIST     of f32 bf16 f16; f32,bf16 by default\n"
         "  --columns LIST   widths\n"
         "  --rows LIST      the first with which a shape fits the memory is taken; 32768,16384,8192 by default\n"
         "  --rounds N       15 by default\n"
         "  --memory GIB     that the arrays of a shape may take; six tenths of what is free by default\n"
         "  --json FILE      writes the results there\n"
         "  --samples DIR    writes inputs and expected results of a few rows there, for other programs to be checked with\n";
}

}  // namespace

bool readOptions(int argc, char** argv, Options& o, std::string& message) {
  for (int i = 1; i < argc; ++i)
    if (std::strcmp(argv[i], "--quick") == 0) {
      o.quick = true;
      o.columns = {4096, 32768, 131072};
      o.rounds = 5;
      o.gibibytes = 4;
    }
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--quick") continue;
    if (name == "--help" || i + 1 == argc) {
      message = usage();
      return false;
    }
    const std::string value = argv[++i];
    std::vector<size_t> sizes;
    bool valid = true;
    if (name == "--ops")
      valid = readOps(value, o.ops);
    else if (name == "--dtype")
      valid = readDtypes(value, o.dtypes);
    else if (name == "--columns")
      valid = readSizes(value, o.columns);
    else if (name == "--rows")
      valid = readSizes(value, o.rows);
    else if (name == "--rounds")
      valid = readSizes(value, sizes) && sizes.size() == 1 && (o.rounds = sizes[0]) > 0;
    else if (name == "--memory")
      valid = (o.gibibytes = std::strtod(value.c_str(), nullptr)) > 0;
    else if (name == "--json")
      o.json = value;
    else if (name == "--samples")
      o.samples = value;
    else
      valid = false;
    if (valid) continue;
    message = name + " " + value + " is not understood\n" + usage();
    return false;
  }
  return true;
}

}  // namespace bench
}  // namespace logitcore
