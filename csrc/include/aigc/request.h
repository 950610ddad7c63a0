// One query on one state, resolved to rows: what the sources and the filters work on.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "aigc/plan.h"
#include "aigc/state.h"

namespace aigc {

struct WeightedItem {
  std::uint32_t row;
  float weight;
};

class Request {
 public:
  Request(const State& state, const Plan& plan, const Query& query);

  // May this item be in the answer? What the user has seen apart, everything is asked by allows.
  bool passes(std::uint32_t row) const {
    return allows(row) && !(hides_seen() && user.has_seen(row));
  }
  bool allows(std::uint32_t row) const;
  bool hides_seen() const { return query.exclude_seen && personal; }

  // Do filters leave out most of the catalogue, as far as one can tell?
  bool narrow() const {
    return !query.allow.empty() || !query.kinds.empty() || !query.categories.empty();
  }

  const State& state;
  const Plan& plan;
  const Query& query;
  // What was new or changed when the request began, and how many rows there were: what a writer
  // adds meanwhile takes part in the next request.
  const std::shared_ptr<const std::vector<DeltaEntry>> delta;
  const std::size_t n_items;
  UserView user;
  bool personal = false;              // the user's own history counts
  std::vector<WeightedItem> history;  // decayed, oldest first, the context item last
  std::uint32_t context = kNoRow;

  // Σ weight · embedding over the history, of unit length; empty when there is none.
  const std::vector<float>& vector() const;

 private:
  std::vector<std::uint32_t> rows_of(const std::vector<std::string>& ids) const;

  std::vector<std::uint32_t> allow_, deny_;
  std::vector<std::uint8_t> wanted_categories_, disliked_categories_, wanted_kinds_;
  mutable std::vector<float> vector_;
  mutable bool vector_made_ = false;
};

}  // namespace aigc
