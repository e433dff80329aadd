// Results are looked at before they are timed: some rows against the kernels of the CPU, and the number that a call gives against the
// losses of all rows.
#include <cmath>
#include <cstdio>
#include <cstring>

#include "../../cpp/engine/threads.h"
#include "../runtime/convert.h"
#include "../test/host_kernels.h"
#include "case.h"

namespace logitcore {
namespace bench {
namespace {

// Of the rows a place has, those that are looked at, in double.
std::vector<double> download(const Case& c, const void* from, DType dtype, size_t width, const std::vector<size_t>& rows) {
  std::vector<double> values;
  std::vector<char> raw(width * widthOf(dtype));
  for (size_t row : rows) {
    cudaMemcpyAsync(raw.data(), static_cast<const char*>(from) + row * raw.size(), raw.size(), cudaMemcpyDeviceToHost, c.device.stream);
    cudaStreamSynchronize(c.device.stream);
    for (size_t j = 0; j < width; ++j) {
      const char* at = raw.data() + j * widthOf(dtype);
      float f = 0;
      int32_t i = 0;
      uint16_t h = 0;
      if (dtype == DType::f32) std::memcpy(&f, at, 4);
      if (dtype == DType::i32) std::memcpy(&i, at, 4);
      if (dtype == DType::bf16 || dtype == DType::f16) std::memcpy(&h, at, 2);
      values.push_back(dtype == DType::f32    ? static_cast<double>(f)
                       : dtype == DType::i32  ? i
                       : dtype == DType::bf16 ? static_cast<double>(fromBf16(h))
                                              : static_cast<double>(fromF16(h)));
    }
  }
  return values;
}

// Rounding to the type, and what sums in float32 may be off by, of the largest value of the row. What was stored is the values over
// `divisor`, which matters where halves are as far apart as the least of them.
std::string compare(const char* name, const std::vector<double>& got, const std::vector<double>& expected, size_t width, DType dtype,
                    double divisor = 1) {
  const double unit = dtype == DType::bf16 ? 0x1p-8 : dtype == DType::f16 ? 0x1p-11 : 0;
  const double least = dtype == DType::f16 ? divisor * 0x1p-24 : 1e-30;
  for (size_t i = 0; i < expected.size(); i += width) {
    double scale = 0;
    for (size_t j = i; j < i + width; ++j) scale = std::fmax(scale, std::fabs(expected[j]));
    for (size_t j = i; j < i + width; ++j) {
      const double allowed = dtype == DType::i32 ? 0.0 : 1e-5 * scale + unit * std::fabs(expected[j]) + least;
      if (std::fabs(got[j] - expected[j]) <= allowed) continue;
      char text[160];
      std::snprintf(text, sizeof text, "%s[%zu] of the rows looked at is %.9g, expected %.9g", name, j, got[j], expected[j]);
      return text;
    }
  }
  return "";
}

bool leave(const std::string& path, const std::vector<double>& values, bool integers) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (!file) return false;
  bool written = true;
  for (double x : values) {
    const float f = static_cast<float>(x);
    const int32_t i = integers ? static_cast<int32_t>(x) : 0;
    written = std::fwrite(integers ? static_cast<const void*>(&i) : &f, 4, 1, file) == 1 && written;
  }
  return std::fclose(file) == 0 && written;
}

}  // namespace

std::string check(Case& c, const std::string& folder, std::string& manifest) {
  std::vector<size_t> rows = {0};
  // A sequence takes as long as many rows.
  if (c.units == c.rows && c.rows > 2) rows.push_back(c.rows / 2);
  if (c.units > 1) rows.push_back(c.units - 1);
  Call expected = c.plainCall();
  const StoredRecord& r = *c.op.record;
  expected.runtime = &runtime();
  expected.isDouble = true;
  expected.rows = rows.size();
  for (char letter : {'n', '*'}) expected.dims[static_cast<int>(letter)] = rows.size();
  const int reduction = optionNamed(r, "reduction");
  if (reduction >= 0) expected.options[reduction] = kReduceNone;
  std::vector<std::vector<double>> values(c.layout.places.size());
  std::vector<std::vector<int32_t>> integers(c.layout.places.size());
  for (size_t k = 0; k < values.size(); ++k) {
    const Place& p = c.layout.places[k];
    const size_t width = p.count / c.units;
    values[k].resize(width * rows.size());
    integers[k].resize(p.dtype == DType::i32 ? values[k].size() : 0);
    void* array = p.dtype == DType::i32 ? static_cast<void*>(integers[k].data()) : values[k].data();
    if (!p.isInput) {
      expected.outputs[p.index] = array;
      continue;
    }
    values[k] = download(c, c.at(0, p), p.dtype, width, rows);
    integers[k].assign(integers[k].empty() ? values[k].end() : values[k].begin(), values[k].end());
    expected.inputs[p.index] = integers[k].empty() ? static_cast<void*>(values[k].data()) : integers[k].data();
    expected.inputLength[p.index] = values[k].size();
  }
  int lossAt = -1;
  std::vector<double> losses(rows.size());
  for (int i = 0; i < r.outputs.count && lossAt < 0; ++i)
    if (r.outputs[i].kind == OutputKind::reduced && !r.outputs[i].when) lossAt = i;
  if (lossAt >= 0) expected.outputs[lossAt] = losses.data();
  hostKernels(c.bench.name)->f64(expected);

  c.callOn(0);
  std::string wrong = c.failure();
  for (size_t k = 0; k < values.size() && wrong.empty(); ++k) {
    const Place& p = c.layout.places[k];
    if (p.isInput) continue;
    std::vector<double> got = download(c, c.at(0, p), p.dtype, p.count / c.units, rows);
    // A mean's gradient is that of a row's loss over the number of rows.
    const double divisor = lossAt >= 0 ? static_cast<double>(c.units) : 1.0;
    for (double& x : got) x *= divisor;
    if (p.dtype == DType::i32) values[k].assign(integers[k].begin(), integers[k].end());
    wrong = compare(p.name, got, values[k], p.count / c.units, p.dtype, divisor);
  }
  if (lossAt >= 0 && wrong.empty()) {
    double mean = 0, sum = 0;
    cudaMemcpyAsync(&mean, c.numbers() + lossAt, sizeof mean, cudaMemcpyDeviceToHost, c.device.stream);
    float* each = nullptr;
    if (cudaMalloc(&each, c.units * sizeof(float)) != cudaSuccess) return "no memory for the losses";
    c.callOn(0, each);
    const std::vector<double> got = download(c, each, DType::f32, c.units, {0});
    cudaFree(each);
    for (double x : got) sum += x;
    std::vector<double> some;
    for (size_t row : rows) some.push_back(got[row]);
    wrong = compare(r.outputs[lossAt].name, some, losses, losses.size(), DType::f32);
    const double expectedMean = sum / static_cast<double>(c.units);
    if (wrong.empty() && !(std::fabs(mean - expectedMean) <= 1e-5 * std::fabs(expectedMean)))
      wrong = "the mean is " + std::to_string(mean) + ", that of the rows is " + std::to_string(expectedMean);
  }
  if (!wrong.empty() || folder.empty()) return wrong;

  const std::string name = std::string(c.bench.label) + "." + nameOf(c.storage) + ".";
  std::string inputs, outputs;
  const auto add = [&](std::string& list, const char* array, const std::vector<double>& content, bool isInteger) {
    const std::string file = name + array + (isInteger ? ".i32" : ".f32");
    if (!leave(folder + "/" + file, content, isInteger)) wrong = "cannot write " + folder + "/" + file;
    list += (list.empty() ? "\"" : ", \"") + std::string(array) + "\": \"" + file + "\"";
  };
  for (size_t k = 0; k < values.size(); ++k) {
    const Place& p = c.layout.places[k];
    add(p.isInput ? inputs : outputs, p.name, values[k], p.dtype == DType::i32);
  }
  if (lossAt >= 0) add(outputs, r.outputs[lossAt].name, losses, false);
  manifest += std::string(manifest.empty() ? "" : ",\n") + "    {\"op\": \"" + c.bench.label + "\", \"dtype\": \"" + nameOf(c.storage) +
              "\", \"rows\": " + std::to_string(rows.size() * c.bench.positions) + ", \"losses\": " + std::to_string(rows.size()) +
              ", \"columns\": " + std::to_string(c.columns) + ", \"inputs\": {" + inputs + "}, \"outputs\": {" + outputs + "}}";
  return wrong;
}

}  // namespace bench
}  // namespace logitcore
