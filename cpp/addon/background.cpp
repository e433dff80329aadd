#include "background.h"

#include <new>
#include <vector>

#include "../engine/jobs.h"
#include "arguments.h"

namespace logitcore {
namespace {

// One call. The references keep its arrays alive until it is settled.
struct Background : Job {
  const Plan* plan = nullptr;
  Call call;
  PrivateIndices indices;
  napi_deferred deferred = nullptr;
  napi_ref frame = nullptr;
  const double* frameData = nullptr;
  std::vector<napi_ref> held;

  static Background& of(Job& job) { return static_cast<Background&>(job); }
};

void release(napi_env env, Background* job) {
  for (napi_ref ref : job->held) napi_delete_reference(env, ref);
  if (job->frame) napi_delete_reference(env, job->frame);
  delete job;
}

// The background calls of one instance of the addon: the main thread has one, each worker another.
class Instance {
 public:
  // Null if Node.js refuses; nothing is left behind then.
  static Instance* of(napi_env env) {
    void* found = nullptr;
    if (napi_get_instance_data(env, &found) != napi_ok) return nullptr;
    if (found) return static_cast<Instance*>(found);
    auto* made = new (std::nothrow) Instance(env);
    if (!made) return nullptr;
    napi_value name;
    if (napi_create_string_utf8(env, "logitcore", NAPI_AUTO_LENGTH, &name) == napi_ok &&
        napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, made, &Instance::settleFinished,
                                        &made->wake_) == napi_ok) {
      napi_unref_threadsafe_function(env, made->wake_);
      // Registered after that function's own hook, and so called before it: no thread wakes what is gone.
      if (napi_add_env_cleanup_hook(env, &Instance::close, made) == napi_ok) {
        if (napi_set_instance_data(
                env, made, [](napi_env, void* data, void*) { delete static_cast<Instance*>(data); }, nullptr) == napi_ok)
          return made;
        napi_remove_env_cleanup_hook(env, &Instance::close, made);
      }
      napi_release_threadsafe_function(made->wake_, napi_tsfn_abort);
    }
    delete made;
    return nullptr;
  }

  bool submit(Background& job) {
    if (!client_.submit(job)) return false;
    if (pending_++ == 0) napi_ref_threadsafe_function(env_, wake_);
    return true;
  }

  Background* withdraw(const double* frame) {
    Job* job = client_.withdraw([&](Job& one) { return Background::of(one).frameData == frame; });
    if (!job) return nullptr;
    settled();
    return &Background::of(*job);
  }

 private:
  explicit Instance(napi_env env) : client_(&Instance::wake, this), env_(env) {}

  static void wake(void* self) { napi_call_threadsafe_function(static_cast<Instance*>(self)->wake_, nullptr, napi_tsfn_nonblocking); }

  // The last job lets the event loop end.
  void settled() {
    if (--pending_ == 0) napi_unref_threadsafe_function(env_, wake_);
  }

  static void settleFinished(napi_env env, napi_value, void* context, void*) {
    if (!env) return;
    auto* self = static_cast<Instance*>(context);
    while (Job* job = self->client_.finished()) {
      napi_handle_scope scope = nullptr;
      napi_open_handle_scope(env, &scope);
      settle(env, Background::of(*job));
      if (scope) napi_close_handle_scope(env, scope);
      self->settled();
    }
  }

  static void settle(napi_env env, Background& job) {
    napi_value value = nullptr, frame = nullptr;
    napi_get_undefined(env, &value);
    napi_get_reference_value(env, job.frame, &frame);
    const ArrayFacts facts = frame ? describe(env, frame) : ArrayFacts{};
    std::string error;
    if (facts.type != ArrayType::float64 || facts.length < static_cast<size_t>(job.plan->frameLength())) {
      error = std::string(job.plan->record->name) + ": the frame was taken away while the op worked";
    } else if (finish(*job.plan, job.call, static_cast<double*>(facts.data), error)) {
      napi_resolve_deferred(env, job.deferred, value);
      return release(env, &job);
    }
    napi_value message = nullptr;
    napi_create_string_utf8(env, error.c_str(), NAPI_AUTO_LENGTH, &message);
    if (job.call.outOfMemory)
      napi_create_error(env, nullptr, message, &value);
    else
      napi_create_range_error(env, nullptr, message, &value);
    napi_reject_deferred(env, job.deferred, value);
    release(env, &job);
  }

  // The environment ends: its arrays go with it, so that the jobs on them must have ended.
  static void close(void* self) {
    auto* instance = static_cast<Instance*>(self);
    instance->client_.close();
    while (Job* job = instance->client_.withdraw([](Job&) { return true; })) release(instance->env_, &Background::of(*job));
    while (Job* job = instance->client_.finished()) release(instance->env_, &Background::of(*job));
  }

  JobClient client_;
  napi_env env_;
  napi_threadsafe_function wake_ = nullptr;
  size_t pending_ = 0;
};

napi_value fail(napi_env env, const char* message) {
  napi_throw_error(env, nullptr, message);
  return nullptr;
}

}  // namespace

napi_value callInBackground(napi_env env, napi_callback_info info) {
  auto* job = new (std::nothrow) Background;
  Instance* instance = job ? Instance::of(env) : nullptr;
  if (!instance) {
    delete job;
    return fail(env, "logitcore: out of memory");
  }
  Arguments a;
  if (!readCall(env, info, a, job->call, job->indices, true)) {
    delete job;
    return nullptr;
  }
  job->plan = a.plan;
  job->frameData = a.frame;
  job->work = [](Job& one) { compute(*Background::of(one).plan, Background::of(one).call); };
  bool held = napi_create_reference(env, a.values[1], 1, &job->frame) == napi_ok;
  for (size_t i = 2; held && i < a.count && i < kMaxArguments; ++i) {
    napi_valuetype type;
    napi_ref ref;
    if (napi_typeof(env, a.values[i], &type) != napi_ok || type != napi_object) continue;
    held = napi_create_reference(env, a.values[i], 1, &ref) == napi_ok;
    if (held) job->held.push_back(ref);
  }
  napi_value promise = nullptr;
  if (!held || napi_create_promise(env, &job->deferred, &promise) != napi_ok) {
    release(env, job);
    return fail(env, "logitcore: out of memory");
  }
  if (instance->submit(*job)) return promise;
  napi_value message, error;
  if (napi_create_string_utf8(env, "logitcore: no background thread could be started", NAPI_AUTO_LENGTH, &message) == napi_ok &&
      napi_create_error(env, nullptr, message, &error) == napi_ok)
    napi_reject_deferred(env, job->deferred, error);
  release(env, job);
  return promise;
}

napi_value cancelInBackground(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value values[2], result = nullptr;
  Instance* instance = Instance::of(env);
  if (!instance) return fail(env, "logitcore: out of memory");
  if (napi_get_cb_info(env, info, &count, values, nullptr, nullptr) != napi_ok) return nullptr;
  // Without a second argument values[1] is undefined, and so is the reason.
  const ArrayFacts frame = describe(env, values[0]);
  Background* job = frame.type == ArrayType::float64 && frame.length ? instance->withdraw(static_cast<double*>(frame.data)) : nullptr;
  if (job) {
    napi_reject_deferred(env, job->deferred, values[1]);
    release(env, job);
  }
  napi_get_boolean(env, job != nullptr, &result);
  return result;
}

}  // namespace logitcore
