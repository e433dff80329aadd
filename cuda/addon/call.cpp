#include "call.h"

#include <utility>
#include <vector>

#include "errors.h"
#include "faults.h"
#include "operands.h"

namespace logitcore {
namespace {

constexpr size_t kMaxArguments = 2 + kMaxInputs + kMaxOutputs;

// A call with the memory it takes while its kernels are put on the stream.
struct Running : DeviceCall {
  Device* owner = nullptr;
  std::vector<std::pair<void*, size_t>> blocks;
  size_t wanted = 0;  // by what found no memory

  static void* take(DeviceCall& call, size_t bytes) {
    auto& self = static_cast<Running&>(call);
    cudaError_t error;
    void* block = self.owner->memory.allocate(bytes, error);
    if (block) {
      self.blocks.push_back({block, bytes});
    } else if (error == cudaErrorMemoryAllocation) {
      self.outOfMemory = true;
      self.wanted = bytes;
    } else if (self.failure == cudaSuccess) {
      self.failure = error;
    }
    return block;
  }
  ~Running() {
    for (const auto& [block, bytes] : blocks) owner->memory.release(block, bytes);
  }
};

// False after throwing.
bool readFrame(napi_env env, napi_value value, const Plan& plan, double*& frame) {
  bool is = false;
  napi_typedarray_type type;
  size_t length = 0, offset;
  void* data = nullptr;
  napi_value buffer;
  if (napi_is_typedarray(env, value, &is) == napi_ok && is &&
      napi_get_typedarray_info(env, value, &type, &length, &data, &buffer, &offset) == napi_ok && type == napi_float64_array && data &&
      length >= static_cast<size_t>(plan.frameLength())) {
    frame = static_cast<double*>(data);
    return true;
  }
  throwType(env,
            std::string(plan.record->name) + ": the frame must be a Float64Array of " + std::to_string(plan.frameLength()) + " numbers");
  return false;
}

bool readList(napi_env env, napi_value value, Given& given) {
  bool is = false;
  napi_typedarray_type type;
  size_t length = 0, offset;
  void* data = nullptr;
  napi_value buffer;
  if (napi_is_typedarray(env, value, &is) != napi_ok || !is) return false;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, &buffer, &offset) != napi_ok || type != napi_float64_array) return false;
  given.isList = true;
  if (length) given.numbers.assign(static_cast<double*>(data), static_cast<double*>(data) + length);
  return true;
}

bool readGiven(napi_env env, const Plan& plan, size_t count, const napi_value* values, Given* given) {
  for (int i = 0; i < plan.arrays(); ++i) {
    napi_valuetype type = napi_undefined;
    if (static_cast<size_t>(i) >= count || napi_typeof(env, values[i], &type) != napi_ok || type == napi_undefined) continue;
    const bool list = i < plan.inputs && plan.record->inputs[i].kind == Kind::numbers;
    if (list && readList(env, values[i], given[i])) continue;
    given[i].tensor = tensorOf(env, values[i]);
    if (given[i].tensor) continue;
    throwType(env, std::string(plan.record->name) + ": " + operandName(plan, i) + " must be " +
                       (list ? "a Float64Array" : "a device tensor") + ", got " + kindOf(env, values[i]));
    return false;
  }
  return true;
}

// The numbers that the call gives, each in a tensor of its own.
Failure placeNumbers(const Plan& plan, const double* frame, const Operands& operands, Running& call) {
  const auto fail = [&](Failure::Kind kind, int output, const std::string& what) {
    return Failure{kind, std::string(plan.record->name) + ": " + operandName(plan, plan.inputs + output) + what};
  };
  for (int i = 0; i < plan.outputs; ++i) {
    if (!isNumber(plan, frame, i) || !isWanted(plan, i, call)) continue;
    const Tensor* tensor = operands.numbers[i];
    if (!tensor) return fail(Failure::type, i, " is missing, expected a device tensor of dtype f64");
    if (tensor->elements != 1) return fail(Failure::range, i, " has " + std::to_string(tensor->elements) + " values, expected 1");
    for (int k = 0; k < i; ++k)
      if (call.numbers[k] == tensor->data)
        return fail(Failure::range, i, " overlaps " + operandName(plan, plan.inputs + k) + "; it needs memory of its own");
    call.numbers[i] = static_cast<double*>(tensor->data);
  }
  return {};
}

DeviceFacts factsOf(const Device& device) {
  DeviceFacts facts;
  facts.sharedBytes = device.facts.sharedMemPerBlockOptin;
  facts.clusters = device.facts.major >= 9;
  return facts;
}

}  // namespace

napi_value callOnDevice(napi_env env, napi_callback_info info) {
  size_t count = kMaxArguments;
  napi_value values[kMaxArguments];
  if (napi_get_cb_info(env, info, &count, values, nullptr, nullptr) != napi_ok) return nullptr;
  double id;
  if (count < 2 || !readWhole(env, values[0], 0, static_cast<double>(plans().size()) - 1, id))
    return throwRange(env, "logitcore: the first argument of call is no op number");
  const Plan& plan = plans()[static_cast<size_t>(id)];
  double* frame;
  Given given[kMaxInputs + kMaxOutputs];
  if (!readFrame(env, values[1], plan, frame) ||
      !readGiven(env, plan, count < kMaxArguments ? count - 2 : kMaxArguments - 2, values + 2, given))
    return nullptr;
  Operands operands;
  Failure failure = describeOperands(plan, frame, given, operands);
  if (failure) return throwFailure(env, failure);
  const char* name = plan.record->name;
  Device* device = deviceOrThrow(env, name);
  unsigned long long* fault = device ? faultWord(env, name, *device) : nullptr;
  if (!fault) return nullptr;
  const DeviceFacts facts = factsOf(*device);
  Running call;
  failure = checkCall(plan, frame, operands.facts, call);
  if (!failure) failure = checkNumbers(plan, call);
  if (!failure) failure = placeNumbers(plan, frame, operands, call);
  if (failure) return throwFailure(env, failure);
  call.storage = operands.storage;
  call.device = &facts;
  call.stream = device->stream;
  call.fault = fault;
  call.op = static_cast<uint32_t>(id);
  call.allocate = Running::take;
  call.owner = device;
  plan.kernels.f32(call);
  if (call.outOfMemory) return throwOutOfMemory(env, name, *device, call.wanted);
  if (call.failure != cudaSuccess) {
    cudaGetLastError();
    return throwCuda(env, name, call.failure);
  }
  return call.error[0] ? throwRange(env, std::string(name) + ": " + call.error) : nullptr;
}

}  // namespace logitcore
