// What kernels found in the values of indices, which no one can check before the device has them. Each thread of JavaScript has its own
// word in device memory; the next read or synchronize takes it.
#pragma once
#include <node_api.h>

#include <string>

#include "../runtime/device.h"

namespace logitcore {

// Of this thread; null after throwing.
unsigned long long* faultWord(napi_env env, const char* who, Device& device);
// Of a word that is not 0.
std::string faultText(unsigned long long word);

}  // namespace logitcore
