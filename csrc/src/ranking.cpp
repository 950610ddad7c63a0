#include "aigc/ranking.h"

#include <algorithm>
#include <utility>

#include "aigc/dpp.h"
#include "aigc/mmr.h"

namespace aigc {

Ranking::Ranking(const Request& request, Fusion& fused) : fused_(fused) {
  const Plan& plan = request.plan;
  const float diversity =
      request.query.diversity >= 0.0f ? request.query.diversity : plan.diversity;
  if (plan.reranker == Reranker::kNone || diversity <= 0.0f || fused.size() < 3) return;
  const std::size_t count = std::min(plan.rerank_candidates, fused.size());
  const std::size_t d = request.state.base().embedding_size;
  std::vector<float> relevance(count);
  std::vector<const float*> embeddings(count);
  const float highest = fused.best(0).score;
  for (std::size_t i = 0; i < count; ++i) {
    const Fused& item = fused.best(i);
    relevance[i] = item.score / highest;
    embeddings[i] = request.state.item_embedding(item.row);
  }
  taken_.assign(count, 0);
  if (plan.reranker == Reranker::kMmr)
    reranker_ = std::make_unique<Mmr>(relevance, std::move(embeddings), d, diversity);
  else
    reranker_ = std::make_unique<Dpp>(relevance, std::move(embeddings), d, diversity);
}

const Fused* Ranking::next() {
  if (reranker_ != nullptr) {
    const std::int32_t i = reranker_->next();
    if (i >= 0) {
      taken_[static_cast<std::size_t>(i)] = 1;
      return &fused_.best(static_cast<std::size_t>(i));
    }
    reranker_.reset();
  }
  while (at_ < taken_.size() && taken_[at_] != 0) ++at_;
  return at_ < fused_.size() ? &fused_.best(at_++) : nullptr;
}

}  // namespace aigc
