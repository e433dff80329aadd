#include "case.h"

#include <cstring>

#include "../../cpp/engine/members.h"
#include "../../test/native/random.h"

namespace logitcore {
namespace bench {
namespace {

constexpr double kSelected = 64;
constexpr size_t kPositions = 256;

using LOGITCORE_LEVEL::hasClasses;
size_t aligned(size_t bytes) { return (bytes + 255) / 256 * 256; }

// A call's memory while its kernels are put on the stream, as the addon has it.
struct Running : DeviceCall {
  Device* owner = nullptr;
  std::vector<std::pair<void*, size_t>> taken;

  static void* take(DeviceCall& call, size_t bytes) {
    auto& self = static_cast<Running&>(call);
    cudaError_t error = cudaSuccess;
    void* block = self.owner->memory.allocate(bytes, error);
    if (block)
      self.taken.push_back({block, bytes});
    else
      self.outOfMemory = true;
    return block;
  }
  ~Running() {
    for (const auto& [block, bytes] : taken) owner->memory.release(block, bytes);
  }
};

}  // namespace

const std::vector<BenchOp>& benchOps() {
  static const std::vector<BenchOp> ops = {{"crossEntropy+grad", "crossEntropy", true},
                                           {"logSoftmax", "logSoftmax", false},
                                           {"standardizedKlDiv+grad", "standardizedKlDiv", true},
                                           {"zLoss+grad", "zLoss", true},
                                           {"topK", "topK", false},
                                           {"klDiv", "klDiv", false},
                                           {"klDiv+grad", "klDiv", true},
                                           {"gldLoss", "gldLoss", false, kPositions},
                                           {"gldLoss+grad", "gldLoss", true, kPositions}};
  return ops;
}

const char* nameOf(Storage s) { return nameOf(typeOf(s)); }
DType typeOf(Storage s) { return s == Storage::f32 ? DType::f32 : s == Storage::bf16 ? DType::bf16 : DType::f16; }
int optionNamed(const StoredRecord& r, const char* name) {
  for (int i = 0; i < r.options.count; ++i)
    if (std::strcmp(r.options[i].name, name) == 0) return i;
  return -1;
}

Layout::Layout(const BenchOp& op, const StoredRecord& r, Storage storage, size_t rows, size_t columns) {
  const auto add = [&](const char* name, int index, bool isInput, DType dtype, size_t count) {
    places.push_back({name, index, isInput, dtype, count, block});
    block += aligned(places.back().bytes());
    bytes += places.back().bytes();
  };
  for (int i = 0; i < r.inputs.count; ++i) {
    const Input& in = r.inputs[i];
    if (in.optional) continue;
    const bool wide = hasClasses(in.dims);
    add(in.name, i, true, in.kind != Kind::real ? DType::i32 : typeOf(storage), wide ? rows * columns : rows);
  }
  const size_t inputs = block;
  for (int i = 0; i < r.outputs.count; ++i) {
    const Output& o = r.outputs[i];
    if (o.kind == OutputKind::reduced && !o.when) bytes += sizeof(double);
    if (o.kind != OutputKind::array || (o.when && !(op.gradient && std::strcmp(o.when, "grad") == 0))) continue;
    if (hasClasses(o.dims))
      add(o.name, i, false, typeOf(storage), rows * columns);
    else
      add(o.name, i, false, o.type == Kind::index ? DType::i32 : DType::f32, rows * static_cast<size_t>(kSelected));
  }
  // A copy of n bytes reads as many and writes as many. It reads inputs: they are always at least half of all.
  spare = block;
  const size_t half = bytes / 2 < inputs ? bytes / 2 : inputs;
  block += aligned(half);
}

// Four times the cache, however it decides what to keep. A set that is larger pushes its own beginning out.
size_t Layout::setsFor(size_t cacheBytes) const {
  const size_t wanted = 4 * cacheBytes;
  return bytes >= wanted ? 1 : (wanted + bytes - 1) / bytes;
}

Case::Case(const BenchOp& b, const Op& o, Device& d, Storage s, size_t n, size_t c, size_t cacheBytes)
    : bench(b), op(o), device(d), storage(s), rows(n), columns(c), units(n / b.positions), layout(b, *o.record, s, n, c) {
  const StoredRecord& r = *op.record;
  call_.record = &r;
  call_.rows = units;
  call_.columns = columns;
  for (char letter : {'n', '*'}) call_.dims[static_cast<int>(letter)] = units;
  for (char letter : {'l', 't'}) call_.dims[static_cast<int>(letter)] = bench.positions;
  for (char letter : {'c', 'v'}) call_.dims[static_cast<int>(letter)] = columns;
  for (int i = 0; i < r.options.count; ++i) {
    call_.options[i] = r.options[i].fallback;
    call_.given[i] = call_.options[i] == call_.options[i];
  }
  const auto set = [&](const char* name, double value) {
    const int i = optionNamed(r, name);
    if (i < 0) return;
    call_.options[i] = value;
    call_.given[i] = true;
  };
  set("grad", bench.gradient);
  set("k", kSelected);
  set("topK", kSelected);
  for (const Place& p : layout.places)
    if (p.isInput) call_.inputLength[p.index] = p.count;
  facts_.sharedBytes = device.facts.sharedMemPerBlockOptin;
  facts_.clusters = device.facts.major >= 9;
  const auto allocate = [&](size_t bytes) {
    void* p = nullptr;
    if (error_ == cudaSuccess) error_ = cudaMalloc(&p, bytes);
    return p;
  };
  numbers_ = static_cast<double*>(allocate(kMaxOutputs * sizeof(double)));
  fault_ = static_cast<unsigned long long*>(allocate(sizeof *fault_));
  for (size_t k = layout.setsFor(cacheBytes); k > 0 && error_ == cudaSuccess; --k) {
    void* block = allocate(layout.block);
    if (block) blocks_.push_back(block);
  }
  if (error_ != cudaSuccess) {
    cudaGetLastError();
    return;
  }
  cudaMemsetAsync(fault_, 0, sizeof *fault_, device.stream);
  for (size_t k = 0; k < blocks_.size(); ++k) fill(k);
  error_ = cudaStreamSynchronize(device.stream);
}

Case::~Case() {
  cudaStreamSynchronize(device.stream);
  for (void* block : blocks_) cudaFree(block);
  cudaFree(numbers_);
  cudaFree(fault_);
}

std::string Case::failure() const {
  if (error_ != cudaSuccess) return cudaGetErrorString(error_);
  if (outOfMemory_) return "no memory for a call";
  unsigned long long fault = 0;
  cudaMemcpyAsync(&fault, fault_, sizeof fault, cudaMemcpyDeviceToHost, device.stream);
  const cudaError_t error = cudaStreamSynchronize(device.stream);
  if (error != cudaSuccess) return cudaGetErrorString(error);
  return fault ? "a target is no class" : "";
}

void Case::fill(size_t set) {
  Running scratch;
  scratch.stream = device.stream;
  for (const Place& p : layout.places) {
    if (!p.isInput) {
      // Not numbers, so that what a kernel leaves out is found.
      cudaMemsetAsync(at(set, p), 0xff, p.bytes(), device.stream);
    } else if (p.dtype == DType::i32) {
      Random random{(set + 1) * 0x9e3779b97f4a7c15ull};
      std::vector<int32_t> targets(p.count);
      for (int32_t& y : targets) y = static_cast<int32_t>(random.below(columns));
      cudaMemcpyAsync(at(set, p), targets.data(), p.bytes(), cudaMemcpyHostToDevice, device.stream);
      cudaStreamSynchronize(device.stream);
    } else {
      fillNormal(scratch, at(set, p), storage, p.count, set * 16 + static_cast<size_t>(p.index) + 1);
    }
  }
  if (error_ == cudaSuccess) error_ = scratch.failure;
}

void Case::callOn(size_t set, void* each) {
  Running running;
  running.owner = &device;
  static_cast<Call&>(running) = call_;
  running.storage = storage;
  running.device = &facts_;
  running.stream = device.stream;
  running.fault = fault_;
  running.allocate = Running::take;
  for (const Place& p : layout.places) {
    if (p.isInput)
      running.inputs[p.index] = at(set, p);
    else if (!each)
      running.outputs[p.index] = at(set, p);
  }
  const StoredRecord& r = *op.record;
  for (int i = 0; i < r.outputs.count; ++i) {
    if (r.outputs[i].kind != OutputKind::reduced || r.outputs[i].when) continue;
    if (each)
      running.outputs[i] = each;
    else
      running.numbers[i] = numbers_ + i;
  }
  if (each) {
    running.options[optionNamed(r, "reduction")] = kReduceNone;
    if (optionNamed(r, "grad") >= 0) running.options[optionNamed(r, "grad")] = 0;
  }
  op.kernels.f32(running);
  if (error_ == cudaSuccess) error_ = running.failure;
  outOfMemory_ = outOfMemory_ || running.outOfMemory;
}

void Case::call() { callOn(next_++ % blocks_.size()); }

void Case::copy() {
  char* block = static_cast<char*>(blocks_[nextCopy_++ % blocks_.size()]);
  const cudaError_t error =
      cudaMemcpyAsync(block + layout.spare, block, layout.block - layout.spare, cudaMemcpyDeviceToDevice, device.stream);
  if (error_ == cudaSuccess) error_ = error;
}

}  // namespace bench
}  // namespace logitcore
