#include "samples.h"

#include <cstring>

#include "../../cpp/engine/members.h"
#include "../../cpp/engine/threads.h"
#include "host_kernels.h"

namespace logitcore {
namespace {

using LOGITCORE_LEVEL::hasClasses;
DType typeOf(Storage s) { return s == Storage::f32 ? DType::f32 : s == Storage::bf16 ? DType::bf16 : DType::f16; }

Sample* current = nullptr;

double share(Random& random) { return (random.uniform() + 1) / 2; }
double normal(Random& random) {
  // 1 - u: the logarithm of 0 has no place here.
  return std::sqrt(-2 * std::log(1 - share(random))) * std::cos(6.283185307179586 * share(random));
}

// More entries than that would take minutes where there is no GPU.
constexpr size_t kMostEntries = size_t{1} << 23;

}  // namespace

size_t Sample::sizeOf(const Dim& d) const {
  const auto size = [&](char letter) { return host_.dims[static_cast<unsigned char>(letter) & 127]; };
  if (!d.letter) return d.plus;
  if (d.when >= 0 && host_.options[d.when] == 0) return 1;
  if (d.times) return size(d.letter) * size(d.times);
  if (d.option >= 0) return static_cast<size_t>(host_.options[d.option]);
  return size(d.letter) + d.plus;
}
size_t Sample::lengthOf(const Dims& dims) const {
  size_t n = 1;
  for (const Dim& d : dims) n *= sizeOf(d);
  return n;
}

// c are the columns, n or * the rows; logits of sequences have half as many positions each.
void Sample::chooseSizes(size_t rows, size_t columns) {
  std::string letters;
  for (const Dims& dims : plan_.inputDims)
    for (const Dim& d : dims) letters += d.times ? std::string{d.letter, d.times} : std::string{d.letter};
  const auto has = [&](char letter) { return letters.find(letter) != std::string::npos; };
  const bool sequences = has('t') || has('l') || has('u'), alone = letters.find_first_not_of('*') == std::string::npos;
  // Points of two lines, nodes of two graphs, or points of two clouds, each in few dimensions.
  const bool points = letters.find_first_not_of("nm") == std::string::npos, clouds = has('e');
  const auto option = [&](const char* name) {
    for (int i = 0; i < plan_.options; ++i)
      if (std::strcmp(plan_.record->options[i].name, name) == 0) return host_.options[i];
    return 0.0;
  };
  for (char letter : letters) {
    size_t size = has('c') ? 6 : columns;
    if (letter == 'c') size = columns;
    if (letter == 'v') size = columns + 2;
    if (letter == '*') size = sequences ? 2 : alone ? columns : rows;
    if (letter == 'n') size = rows;
    // Sequences, or nodes of a second graph.
    if (letter == 'b') size = has('a') ? (rows + 1) / 2 : 2;
    if (letter == 't' || letter == 'l') size = (rows + 1) / 2;
    if (letter == 'u') size = (rows + 3) / 2;
    // Of two matrices: rows x columns, times columns x (rows and a few), each perhaps turned.
    if (letter == 'i') size = option("transposeA") != 0 ? columns : rows;
    if (letter == 'j') size = option("transposeA") != 0 ? rows : columns;
    if (letter == 'p') size = option("transposeB") != 0 ? rows + 5 : columns;
    if (letter == 'q') size = option("transposeB") != 0 ? columns : rows + 5;
    // Nodes of a graph, or steps: one for all channels, or one each, of the seven usual widths.
    if (letter == 'g')
      size = option("bits") != 0 ? (columns % 2 ? 1 : columns) : option("nodes") != 0 ? columns : static_cast<size_t>(option("topK"));
    if (letter == 'B') size = 7;
    if (points) size = letter == 'n' && columns % 4 > 1 ? columns + rows : columns;
    if (clouds) size = letter == 'n' ? columns : letter == 'p' ? rows : letter == 'd' || letter == 'q' ? 5 : 3;
    // Keys, which a query may not see unless there are as many queries.
    if (letter == 'm' && option("causal") != 0) size = rows;
    host_.dims[static_cast<int>(letter)] = size;
  }
  host_.rows = has('*') ? host_.dims[static_cast<int>('*')] : host_.dims[static_cast<int>('n')];
  host_.columns = host_.dims[static_cast<int>('c')];
  for (const Dims& dims : plan_.outputDims)
    for (const Dim& d : dims)
      if (!has(d.letter)) host_.dims[static_cast<unsigned char>(d.letter) & 127] = 1;
}

void Sample::fill(Array& a, const Input& in, size_t columns, unsigned seed) {
  Random random{seed * 0x9e3779b97f4a7c15ull + 1};
  a.values.resize(a.length);
  if (in.kind != Kind::real && in.kind != Kind::numbers) {
    a.dtype = DType::i32;
    a.integers.resize(a.length);
    for (size_t i = 0; i < a.length; ++i) {
      const double u = share(random);
      // A row in eight is left out, where there is the option.
      a.integers[i] = u < 0.125 && plan_.ignoreIndex >= 0 ? -100 : static_cast<int32_t>(share(random) * static_cast<double>(host_.columns));
      if (in.kind == Kind::mark && u >= 0.125) a.integers[i] = 0;
      if (in.kind == Kind::mask) a.integers[i] = u >= 0.125;
      if (in.kind == Kind::sign) a.integers[i] = u < 0.5 ? 1 : -1;
      // Layers that cover all weights.
      if (std::strcmp(in.name, "segments") == 0) a.integers[i] = static_cast<int32_t>(i * host_.dims['n'] / (a.length - 1));
    }
    return;
  }
  const bool isBits = std::strcmp(in.name, "bitList") == 0;
  a.dtype = in.kind != Kind::real ? DType::f64 : hasClasses(in.dims) ? typeOf(storage_) : DType::f32;
  for (double& x : a.values) x = 2 * normal(random);
  for (size_t i = 0; isBits && i < a.length; ++i) a.values[i] = static_cast<double>(i + 2);
  // A graph too: the divergence has no meaning for others.
  const bool isGraph = std::strcmp(in.dims, "a,a") == 0 || std::strcmp(in.dims, "b,b") == 0;
  if ((in.domain == Domain::positive && !isBits) || isGraph)
    for (double& x : a.values) x = std::fabs(x) + 0.1;
  if (in.domain == Domain::probability || in.domain == Domain::logProbability) {
    const size_t width = hasClasses(in.dims) ? columns : 1;
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
void Sample::chooseOptions(size_t columns, unsigned seed) {
  const StoredRecord& r = *plan_.record;
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
    // Iterations that end: the build for the CPU is slow.
    if (name == "outerIterations" || name == "maxSteps") host_.options[i] = 3;
    if (name == "innerIterations") host_.options[i] = 7;
    if (name == "quantile") host_.options[i] = 0.3;
    // Also more than are selected without a sort, and all.
    if (name == "k") host_.options[i] = static_cast<double>(1 + (seed % 7 == 0 ? columns / 2 : seed % 71) % columns);
    // Not all: with every class a node, what they are the differences of adds up to nothing.
    if (name == "topK" && seed % 5) host_.options[i] = static_cast<double>(1 + seed % 71);
    if (name == "topK" && columns > 1) host_.options[i] = std::fmin(host_.options[i], static_cast<double>(columns - 1));
    // Two standardised values are 1 and -1, whatever they were.
    if (name == "transform" && columns == 2) host_.options[i] = o.fallback;
    if (o.required && host_.options[i] != host_.options[i]) host_.options[i] = 0.5;
    host_.given[i] = host_.options[i] == host_.options[i];
  }
}

Sample::Sample(const Plan& plan, size_t rows, size_t columns, Storage storage, unsigned seed) : plan_(plan), storage_(storage) {
  std::string reason;
  device_ = Device::get(reason);
  const StoredRecord& r = *plan.record;
  host_.record = plan.record;
  host_.runtime = &runtime();
  host_.isDouble = true;
  chooseOptions(columns, seed);
  chooseSizes(rows, columns);
  inputs_.resize(static_cast<size_t>(r.inputs.count));
  outputs_.resize(static_cast<size_t>(r.outputs.count));
  bool halves = false;
  size_t entries = 0;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Input& in = r.inputs[static_cast<int>(i)];
    halves = halves || (in.kind == Kind::real && hasClasses(in.dims));
    inputs_[i].length = lengthOf(plan.inputDims[i]);
    entries += inputs_[i].length;
  }
  fits_ = (halves || storage == Storage::f32) && entries <= kMostEntries && (!r.check || r.check(host_));
  for (size_t i = 0; fits_ && i < outputs_.size(); ++i) entries += lengthOf(plan.outputDims[i]);
  fits_ = fits_ && entries <= kMostEntries;
  if (!fits_) return;
  for (int i = 0; i < r.inputs.count; ++i) {
    Array& a = inputs_[static_cast<size_t>(i)];
    // Of queries and keys, scales of both or of neither.
    const unsigned turn = std::strncmp(r.inputs[i].name, "gamma", 5) == 0 ? seed / 2 : seed + static_cast<unsigned>(i);
    if (r.inputs[i].optional && turn % 2) {
      a.length = 0;
      continue;
    }
    const Dims& dims = plan.inputDims[static_cast<size_t>(i)];
    fill(a, r.inputs[i], dims.empty() ? 1 : sizeOf(dims.back()), seed * 16 + static_cast<unsigned>(i) + 1);
    if (r.inputs[i].kind != Kind::numbers) upload(a);
    host_.inputs[i] = a.integers.empty() ? static_cast<const void*>(a.values.data()) : a.integers.data();
    host_.inputLength[i] = a.length;
  }
  static_cast<Call&>(call_) = host_;
  call_.isDouble = false;
  // Lists of numbers stay on the host.
  for (int i = 0; i < r.inputs.count; ++i)
    if (host_.inputs[i] && inputs_[static_cast<size_t>(i)].device) call_.inputs[i] = inputs_[static_cast<size_t>(i)].device;
  numbers_.dtype = DType::f64;
  numbers_.length = kMaxOutputs;
  numbers_.values.assign(kMaxOutputs, 0);
  upload(numbers_);
  const bool perRow = plan.reduction >= 0 && host_.options[plan.reduction] == kReduceNone;
  for (int i = 0; i < r.outputs.count; ++i) {
    const Output& o = r.outputs[i];
    Array& a = outputs_[static_cast<size_t>(i)];
    if (o.kind == OutputKind::scalar || (o.kind == OutputKind::reduced && !perRow)) {
      call_.numbers[i] = static_cast<double*>(numbers_.device) + i;
      continue;
    }
    const int asked = plan.whenOption[static_cast<size_t>(i)], with = plan.whenInput[static_cast<size_t>(i)];
    if ((asked >= 0 && !(host_.options[asked] != 0)) || (with >= 0 && !host_.inputs[with])) continue;
    a.length = lengthOf(plan.outputDims[static_cast<size_t>(i)]);
    a.dtype = o.type == Kind::index ? DType::i32 : hasClasses(o.dims) ? typeOf(storage_) : DType::f32;
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

void Sample::expect() { hostKernels(plan_.record->name)->f64(host_); }

void Sample::run() {
  current = this;
  plan_.kernels.f32(call_);
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
      double& most = plan_.record->inputs[static_cast<int>(k)].domain == Domain::gradient ? upstream : logits;
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
    const Dims& dims = plan_.outputDims[k];
    const size_t width = !number && dims.size() > 1 ? sizeOf(dims.back()) : got.size();
    const bool isRow = number || dims.size() < 2;
    const double terms = number ? 5e-6 : 2e-6 * upstream + (isRow ? 2e-8 * logits : 0.0),
                 least = terms + (dtype == DType::f16 ? 0x1p-24 : 1e-30);
    Difference d{plan_.record->outputs[static_cast<int>(k)].name, static_cast<long>(got.size()), 0, 0, 0, 0, 0};
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
