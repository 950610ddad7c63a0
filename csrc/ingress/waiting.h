// Calls that wait for a thread, and how long one would have to.
#pragma once

#include <algorithm>
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

// How long a call may have to wait, in the terms of controlled delay (Nichols and Jacobson, 2012):
// a burst may take `interval` to go by; a queue that has not been empty for so long is no burst,
// and takes only calls whose turn would come within `target`.
struct Delay {
  std::chrono::microseconds target{0};  // 0: no matter how long
  std::chrono::microseconds interval{0};
};

template <typename T>
class Waiting {
 public:
  using Clock = std::chrono::steady_clock;

  Waiting(const Batching& batching, const Delay& delay, std::size_t threads)
      : batching_(batching), delay_(delay), threads_(static_cast<double>(threads)) {}

  // False when as many wait as may, or as long, or all is over.
  bool put(T* call) {
    const auto now = Clock::now();
    std::lock_guard lock(mutex_);
    if (closed_ || calls_.size() >= batching_.queue) return false;
    if (calls_.empty()) filled_ = now;
    if (delay_.target.count() > 0) {
      const auto most = now - filled_ < delay_.interval ? delay_.interval : delay_.target;
      const double wait = service_us_ * static_cast<double>(calls_.size()) / threads_;
      if (wait > static_cast<double>(most.count())) return false;
    }
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

  // What was taken took so long to work off.
  void worked(std::size_t n, Clock::duration took) {
    const double each = std::chrono::duration<double, std::micro>(took).count() /
                        static_cast<double>(std::max<std::size_t>(n, 1));
    std::lock_guard lock(mutex_);
    service_us_ += (each - service_us_) * 0.05;
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
  const Delay delay_;
  const double threads_;
  mutable std::mutex mutex_;
  std::condition_variable some_;
  std::deque<T*> calls_;
  std::size_t sleepers_ = 0;
  Clock::time_point filled_ = Clock::now();  // when it was last empty
  double service_us_ = 0.0;                  // of late, for one call
  bool closed_ = false;
};

}  // namespace aigc::ingress
