#include "report.h"

#include <cstdio>

namespace logitcore {
namespace bench {
namespace {

// Names of devices and reasons are plain text; quotes are all that would do harm.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') out += "\\n";
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out + "\"";
}

void writeSpread(std::FILE* f, const char* name, const Spread& s) {
  std::fprintf(f, ", \"%s\": {\"q1\": %.6g, \"median\": %.6g, \"q3\": %.6g}", name, s.q1, s.median, s.q3);
}

}  // namespace

void Report::describe(const Device& d) {
  int version = 0;
  device = d.facts.name;
  cudaDriverGetVersion(&version);
  driver = versionText(version);
  cudaRuntimeGetVersion(&version);
  runtime = versionText(version);
  major = d.facts.major;
  minor = d.facts.minor;
  multiprocessors = d.facts.multiProcessorCount;
  memory = d.facts.totalGlobalMem;
  cache = static_cast<size_t>(d.facts.l2CacheSize);
}

void print(const Timed& t) {
  std::printf("%-24s %-5s %6zu x %-7zu %10.1f us %8.0f GB/s %6.1f %% of the copy (%.1f to %.1f)\n", t.op, t.dtype, t.rows, t.columns,
              t.call.median, t.gigabytes(), 100 * t.share.median, 100 * t.share.q1, 100 * t.share.q3);
  std::fflush(stdout);
}

void print(const Latency& l) {
  std::printf("%-24s one row of 1024: %.1f us until it has ended, %.1f us a call in a row\n", l.op, l.alone, l.inARow);
  std::fflush(stdout);
}

bool writeJson(const Report& r, const std::string& path) {
  std::FILE* f = std::fopen(path.c_str(), "w");
  if (!f) return false;
  std::fprintf(f, "{\n  \"device\": %s,\n  \"emulated\": %s,\n  \"computeCapability\": \"%d.%d\",\n", quoted(r.device).c_str(),
               kEmulated ? "true" : "false", r.major, r.minor);
  std::fprintf(f, "  \"multiprocessors\": %d,\n  \"memoryBytes\": %zu,\n  \"cacheBytes\": %zu,\n", r.multiprocessors, r.memory, r.cache);
  std::fprintf(f, "  \"driver\": %s,\n  \"runtime\": %s,\n  \"logitcore\": \"%s\",\n  \"rounds\": %zu,\n  \"rows\": [",
               quoted(r.driver).c_str(), quoted(r.runtime).c_str(), LOGITCORE_VERSION, r.rounds);
  const char* separator = "\n";
  for (const Timed& t : r.rows) {
    std::fprintf(f, "%s    {\"op\": \"%s\", \"dtype\": \"%s\", \"rows\": %zu, \"columns\": %zu, \"sets\": %zu, \"bytes\": %zu", separator,
                 t.op, t.dtype, t.rows, t.columns, t.sets, t.bytes);
    writeSpread(f, "microseconds", t.call);
    writeSpread(f, "copyMicroseconds", t.copy);
    writeSpread(f, "shareOfCopy", t.share);
    std::fprintf(f, ", \"gigabytesPerSecond\": %.6g}", t.gigabytes());
    separator = ",\n";
  }
  std::fprintf(f, "\n  ],\n  \"latencies\": [");
  separator = "\n";
  for (const Latency& l : r.latencies) {
    std::fprintf(f, "%s    {\"op\": \"%s\", \"alone\": %.6g, \"inARow\": %.6g}", separator, l.op, l.alone, l.inARow);
    separator = ",\n";
  }
  std::fprintf(f, "\n  ],\n  \"left\": [");
  separator = "\n    ";
  for (const std::string& reason : r.left) {
    std::fprintf(f, "%s%s", separator, quoted(reason).c_str());
    separator = ",\n    ";
  }
  std::fprintf(f, "\n  ],\n  \"samples\": [\n%s\n  ]\n}\n", r.samples.c_str());
  return std::fclose(f) == 0;
}

}  // namespace bench
}  // namespace logitcore
