// Tensors as JavaScript holds them: an object that wraps a block of device memory. Shapes are JavaScript's business; here a tensor is
// a number of values of one type.
#pragma once
#include <node_api.h>

#include "../runtime/device.h"
#include "../runtime/dtype.h"

namespace logitcore {

struct Tensor {
  Device* device = nullptr;
  void* data = nullptr;  // null: it has been disposed of
  size_t elements = 0;
  DType dtype = DType::f32;

  size_t bytes() const { return elements * widthOf(dtype); }
};

// Null if the value is anything else.
Tensor* tensorOf(napi_env env, napi_value value);
// How many there are with memory, in all threads.
size_t tensorCount();

// allocate(who, dtype, elements), upload(who, dtype, typedArray), dispose(tensor): `who` begins the messages.
napi_value allocateTensor(napi_env env, napi_callback_info info);
napi_value uploadTensor(napi_env env, napi_callback_info info);
napi_value disposeTensor(napi_env env, napi_callback_info info);

}  // namespace logitcore
