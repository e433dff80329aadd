// The op records as JavaScript objects, the form in which `ops()` gives them to everything that iterates over ops.
#pragma once
#include <napi.h>

namespace logitcore {
Napi::Array describeRecords(Napi::Env env);
}
