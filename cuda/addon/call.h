// The door for ops: call(id, frame, ...tensors), as cpp/addon has it for typed arrays.
#pragma once
#include <node_api.h>

namespace logitcore {
napi_value callOnDevice(napi_env env, napi_callback_info info);
}
