#include "aigc/sources.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "aigc/simd.h"

namespace aigc {
namespace {

constexpr double kDayMs = 86'400'000.0;
// The model by content: new items take part in it through their embeddings.
constexpr char kContent[] = "content";
// New items looked at closely, after a pass over all of them with the user's vector.
constexpr std::size_t kDeltaCandidates = 256;
// Neighbours that a new item comes with, at most.
constexpr std::size_t kDeltaNeighbours = 50;

void offer(const Request& request, TopKBuffer& best, std::uint32_t row, float score) {
  if (!(score > 0.0f) || !(score < std::numeric_limits<float>::infinity())) return;
  if (score >= best.threshold() && request.passes(row)) best.push(score, row);
}

// The best of the sums, of those that pass.
void offer_sums(const Request& request, std::size_t limit, Scratch& scratch) {
  if (request.hides_seen()) {
    // Theirs are among the largest sums: gone first, they are not asked about one by one.
    for (const std::uint32_t row : request.user.base_seen) scratch.items.drop(row);
    for (const std::uint32_t row : request.user.new_seen)
      if (row < request.n_items) scratch.items.drop(row);
  }
  // Some more than wanted, since a few may be hidden; when too many are, all are looked at.
  float level = request.narrow() ? 0.0f : scratch.items.level(limit + limit / 8);
  for (;;) {
    scratch.best.reset(limit, level);
    scratch.items.for_each_above(level, [&](std::uint32_t row, float sum) {
      if (sum < std::numeric_limits<float>::infinity() && request.allows(row))
        scratch.best.push(sum, row);
      return scratch.best.threshold();
    });
    if (scratch.best.size() >= limit || level <= 0.0f) return;
    level = 0.0f;
  }
}

// The similarity at which an item would enter i's list of content neighbours.
float entry_level(const State& state, const ItemItemModel& model, std::uint32_t i) {
  if (i >= state.base().n_items) {
    const auto& own = state.record(i)->neighbours;
    return own.empty() ? 0.0f : own.back().score;
  }
  const std::int64_t end = model.offsets[i + 1];
  return end > model.offsets[i] ? model.weights[static_cast<std::size_t>(end) - 1] : 0.0f;
}

// New items that stand nearer to an item of the history than the last of its list.
void add_new_by_content(const Request& request, const ItemItemModel& model, Accumulator& sums,
                        std::size_t& additions) {
  const State& state = request.state;
  if (request.delta->empty() || request.vector().empty()) return;
  const std::size_t d = state.base().embedding_size;
  TopK near(kDeltaCandidates);
  for (const DeltaEntry& entry : *request.delta)
    if (entry.row >= state.base().n_items)
      near.push(dot(request.vector().data(), entry.record->embedding.data(), d), entry.row);
  additions += near.sorted().size() * request.history.size();
  for (const Scored& candidate : near.sorted()) {
    if (!(candidate.score > 0.0f)) break;
    const float* embedding = state.item_embedding(candidate.row);
    for (const WeightedItem& item : request.history) {
      if (item.row == candidate.row) continue;
      const float cosine = dot(state.item_embedding(item.row), embedding, d);
      if (cosine > 0.0f && cosine >= entry_level(state, model, item.row))
        sums.add(candidate.row, item.weight * cosine);
    }
  }
}

// The lists of a history lie far apart: their beginnings are called for before their turn.
constexpr std::size_t kAhead = 2;

void prefetch(const ItemItemModel& model, std::uint32_t row) {
  if (row + std::size_t{1} >= model.offsets.size) return;
  const std::int64_t begin = model.offsets[row];
  const auto* items = reinterpret_cast<const char*>(model.items.data + begin);
  const auto* weights = reinterpret_cast<const char*>(model.weights.data + begin);
  for (std::size_t line = 0; line < 4; ++line) {
    __builtin_prefetch(items + 64 * line);
    __builtin_prefetch(weights + 64 * line);
  }
}

void item_item(const Request& request, const Source& source, Scratch& scratch) {
  const State& state = request.state;
  const ItemItemModel* model = find_model(state, source.name);
  if (model == nullptr || request.history.empty()) return;
  const std::size_t n_base = state.base().n_items;
  const bool by_content = source.name == kContent;
  std::size_t additions = 0;
  for (const WeightedItem& item : request.history) {
    if (item.row < n_base)
      additions +=
          static_cast<std::size_t>(model->offsets[item.row + 1] - model->offsets[item.row]);
    else if (by_content)
      additions += kDeltaNeighbours;
  }
  if (by_content) additions += kDeltaCandidates;
  scratch.items.reset(request.n_items, additions);
  for (std::size_t h = 0; h < request.history.size(); ++h) {
    const WeightedItem& item = request.history[h];
    if (h + kAhead < request.history.size()) prefetch(*model, request.history[h + kAhead].row);
    if (item.row < n_base) {
      const std::size_t begin = static_cast<std::size_t>(model->offsets[item.row]);
      const std::size_t end = static_cast<std::size_t>(model->offsets[item.row + 1]);
      scratch.items.add_list(model->items.data + begin, model->weights.data + begin, end - begin,
                             item.weight);
    } else if (by_content) {
      for (const Scored& near : state.record(item.row)->neighbours)
        if (near.row < request.n_items) scratch.items.add(near.row, item.weight * near.score);
    }
  }
  if (by_content) add_new_by_content(request, *model, scratch.items, additions);
  offer_sums(request, source.limit, scratch);
}

void user_user(const Request& request, const Source& source, Scratch& scratch) {
  if (!request.personal) return;
  const State& state = request.state;
  const Snapshot& base = state.base();
  if (!scratch.neighbours_made) {
    similar_users(state, request.history, request.user.base_row, request.plan.user_neighbours,
                  scratch);
    scratch.neighbours_made = true;
  }
  std::size_t additions = 0;
  const auto begin_of = [&](std::uint32_t user) {
    return std::max(
        base.history_offsets[user],
        base.history_offsets[user + 1] - static_cast<std::int64_t>(request.plan.history_limit));
  };
  for (const SimilarUser& near : scratch.neighbours)
    additions += static_cast<std::size_t>(base.history_offsets[near.row + 1] - begin_of(near.row));
  scratch.items.reset(request.n_items, additions);
  for (const SimilarUser& near : scratch.neighbours) {
    const std::size_t begin = static_cast<std::size_t>(begin_of(near.row));
    const std::size_t end = static_cast<std::size_t>(base.history_offsets[near.row + 1]);
    scratch.items.add_list(base.history_items.data + begin, base.history_weights.data + begin,
                           end - begin, near.similarity);
  }
  offer_sums(request, source.limit, scratch);
}

void popular(const Request& request, const Source& source, TopKBuffer& best) {
  const Snapshot& base = request.state.base();
  std::size_t taken = 0;
  for (std::size_t i = 0; i < base.n_items && taken < source.limit; ++i) {
    const std::uint32_t row = base.popular_order[i];
    if (!(base.item_popularity[row] > 0.0f)) break;
    if (!request.passes(row)) continue;
    best.push(base.item_popularity[row], row);
    ++taken;
  }
}

// Hyperbolic, 1 / (1 + age / half-life): half at the half-life, as the exponential is, but what is
// decades old keeps its order, where the exponential has long underflowed to ties at 0.
float freshness(const Request& request, std::int64_t created_ms) {
  const double age = std::max(0.0, static_cast<double>(request.query.now_ms - created_ms) / kDayMs);
  return static_cast<float>(1.0 / (1.0 + age / request.plan.fresh_half_life_days));
}

void fresh(const Request& request, const Source& source, TopKBuffer& best) {
  const State& state = request.state;
  const Snapshot& base = state.base();
  std::size_t taken = 0;
  for (std::size_t i = 0; i < base.n_items && taken < source.limit; ++i) {
    const std::uint32_t row = base.fresh_order[i];
    if (state.record(row) != nullptr || !request.passes(row)) continue;
    best.push(freshness(request, base.item_created[row]), row);
    ++taken;
  }
  for (const DeltaEntry& entry : *request.delta) {
    const float score = freshness(request, entry.record->created_ms);
    offer(request, best, entry.row, score);
  }
}

// Declared interests: items of those categories, the well-liked first, each by its best interest.
void interests(const Request& request, const Source& source, TopKBuffer& best) {
  const auto& declared = request.user.preferences.interests;
  if (declared.empty() || !request.query.personalised ||
      !request.user.preferences.allow_personalisation)
    return;
  const State& state = request.state;
  const Snapshot& base = state.base();
  std::vector<float> weights(state.n_categories(), 0.0f);
  for (const auto& [name, weight] : declared) {
    const std::uint32_t category = state.category(name);
    if (category < weights.size()) weights[category] = std::max(weights[category], weight);
  }
  const float highest = base.n_items == 0 ? 0.0f : base.item_popularity[base.popular_order[0]];
  const auto consider = [&](std::uint32_t row, float popularity) {
    float interest = 0.0f;
    for (const std::uint32_t category : state.item_categories(row))
      if (category < weights.size()) interest = std::max(interest, weights[category]);
    if (interest <= 0.0f || !request.passes(row)) return false;
    // A little for everything declared, so that what nobody has touched yet can be found.
    const float liked = highest > 0.0f ? popularity / highest : 0.0f;
    offer(request, best, row, interest * (0.05f + 0.95f * liked));
    return true;
  };
  std::size_t taken = 0;
  for (std::size_t i = 0; i < base.n_items && taken < 4 * source.limit; ++i) {
    const std::uint32_t row = base.popular_order[i];
    taken += consider(row, base.item_popularity[row]) ? 1 : 0;
  }
  for (const DeltaEntry& entry : *request.delta)
    if (entry.row >= base.n_items) consider(entry.row, 0.0f);
}

void by_vector(const Request& request, TopKBuffer& best) {
  const State& state = request.state;
  const auto& rows = request.query.vector_rows;
  const bool scan = !request.delta->empty() && !request.vector().empty();
  std::vector<std::uint32_t> order(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) order[i] = static_cast<std::uint32_t>(i);
  // Of a row given twice, the better score counts.
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return rows[a] != rows[b] ? rows[a] < rows[b]
                              : request.query.vector_scores[a] > request.query.vector_scores[b];
  });
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::uint32_t row = rows[order[i]];
    if (i > 0 && rows[order[i - 1]] == row) continue;
    // A changed item is scored by what it is now, below.
    if (scan && state.record(row) != nullptr) continue;
    offer(request, best, row, request.query.vector_scores[order[i]]);
  }
  if (!scan) return;
  for (const DeltaEntry& entry : *request.delta)
    offer(
        request, best, entry.row,
        dot(request.vector().data(), entry.record->embedding.data(), state.base().embedding_size));
}

}  // namespace

const ItemItemModel* find_model(const State& state, const std::string& name) {
  for (const auto& model : state.base().models)
    if (model.name == name) return &model;
  return nullptr;
}

float similarity(const State& state, const ItemItemModel& model, std::uint32_t i, std::uint32_t j) {
  const std::size_t n_base = state.base().n_items;
  if (i < n_base) {
    for (std::int64_t e = model.offsets[i]; e < model.offsets[i + 1]; ++e)
      if (model.items[static_cast<std::size_t>(e)] == j)
        return model.weights[static_cast<std::size_t>(e)];
  } else if (model.name == kContent) {
    for (const Scored& near : state.record(i)->neighbours)
      if (near.row == j) return near.score;
  }
  if (j < n_base || model.name != kContent || i == j) return 0.0f;
  const float cosine =
      dot(state.item_embedding(i), state.item_embedding(j), state.base().embedding_size);
  return cosine > 0.0f && cosine >= entry_level(state, model, i) ? cosine : 0.0f;
}

void similar_users(const State& state, const std::vector<WeightedItem>& history, std::uint32_t self,
                   std::size_t count, Scratch& scratch) {
  const Snapshot& base = state.base();
  scratch.neighbours.clear();
  std::vector<std::uint32_t> liked;
  for (const WeightedItem& item : history)
    if (item.weight > 0.0f && item.row < base.n_items) liked.push_back(item.row);
  std::sort(liked.begin(), liked.end());
  liked.erase(std::unique(liked.begin(), liked.end()), liked.end());
  std::size_t additions = 0;
  double squares = 0.0;
  for (const std::uint32_t item : liked) {
    additions +=
        static_cast<std::size_t>(base.item_user_offsets[item + 1] - base.item_user_offsets[item]);
    squares += static_cast<double>(base.item_idf[item]) * base.item_idf[item];
  }
  if (additions == 0 || squares <= 0.0) return;
  scratch.users.reset(base.n_users, additions);
  for (const std::uint32_t item : liked) {
    const float idf = base.item_idf[item];
    const std::int64_t end = base.item_user_offsets[item + 1];
    for (std::int64_t e = base.item_user_offsets[item]; e < end; ++e)
      scratch.users.add(base.item_users[static_cast<std::size_t>(e)], idf * idf);
  }
  scratch.best.reset(count);
  const float norm = static_cast<float>(std::sqrt(squares));
  scratch.users.for_each_above(0.0f, [&](std::uint32_t user, float overlap) {
    if (user == self || !(base.user_norms[user] > 0.0f)) return 0.0f;
    const float cosine = overlap / (norm * base.user_norms[user]);
    if (cosine >= scratch.best.threshold()) scratch.best.push(cosine, user);
    return 0.0f;
  });
  for (const Scored& user : scratch.best.sorted())
    scratch.neighbours.push_back({user.row, std::min(user.score, 1.0f)});
}

std::vector<Scored>& candidates(const Request& request, const Source& source, Scratch& scratch) {
  scratch.best.reset(source.limit);
  switch (source.kind) {
    case SourceKind::kItemItem:
      item_item(request, source, scratch);
      break;
    case SourceKind::kUserUser:
      user_user(request, source, scratch);
      break;
    case SourceKind::kPopular:
      popular(request, source, scratch.best);
      break;
    case SourceKind::kFresh:
      fresh(request, source, scratch.best);
      break;
    case SourceKind::kInterests:
      interests(request, source, scratch.best);
      break;
    case SourceKind::kVector:
      by_vector(request, scratch.best);
      break;
  }
  // Their order costs more than it is worth where only the scores count.
  return request.plan.calibration == Calibration::kRank ? scratch.best.sorted()
                                                        : scratch.best.kept();
}

}  // namespace aigc
