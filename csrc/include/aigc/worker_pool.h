// A few threads that take part in one piece of work at a time and meet at barriers within it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace aigc {

class WorkerPool {
 public:
  // The calling thread is one of them: `threads` - 1 are started.
  explicit WorkerPool(std::size_t threads);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  std::size_t size() const { return workers_.size() + 1; }

  // Calls work(0), …, work(size() - 1), one a thread, and returns when all are done. One caller at
  // a time; `work` does not throw.
  void run(const std::function<void(std::size_t)>& work);

  // Within run: waits until every thread is here. Spins for a moment, then gives way to others.
  void meet();

 private:
  void serve(std::size_t index);

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<std::uint64_t> round_{0};
  std::atomic<bool> closing_{false};
  const std::function<void(std::size_t)>* work_ = nullptr;
  std::atomic<std::size_t> arrived_{0};
  std::atomic<std::uint64_t> phase_{0};
};

}  // namespace aigc
