// Calls that wait for a thread: native ones one by one, those for Python as micro-batches.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <vector>

namespace aigc::ingress {

// How calls are put together, in Triton's terms.
struct Batching {
  std::size_t preferred = 1;           // a batch of this many goes at once
  std::size_t maximum = 64;            // and none is larger
  std::chrono::microseconds delay{0};  // how long a smaller one waits for company
  std::size_t queue = 1024;            // calls that may wait; one more is refused
};

template <typename T>
class Waiting {
 public:
  explicit Waiting(const Batching& batching) : batching_(batching) {}

  // False when as many wait as may, or all is over.
  bool put(T* call) {
    std::lock_guard lock(mutex_);
    if (closed_ || calls_.size() >= batching_.queue) return false;
    calls_.push_back(call);
    if (sleepers_ > 0) some_.notify_one();
    return true;
  }

  // Up to `maximum`, at least one, or none once closed and empty.
  std::vector<T*> take() {
    std::unique_lock lock(mutex_);
    ++sleepers_;
    some_.wait(lock, [this] { return closed_ || !calls_.empty(); });
    if (calls_.size() < batching_.preferred && batching_.delay.count() > 0)
      some_.wait_for(lock, batching_.delay,
                     [this] { return closed_ || calls_.size() >= batching_.preferred; });
    --sleepers_;
    const std::size_t n = std::min(calls_.size(), batching_.maximum);
    std::vector<T*> taken(calls_.begin(), calls_.begin() + static_cast<std::ptrdiff_t>(n));
    calls_.erase(calls_.begin(), calls_.begin() + static_cast<std::ptrdiff_t>(n));
    return taken;
  }

  std::size_t size() const {
    std::lock_guard lock(mutex_);
    return calls_.size();
  }

  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    some_.notify_all();
  }

 private:
  const Batching batching_;
  mutable std::mutex mutex_;
  std::condition_variable some_;
  std::deque<T*> calls_;
  std::size_t sleepers_ = 0;
  bool closed_ = false;
};

}  // namespace aigc::ingress
