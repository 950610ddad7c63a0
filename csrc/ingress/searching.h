// Calls whose answers need items near the user's vector: Python searches the snapshot's index for
// many of them at once.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "waiting.h"

namespace aigc::ingress {

class HotCall;
class Server;

// One search: for a request of a call, in the index of the snapshot that the routes came with.
struct Search {
  std::uint64_t call = 0;
  std::size_t place = 0;  // of the request in its call
  std::uint64_t routes = 0;
  std::size_t limit = 0;
  std::vector<float> vector;
};

struct Found {
  std::uint64_t call = 0;
  std::size_t place = 0;
  std::vector<std::uint32_t> rows;  // best first
  std::vector<float> scores;
};

class Searching {
 public:
  Searching(Server& server, const Batching& batching, const Delay& delay);

  // False when as many wait as may, or as long, or all is over.
  bool put(HotCall* call) { return waiting_.put(call); }

  // For one thread: what to search for; nothing once closed and empty. Each call whose searches
  // were taken must be answered, found or not.
  std::vector<Search> take();

  // Calls go on with what was found for them; those in `unable` go to the control server. Throws
  // std::invalid_argument, and touches none, when one of them does not wait.
  void answer(std::vector<Found> found, const std::vector<std::uint64_t>& unable);

  std::size_t size() const { return waiting_.size(); }
  void close() { waiting_.close(); }

 private:
  Server& server_;
  Waiting<HotCall> waiting_;
  std::chrono::steady_clock::time_point taken_at_;
  std::size_t taken_ = 0;

  std::mutex mutex_;
  std::map<std::uint64_t, HotCall*> with_python_;
  std::uint64_t last_number_ = 0;
};

}  // namespace aigc::ingress
