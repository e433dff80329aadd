// Jobs that run beside the thread that asks for them, on a bounded number of threads of their own. A client's jobs start in the
// order of their submission; clients with waiting jobs take turns, so that one with a thousand does not hold up one with a single.
#pragma once
#include <cstddef>
#include <deque>

namespace logitcore {

class JobClient;

struct Job {
  void (*work)(Job&) = nullptr;  // called on a job thread
};

class JobClient {
 public:
  // `wake` is called on a job thread when finished() has something again.
  JobClient(void (*wake)(void*), void* context) : wake_(wake), context_(context) {}
  JobClient(const JobClient&) = delete;
  JobClient& operator=(const JobClient&) = delete;

  // False, and the job stays the caller's, if there is no thread to run it and none can be started.
  bool submit(Job& job);
  // Takes back the first job that `is` accepts and no thread has begun; null if there is none.
  template <class F> Job* withdraw(F&& is) {
    Lock lock;
    for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
      if (!is(**it)) continue;
      Job* job = *it;
      waiting_.erase(it);
      return job;
    }
    return nullptr;
  }
  // The next job that is done; null if there is none.
  Job* finished();
  // Waits for the jobs that run. What finished() and withdraw() give afterwards was left over; nothing can be submitted any more.
  void close();

 private:
  friend struct Jobs;
  struct Lock {
    Lock();
    ~Lock();
  };
  void (*wake_)(void*);
  void* context_;
  std::deque<Job*> waiting_, done_;
  size_t running_ = 0;
  bool listed_ = false, closed_ = false;
};

}  // namespace logitcore
