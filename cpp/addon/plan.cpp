#include "plan.h"

#include <cstdlib>

namespace logitcore {

std::vector<std::string> splitList(const char* text) {
  std::vector<std::string> parts;
  if (!text || !*text) return parts;
  std::string part;
  for (const char* p = text;; ++p) {
    if (*p == ',' || *p == 0) {
      parts.push_back(part);
      part.clear();
      if (*p == 0) return parts;
    } else {
      part += *p;
    }
  }
}

namespace {

Dims parseDims(const char* text) {
  Dims dims;
  for (const std::string& part : splitList(text)) {
    Dim d;
    if (part[0] >= '0' && part[0] <= '9') {
      d.plus = std::strtoul(part.c_str(), nullptr, 10);
    } else {
      d.letter = part[0];
      if (part.size() > 2 && part[1] == '+') d.plus = std::strtoul(part.c_str() + 2, nullptr, 10);
      if (part.size() > 2 && part[1] == '*') d.times = part[2];
      if (part.size() > 2 && part[1] == '?') d.when = part.substr(2);
    }
    dims.push_back(d);
  }
  return dims;
}

}  // namespace

const std::vector<Plan>& plans() {
  static const std::vector<Plan>* const all = [] {
    auto* list = new std::vector<Plan>;
    const OpTable table = opTable();
    for (int i = 0; i < table.count; ++i) {
      const StoredRecord& r = *table.ops[i].record;
      Plan p;
      p.record = &r;
      p.family = table.ops[i].family;
      p.kernels = table.ops[i].kernels;
      p.inputs = r.inputCount();
      p.options = r.optionCount();
      p.outputs = r.outputCount();
      for (int k = 0; k < p.inputs; ++k) p.inputDims.push_back(parseDims(r.inputs[k].dims));
      for (int k = 0; k < p.outputs; ++k) p.outputDims.push_back(parseDims(r.outputs[k].dims));
      for (int k = 0; k < p.options; ++k) p.choices.push_back(splitList(r.options[k].choices));
      list->push_back(std::move(p));
    }
    return list;
  }();
  return *all;
}

}  // namespace logitcore
