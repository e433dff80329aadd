// What the addon's functions take: (id, frame, ...arrays), read from JavaScript into a checked call.
#pragma once
#include <node_api.h>

#include <memory>
#include <string>

#include "check.h"

namespace logitcore {

constexpr size_t kMaxArguments = 2 + kMaxInputs + kMaxOutputs;

ArrayFacts describe(napi_env env, napi_value value);

// Indices that another thread can change (a SharedArrayBuffer, or any array while a background job runs) are copied before they
// are checked, since a kernel uses them as offsets.
struct PrivateIndices {
  std::unique_ptr<char[]> copies[kMaxInputs];
  bool take(const Plan& plan, const ArrayFacts* arrays, Call& call, bool all);
};

struct Arguments {
  const Plan* plan = nullptr;
  double* frame = nullptr;
  napi_value values[kMaxArguments];
  size_t count = kMaxArguments;
};

// Throws and returns false if anything is wrong. `background`: the call outlives this one.
bool readCall(napi_env env, napi_callback_info info, Arguments& a, Call& call, PrivateIndices& indices, bool background);

void compute(const Plan& plan, Call& call);

// Writes the scalars of a finished call to the frame, or says what went wrong in it.
bool finish(const Plan& plan, const Call& call, double* frame, std::string& error);

}  // namespace logitcore
