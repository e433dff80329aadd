// The one door between JavaScript and C++: `call(id, frame, ...arrays)`. It reads all arguments, checks them, and only then takes
// pointers; no JavaScript runs between the check and the kernel.
#include <napi.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <new>

#include "../engine/threads.h"
#include "check.h"
#include "records.h"

namespace logitcore {
namespace {

constexpr size_t kMaxArguments = 2 + kMaxInputs + kMaxOutputs;

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

void raise(napi_env env, const Failure& failure) {
  if (failure.kind == Failure::type)
    napi_throw_type_error(env, nullptr, failure.message.c_str());
  else
    napi_throw_range_error(env, nullptr, failure.message.c_str());
}

// Indices that another thread can change (a SharedArrayBuffer, or any array while a background job runs) are copied before they
// are checked, since a kernel uses them as offsets.
struct PrivateIndices {
  std::unique_ptr<char[]> copies[kMaxInputs];
  bool take(const Plan& plan, const ArrayFacts* arrays, Call& call, bool all) {
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
};

bool overlapsFrame(const ArrayFacts& a, const ArrayFacts& frame) {
  const char* p = static_cast<const char*>(a.data);
  const char* q = static_cast<const char*>(frame.data);
  const size_t width = a.type == ArrayType::float64 ? 8 : 4;
  return p < q + frame.length * 8 && q < p + a.length * width;
}

struct Arguments {
  const Plan* plan = nullptr;
  double* frame = nullptr;
  napi_value values[kMaxArguments];
  size_t count = kMaxArguments;
};

// Reads (id, frame, ...arrays) into a checked call; throws and returns false if anything is wrong.
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
    failure = checkIndices(plan, call);
  }
  if (failure) raise(env, failure);
  return !failure;
}

void compute(const Plan& plan, Call& call) {
  const Kernel kernel = call.isDouble ? plan.kernels.f64 : plan.kernels.f32;
  kernel(call);
}

// The scalars of a finished call, or what went wrong in it.
bool finish(const Plan& plan, const Call& call, double* frame, std::string& error) {
  if (call.outOfMemory || call.error[0]) {
    error = std::string(plan.record->name) + ": " + (call.outOfMemory ? "out of memory" : call.error);
    return false;
  }
  for (int i = 0; i < plan.outputs; ++i) frame[plan.scalarAt() + i] = call.scalars[i];
  return true;
}

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

// A call on a background thread. The references keep its arrays alive until it is settled.
struct Background {
  const Plan* plan;
  Call call;
  PrivateIndices indices;
  napi_deferred deferred = nullptr;
  napi_async_work work = nullptr;
  std::vector<napi_ref> held;
  napi_ref frame = nullptr;
};

void settle(napi_env env, napi_status status, void* data) {
  std::unique_ptr<Background> job(static_cast<Background*>(data));
  napi_value value = nullptr, frame = nullptr;
  napi_get_undefined(env, &value);
  napi_get_reference_value(env, job->frame, &frame);
  const ArrayFacts facts = frame ? describe(env, frame) : ArrayFacts{};
  std::string error = std::string(job->plan->record->name) + ": cancelled";
  const bool intact = facts.type == ArrayType::float64 && facts.length >= static_cast<size_t>(job->plan->frameLength());
  const bool ok = status == napi_ok && intact && finish(*job->plan, job->call, static_cast<double*>(facts.data), error);
  if (ok) {
    napi_resolve_deferred(env, job->deferred, value);
  } else {
    napi_value message;
    napi_create_string_utf8(env, error.c_str(), NAPI_AUTO_LENGTH, &message);
    if (status == napi_ok && !job->call.outOfMemory)
      napi_create_range_error(env, nullptr, message, &value);
    else
      napi_create_error(env, nullptr, message, &value);
    napi_reject_deferred(env, job->deferred, value);
  }
  for (napi_ref ref : job->held) napi_delete_reference(env, ref);
  napi_delete_reference(env, job->frame);
  napi_delete_async_work(env, job->work);
}

napi_value callInBackground(napi_env env, napi_callback_info info) {
  Arguments a;
  std::unique_ptr<Background> job(new (std::nothrow) Background);
  if (!job) {
    napi_throw_error(env, nullptr, "logitcore: out of memory");
    return nullptr;
  }
  if (!readCall(env, info, a, job->call, job->indices, true)) return nullptr;
  job->plan = a.plan;
  napi_value promise, name;
  napi_create_promise(env, &job->deferred, &promise);
  napi_create_reference(env, a.values[1], 1, &job->frame);
  for (size_t i = 2; i < a.count && i < kMaxArguments; ++i) {
    napi_valuetype type;
    napi_ref ref;
    if (napi_typeof(env, a.values[i], &type) == napi_ok && type == napi_object &&
        napi_create_reference(env, a.values[i], 1, &ref) == napi_ok)
      job->held.push_back(ref);
  }
  napi_create_string_utf8(env, "logitcore", NAPI_AUTO_LENGTH, &name);
  Background* raw = job.release();
  napi_create_async_work(
      env, nullptr, name,
      [](napi_env, void* data) { compute(*static_cast<Background*>(data)->plan, static_cast<Background*>(data)->call); }, settle, raw,
      &raw->work);
  if (napi_queue_async_work(env, raw->work) != napi_ok) settle(env, napi_cancelled, raw);
  return promise;
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
