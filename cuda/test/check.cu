// cuda_check [--quick [op]]: every op of the table on the device, against the kernels of the CPU in double: all widths at which
// the engine changes its ways, float32, bfloat16 and float16, with and without ignored rows, in place too. Says what it compared.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <string>

#include "samples.h"

namespace logitcore {
namespace {

struct Tally {
  long calls = 0, values = 0, wrong = 0;
  double worst = 0;
};

void check(const Plan& op, size_t rows, size_t columns, Storage storage, unsigned seed, Tally& tally) {
  Sample sample(op, rows, columns, storage, seed);
  if (!sample.fits()) return;
  sample.expect();
  sample.run();
  ++tally.calls;
  for (const Difference& d : sample.differences()) {
    tally.values += d.values;
    if (d.worst > tally.worst) tally.worst = d.worst;
    if (!d.wrong) continue;
    ++tally.wrong;
    if (tally.wrong <= 20)
      std::printf("  %s [%zu, %zu] %s seed %u: %s[%zu] is %.9g, expected %.9g; %ld of %ld wrong\n", op.record->name, rows, columns,
                  nameOf(storage), seed, d.output, d.at, d.got, d.expected, d.wrong, d.values);
  }
}

// Where there is no GPU, ops that read rows again and again, or every row for every other, take minutes, and so do sequences, whose rows
// are sorted and paired.
bool isOneOf(const Plan& op, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (std::strcmp(op.record->name, name) == 0) return true;
  return false;
}
bool takesWidth(const Plan& op, Storage storage, size_t c) {
  const bool isFloat = storage == Storage::f32;
  if (isOneOf(op, {"partitionZeroRadius", "multiLevelKd", "headConflict"})) return c <= (isFloat ? 65 : 10);
  if (isOneOf(op, {"batchCorrelation", "classCorrelation", "initQuantScale", "gwSecondLowerBound", "gwThirdLowerBound", "gwObjective",
                   "entropicGW"}))
    return c <= (isFloat ? 130 : 10);
  if (!isFloat && c > 300) return false;
  // Of long rows one for a cluster and one for none.
  if (c > 4097 && c != 18433 && c != 50257) return false;
  const bool sequences = isOneOf(op, {"uldLoss", "uldSequenceLoss", "gldLoss", "infiGFusionLoss", "coactivationGraph",
                                      "coactivationFeatures", "coactivationGraphBackward", "coactivationFeaturesBackward"});
  return !sequences || c < 4 || c > 500 || c % 8 == 1;
}

}  // namespace
}  // namespace logitcore

int main(int argc, char** argv) {
  using namespace logitcore;
  const bool quick = argc > 1 && std::strcmp(argv[1], "--quick") == 0;
  const char* only = argc > 2 ? argv[2] : nullptr;
  std::string reason;
  if (!Device::get(reason)) {
    // 77 is what ctest is told to take for a test that was skipped.
    std::printf("skipped: %s\n", reason.c_str());
    return 77;
  }
  const size_t widths[] = {1,    2,    3,    4,    5,    7,    8,    9,    10,    15,    16,    17,    31,    32,   33,   63,
                           64,   65,   100,  127,  128,  129,  255,  256,  257,   511,   512,   513,   1000,  1023, 1024, 1025,
                           2047, 2048, 2049, 2056, 4095, 4096, 4097, 8193, 16384, 16385, 18432, 18433, 32000, 50257};
  const size_t long_[] = {128256, 151936, 262144, 1000003};
  int failed = 0;
  for (const Plan& op : plans()) {
    if (only && std::strcmp(only, op.record->name) != 0) continue;
    Tally tally;
    for (Storage storage : {Storage::f32, Storage::bf16, Storage::f16}) {
      for (size_t c : widths) {
        if (quick && !takesWidth(op, storage, c)) continue;
        check(op, c < 300 ? 67 : c < 5000 ? 5 : 2, c, storage, static_cast<unsigned>(c), tally);
      }
      if (quick) continue;
      for (size_t c : long_) check(op, 2, c, storage, static_cast<unsigned>(c), tally);
    }
    std::printf("%-28s %5ld calls, %9ld values, worst %.2g of what is allowed%s\n", op.record->name, tally.calls, tally.values, tally.worst,
                tally.wrong        ? "  WRONG"
                : tally.calls == 0 ? "  NOTHING COMPARED"
                                   : "");
    std::fflush(stdout);
    failed += tally.wrong != 0 || tally.calls == 0;
  }
  if (failed) std::printf("%d ops are wrong or were not compared\n", failed);
  return failed ? 1 : 0;
}
