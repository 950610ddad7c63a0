// The Engine: from a query to a ranked, filtered, diversified, explained list.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "aigc/plan.h"
#include "aigc/state.h"

namespace aigc {

constexpr std::size_t kExplainNeighbours = 3;

struct ItemShare {
  std::uint32_t row;
  float share;
};

struct RankedItem {
  std::uint32_t row;
  float score;
  std::vector<float> shares;  // one a source, summing to 1; empty unless explained
  std::vector<ItemShare> items;
  std::vector<ItemShare> users;  // rows of the snapshot's users
};

struct Answer {
  std::vector<RankedItem> items;
};

// One query on one state, by whoever holds it; throws std::invalid_argument that names what is
// wrong.
Answer answer(const State& state, const Plan& plan, const Query& query);

class Engine {
 public:
  // Replace what is served. A call that runs keeps the state it began with.
  void publish(std::shared_ptr<State> state);

  // Throws std::logic_error while nothing was published.
  std::shared_ptr<State> state() const;

  // Answers in the order of the queries, all of one state, which is given back with them.
  std::pair<std::shared_ptr<State>, std::vector<Answer>> recommend(
      const std::vector<Query>& queries, const Plan& plan) const;

  // The user's history as one embedding of unit length; empty when there is none.
  std::vector<float> user_vector(const State& state, const std::string& user,
                                 const Plan& plan) const;

  std::vector<std::pair<std::string, float>> similar_users(const std::string& user,
                                                           std::size_t n) const;

 private:
  mutable std::mutex mutex_;  // held for the copy of one pointer
  std::shared_ptr<State> state_;
};

}  // namespace aigc
