// The fused list in the order in which an answer takes from it: what the reranker chooses, then the
// rest by score. One at a time, so that what nobody asks for is not computed.
#pragma once

#include <memory>
#include <vector>

#include "aigc/fusion.h"
#include "aigc/lazy_greedy.h"
#include "aigc/request.h"

namespace aigc {

class Ranking {
 public:
  // `fused` is closed, and outlives this.
  Ranking(const Request& request, Fusion& fused);

  // Null after the last.
  const Fused* next();
  const std::vector<Fused>& all() const { return fused_.entries(); }

 private:
  Fusion& fused_;
  std::unique_ptr<LazyGreedy> reranker_;
  std::vector<char> taken_;  // of those that the reranker chooses from
  std::size_t at_ = 0;
};

}  // namespace aigc
