#include "jobs.h"

#include <condition_variable>
#include <mutex>

#include "threads.h"

namespace logitcore {

// All state of all clients, under one lock: jobs take microseconds at least, and the lock is held for nanoseconds.
struct Jobs {
  std::mutex mutex;
  std::condition_variable work, idle;
  std::deque<JobClient*> turns;  // clients with waiting jobs
  size_t threads = 0, running = 0;

  static Jobs& instance() {
    // Never destroyed: its threads may outlive static destructors.
    static Jobs* const jobs = new Jobs;
    return *jobs;
  }

  static void* enter(void* self) {
    static_cast<Jobs*>(self)->loop();
    return nullptr;
  }

  bool mayRun() const { return !turns.empty() && running < static_cast<size_t>(threadCount()); }

  void loop() {
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      work.wait(lock, [&] { return mayRun(); });
      JobClient& client = *turns.front();
      turns.pop_front();
      client.listed_ = false;
      if (client.waiting_.empty()) continue;  // all withdrawn
      Job* job = client.waiting_.front();
      client.waiting_.pop_front();
      list(client);
      ++client.running_;
      ++running;
      lock.unlock();
      job->work(*job);
      lock.lock();
      --running;
      const bool first = client.done_.empty();
      client.done_.push_back(job);
      // A client that is waited for in close() is still there until the last of its jobs has stopped running.
      if (first && !client.closed_) {
        lock.unlock();
        client.wake_(client.context_);
        lock.lock();
      }
      if (--client.running_ == 0) idle.notify_all();
    }
  }

  void list(JobClient& client) {
    if (client.listed_ || client.waiting_.empty()) return;
    turns.push_back(&client);
    client.listed_ = true;
    work.notify_one();
  }
};

JobClient::Lock::Lock() { Jobs::instance().mutex.lock(); }
JobClient::Lock::~Lock() { Jobs::instance().mutex.unlock(); }

bool JobClient::submit(Job& job) {
  Jobs& jobs = Jobs::instance();
  Lock lock;
  if (closed_) return false;
  if (jobs.threads < static_cast<size_t>(threadCount()) && jobs.threads < jobs.running + jobs.turns.size() + 1 &&
      startThread(&Jobs::enter, &jobs))
    ++jobs.threads;
  if (jobs.threads == 0) return false;
  waiting_.push_back(&job);
  jobs.list(*this);
  return true;
}

Job* JobClient::finished() {
  Lock lock;
  if (done_.empty()) return nullptr;
  Job* job = done_.front();
  done_.pop_front();
  return job;
}

void JobClient::close() {
  Jobs& jobs = Jobs::instance();
  std::unique_lock<std::mutex> lock(jobs.mutex);
  closed_ = true;
  if (listed_) {
    for (auto it = jobs.turns.begin(); it != jobs.turns.end(); ++it)
      if (*it == this) {
        jobs.turns.erase(it);
        break;
      }
    listed_ = false;
  }
  jobs.idle.wait(lock, [&] { return running_ == 0; });
}

}  // namespace logitcore
