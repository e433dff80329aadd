// What JavaScript sees of the addon. All ops go through one door, `call(id, frame, ...arrays)`: it reads all arguments, checks them,
// and only then takes pointers; no JavaScript runs between the check and the kernel.
#include <napi.h>

#include <cmath>

#include "../engine/threads.h"
#include "arguments.h"
#include "background.h"
#include "records.h"

namespace logitcore {
namespace {

napi_value callOp(napi_env env, napi_callback_info info) {
  Arguments a;
  Call call;
  PrivateIndices indices;
  if (!readCall(env, info, a, call, indices, false)) return nullptr;
  compute(*a.plan, call);
  std::string error;
  if (!finish(*a.plan, call, a.frame, error)) {
    if (call.outOfMemory)
      napi_throw_error(env, nullptr, error.c_str());
    else
      napi_throw_range_error(env, nullptr, error.c_str());
  }
  return nullptr;
}

napi_value setThreads(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value value;
  double n = 0;
  napi_get_cb_info(env, info, &count, &value, nullptr, nullptr);
  if (count < 1 || napi_get_value_double(env, value, &n) != napi_ok) {
    napi_throw_type_error(env, nullptr, "setNumThreads: n must be a number");
    return nullptr;
  }
  if (!(n >= 1 && n <= kMaxThreads && n == std::floor(n))) {
    napi_throw_range_error(env, nullptr, ("setNumThreads: n must be an integer from 1 to " + std::to_string(kMaxThreads)).c_str());
    return nullptr;
  }
  setThreadCount(static_cast<int>(n));
  return nullptr;
}

napi_value getThreads(napi_env env, napi_callback_info) {
  napi_value n;
  napi_create_int32(env, threadCount(), &n);
  return n;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  const char* error = nullptr;
  if (!activeLevel(&error)) {
    Napi::Error::New(env, std::string("logitcore: ") + error).ThrowAsJavaScriptException();
    return exports;
  }
  const auto add = [&](const char* name, napi_callback fn) {
    napi_value f;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, fn, nullptr, &f) == napi_ok) napi_set_named_property(env, exports, name, f);
  };
  add("call", callOp);
  add("callInBackground", callInBackground);
  add("cancelInBackground", cancelInBackground);
  add("setNumThreads", setThreads);
  add("getNumThreads", getThreads);
  exports.Set("records", describeRecords(env));
  exports.Set("version", Napi::String::New(env, LOGITCORE_VERSION));
  exports.Set("isa", Napi::String::New(env, levelName(*activeLevel(nullptr))));
  exports.Set("machineIsa", Napi::String::New(env, levelName(machineLevel())));
  return exports;
}

}  // namespace
}  // namespace logitcore

static Napi::Object initLogitcore(Napi::Env env, Napi::Object exports) { return logitcore::init(env, exports); }
NODE_API_MODULE(logitcore, initLogitcore)
