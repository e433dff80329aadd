#include "tensors.h"

#include <atomic>
#include <memory>
#include <new>

#include "../runtime/convert.h"
#include "errors.h"

namespace logitcore {
namespace {

// What no object of another addon, or of JavaScript, can have.
constexpr napi_type_tag kTag = {0x6c6f676974636f72, 0x8f3c5d21b7a94e60};
constexpr double kMostElements = 1099511627776.0;  // 2^40

std::atomic<size_t> count{0};

void release(napi_env env, Tensor& tensor) {
  if (!tensor.data) return;
  tensor.device->memory.release(tensor.data, tensor.bytes());
  tensor.data = nullptr;
  --count;
  int64_t now;
  napi_adjust_external_memory(env, -static_cast<int64_t>(tensor.bytes()), &now);
}

void finalize(napi_env env, void* data, void*) {
  auto* tensor = static_cast<Tensor*>(data);
  release(env, *tensor);
  delete tensor;
}

// Null after throwing.
napi_value make(napi_env env, const std::string& who, Device& device, DType dtype, size_t elements, Tensor** made) {
  auto* tensor = new (std::nothrow) Tensor;
  if (!tensor) return throwError(env, who + ": out of memory");
  tensor->device = &device;
  tensor->dtype = dtype;
  tensor->elements = elements;
  cudaError_t error;
  tensor->data = device.memory.allocate(tensor->bytes(), error);
  if (!tensor->data) {
    const size_t wanted = tensor->bytes();
    delete tensor;
    return error == cudaErrorMemoryAllocation ? throwOutOfMemory(env, who, device, wanted) : throwCuda(env, who, error);
  }
  ++count;
  int64_t now;
  napi_adjust_external_memory(env, static_cast<int64_t>(tensor->bytes()), &now);
  napi_value object = nullptr;
  if (napi_create_object(env, &object) == napi_ok && napi_wrap(env, object, tensor, finalize, nullptr, nullptr) == napi_ok) {
    *made = tensor;
    if (napi_type_tag_object(env, object, &kTag) == napi_ok) return object;
    // Its finalizer frees it.
    return throwError(env, who + ": the tensor could not be marked as one");
  }
  finalize(env, tensor, nullptr);
  return throwError(env, who + ": the tensor could not be made");
}

bool readDType(napi_env env, napi_value value, DType& dtype) {
  double number;
  if (!readWhole(env, value, 0, kDTypes - 1, number)) return false;
  dtype = static_cast<DType>(static_cast<int>(number));
  return true;
}

// Which typed arrays a tensor of a type is made of: numbers that are converted, or its own bits.
bool fits(DType dtype, napi_typedarray_type type) {
  switch (dtype) {
    case DType::f32: return type == napi_float32_array;
    case DType::i32: return type == napi_int32_array;
    case DType::f64: return type == napi_float64_array;
    default: return type == napi_float32_array || type == napi_uint16_array;
  }
}

const char* wantedArrays(DType dtype) {
  switch (dtype) {
    case DType::f32: return "a Float32Array";
    case DType::i32: return "an Int32Array";
    case DType::f64: return "a Float64Array";
    default: return "a Float32Array, or a Uint16Array of its bits";
  }
}

}  // namespace

Tensor* tensorOf(napi_env env, napi_value value) {
  napi_valuetype type;
  bool is = false;
  void* found = nullptr;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_object) return nullptr;
  if (napi_check_object_type_tag(env, value, &kTag, &is) != napi_ok || !is) return nullptr;
  return napi_unwrap(env, value, &found) == napi_ok ? static_cast<Tensor*>(found) : nullptr;
}

size_t tensorCount() { return count; }

napi_value allocateTensor(napi_env env, napi_callback_info info) {
  size_t given = 3;
  napi_value values[3];
  DType dtype;
  double elements;
  Tensor* tensor;
  if (napi_get_cb_info(env, info, &given, values, nullptr, nullptr) != napi_ok) return nullptr;
  const std::string who = readName(env, values[0]);
  if (!readDType(env, values[1], dtype)) return throwType(env, who + ": dtype must be a number from 0 to 4");
  if (!readWhole(env, values[2], 0, kMostElements, elements))
    return throwRange(env, who + ": the number of values must be an integer from 0 to 2^40");
  Device* device = deviceOrThrow(env, who.c_str());
  return device ? make(env, who, *device, dtype, static_cast<size_t>(elements), &tensor) : nullptr;
}

napi_value uploadTensor(napi_env env, napi_callback_info info) {
  size_t given = 3;
  napi_value values[3], buffer;
  DType dtype;
  if (napi_get_cb_info(env, info, &given, values, nullptr, nullptr) != napi_ok) return nullptr;
  const std::string who = readName(env, values[0]);
  if (!readDType(env, values[1], dtype)) return throwType(env, who + ": dtype must be a number from 0 to 4");
  bool is = false;
  napi_typedarray_type type;
  size_t length = 0, offset = 0;
  void* data = nullptr;
  if (napi_is_typedarray(env, values[2], &is) != napi_ok || !is)
    return throwType(env, who + ": data must be " + wantedArrays(dtype) + ", got " + kindOf(env, values[2]));
  if (napi_get_typedarray_info(env, values[2], &type, &length, &data, &buffer, &offset) != napi_ok || !fits(dtype, type))
    return throwType(env, who + ": data must be " + wantedArrays(dtype) + " for dtype " + nameOf(dtype));
  if (!data || length == 0) {
    bool detached = false;
    if (napi_is_detached_arraybuffer(env, buffer, &detached) == napi_ok && detached)
      return throwType(env, who + ": data has a detached ArrayBuffer");
    length = 0;
  }
  Device* device = deviceOrThrow(env, who.c_str());
  if (!device) return nullptr;
  // From pageable memory: CUDA has read all of it when it returns.
  std::unique_ptr<uint16_t[]> halves;
  const bool converts = (dtype == DType::bf16 || dtype == DType::f16) && type == napi_float32_array;
  if (converts && length) {
    halves.reset(new (std::nothrow) uint16_t[length]);
    if (!halves) return throwError(env, who + ": out of memory");
    toHalves(dtype, static_cast<const float*>(data), halves.get(), length);
    data = halves.get();
  }
  Tensor* tensor = nullptr;
  napi_value made = make(env, who, *device, dtype, length, &tensor);
  if (!made || length == 0) return made;
  const cudaError_t error = cudaMemcpyAsync(tensor->data, data, tensor->bytes(), cudaMemcpyHostToDevice, device->stream);
  if (error == cudaSuccess) return made;
  cudaGetLastError();
  release(env, *tensor);
  return throwCuda(env, who, error);
}

napi_value disposeTensor(napi_env env, napi_callback_info info) {
  size_t given = 1;
  napi_value value;
  if (napi_get_cb_info(env, info, &given, &value, nullptr, nullptr) != napi_ok) return nullptr;
  Tensor* tensor = tensorOf(env, value);
  if (!tensor) return throwType(env, std::string("dispose: the argument must be a device tensor, got ") + kindOf(env, value));
  release(env, *tensor);
  return nullptr;
}

}  // namespace logitcore
