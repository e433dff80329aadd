// Times of work on a stream, by its events.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "../runtime/api.h"

namespace logitcore {
namespace bench {

struct Spread {
  double q1, median, q3;
};
inline Spread spreadOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(values.size() - 1);
    const size_t low = static_cast<size_t>(place), high = std::min(low + 1, values.size() - 1);
    return values[low] + (values[high] - values[low]) * (place - static_cast<double>(low));
  };
  return {at(0.25), at(0.5), at(0.75)};
}

class Stopwatch {
 public:
  explicit Stopwatch(cudaStream_t stream) : stream_(stream) {
    cudaEventCreate(&start_);
    cudaEventCreate(&end_);
  }
  ~Stopwatch() {
    cudaEventDestroy(start_);
    cudaEventDestroy(end_);
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  // Microseconds a run, of so many in a row. Runs only put work on the stream: the device goes from one to the next as it does for a
  // program that does not wait, and launches count where they take longer than the work.
  template <class F> double time(size_t runs, F&& run) {
    cudaStreamSynchronize(stream_);
    cudaEventRecord(start_, stream_);
    for (size_t i = 0; i < runs; ++i) run();
    cudaEventRecord(end_, stream_);
    cudaEventSynchronize(end_);
    float milliseconds = 0;
    cudaEventElapsedTime(&milliseconds, start_, end_);
    return 1e3 * static_cast<double>(milliseconds) / static_cast<double>(runs);
  }
  // As many as fill that time.
  template <class F> size_t runsFor(double microseconds, size_t most, F&& run) {
    time(1, run);
    const double one = std::min(time(1, run), time(1, run));
    return std::max<size_t>(1, std::min(most, static_cast<size_t>(std::ceil(microseconds / std::max(one, 0.1)))));
  }

 private:
  cudaStream_t stream_;
  cudaEvent_t start_ = nullptr, end_ = nullptr;
};

}  // namespace bench
}  // namespace logitcore
