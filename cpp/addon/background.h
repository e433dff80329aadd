// Calls on background threads: `callInBackground(id, frame, ...arrays)` reads and checks as `call` does and returns a promise;
// `cancelInBackground(frame, reason)` rejects the promise of the call with that frame, if no thread has begun it.
#pragma once
#include <node_api.h>

namespace logitcore {

napi_value callInBackground(napi_env env, napi_callback_info info);
napi_value cancelInBackground(napi_env env, napi_callback_info info);

}  // namespace logitcore
