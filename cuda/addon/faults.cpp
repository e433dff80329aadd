#include "faults.h"

#include <new>

#include "../../cpp/addon/plan.h"
#include "errors.h"

namespace logitcore {
namespace {

struct Word {
  Device* device;
  unsigned long long* data;
};

void destroy(napi_env, void* data, void*) {
  auto* word = static_cast<Word*>(data);
  word->device->memory.release(word->data, sizeof *word->data);
  delete word;
}

}  // namespace

unsigned long long* faultWord(napi_env env, const char* who, Device& device) {
  void* found = nullptr;
  if (napi_get_instance_data(env, &found) == napi_ok && found) return static_cast<Word*>(found)->data;
  cudaError_t error;
  auto* data = static_cast<unsigned long long*>(device.memory.allocate(sizeof(unsigned long long), error));
  if (!data) {
    if (error == cudaErrorMemoryAllocation)
      throwOutOfMemory(env, who, device, sizeof *data);
    else
      throwCuda(env, who, error);
    return nullptr;
  }
  error = cudaMemsetAsync(data, 0, sizeof *data, device.stream);
  auto* word = new (std::nothrow) Word{&device, data};
  if (error == cudaSuccess && word && napi_set_instance_data(env, word, destroy, nullptr) == napi_ok) return data;
  device.memory.release(data, sizeof *data);
  delete word;
  if (error == cudaSuccess)
    throwError(env, std::string(who) + ": out of memory");
  else
    throwCuda(env, who, error);
  return nullptr;
}

std::string faultText(unsigned long long word) {
  const size_t op = static_cast<size_t>(word >> 32) - 1;
  const int argument = static_cast<int>(word >> 24 & 0xff);
  if (op >= plans().size() || argument >= plans()[op].inputs) return "logitcore: a kernel found a wrong value";
  const StoredRecord& record = *plans()[op].record;
  const Input& input = record.inputs[argument];
  const std::string name = std::string(record.name) + ": " + (input.fromOptions ? "options." : "") + input.name;
  if (input.kind == Kind::sign) return name + " holds a value other than 1 and -1";
  if (input.kind == Kind::real) return name + " holds a number out of range";
  return name + " holds an index out of range" + (plans()[op].ignoreIndex >= 0 ? " that is not ignoreIndex" : "");
}

}  // namespace logitcore
