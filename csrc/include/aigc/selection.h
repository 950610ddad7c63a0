// From the ordered candidates to the answer: quotas by source, and the cap on generated items.
#pragma once

#include <vector>

#include "aigc/plan.h"
#include "aigc/ranking.h"
#include "aigc/state.h"

namespace aigc {

class Selection {
 public:
  Selection(const State& state, const Plan& plan, std::size_t n);

  // Take from `ranking` until there are n: an item belongs to the source with its
  // largest part; max_share caps a source, min_share keeps places for it as long as it has
  // candidates.
  void fill(Ranking& ranking);

  // Drop generated items from the end until their share of what is left keeps the cap.
  void trim_generated();

  const std::vector<const Fused*>& chosen() const { return chosen_; }
  bool full() const { return chosen_.size() >= n_; }

 private:
  bool generated(const Fused& item) const { return (state_.flags(item.row) & kGenerated) != 0; }

  const State& state_;
  const Plan& plan_;
  std::size_t n_;
  std::vector<const Fused*> chosen_;
  std::vector<std::size_t> taken_, cap_, kept_;
  std::size_t generated_ = 0, generated_cap_;
};

}  // namespace aigc
