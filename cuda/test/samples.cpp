#include "samples.h"

#include <cstring>

#include "../../cpp/addon/plan.h"
#include "../../cpp/engine/members.h"

namespace logitcore {
namespace {

using LOGITCORE_LEVEL::hasColumns;
DType typeOf(Storage s) { return s == Storage::f32 ? DType::f32 : s == Storage::bf16 ? DType::bf16 : DType::f16; }

Sample* current = nullptr;

double share(Random& random) { return (random.uniform() + 1) / 2; }
double normal(Random& random) {
  // 1 - u: the logarithm of 0 has no place here.
  return std::sqrt(-2 * std::log(1 - share(random))) * std::cos(6.283185307179586 * share(random));
}

}  // namespace

int optionNamed(const StoredRecord& r, const char* name) {
  int i = 0;
  while (i + 1 < r.options.count && std::strcmp(r.options[i].name, name) != 0) ++i;
  return i;
}

size_t Sample::lengthOf(const char* dims, size_t rows, size_t columns) const {
  if (hasColumns(dims)) return rows * columns;
  if (std::strcmp(dims, "*,k") == 0) return rows * static_cast<size_t>(host_.options[0]);
  if (std::strcmp(dims, "c") == 0) return columns;
  if (dims[0] && dims[1] == ',' && dims[2] && !dims[3] && dims[0] != '*' && dims[2] != 'c')
    return host_.dims[static_cast<int>(dims[0])] * host_.dims[static_cast<int>(dims[2])];
  if (std::strcmp(dims, "n") == 0 || std::strcmp(dims, "*") == 0) return rows;
  return 0;
}

void Sample::fill(Array& a, const Input& in, size_t columns, unsigned seed) {
  Random random{seed * 0x9e3779b97f4a7c15ull + 1};
  a.values.resize(a.length);
  if (in.kind != Kind::real) {
    a.dtype = DType::i32;
    a.integers.resize(a.length);
    for (size_t i = 0; i < a.length; ++i) {
      const double u = share(random);
      // A row in eight is left out, where there is the option.
      a.integers[i] = u < 0.125 && in.kind != Kind::sign ? -100 : static_cast<int32_t>(share(random) * static_cast<double>(columns));
      if (in.kind == Kind::mark && a.integers[i] != -100) a.integers[i] = 0;
    }
    return;
  }
  a.dtype = hasColumns(in.dims) ? typeOf(storage_) : DType::f32;
  for (double& x : a.values) x = 2 * normal(random);
  if (in.domain == Domain::positive)
    for (double& x : a.values) x = std::fabs(x) + 0.1;
  if (in.domain == Domain::probability || in.domain == Domain::logProbability) {
    const size_t width = hasColumns(in.dims) ? columns : 1;
    for (size_t i = 0; i + width <= a.length; i += width) {
      double sum = width == 1 ? 1.0 : 0.0;
      for (size_t j = 0; j < width; ++j) sum += std::exp(a.values[i + j]);
      for (size_t j = 0; j < width; ++j) {
        const double p = std::exp(a.values[i + j]) / sum;
        a.values[i + j] = in.domain == Domain::probability ? p : std::log(p);
      }
    }
  }
  // What the device gets is what is computed with.
  for (double& x : a.values) {
    const float f = static_cast<float>(x);
    x = a.dtype == DType::bf16 ? fromBf16(toBf16(f)) : a.dtype == DType::f16 ? fromF16(toF16(f)) : f;
  }
}

// Everything that can be asked for is, and numbers are not their defaults, so that no part of a definition is idle.
void Sample::chooseOptions(unsigned seed) {
  const StoredRecord& r = *op_.record;
  for (int i = 0; i < r.options.count; ++i) {
    const Option& o = r.options[i];
    host_.options[i] = o.fallback;
    const std::string name = o.name;
    if (o.kind == OptionKind::choice) host_.options[i] = static_cast<double>(seed % splitList(o.choices).size());
    if (o.kind == OptionKind::boolean) host_.options[i] = name.compare(0, 4, "grad") == 0 || seed % 2;
    if (name == "temperature") host_.options[i] = seed % 3 ? 1.7 : 1;
    if (name == "labelSmoothing") host_.options[i] = seed % 3 ? 0 : 0.1;
    if (name == "logitSoftcap") host_.options[i] = seed % 4 == 1 ? 5 : o.fallback;
    if (name == "zLossWeight" || name == "weight") host_.options[i] = 0.01;
    if (name == "transposeB") host_.options[i] = seed / 2 % 2;
    if (name == "alpha" && r.inputs.count == 2 && std::strcmp(r.inputs[0].dims, "i,j") == 0) host_.options[i] = 0.5;
    if (name == "step") host_.options[i] = 0.25;
    // Also more than are selected without a sort.
    if (name == "k") host_.options[i] = static_cast<double>(1 + (seed % 7 == 0 ? host_.columns / 2 : seed % 71) % host_.columns);
    host_.given[i] = host_.options[i] == host_.options[i];
  }
}

Sample::Sample(const Op& op, size_t rows, size_t columns, Storage storage, unsigned seed) : op_(op), storage_(storage) {
  std::string reason;
  device_ = Device::get(reason);
  const StoredRecord& r = *op.record;
  host_.record = op.record;
  host_.isDouble = true;
  host_.rows = rows;
  host_.columns = columns;
  chooseOptions(seed);
  // Of two matrices: rows x columns, times columns x (rows and a few).
  const auto named = [&](const char* name) {
    const int i = optionNamed(r, name);
    return std::strcmp(r.options.count ? r.options[i].name : "", name) == 0 && host_.options[i] != 0;
  };
  const size_t sides[2][2] = {{rows, columns}, {columns, rows + 5}};
  const bool turned[2] = {named("transposeA"), named("transposeB")};
  for (int k = 0; k < 2; ++k) {
    host_.dims[static_cast<int>(k ? 'p' : 'i')] = sides[k][turned[k]];
    host_.dims[static_cast<int>(k ? 'q' : 'j')] = sides[k][!turned[k]];
  }
  if (r.check && !r.check(host_)) {
    fits_ = false;
    return;
  }
  bool present = false;
  for (int i = 0; i < r.inputs.count; ++i) present = present || hasColumns(r.inputs[i].dims);
  if (!present && storage != Storage::f32) fits_ = false;
  inputs_.resize(static_cast<size_t>(r.inputs.count));
  outputs_.resize(static_cast<size_t>(r.outputs.count));
  for (int i = 0; i < r.inputs.count; ++i) {
    Array& a = inputs_[static_cast<size_t>(i)];
    if (r.inputs[i].optional && (seed + static_cast<unsigned>(i)) % 2) continue;
    a.length = lengthOf(r.inputs[i].dims, rows, columns);
    fill(a, r.inputs[i], columns, seed * 16 + static_cast<unsigned>(i) + 1);
    upload(a);
    host_.inputs[i] = r.inputs[i].kind == Kind::real ? static_cast<const void*>(a.values.data()) : a.integers.data();
    host_.inputLength[i] = a.length;
  }
  static_cast<Call&>(call_) = host_;
  call_.isDouble = false;
  for (int i = 0; i < r.inputs.count; ++i) call_.inputs[i] = host_.inputs[i] ? inputs_[static_cast<size_t>(i)].device : nullptr;
  numbers_.dtype = DType::f64;
  numbers_.length = kMaxOutputs;
  numbers_.values.assign(kMaxOutputs, 0);
  upload(numbers_);
  const int reduction = [&] {
    for (int i = 0; i < r.options.count; ++i)
      if (std::strcmp(r.options[i].name, "reduction") == 0) return static_cast<int>(host_.options[i]);
    return static_cast<int>(kReduceNone);
  }();
  for (int i = 0; i < r.outputs.count; ++i) {
    const Output& o = r.outputs[i];
    Array& a = outputs_[static_cast<size_t>(i)];
    if (o.kind == OutputKind::scalar || (o.kind == OutputKind::reduced && reduction != kReduceNone)) {
      call_.numbers[i] = static_cast<double*>(numbers_.device) + i;
      continue;
    }
    if (o.when && host_.options[optionNamed(r, o.when)] == 0) continue;
    a.length = lengthOf(o.dims, rows, columns);
    a.dtype = o.type == Kind::index ? DType::i32 : hasColumns(o.dims) ? typeOf(storage_) : DType::f32;
    a.values.assign(a.length, NAN);
    if (a.dtype == DType::i32) a.integers.assign(a.length, -1);
    host_.outputs[i] = a.dtype == DType::i32 ? static_cast<void*>(a.integers.data()) : a.values.data();
    // Half of the samples write where the record allows it.
    for (int k = 0; o.inPlaceOf && seed % 2 && k < r.inputs.count; ++k)
      if (std::strcmp(r.inputs[k].name, o.inPlaceOf) == 0) a.device = inputs_[static_cast<size_t>(k)].device;
    if (!a.device) upload(a);
    call_.outputs[i] = a.device;
  }
  facts_.sharedBytes = device_->facts.sharedMemPerBlockOptin;
  facts_.clusters = device_->facts.major >= 9;
  call_.storage = storage;
  call_.device = &facts_;
  call_.stream = device_->stream;
  call_.allocate = &Sample::allocate;
  static unsigned long long* fault = nullptr;
  if (!fault) {
    cudaError_t error = cudaSuccess;
    fault = static_cast<unsigned long long*>(device_->memory.allocate(sizeof *fault, error));
    cudaMemsetAsync(fault, 0, sizeof *fault, device_->stream);
  }
  call_.fault = fault;
}

Sample::~Sample() {
  for (Array& a : outputs_) {
    bool own = a.device != nullptr;
    for (const Array& in : inputs_) own = own && in.device != a.device;
    if (own) device_->memory.release(a.device, a.bytes());
  }
  for (Array& a : inputs_)
    if (a.device) device_->memory.release(a.device, a.bytes());
  if (numbers_.device) device_->memory.release(numbers_.device, numbers_.bytes());
}

void* Sample::allocate(DeviceCall& call, size_t bytes) {
  cudaError_t error = cudaSuccess;
  void* p = current->device_->memory.allocate(bytes, error);
  if (!p)
    call.outOfMemory = true;
  else
    current->scratch_.push_back({p, bytes});
  return p;
}

void Sample::upload(Array& a) {
  cudaError_t error = cudaSuccess;
  a.device = device_->memory.allocate(a.bytes(), error);
  std::vector<char> raw(a.bytes());
  for (size_t i = 0; i < a.length; ++i) {
    const float f = a.values.size() ? static_cast<float>(a.values[i]) : 0.0f;
    if (a.dtype == DType::f32) std::memcpy(raw.data() + 4 * i, &f, 4);
    if (a.dtype == DType::i32) std::memcpy(raw.data() + 4 * i, &a.integers[i], 4);
    if (a.dtype == DType::f64) std::memcpy(raw.data() + 8 * i, &a.values[i], 8);
    const uint16_t h = a.dtype == DType::bf16 ? toBf16(f) : toF16(f);
    if (a.dtype == DType::bf16 || a.dtype == DType::f16) std::memcpy(raw.data() + 2 * i, &h, 2);
  }
  cudaMemcpyAsync(a.device, raw.data(), a.bytes(), cudaMemcpyHostToDevice, device_->stream);
  cudaStreamSynchronize(device_->stream);
}

std::vector<double> Sample::download(const Array& a) const {
  std::vector<char> raw(a.bytes());
  cudaMemcpyAsync(raw.data(), a.device, a.bytes(), cudaMemcpyDeviceToHost, device_->stream);
  cudaStreamSynchronize(device_->stream);
  std::vector<double> out(a.length);
  for (size_t i = 0; i < a.length; ++i) {
    float f = 0;
    uint16_t h = 0;
    if (a.dtype == DType::i32) {
      int32_t integer;
      std::memcpy(&integer, raw.data() + 4 * i, 4);
      out[i] = integer;
      continue;
    }
    if (a.dtype == DType::f64) {
      std::memcpy(&out[i], raw.data() + 8 * i, 8);
      continue;
    }
    if (a.dtype == DType::f32)
      std::memcpy(&f, raw.data() + 4 * i, 4);
    else
      std::memcpy(&h, raw.data() + 2 * i, 2);
    out[i] = static_cast<double>(a.dtype == DType::f32 ? f : a.dtype == DType::bf16 ? fromBf16(h) : fromF16(h));
  }
  return out;
}

void Sample::run() {
  current = this;
  op_.kernels.f32(call_);
  for (const auto& s : scratch_) device_->memory.release(s.first, s.second);
  scratch_.clear();
  if (call_.failure == cudaSuccess) call_.failure = cudaStreamSynchronize(device_->stream);
}

// What rounding may do: relative to the largest value of the row, or of all, and to the numbers whose differences are left where nothing
// large is: upstream gradients of a gradient, logits of a mean, rows of a sum.
std::vector<Difference> Sample::differences() const {
  std::vector<Difference> list;
  if (call_.failure != cudaSuccess) {
    list.push_back({cudaGetErrorString(call_.failure), 1, 1, 0, NAN, NAN, INFINITY});
    return list;
  }
  double upstream = 0, logits = 0;
  for (size_t k = 0; k < inputs_.size(); ++k)
    for (double x : inputs_[k].values) {
      double& most = op_.record->inputs[static_cast<int>(k)].domain == Domain::gradient ? upstream : logits;
      if (std::isfinite(x)) most = std::fmax(most, std::fabs(x));
    }
  const std::vector<double> numbers = download(numbers_);
  for (size_t k = 0; k < outputs_.size(); ++k) {
    const Array& a = outputs_[k];
    const bool number = call_.numbers[k] != nullptr;
    if (!number && !a.device) continue;
    const std::vector<double> got = number ? std::vector<double>{numbers[k]} : download(a);
    std::vector<double> expected = number ? std::vector<double>{host_.scalars[k]} : a.values;
    if (a.dtype == DType::i32) expected.assign(a.integers.begin(), a.integers.end());
    const DType dtype = number ? DType::f32 : a.dtype;
    const bool exact = dtype == DType::i32;
    const double unit = dtype == DType::bf16 ? 0x1p-8 : dtype == DType::f16 ? 0x1p-11 : 0;
    // Values below the normal halves are that far apart.
    const bool isRow = got.size() != host_.rows * host_.columns;
    const double terms = number ? 5e-6 : 2e-6 * upstream + (isRow ? 2e-8 * logits : 0.0),
                 least = terms + (dtype == DType::f16 ? 0x1p-24 : 1e-30);
    Difference d{op_.record->outputs[static_cast<int>(k)].name, static_cast<long>(got.size()), 0, 0, 0, 0, 0};
    const size_t width = got.size() == host_.rows * host_.columns ? host_.columns : got.size();
    double most = 0;
    for (double x : expected)
      if (std::isfinite(x)) most = std::fmax(most, std::fabs(x));
    for (size_t i = 0; i < got.size(); i += width) {
      double scale = 0.1 * most;
      for (size_t j = i; j < i + width; ++j)
        if (std::isfinite(expected[j])) scale = std::fmax(scale, std::fabs(expected[j]));
      for (size_t j = i; j < i + width; ++j) {
        const double allowed = exact ? 0.5 : 1e-5 * scale + unit * std::fabs(expected[j]) + least;
        const bool same = got[j] == expected[j] || (got[j] != got[j] && expected[j] != expected[j]);
        const double error = same ? 0 : std::fabs(got[j] - expected[j]) / allowed;
        if (error <= 1) {
          d.worst = std::fmax(d.worst, error);
          continue;
        }
        if (d.wrong++ == 0) {
          d.at = j;
          d.got = got[j];
          d.expected = expected[j];
        }
        d.worst = std::fmax(d.worst, error == error ? error : INFINITY);
      }
    }
    list.push_back(d);
  }
  return list;
}

}  // namespace logitcore
