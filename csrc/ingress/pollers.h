// How many of gRPC's threads wait for the network.
#pragma once

#include <cstddef>

namespace aigc::ingress {

// gRPC's callback API has half as many threads as the machine has cores, two at least, whatever
// cores the process may use, and they take turns: whoever has read one call's bytes wakes the next
// to wait for the network in its place. Two on one core spend a quarter of their time on waking
// each other. So those above `most` stay here, each after the first call that it has ended.
//
// gRPC shares these threads between all servers of a process, hence this counts for all of them.
class Pollers {
 public:
  explicit Pollers(std::size_t most) : most_(most) {}
  Pollers(const Pollers&) = delete;
  Pollers& operator=(const Pollers&) = delete;

  // The calling thread is one of gRPC's.
  static void here();

  // Where one of these threads has nothing to do and holds nothing that others need: goes on at
  // once, or when another has ended, or after release(). Other threads go on at once.
  void stand_by();

  // For good.
  void release();

 private:
  const std::size_t most_;
  bool released_ = false;
};

}  // namespace aigc::ingress
