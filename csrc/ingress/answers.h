// Requests and answers of RecommendationService, without Python: what is plain is answered here,
// what is not (an error to explain, a strategy that needs the store) is left to the control server.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aigc/engine.h"

namespace aigc::ingress {

// The limits of a call, as of the `[limits]` settings.
struct Limits {
  std::size_t n = 1000;
  std::size_t batch = 1000;
  std::size_t ids = 10'000;
  std::size_t id_bytes = 256;
};

// A strategy that C++ can answer by. `tail` holds the fields of the answer that are the same for
// all.
struct Route {
  std::string name;
  Plan plan;
  std::string tail;
  double max_generated_share = 1.0;
  double share_over_time = 1.0;  // of what is shown over a while, which `window` counts
  std::size_t window = 0;
  std::size_t vectors = 0;  // items to search for near the user's vector; 0: no source asks
};

// All of one moment: calls are answered by the state that came with the names and the tails, until
// the routes of a newer snapshot stand.
struct Routes {
  std::uint64_t number = 0;  // of no others
  // Where only the snapshot is new: of the routes before, as they were left, and of these as they
  // began. What holds by both is an answer of the older snapshot that nothing has contradicted.
  std::uint64_t before = 0;
  Versions left, begun;
  std::shared_ptr<State> state;
  std::string snapshot;
  std::map<std::string, Route, std::less<>> by_name;
  bool experiment = false;  // users without a named strategy are dealt out by Python
  Plan similar;
};

// An answer that was given: what the log of answers keeps.
struct Shown {
  std::string id;
  std::string user;
  const Route* route = nullptr;
  std::shared_ptr<const Routes> routes;
  std::int64_t at_ms = 0;
  std::vector<std::string> items;
  std::vector<std::string> generated;
};

struct RecommendRequest {
  Query query;
  const Route* route = nullptr;
  std::string_view bytes;  // as it came
};

// Nothing when the request is not plain.
std::optional<RecommendRequest> parse_recommend(std::string_view bytes, const Routes& routes,
                                                const Limits& limits);
std::optional<std::vector<RecommendRequest>> parse_batch(std::string_view bytes,
                                                         const Routes& routes,
                                                         const Limits& limits);
std::optional<Query> parse_similar(std::string_view bytes, const Limits& limits);

// RecommendResponse, appended to `out`; gives what was shown.
Shown write_answer(const std::shared_ptr<const Routes>& routes, const RecommendRequest& request,
                   const Answer& answer, std::string& out);

// SimilarItemsResponse, appended to `out`.
void write_similar(const State& state, const Answer& answer, std::string& out);

// So many random bytes in hexadecimal.
std::string random_hex(std::size_t bytes);

}  // namespace aigc::ingress
