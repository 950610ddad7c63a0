#include "aigc/engine.h"

#include <algorithm>
#include <stdexcept>

#include "aigc/dpp.h"
#include "aigc/explain.h"
#include "aigc/fusion.h"
#include "aigc/mmr.h"
#include "aigc/request.h"
#include "aigc/selection.h"
#include "aigc/sources.h"

namespace aigc {
namespace {

bool has_quotas(const Plan& plan) {
  return plan.max_generated_share < 1.0f || std::any_of(
                                                plan.sources.begin(), plan.sources.end(),
                                                [](const Source& source) {
                                                  return source.min_share > 0.0f ||
                                                         source.max_share < 1.0f;
                                                });
}

// The order of the fused list after the reranker: its choice first, the rest by score.
std::vector<const Fused*> reranked(const Request& request, const std::vector<Fused>& fused) {
  std::vector<const Fused*> ordered;
  ordered.reserve(fused.size());
  for (const Fused& item : fused) ordered.push_back(&item);
  const Plan& plan = request.plan;
  const float diversity =
      request.query.diversity >= 0.0f ? request.query.diversity : plan.diversity;
  if (plan.reranker == Reranker::kNone || diversity <= 0.0f || fused.size() < 3) return ordered;
  const std::size_t count = std::min(plan.rerank_candidates, fused.size());
  static thread_local std::vector<float> relevance;
  static thread_local std::vector<const float*> embeddings;
  static thread_local std::vector<std::int32_t> order;
  relevance.clear();
  embeddings.clear();
  for (std::size_t i = 0; i < count; ++i) {
    relevance.push_back(fused[i].score / fused.front().score);
    embeddings.push_back(request.state.item_embedding(fused[i].row));
  }
  // Quotas may skip what was chosen, so more than n may be needed.
  const std::size_t wanted = has_quotas(plan) ? count : std::min(count, request.query.n);
  const std::size_t d = request.state.base().embedding_size;
  if (plan.reranker == Reranker::kMmr)
    mmr(relevance.data(), embeddings.data(), count, d, wanted, diversity, order);
  else
    dpp(relevance.data(), embeddings.data(), count, d, wanted, diversity, order);
  std::vector<char> taken(count, 0);
  ordered.clear();
  for (const std::int32_t i : order) {
    ordered.push_back(&fused[static_cast<std::size_t>(i)]);
    taken[static_cast<std::size_t>(i)] = 1;
  }
  for (std::size_t i = 0; i < fused.size(); ++i)
    if (i >= count || !taken[i]) ordered.push_back(&fused[i]);
  return ordered;
}

void run_sources(const Request& request, bool fallback, Scratch& scratch, Fusion& fusion,
                 const std::vector<std::uint32_t>& before) {
  const Plan& plan = request.plan;
  std::size_t expected = 0;
  for (const Source& source : plan.sources)
    if (source.fallback == fallback) expected += source.limit;
  fusion.reset(expected);
  for (std::size_t s = 0; s < plan.sources.size(); ++s) {
    const Source& source = plan.sources[s];
    if (source.fallback != fallback || source.weight <= 0.0f) continue;
    std::vector<Scored> found = candidates(request, source, scratch);
    found.erase(std::remove_if(found.begin(), found.end(),
                               [&before](const Scored& item) {
                                 return std::binary_search(before.begin(), before.end(), item.row);
                               }),
                found.end());
    fusion.add(s, source.weight, plan.calibration, found);
  }
}

}  // namespace

Answer answer(const State& state, const Plan& plan, const Query& query) {
  static thread_local Scratch scratch;
  static thread_local Fusion first, second;
  const Request request(state, plan, query);
  scratch.neighbours_made = false;
  run_sources(request, false, scratch, first, {});
  const std::vector<Fused>& fused = first.sorted();
  Selection selection(state, plan, query.n);
  selection.fill(reranked(request, fused));
  float scale = 1.0f;
  const std::size_t primary = selection.chosen().size();
  if (!selection.full()) {
    std::vector<std::uint32_t> known;
    for (const Fused& item : fused) known.push_back(item.row);
    std::sort(known.begin(), known.end());
    run_sources(request, true, scratch, second, known);
    const std::vector<Fused>& rest = second.sorted();
    if (!rest.empty()) {
      // What fills the list scores below what leads it, so that scores fall down the list.
      if (primary > 0) {
        const auto lowest =
            std::min_element(selection.chosen().begin(), selection.chosen().end(),
                             [](const Fused* a, const Fused* b) { return a->score < b->score; });
        scale = std::min(1.0f, 0.5f * (*lowest)->score / rest.front().score);
      }
      selection.fill(reranked(request, rest));
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

std::vector<float> Engine::user_vector(const State& state, const std::string& user,
                                       const Plan& plan) const {
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
