#include "aigc/explain.h"

#include <algorithm>

#include "aigc/simd.h"

namespace aigc {
namespace {

// What each item of the history adds to `row` in one source; 0 for what speaks against it.
std::vector<float> contributions(const Request& request, const Source& source, std::uint32_t row) {
  std::vector<float> added(request.history.size(), 0.0f);
  const State& state = request.state;
  const ItemItemModel* model =
      source.kind == SourceKind::kItemItem ? find_model(state, source.name) : nullptr;
  if (model == nullptr && source.kind != SourceKind::kVector) return added;
  for (std::size_t i = 0; i < added.size(); ++i) {
    const WeightedItem& item = request.history[i];
    const float near = model != nullptr
                           ? similarity(state, *model, item.row, row)
                           : dot(state.item_embedding(item.row), state.item_embedding(row),
                                 state.base().embedding_size);
    added[i] = std::max(0.0f, item.weight * near);
  }
  return added;
}

// The similar users who like `row`, and their parts of `share`.
std::vector<ItemShare> users_behind(const Request& request, std::uint32_t row, float share,
                                    const Scratch& scratch) {
  const Snapshot& base = request.state.base();
  std::vector<Scored> best;
  for (const SimilarUser& near : scratch.neighbours) {
    float weight = 0.0f;
    for (std::int64_t e = base.history_offsets[near.row]; e < base.history_offsets[near.row + 1];
         ++e)
      if (base.history_items[static_cast<std::size_t>(e)] == row)
        weight += base.history_weights[static_cast<std::size_t>(e)];
    if (weight > 0.0f) best.push_back({near.similarity * weight, near.row});
  }
  float total = 0.0f;
  for (const Scored& user : best) total += user.score;
  std::sort(best.begin(), best.end(), better);
  best.resize(std::min(best.size(), kExplainNeighbours));
  std::vector<ItemShare> users;
  for (const Scored& user : best) users.push_back({user.row, share * user.score / total});
  return users;
}

}  // namespace

void explain(const Request& request, const Fused& item, const Scratch& scratch,
             RankedItem& ranked) {
  const auto& sources = request.plan.sources;
  std::vector<ItemShare> shares;
  for (std::size_t s = 0; s < sources.size(); ++s) {
    const float share = item.parts[s] / item.score;
    ranked.shares.push_back(share);
    if (!(share > 0.0f)) continue;
    if (sources[s].kind == SourceKind::kUserUser)
      ranked.users = users_behind(request, item.row, share, scratch);
    const std::vector<float> added = contributions(request, sources[s], item.row);
    float total = 0.0f;
    for (const float x : added) total += x;
    if (!(total > 0.0f)) continue;
    for (std::size_t i = 0; i < added.size(); ++i) {
      if (!(added[i] > 0.0f)) continue;
      const std::uint32_t row = request.history[i].row;
      auto found = std::find_if(shares.begin(), shares.end(),
                                [row](const ItemShare& known) { return known.row == row; });
      if (found == shares.end()) found = shares.insert(shares.end(), {row, 0.0f});
      found->share += share * added[i] / total;
    }
  }
  std::sort(shares.begin(), shares.end(), [](const ItemShare& a, const ItemShare& b) {
    return a.share > b.share || (a.share == b.share && a.row < b.row);
  });
  shares.resize(std::min(shares.size(), kExplainNeighbours));
  ranked.items = std::move(shares);
}

}  // namespace aigc
