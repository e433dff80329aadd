// The thread pool and the background jobs by themselves, so that a thread sanitizer sees nothing else:
// LOGITCORE_SANITIZE=thread node scripts/native.mjs test
#include <atomic>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "engine/jobs.h"
#include "engine/threads.h"

using namespace logitcore;

namespace {

int failures = 0;

void expect(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "failed: %s\n", what);
  ++failures;
}

// Sums 0 .. n - 1 by pieces of at least `grain`.
long long sumInPieces(size_t n, size_t grain) {
  struct Context {
    std::atomic<long long> sum{0};
    std::atomic<size_t> items{0};
  } context;
  runtime().parallel(n, grain, &context, [](void* at, size_t begin, size_t end) {
    long long sum = 0;
    for (size_t i = begin; i < end; ++i) sum += static_cast<long long>(i);
    static_cast<Context*>(at)->sum += sum;
    static_cast<Context*>(at)->items += end - begin;
  });
  return context.items == n ? context.sum.load() : -1;
}

void everyItemOnce() {
  for (int threads : {1, 2, 3, 7}) {
    setThreadCount(threads);
    for (size_t n : {size_t{0}, size_t{1}, size_t{5}, size_t{1000}, size_t{100003}})
      for (size_t grain : {size_t{1}, size_t{7}, size_t{1000}})
        for (int repeat = 0; repeat < 20; ++repeat)
          if (sumInPieces(n, grain) != static_cast<long long>(n) * (static_cast<long long>(n) - 1) / 2)
            return expect(false, "parallel calls its function for every item once");
  }
}

// Work from many threads at once, while the number of threads changes.
void callersAtOnce() {
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 6; ++c)
    callers.emplace_back([&wrong, c] {
      for (int i = 0; i < 300; ++i) {
        if (c == 0) setThreadCount(1 + i % 5);
        const size_t n = static_cast<size_t>(1000 + 17 * c);
        if (sumInPieces(n, 10) != static_cast<long long>(n * (n - 1) / 2)) ++wrong;
      }
    });
  for (std::thread& caller : callers) caller.join();
  expect(wrong == 0, "callers at once get their own sums");
}

struct Sum : Job {
  size_t n;
  long long result = -2;
  std::atomic<int>* order;
  int begun = 0;

  Sum(size_t size, std::atomic<int>* sequence) : n(size), order(sequence) {
    work = [](Job& job) {
      auto& self = static_cast<Sum&>(job);
      self.begun = ++*self.order;
      self.result = sumInPieces(self.n, 10);
    };
  }
  bool right() const { return result == static_cast<long long>(n * (n - 1) / 2); }
};

// What an event loop does: collects when it is woken.
struct Loop {
  std::atomic<int> wakes{0};
  JobClient client{[](void* self) { ++static_cast<Loop*>(self)->wakes; }, this};
  size_t collect(size_t wanted) {
    size_t done = 0;
    while (done < wanted) {
      const int before = wakes;
      while (client.finished()) ++done;
      while (done < wanted && wakes == before) std::this_thread::yield();
    }
    return done;
  }
};

void jobsOfManyClients() {
  setThreadCount(3);
  std::vector<std::thread> clients;
  std::atomic<int> wrong{0};
  for (int c = 0; c < 4; ++c)
    clients.emplace_back([&wrong] {
      Loop loop;
      std::atomic<int> order{0};
      std::vector<std::unique_ptr<Sum>> jobs;
      for (int i = 0; i < 200; ++i) jobs.push_back(std::make_unique<Sum>(100 + i, &order));
      for (auto& job : jobs)
        if (!loop.client.submit(*job)) ++wrong;
      loop.collect(jobs.size());
      loop.client.close();
      for (auto& job : jobs)
        if (!job->right()) ++wrong;
    });
  for (std::thread& client : clients) client.join();
  expect(wrong == 0, "every job of every client is done");
}

// With one thread: a client with a single job waits for one job of the other, not for all.
void clientsTakeTurns() {
  setThreadCount(1);
  std::atomic<int> order{0};
  Loop many, single;
  std::vector<std::unique_ptr<Sum>> jobs;
  for (int i = 0; i < 100; ++i) jobs.push_back(std::make_unique<Sum>(50000, &order));
  for (auto& job : jobs) many.client.submit(*job);
  Sum alone(10, &order);
  const int before = order;
  single.client.submit(alone);
  single.collect(1);
  // The job that ran, one that may have begun in between, and its turn.
  expect(alone.begun <= before + 3, "clients take turns");
  many.collect(100);
  for (size_t i = 1; i < jobs.size(); ++i) expect(jobs[i]->begun > jobs[i - 1]->begun, "jobs of a client begin in order");
  many.client.close();
  single.client.close();
}

// Closed in the middle of its work: nothing of the client runs any more, and what had not begun is given back untouched.
void closedWhileWorking() {
  setThreadCount(2);
  for (int repeat = 0; repeat < 50; ++repeat) {
    std::atomic<int> order{0};
    std::vector<std::unique_ptr<Sum>> jobs;
    for (int i = 0; i < 20; ++i) jobs.push_back(std::make_unique<Sum>(2000, &order));
    Loop loop;
    for (auto& job : jobs) loop.client.submit(*job);
    while (order == 0) std::this_thread::yield();
    size_t untouched = 0, done = 0;
    if (loop.client.withdraw([&](Job& job) { return &job == jobs.back().get(); })) ++untouched;
    loop.client.close();
    while (Job* job = loop.client.withdraw([](Job&) { return true; })) untouched += static_cast<Sum*>(job)->result == -2;
    while (Job* job = loop.client.finished()) done += static_cast<Sum*>(job)->right();
    expect(untouched + done == jobs.size(), "a closed client gives every job back, done or untouched");
    expect(!loop.client.submit(*jobs[0]), "a closed client takes no jobs");
  }
}

}  // namespace

int main() {
  everyItemOnce();
  callersAtOnce();
  jobsOfManyClients();
  clientsTakeTurns();
  closedWhileWorking();
  if (failures) return 1;
  std::printf("threads: all checks hold\n");
}
