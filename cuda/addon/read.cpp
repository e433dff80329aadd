#include "read.h"

#include <cstring>
#include <new>

#include "../runtime/convert.h"
#include "errors.h"
#include "faults.h"
#include "tensors.h"

namespace logitcore {
namespace {

using FaultWord = unsigned long long;

struct Read {
  const char* who = nullptr;
  Device* device = nullptr;
  StagingBlock* block = nullptr;  // the fault, then the values
  DType dtype = DType::f32;
  size_t elements = 0, bytes = 0;
  napi_ref array = nullptr;  // keeps `target` alive
  void* target = nullptr;
  napi_deferred deferred = nullptr;
  napi_async_work work = nullptr;
  bool waited = false;
  cudaError_t error = cudaSuccess;

  const char* values() const { return static_cast<const char*>(block->data) + sizeof(FaultWord); }

  void wait() {
    if (waited) return;
    waited = true;
    error = device->use();
    if (error == cudaSuccess) error = cudaEventSynchronize(block->copied);
  }
};

// On a thread of Node.js.
void work(napi_env, void* data) {
  auto& read = *static_cast<Read*>(data);
  read.wait();
  if (read.error != cudaSuccess || !read.elements) return;
  if (read.dtype == DType::bf16 || read.dtype == DType::f16)
    fromHalves(read.dtype, reinterpret_cast<const uint16_t*>(read.values()), static_cast<float*>(read.target), read.elements);
  else
    std::memcpy(read.target, read.values(), read.bytes);
}

void release(napi_env env, Read* read) {
  if (read->work) napi_delete_async_work(env, read->work);
  if (read->array) napi_delete_reference(env, read->array);
  if (read->block) read->device->staging.give(read->block);
  delete read;
}

void complete(napi_env env, napi_status, void* data) {
  auto* read = static_cast<Read*>(data);
  // It may have been cancelled, with the copy still under way.
  read->wait();
  FaultWord fault = 0;
  if (read->error == cudaSuccess) std::memcpy(&fault, read->block->data, sizeof fault);
  napi_value message = nullptr, value = nullptr;
  if (read->error != cudaSuccess || fault) {
    const std::string text = fault ? faultText(fault) : std::string(read->who) + ": CUDA: " + cudaGetErrorString(read->error);
    if (napi_create_string_utf8(env, text.c_str(), text.size(), &message) == napi_ok &&
        (fault ? napi_create_range_error : napi_create_error)(env, nullptr, message, &value) == napi_ok)
      napi_reject_deferred(env, read->deferred, value);
  } else {
    if (read->array)
      napi_get_reference_value(env, read->array, &value);
    else
      napi_get_undefined(env, &value);
    if (value) napi_resolve_deferred(env, read->deferred, value);
  }
  release(env, read);
}

// False, with an exception, if there is no memory for it.
bool makeArray(napi_env env, Read& read) {
  const napi_typedarray_type type = read.dtype == DType::i32   ? napi_int32_array
                                    : read.dtype == DType::f64 ? napi_float64_array
                                                               : napi_float32_array;
  napi_value buffer, array;
  const size_t width = read.dtype == DType::f64 ? 8 : 4;
  if (napi_create_arraybuffer(env, read.elements * width, &read.target, &buffer) == napi_ok &&
      napi_create_typedarray(env, type, read.elements, buffer, 0, &array) == napi_ok &&
      napi_create_reference(env, array, 1, &read.array) == napi_ok)
    return true;
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) == napi_ok && !pending)
    throwRange(env, std::string(read.who) + ": no memory for " + std::to_string(read.elements) + " values");
  return false;
}

cudaError_t enqueue(Read& read, const void* from, FaultWord* fault) {
  const cudaStream_t stream = read.device->stream;
  cudaError_t error = cudaMemcpyAsync(read.block->data, fault, sizeof *fault, cudaMemcpyDeviceToHost, stream);
  // Taken: the next read finds only what comes after this one.
  if (error == cudaSuccess) error = cudaMemsetAsync(fault, 0, sizeof *fault, stream);
  if (error == cudaSuccess && read.bytes)
    error = cudaMemcpyAsync(static_cast<char*>(read.block->data) + sizeof *fault, from, read.bytes, cudaMemcpyDeviceToHost, stream);
  if (error == cudaSuccess) error = cudaEventRecord(read.block->copied, stream);
  return error;
}

napi_value start(napi_env env, const char* who, const Tensor* tensor) {
  Device* device = deviceOrThrow(env, who);
  FaultWord* fault = device ? faultWord(env, who, *device) : nullptr;
  if (!fault) return nullptr;
  auto* read = new (std::nothrow) Read;
  if (!read) return throwError(env, std::string(who) + ": out of memory");
  read->who = who;
  read->device = device;
  if (tensor) {
    read->dtype = tensor->dtype;
    read->elements = tensor->elements;
    read->bytes = tensor->bytes();
    if (!makeArray(env, *read)) {
      release(env, read);
      return nullptr;
    }
  }
  cudaError_t error;
  read->block = device->staging.take(sizeof *fault + read->bytes, error);
  if (!read->block) {
    release(env, read);
    return throwCuda(env, std::string(who) + " (pinned host memory)", error);
  }
  error = enqueue(*read, tensor ? tensor->data : nullptr, fault);
  if (error != cudaSuccess) {
    cudaGetLastError();
    // What of it is on the stream must have ended before another read gets the block.
    cudaStreamSynchronize(device->stream);
    release(env, read);
    return throwCuda(env, who, error);
  }
  napi_value promise = nullptr, name;
  if (napi_create_string_utf8(env, "logitcore", NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_promise(env, &read->deferred, &promise) == napi_ok &&
      napi_create_async_work(env, nullptr, name, work, complete, read, &read->work) == napi_ok &&
      napi_queue_async_work(env, read->work) == napi_ok)
    return promise;
  read->wait();
  release(env, read);
  return throwError(env, std::string(who) + ": Node.js takes no work");
}

}  // namespace

napi_value readTensor(napi_env env, napi_callback_info info) {
  size_t given = 1;
  napi_value value;
  if (napi_get_cb_info(env, info, &given, &value, nullptr, nullptr) != napi_ok) return nullptr;
  const Tensor* tensor = tensorOf(env, value);
  if (!tensor) return throwType(env, std::string("read: the argument must be a device tensor, got ") + kindOf(env, value));
  if (!tensor->data) return throwType(env, "read: the tensor has been disposed of");
  return start(env, "read", tensor);
}

napi_value synchronize(napi_env env, napi_callback_info) { return start(env, "synchronize", nullptr); }

}  // namespace logitcore
