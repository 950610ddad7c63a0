#include "aigc/worker_pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace aigc {
namespace {

// About ten microseconds: longer than a balanced phase's imbalance, shorter than a time slice.
constexpr int kSpins = 2000;

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

}  // namespace

WorkerPool::WorkerPool(std::size_t threads) {
  for (std::size_t i = 1; i < threads; ++i) workers_.emplace_back([this, i] { serve(i); });
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void WorkerPool::run(const std::function<void(std::size_t)>& work) {
  if (workers_.empty()) {
    work(0);
    return;
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    work_ = &work;
    round_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  work(0);
  meet();
}

void WorkerPool::meet() {
  if (workers_.empty()) return;
  const std::uint64_t phase = phase_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size()) {
    arrived_.store(0, std::memory_order_relaxed);
    phase_.store(phase + 1, std::memory_order_release);
    return;
  }
  int spins = 0;
  while (phase_.load(std::memory_order_acquire) == phase) {
    if (++spins < kSpins)
      pause();
    else
      std::this_thread::yield();
  }
}

void WorkerPool::serve(std::size_t index) {
  std::uint64_t seen = 0;
  while (true) {
    // The next step of a running text follows within microseconds: look for it before sleeping.
    for (int spins = 0; spins < kSpins && round_.load(std::memory_order_acquire) == seen; ++spins)
      pause();
    const std::function<void(std::size_t)>* work = nullptr;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [&] { return closing_ || round_.load(std::memory_order_relaxed) != seen; });
      if (closing_) return;
      seen = round_.load(std::memory_order_relaxed);
      work = work_;
    }
    (*work)(index);
    meet();
  }
}

}  // namespace aigc
