#include "aigc/engine.h"

#include <algorithm>
#include <stdexcept>

#include "aigc/explain.h"
#include "aigc/fusion.h"
#include "aigc/ranking.h"
#include "aigc/request.h"
#include "aigc/selection.h"
#include "aigc/sources.h"

namespace aigc {
namespace {

// `before`: rows that are not asked for again, rising.
void run_sources(const Request& request, bool fallback, Scratch& scratch, Fusion& fusion,
                 const std::vector<std::uint32_t>& before) {
  const Plan& plan = request.plan;
  std::size_t expected = 0;
  for (const Source& source : plan.sources)
    if (source.fallback == fallback) expected += std::min(source.limit, request.n_items);
  fusion.reset(plan.sources.size(), expected);
  for (std::size_t s = 0; s < plan.sources.size(); ++s) {
    const Source& source = plan.sources[s];
    if (source.fallback != fallback || source.weight <= 0.0f) continue;
    std::vector<Scored>& found = candidates(request, source, scratch);
    if (!before.empty())
      found.erase(std::remove_if(found.begin(), found.end(),
                                 [&before](const Scored& item) {
                                   return std::binary_search(before.begin(), before.end(),
                                                             item.row);
                                 }),
                  found.end());
    fusion.add(s, source.weight, plan.calibration, found);
  }
  fusion.close();
}

}  // namespace

Answer answer(const State& state, const Plan& plan, const Query& query) {
  static thread_local Scratch scratch;
  static thread_local Fusion first, second;
  const Request request(state, plan, query);
  scratch.neighbours_made = false;
  run_sources(request, false, scratch, first, {});
  Ranking ranking(request, first);
  Selection selection(state, plan, query.n);
  selection.fill(ranking);
  float scale = 1.0f;
  const std::size_t primary = selection.chosen().size();
  if (!selection.full()) {
    std::vector<std::uint32_t> known;
    for (const Fused& item : first.entries()) known.push_back(item.row);
    std::sort(known.begin(), known.end());
    run_sources(request, true, scratch, second, known);
    if (second.size() > 0) {
      // What fills the list scores below what leads it, so that scores fall down the list.
      if (primary > 0) {
        const auto lowest =
            std::min_element(selection.chosen().begin(), selection.chosen().end(),
                             [](const Fused* a, const Fused* b) { return a->score < b->score; });
        scale = std::min(1.0f, 0.5f * (*lowest)->score / second.best(0).score);
      }
      Ranking rest(request, second);
      selection.fill(rest);
    }
  }
  std::vector<const Fused*> leading(
      selection.chosen().begin(),
      selection.chosen().begin() + static_cast<std::ptrdiff_t>(primary));
  selection.trim_generated();
  Answer out;
  out.items.reserve(selection.chosen().size());
  for (const Fused* item : selection.chosen()) {
    const bool fills = std::find(leading.begin(), leading.end(), item) == leading.end();
    RankedItem ranked{item->row, fills ? item->score * scale : item->score, {}, {}, {}};
    if (query.explain) explain(request, *item, scratch, ranked);
    out.items.push_back(std::move(ranked));
  }
  return out;
}

void Engine::publish(std::shared_ptr<State> state) {
  std::lock_guard lock(mutex_);
  state_.swap(state);
  // The old state, if this was its last holder, ends after the lock.
}

std::shared_ptr<State> Engine::state() const {
  std::lock_guard lock(mutex_);
  if (state_ == nullptr) throw std::logic_error("the engine has no state yet; publish one");
  return state_;
}

std::pair<std::shared_ptr<State>, std::vector<Answer>> Engine::recommend(
    const std::vector<Query>& queries, const Plan& plan) const {
  auto now = state();
  std::vector<Answer> answers;
  answers.reserve(queries.size());
  for (const Query& query : queries) answers.push_back(answer(*now, plan, query));
  return {std::move(now), std::move(answers)};
}

std::vector<float> user_vector(const State& state, const std::string& user, const Plan& plan) {
  Query query;
  query.user_id = user;
  return Request(state, plan, query).vector();
}

std::vector<std::pair<std::string, float>> Engine::similar_users(const std::string& user,
                                                                 std::size_t n) const {
  static thread_local Scratch scratch;
  const auto now = state();
  Plan plan;
  plan.history_limit = 1000;
  Query query;
  query.user_id = user;
  const Request request(*now, plan, query);
  std::vector<std::pair<std::string, float>> found;
  if (!request.personal) return found;
  aigc::similar_users(*now, request.history, request.user.base_row, n, scratch);
  for (const SimilarUser& near : scratch.neighbours)
    found.emplace_back(std::string(now->base().user_ids()[near.row]), near.similarity);
  return found;
}

}  // namespace aigc
