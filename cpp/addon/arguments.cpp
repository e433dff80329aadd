#include "arguments.h"

#include <cmath>
#include <cstring>
#include <new>
#include <vector>

#include "../engine/threads.h"

namespace logitcore {
namespace {

void raise(napi_env env, const Failure& failure) {
  if (failure.kind == Failure::type)
    napi_throw_type_error(env, nullptr, failure.message.c_str());
  else
    napi_throw_range_error(env, nullptr, failure.message.c_str());
}

bool overlapsFrame(const ArrayFacts& a, const ArrayFacts& frame) {
  const char* p = static_cast<const char*>(a.data);
  const char* q = static_cast<const char*>(frame.data);
  return p < q + frame.length * 8 && q < p + a.length * static_cast<size_t>(a.width);
}

}  // namespace

ArrayFacts describe(napi_env env, napi_value value) {
  ArrayFacts facts;
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok || type == napi_undefined) return facts;
  facts.type = ArrayType::other;
  bool is = false;
  if (type != napi_object) {
    facts.typeName = type == napi_null       ? "null"
                     : type == napi_string   ? "a string"
                     : type == napi_number   ? "a number"
                     : type == napi_boolean  ? "a boolean"
                     : type == napi_function ? "a function"
                                             : "a primitive value";
    return facts;
  }
  if (napi_is_typedarray(env, value, &is) != napi_ok || !is) {
    facts.typeName = "an object";
    return facts;
  }
  napi_typedarray_type kind;
  napi_value buffer;
  size_t offset;
  if (napi_get_typedarray_info(env, value, &kind, &facts.length, &facts.data, &buffer, &offset) != napi_ok) {
    facts.typeName = "a typed array of an unsupported kind";
    facts.length = 0;
    facts.data = nullptr;
    return facts;
  }
  static const char* const names[] = {"Int8Array",   "Uint8Array",   "Uint8ClampedArray", "Int16Array",    "Uint16Array",   "Int32Array",
                                      "Uint32Array", "Float32Array", "Float64Array",      "BigInt64Array", "BigUint64Array"};
  const size_t index = static_cast<size_t>(kind);
  facts.typeName = index < sizeof names / sizeof *names ? names[index] : "a typed array of an unsupported kind";
  if (kind == napi_float32_array) facts.type = ArrayType::float32;
  if (kind == napi_float64_array) facts.type = ArrayType::float64;
  if (kind == napi_int32_array) facts.type = ArrayType::int32;
  facts.width = kind == napi_float64_array ? 8 : 4;
  if (!facts.data || facts.length == 0) {
    bool detached = false;
    if (napi_is_detached_arraybuffer(env, buffer, &detached) == napi_ok) facts.detached = detached;
    facts.length = 0;
  }
  if (facts.type == ArrayType::int32) {
    bool plain = false;
    facts.shared = napi_is_arraybuffer(env, buffer, &plain) == napi_ok && !plain;
  }
  return facts;
}

bool PrivateIndices::take(const Plan& plan, const ArrayFacts* arrays, Call& call, bool all) {
  for (int i = 0; i < plan.inputs; ++i) {
    const Kind kind = plan.record->inputs[i].kind;
    const bool changeable = all || arrays[i].shared || kind == Kind::numbers;
    if (!call.inputs[i] || kind == Kind::real || kind == Kind::real64 || !changeable || !arrays[i].length) continue;
    const size_t bytes = arrays[i].length * (kind == Kind::numbers ? sizeof(double) : sizeof(int32_t));
    copies[i].reset(new (std::nothrow) char[bytes]);
    if (!copies[i]) return false;
    std::memcpy(copies[i].get(), call.inputs[i], bytes);
    call.inputs[i] = copies[i].get();
  }
  return true;
}

bool readCall(napi_env env, napi_callback_info info, Arguments& a, Call& call, PrivateIndices& indices, bool background) {
  if (napi_get_cb_info(env, info, &a.count, a.values, nullptr, nullptr) != napi_ok) return false;
  const std::vector<Plan>& all = plans();
  double id = -1;
  if (a.count < 2 || napi_get_value_double(env, a.values[0], &id) != napi_ok || !(id >= 0 && id < static_cast<double>(all.size())) ||
      id != std::floor(id)) {
    napi_throw_range_error(env, nullptr, "logitcore: the first argument of call is no op number");
    return false;
  }
  a.plan = &all[static_cast<size_t>(id)];
  const Plan& plan = *a.plan;
  const ArrayFacts frame = describe(env, a.values[1]);
  if (frame.type != ArrayType::float64 || frame.length < static_cast<size_t>(plan.frameLength())) {
    napi_throw_type_error(
        env, nullptr,
        (std::string(plan.record->name) + ": the frame must be a Float64Array of " + std::to_string(plan.frameLength()) + " numbers")
            .c_str());
    return false;
  }
  a.frame = static_cast<double*>(frame.data);
  ArrayFacts arrays[kMaxInputs + kMaxOutputs];
  for (int i = 0; i < plan.arrays(); ++i) {
    if (static_cast<size_t>(i) + 2 < a.count && static_cast<size_t>(i) + 2 < kMaxArguments) arrays[i] = describe(env, a.values[i + 2]);
    if (arrays[i].type != ArrayType::none && arrays[i].length && overlapsFrame(arrays[i], frame)) {
      napi_throw_range_error(env, nullptr, (std::string(plan.record->name) + ": an array is the frame itself").c_str());
      return false;
    }
  }
  call.runtime = &runtime();
  Failure failure = checkCall(plan, a.frame, arrays, call);
  if (!failure) {
    if (!indices.take(plan, arrays, call, background)) {
      napi_throw_error(env, nullptr, (std::string(plan.record->name) + ": out of memory").c_str());
      return false;
    }
    failure = checkNumbers(plan, call);
    if (!failure) failure = checkIndices(plan, call);
  }
  if (failure) raise(env, failure);
  return !failure;
}

void compute(const Plan& plan, Call& call) {
  const Kernel kernel = call.isDouble ? plan.kernels.f64 : plan.kernels.f32;
  kernel(call);
}

bool finish(const Plan& plan, const Call& call, double* frame, std::string& error) {
  if (call.outOfMemory || call.error[0]) {
    error = std::string(plan.record->name) + ": " + (call.outOfMemory ? "out of memory" : call.error);
    return false;
  }
  for (int i = 0; i < plan.outputs; ++i) frame[plan.scalarAt() + i] = call.scalars[i];
  return true;
}

}  // namespace logitcore
