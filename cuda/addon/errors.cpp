#include "errors.h"

#include <cmath>

namespace logitcore {

napi_value throwError(napi_env env, const std::string& message) {
  napi_throw_error(env, nullptr, message.c_str());
  return nullptr;
}

napi_value throwType(napi_env env, const std::string& message) {
  napi_throw_type_error(env, nullptr, message.c_str());
  return nullptr;
}

napi_value throwRange(napi_env env, const std::string& message) {
  napi_throw_range_error(env, nullptr, message.c_str());
  return nullptr;
}

napi_value throwFailure(napi_env env, const Failure& failure) {
  return failure.kind == Failure::type ? throwType(env, failure.message) : throwRange(env, failure.message);
}

napi_value throwCuda(napi_env env, const std::string& who, cudaError_t error) {
  return throwError(env, who + ": CUDA: " + cudaGetErrorString(error));
}

napi_value throwOutOfMemory(napi_env env, const std::string& who, Device& device, size_t wanted) {
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  return throwError(env, who + ": out of device memory (wanted " + std::to_string(wanted) + " bytes, free " +
                             std::to_string(free + device.memory.report().cached) + " bytes)");
}

Device* deviceOrThrow(napi_env env, const char* who) {
  std::string reason;
  Device* device = Device::get(reason);
  if (!device) {
    throwError(env, std::string(who) + ": no CUDA device can be used: " + reason);
    return nullptr;
  }
  const cudaError_t error = device->use();
  if (error == cudaSuccess) return device;
  throwCuda(env, who, error);
  return nullptr;
}

const char* kindOf(napi_env env, napi_value value) {
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok) return "nothing";
  switch (type) {
    case napi_undefined: return "undefined";
    case napi_null: return "null";
    case napi_boolean: return "a boolean";
    case napi_number: return "a number";
    case napi_string: return "a string";
    case napi_function: return "a function";
    case napi_object: break;
    default: return "a primitive value";
  }
  bool is = false;
  return napi_is_typedarray(env, value, &is) == napi_ok && is ? "a typed array" : "an object";
}

bool readWhole(napi_env env, napi_value value, double least, double most, double& number) {
  return napi_get_value_double(env, value, &number) == napi_ok && number >= least && number <= most && number == std::floor(number);
}

std::string readName(napi_env env, napi_value value) {
  char text[64];
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, text, sizeof text, &length) != napi_ok || length == 0) return "logitcore";
  return std::string(text, length);
}

}  // namespace logitcore
