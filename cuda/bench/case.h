// An op on a shape: sets of arrays on the device, calls on them one after the other, and copies of as many bytes.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "../../cpp/dispatch/dispatch.h"
#include "../engine/call.h"
#include "../runtime/device.h"
#include "../runtime/dtype.h"

namespace logitcore {
namespace bench {

struct BenchOp {
  const char *label, *name;
  bool gradient;
  size_t positions = 1;  // rows of a sequence, which is what has a loss
};
const std::vector<BenchOp>& benchOps();

const char* nameOf(Storage s);
DType typeOf(Storage s);
int optionNamed(const StoredRecord& r, const char* name);  // -1: none

// An array of a set: the index-th input or output of the record, `offset` bytes into the set's block.
struct Place {
  const char* name;
  int index;
  bool isInput;
  DType dtype;
  size_t count, offset;
  size_t bytes() const { return count * widthOf(dtype); }
};

// What a set of arrays takes, and how many of them are needed so that none of a set is still in the L2 cache when its turn comes again.
struct Layout {
  std::vector<Place> places;
  size_t bytes = 0;  // that a call has to move: each input once, each output once
  size_t block = 0;  // of memory a set takes, with the room that copies go to
  size_t spare = 0;  // offset of that room
  Layout(const BenchOp& op, const StoredRecord& r, Storage storage, size_t rows, size_t columns);
  size_t setsFor(size_t cacheBytes) const;
};

class Case {
 public:
  Case(const BenchOp& bench, const Op& op, Device& device, Storage storage, size_t rows, size_t columns, size_t cacheBytes);
  ~Case();
  Case(const Case&) = delete;
  Case& operator=(const Case&) = delete;

  // Why it cannot run, or what went wrong in a call; empty: nothing.
  std::string failure() const;
  size_t sets() const { return blocks_.size(); }

  // On the next set. Both only put work on the stream.
  void call();
  void copy();
  // The call of one set, with the loss of each row instead of their mean, and no gradient, where `each` is an array of them.
  void callOn(size_t set, void* each = nullptr);
  void* at(size_t set, const Place& p) const { return static_cast<char*>(blocks_[set]) + p.offset; }

  const BenchOp& bench;
  const Op& op;
  Device& device;
  const Storage storage;
  const size_t rows, columns;
  const size_t units;  // that have a loss each: rows, or sequences of them
  const Layout layout;
  const Call& plainCall() const { return call_; }
  double* numbers() const { return numbers_; }

 private:
  Call call_;
  DeviceFacts facts_;
  std::vector<void*> blocks_;
  double* numbers_ = nullptr;
  unsigned long long* fault_ = nullptr;
  cudaError_t error_ = cudaSuccess;
  bool outOfMemory_ = false;
  size_t next_ = 0, nextCopy_ = 0;

  void fill(size_t set);
};

// Numbers of a normal distribution, into `count` entries on the device.
void fillNormal(DeviceCall& call, void* to, Storage storage, size_t count, uint64_t seed);
// A kernel that does nothing, for what a launch alone takes.
void launchNothing(DeviceCall& call);

// Compares some rows with the kernels of the CPU in double, and the mean of the losses with all of them. Says what is wrong, or nothing.
// With a folder, leaves there what those rows are and should give, and adds to `manifest` an entry of a JSON list that says so.
std::string check(Case& c, const std::string& folder, std::string& manifest);

}  // namespace bench
}  // namespace logitcore
