// What the addon's functions throw. All of them return null, so that a function can end with one.
#pragma once
#include <node_api.h>

#include <string>

#include "../../cpp/addon/check.h"
#include "../runtime/device.h"

namespace logitcore {

napi_value throwError(napi_env env, const std::string& message);
napi_value throwType(napi_env env, const std::string& message);
napi_value throwRange(napi_env env, const std::string& message);
napi_value throwFailure(napi_env env, const Failure& failure);
// What CUDA has against it.
napi_value throwCuda(napi_env env, const std::string& who, cudaError_t error);
napi_value throwOutOfMemory(napi_env env, const std::string& who, Device& device, size_t wanted);

// The device, made current; null after throwing.
Device* deviceOrThrow(napi_env env, const char* who);

// What a value is, for messages.
const char* kindOf(napi_env env, napi_value value);
bool readWhole(napi_env env, napi_value value, double least, double most, double& number);
// At most 63 bytes, for messages: the name of the function that was called.
std::string readName(napi_env env, napi_value value);

}  // namespace logitcore
