// A call of an op made from its record: inputs, options and outputs, once by the kernels of the host in double and once on the device.
#pragma once
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "../../cpp/addon/plan.h"
#include "../../test/native/random.h"
#include "../engine/call.h"
#include "../runtime/convert.h"
#include "../runtime/device.h"

namespace logitcore {

inline const char* nameOf(Storage s) { return s == Storage::f32 ? "f32" : s == Storage::bf16 ? "bf16" : "f16"; }

struct Difference {
  const char* output;
  long values, wrong;
  size_t at;
  double got, expected, worst;
};

class Sample {
 public:
  Sample(const Plan& plan, size_t rows, size_t columns, Storage storage, unsigned seed);
  ~Sample();
  // Some ops want more than one column, and some make matrices of them.
  bool fits() const { return fits_; }
  void expect();
  void run();
  std::vector<Difference> differences() const;

 private:
  struct Array {
    std::vector<double> values;
    std::vector<int32_t> integers;
    DType dtype = DType::f32;
    void* device = nullptr;
    size_t length = 0;
    size_t bytes() const { return length * widthOf(dtype); }
  };

  const Plan& plan_;
  Call host_;
  DeviceCall call_;
  DeviceFacts facts_;
  Storage storage_;
  std::vector<Array> inputs_, outputs_;
  std::vector<std::pair<void*, size_t>> scratch_;
  Array numbers_;
  Device* device_;
  bool fits_ = true;

  size_t sizeOf(const Dim& d) const;
  size_t lengthOf(const Dims& dims) const;
  void chooseSizes(size_t rows, size_t columns);
  void fill(Array& a, const Input& in, size_t columns, unsigned seed);
  void chooseOptions(size_t columns, unsigned seed);
  void upload(Array& a);
  std::vector<double> download(const Array& a) const;
  static void* allocate(DeviceCall& call, size_t bytes);
};

}  // namespace logitcore
