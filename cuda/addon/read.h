// Reading back: the copy is put on the stream at once, so that what comes after it may overwrite the tensor; a thread of Node.js waits
// for it and fills the typed array.
#pragma once
#include <node_api.h>

namespace logitcore {

// read(tensor): a promise of its values. synchronize(): a promise that all work that is on the stream has been done.
napi_value readTensor(napi_env env, napi_callback_info info);
napi_value synchronize(napi_env env, napi_callback_info info);

}  // namespace logitcore
