// What JavaScript sees of the addon: tensors that it cannot look into, one door for all ops, and what the device is.
#include <napi.h>

#include "../../cpp/addon/records.h"
#include "../runtime/blas.h"
#include "call.h"
#include "errors.h"
#include "read.h"
#include "tensors.h"

namespace logitcore {
namespace {

Napi::Value unavailableReason(const Napi::CallbackInfo& info) {
  std::string reason;
  if (Device::get(reason)) return info.Env().Undefined();
  return Napi::String::New(info.Env(), reason);
}

Napi::Value devices(const Napi::CallbackInfo& info) {
  Napi::Array list = Napi::Array::New(info.Env());
  int count = 0;
  std::string reason;
  const Device* used = Device::get(reason);
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();
    return list;
  }
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp facts;
    if (cudaGetDeviceProperties(&facts, i) != cudaSuccess) continue;
    Napi::Object o = Napi::Object::New(info.Env());
    o.Set("name", facts.name);
    o.Set("computeCapability", std::to_string(facts.major) + "." + std::to_string(facts.minor));
    o.Set("memory", static_cast<double>(facts.totalGlobalMem));
    o.Set("multiprocessors", facts.multiProcessorCount);
    o.Set("used", used && used->ordinal == i);
    list.Set(list.Length(), o);
  }
  return list;
}

Napi::Value memory(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Device* device = deviceOrThrow(env, "memory");
  if (!device) return env.Undefined();
  const DeviceMemory::Report report = device->memory.report();
  Napi::Object o = Napi::Object::New(env);
  o.Set("used", static_cast<double>(report.used));
  o.Set("cached", static_cast<double>(report.cached));
  o.Set("peak", static_cast<double>(report.peak));
  o.Set("total", static_cast<double>(device->facts.totalGlobalMem));
  o.Set("tensors", static_cast<double>(tensorCount()));
  return o;
}

Napi::Value versions(const Napi::CallbackInfo& info) {
  Napi::Object o = Napi::Object::New(info.Env());
  int version = 0;
  if (cudaDriverGetVersion(&version) == cudaSuccess && version) o.Set("driver", versionText(version));
  if (cudaRuntimeGetVersion(&version) == cudaSuccess) o.Set("runtime", versionText(version));
  if (const size_t library = libraryVersion())
    o.Set("cublasLt", std::to_string(library / 10000) + "." + std::to_string(library % 10000 / 100) + "." + std::to_string(library % 100));
  return o;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  const auto add = [&](const char* name, napi_callback fn) {
    napi_value f;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, fn, nullptr, &f) == napi_ok) napi_set_named_property(env, exports, name, f);
  };
  add("call", callOnDevice);
  add("allocate", allocateTensor);
  add("upload", uploadTensor);
  add("dispose", disposeTensor);
  add("read", readTensor);
  add("synchronize", synchronize);
  exports.Set("unavailableReason", Napi::Function::New(env, unavailableReason, "unavailableReason"));
  exports.Set("devices", Napi::Function::New(env, devices, "devices"));
  exports.Set("memory", Napi::Function::New(env, memory, "memory"));
  exports.Set("versions", Napi::Function::New(env, versions, "versions"));
  exports.Set("records", describeRecords(env));
  exports.Set("version", Napi::String::New(env, LOGITCORE_VERSION));
#if defined(__CUDACC__)
  exports.Set("emulated", false);
#else
  exports.Set("emulated", true);
#endif
  return exports;
}

}  // namespace
}  // namespace logitcore

static Napi::Object initLogitcoreCuda(Napi::Env env, Napi::Object exports) { return logitcore::init(env, exports); }
NODE_API_MODULE(logitcore_cuda, initLogitcoreCuda)
