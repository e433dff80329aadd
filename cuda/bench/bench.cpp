// cuda_bench: what the ops reach on this device, beside a copy of as many bytes that is measured in the same rounds. --help says more.
//
// Inputs do not come from the L2 cache: calls go round over enough sets of arrays. Writing over the cache between calls would leave it
// full of lines that are yet to be stored, at the expense of the call; and calls could not follow each other, so that each would begin
// and end with an idle device.
#include <chrono>
#include <cstdio>
#include <memory>

#include "case.h"
#include "options.h"
#include "report.h"

namespace logitcore {
namespace bench {
namespace {

const Op* opNamed(const std::string& name) {
  const OpTable table = opTable();
  for (int i = 0; i < table.count; ++i)
    if (name == table.ops[i].record->name) return &table.ops[i];
  return nullptr;
}

// Copy and op take turns in being first.
Timed measure(Case& c, Stopwatch& watch, const Options& options) {
  const double sample = options.quick ? 2000 : 5000;
  const size_t most = kEmulated ? 1 : 1000;
  const auto call = [&] { c.call(); };
  const auto copy = [&] { c.copy(); };
  const size_t calls = watch.runsFor(sample, most, call), copies = watch.runsFor(sample, most, copy);
  std::vector<double> callTimes, copyTimes, shares;
  for (size_t round = 0; round < options.rounds; ++round) {
    double callTime = 0, copyTime = 0;
    if (round % 2) callTime = watch.time(calls, call);
    copyTime = watch.time(copies, copy);
    if (round % 2 == 0) callTime = watch.time(calls, call);
    callTimes.push_back(callTime);
    copyTimes.push_back(copyTime);
    shares.push_back(copyTime / callTime);
  }
  return {c.bench.label,       nameOf(c.storage),   c.rows,          c.columns, c.sets(), c.layout.bytes,
          spreadOf(callTimes), spreadOf(copyTimes), spreadOf(shares)};
}

// The rows of a shape: the most that fit.
size_t rowsFor(const BenchOp& bench, const Op& op, Storage storage, size_t columns, size_t cache, size_t limit, const Options& options) {
  for (size_t rows : options.rows) {
    const Layout layout(bench, *op.record, storage, rows, columns);
    if (rows % bench.positions == 0 && layout.block * layout.setsFor(cache) <= limit) return rows;
  }
  return 0;
}

double hostMicroseconds() { return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

template <class F> Latency latencyOf(const char* label, Device& device, Stopwatch& watch, F&& run) {
  const size_t runs = kEmulated ? 2 : 500;
  std::vector<double> alone, inARow;
  for (int round = 0; round < 5; ++round) inARow.push_back(watch.time(runs, run));
  for (size_t i = 0; i < runs; ++i) {
    const double start = hostMicroseconds();
    run();
    cudaStreamSynchronize(device.stream);
    alone.push_back(hostMicroseconds() - start);
  }
  return {label, spreadOf(alone).median, spreadOf(inARow).median};
}

// Work is put on the stream only if its inputs are right; a shape that is wrong or does not fit is said to be left out.
bool runAll(Device& device, const Options& options, Report& report) {
  Stopwatch watch(device.stream);
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  const double gibibyte = 1 << 30;
  const size_t limit = static_cast<size_t>(options.gibibytes > 0 ? options.gibibytes * gibibyte : 0.6 * static_cast<double>(free));
  bool right = true;
  const auto leaveOut = [&](const std::string& what, const std::string& why) {
    report.left.push_back(what + ": " + why);
    std::printf("%s\n", report.left.back().c_str());
  };
  std::vector<BenchOp> wanted;
  for (const BenchOp& b : benchOps()) {
    bool chosen = options.ops.empty();
    for (const std::string& label : options.ops) chosen = chosen || label == b.label;
    if (chosen) wanted.push_back(b);
  }
  for (Storage storage : options.dtypes) {
    for (const BenchOp& bench : wanted) {
      const Op* op = opNamed(bench.name);
      if (!op) {
        leaveOut(bench.label, "there is no such op in this build");
        continue;
      }
      bool sampled = options.samples.empty();
      for (size_t columns : options.columns) {
        const std::string what = std::string(bench.label) + " " + nameOf(storage) + " " + std::to_string(columns) + " columns";
        const size_t rows = rowsFor(bench, *op, storage, columns, report.cache, limit, options);
        if (!rows) {
          leaveOut(what, "takes more than the memory that it may");
          continue;
        }
        Case c(bench, *op, device, storage, rows, columns, report.cache);
        std::string wrong = c.failure();
        if (wrong.empty()) wrong = check(c, sampled ? "" : options.samples, report.samples);
        if (!wrong.empty()) {
          leaveOut(what, wrong);
          right = false;
          continue;
        }
        sampled = true;
        const Timed timed = measure(c, watch, options);
        wrong = c.failure();
        if (!wrong.empty()) {
          leaveOut(what, wrong);
          right = false;
          continue;
        }
        report.rows.push_back(timed);
        print(timed);
      }
    }
  }
  DeviceCall empty;
  empty.stream = device.stream;
  report.latencies.push_back(latencyOf("an empty kernel", device, watch, [&] { launchNothing(empty); }));
  print(report.latencies.back());
  for (const BenchOp& bench : wanted) {
    const Op* op = opNamed(bench.name);
    if (!op || bench.positions > 1) continue;
    Case c(bench, *op, device, Storage::f32, 1, 1024, 0);
    if (!c.failure().empty()) continue;
    report.latencies.push_back(latencyOf(bench.label, device, watch, [&] { c.callOn(0); }));
    print(report.latencies.back());
  }
  return right;
}

}  // namespace
}  // namespace bench
}  // namespace logitcore

int main(int argc, char** argv) {
  using namespace logitcore;
  bench::Options options;
  std::string message;
  if (!bench::readOptions(argc, argv, options, message)) {
    std::fprintf(stderr, "%s", message.c_str());
    return 2;
  }
  Device* device = Device::get(message);
  if (!device) {
    // 77 is what ctest is told to take for a test that was skipped.
    std::printf("skipped: %s\n", message.c_str());
    return 77;
  }
  bench::Report report;
  report.describe(*device);
  report.rounds = options.rounds;
  std::printf("%s, CUDA %s, driver for CUDA %s\n", report.device.c_str(), report.runtime.c_str(), report.driver.c_str());
  if (bench::kEmulated) std::printf("This is the emulated build: its times mean nothing.\n");
  const bool right = bench::runAll(*device, options, report);
  if (!options.json.empty() && !bench::writeJson(report, options.json)) {
    std::fprintf(stderr, "cannot write %s\n", options.json.c_str());
    return 1;
  }
  return right ? 0 : 1;
}
