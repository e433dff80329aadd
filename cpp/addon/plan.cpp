#include "plan.h"

#include <cstdlib>
#include <cstring>

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

template <class T> int placeOf(const List<T>& list, const char* name) {
  for (int i = 0; name && i < list.count; ++i)
    if (std::strcmp(list[i].name, name) == 0) return i;
  return -1;
}

Dims parseDims(const char* text, const List<Option>& options) {
  Dims dims;
  for (const std::string& part : splitList(text)) {
    Dim d;
    if (part[0] >= '0' && part[0] <= '9') {
      d.plus = std::strtoul(part.c_str(), nullptr, 10);
    } else {
      d.letter = part[0];
      if (part.size() > 2 && part[1] == '+') d.plus = std::strtoul(part.c_str() + 2, nullptr, 10);
      if (part.size() > 2 && part[1] == '*') d.times = part[2];
      if (part.size() > 2 && part[1] == '?') d.when = placeOf(options, part.c_str() + 2);
      const char letter[2] = {d.letter, 0};
      d.option = placeOf(options, letter);
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
      for (int k = 0; k < p.inputs; ++k) p.inputDims.push_back(parseDims(r.inputs[k].dims, r.options));
      for (int k = 0; k < p.options; ++k) p.choices.push_back(splitList(r.options[k].choices));
      p.ignoreIndex = placeOf(r.options, "ignoreIndex");
      p.reduction = placeOf(r.options, "reduction");
      if (p.reduction < 0) p.reduction = placeOf(r.options, "reduce");
      for (int k = 0; k < p.outputs; ++k) {
        const Output& o = r.outputs[k];
        p.outputDims.push_back(parseDims(o.dims, r.options));
        p.whenOption.push_back(placeOf(r.options, o.when));
        p.whenInput.push_back(placeOf(r.inputs, o.when));
      }
      list->push_back(std::move(p));
    }
    return list;
  }();
  return *all;
}

}  // namespace logitcore
