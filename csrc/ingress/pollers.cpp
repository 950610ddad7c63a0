#include "pollers.h"

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace aigc::ingress {
namespace {

struct Shared {
  std::mutex mutex;
  std::condition_variable changed;
  std::atomic<std::size_t> awake{0};  // changes under the mutex
};

// Never ends: gRPC's threads may be the last of the process.
Shared& shared() {
  static Shared& all = *new Shared;
  return all;
}

struct Seat {
  bool taken = false;

  ~Seat() {
    if (!taken) return;
    Shared& all = shared();
    std::lock_guard lock(all.mutex);
    all.awake.fetch_sub(1);
    all.changed.notify_all();
  }
};

thread_local Seat seat;

}  // namespace

void Pollers::here() {
  if (seat.taken) return;
  seat.taken = true;
  Shared& all = shared();
  std::lock_guard lock(all.mutex);
  all.awake.fetch_add(1);
}

void Pollers::stand_by() {
  Shared& all = shared();
  if (!seat.taken || all.awake.load(std::memory_order_relaxed) <= most_) return;
  std::unique_lock lock(all.mutex);
  // Asked again under the lock, or the last two would both stay.
  if (released_ || all.awake.load() <= most_) return;
  all.awake.fetch_sub(1);
  all.changed.wait(lock, [&] { return released_ || all.awake.load() < most_; });
  all.awake.fetch_add(1);
}

void Pollers::release() {
  Shared& all = shared();
  std::lock_guard lock(all.mutex);
  released_ = true;
  all.changed.notify_all();
}

}  // namespace aigc::ingress
