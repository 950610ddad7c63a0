// Answers that may be given again: while nothing happened that could change one, who asks the same
// gets the same bytes, its id included.
#pragma once

#include <grpcpp/grpcpp.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "answers.h"

namespace aigc::ingress {

struct KeptAnswer {
  grpc::Slice response;
  std::size_t n_items = 0;
};

// What an answer depends on, taken before it is made.
struct Moment {
  Moment(const Routes& routes, std::string_view user);

  std::uint64_t routes;
  std::size_t slot;
  std::uint64_t version;
  std::chrono::steady_clock::time_point at;
};

// A table of sets of four by the request's bytes; in a full set the oldest makes room. Thread-safe.
class KeptAnswers {
 public:
  // Args: bytes: of requests and responses, all together; 0 keeps none. age: how long an answer may
  // be given again.
  KeptAnswers(std::size_t bytes, std::chrono::milliseconds age);

  std::optional<KeptAnswer> find(std::string_view request, const Routes& routes);
  void keep(std::string_view request, const Moment& made, const KeptAnswer& answer);

 private:
  struct Entry {
    std::uint64_t hash = 0;
    std::string request;
    KeptAnswer answer;
    std::optional<Moment> made;  // nothing: the place is free

    std::size_t bytes() const { return request.size() + answer.response.size(); }
  };
  using Set = std::array<Entry, 4>;

  void free(Entry& entry);

  const std::size_t most_bytes_;
  const std::chrono::milliseconds age_;
  std::vector<Set> sets_;
  std::array<std::mutex, 64> mutexes_;  // a set's is that of its number's last bits
  std::atomic<std::size_t> bytes_{0};
};

}  // namespace aigc::ingress
