#include "aigc/request.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace aigc {
namespace {

constexpr double kDayMs = 86'400'000.0;

bool any_of(const View<std::uint32_t>& own, const std::vector<std::uint8_t>& wanted) {
  return std::any_of(own.begin(), own.end(), [&wanted](std::uint32_t category) {
    return category < wanted.size() && wanted[category] != 0;
  });
}

}  // namespace

Request::Request(const State& state_in, const Plan& plan_in, const Query& query_in)
    : state(state_in),
      plan(plan_in),
      query(query_in),
      delta(state_in.delta()),
      n_items(state_in.n_items()) {
  if (query.n == 0) throw std::invalid_argument("n is 0; give at least 1");
  if (query.diversity > 1.0f || std::isnan(query.diversity))
    throw std::invalid_argument("diversity is " + std::to_string(query.diversity) +
                                "; give a number from 0 to 1");
  if (query.vector_rows.size() != query.vector_scores.size())
    throw std::invalid_argument("vector_rows and vector_scores differ in length");
  for (std::size_t i = 0; i < query.vector_rows.size(); ++i) {
    if (query.vector_rows[i] >= n_items)
      throw std::invalid_argument("vector_rows[" + std::to_string(i) + "] is no item's row");
    if (!std::isfinite(query.vector_scores[i]))
      throw std::invalid_argument("vector_scores[" + std::to_string(i) + "] is not finite");
  }
  user = state.user(query.user_id, plan.history_limit);
  personal = query.personalised && user.preferences.allow_personalisation && user.known;
  if (personal) {
    history.reserve(user.history.size() + 1);
    const std::int64_t newest = user.history.empty() ? 0 : user.history.back().time_ms;
    for (const Interaction& event : user.history) {
      if (event.item >= n_items) continue;
      float weight = event.weight;
      if (plan.half_life_days > 0.0f) {
        const double age = static_cast<double>(newest - event.time_ms) / kDayMs;
        weight *= static_cast<float>(std::exp2(-age / plan.half_life_days));
      }
      history.push_back({event.item, weight});
    }
  }
  if (!query.context_item.empty()) {
    context = state.item_row(query.context_item);
    if (context >= n_items) context = kNoRow;
    if (context != kNoRow) history.push_back({context, 1.0f});
  }
  if (!query.allow.empty()) allow_ = rows_of(query.allow);
  if (!query.deny.empty()) deny_ = rows_of(query.deny);
  if (!query.categories.empty()) {
    wanted_categories_.assign(state.n_categories(), 0);
    for (const auto& name : query.categories) {
      const std::uint32_t category = state.category(name);
      if (category < wanted_categories_.size()) wanted_categories_[category] = 1;
    }
  }
  if (!user.preferences.dislikes.empty()) {
    disliked_categories_.assign(state.n_categories(), 0);
    for (const auto& name : user.preferences.dislikes) {
      const std::uint32_t category = state.category(name);
      if (category < disliked_categories_.size()) disliked_categories_[category] = 1;
    }
  }
  for (const auto& name : query.kinds) {
    const std::uint32_t kind = state.kind(name);
    if (kind == kNoRow) continue;
    if (wanted_kinds_.size() <= kind) wanted_kinds_.resize(kind + 1, 0);
    wanted_kinds_[kind] = 1;
  }
}

std::vector<std::uint32_t> Request::rows_of(const std::vector<std::string>& ids) const {
  std::vector<std::uint32_t> rows;
  rows.reserve(ids.size());
  for (const auto& id : ids) {
    const std::uint32_t row = state.item_row(id);
    if (row != kNoRow) rows.push_back(row);
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

bool Request::allows(std::uint32_t row) const {
  const std::uint8_t flags = state.flags(row);
  if ((flags & (kHidden | kDeleted)) != 0 || row == context) return false;
  if ((flags & kGenerated) != 0 &&
      (!user.preferences.allow_generated || plan.max_generated_share <= 0.0f))
    return false;
  if (!query.allow.empty() && !std::binary_search(allow_.begin(), allow_.end(), row)) return false;
  if (!deny_.empty() && std::binary_search(deny_.begin(), deny_.end(), row)) return false;
  if (!query.kinds.empty()) {
    const std::uint32_t kind = state.item_kind(row);
    if (kind >= wanted_kinds_.size() || wanted_kinds_[kind] == 0) return false;
  }
  if (query.categories.empty() && disliked_categories_.empty()) return true;
  const View<std::uint32_t> own = state.item_categories(row);
  if (!query.categories.empty() && !any_of(own, wanted_categories_)) return false;
  return disliked_categories_.empty() || !any_of(own, disliked_categories_);
}

const std::vector<float>& Request::vector() const {
  if (vector_made_) return vector_;
  vector_made_ = true;
  const std::size_t d = state.base().embedding_size;
  std::vector<double> sum(d, 0.0);
  for (const WeightedItem& item : history) {
    const float* embedding = state.item_embedding(item.row);
    for (std::size_t j = 0; j < d; ++j) sum[j] += item.weight * embedding[j];
  }
  double squares = 0.0;
  for (const double x : sum) squares += x * x;
  if (squares < 1e-12) return vector_;
  const double scale = 1.0 / std::sqrt(squares);
  vector_.resize(d);
  for (std::size_t j = 0; j < d; ++j) vector_[j] = static_cast<float>(sum[j] * scale);
  return vector_;
}

}  // namespace aigc
