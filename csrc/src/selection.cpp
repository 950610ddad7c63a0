#include "aigc/selection.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace aigc {
namespace {

// Shares such as 0.3 are not exact in binary: 0.3 · 10 is to be 3.
constexpr double kSlack = 1e-6;

std::size_t floor_share(double share, std::size_t n) {
  return static_cast<std::size_t>(std::floor(share * static_cast<double>(n) + kSlack));
}

std::size_t ceil_share(double share, std::size_t n) {
  return static_cast<std::size_t>(std::ceil(share * static_cast<double>(n) - kSlack));
}

}  // namespace

Selection::Selection(const State& state, const Plan& plan, std::size_t n)
    : state_(state), plan_(plan), n_(n), generated_cap_(floor_share(plan.max_generated_share, n)) {
  taken_.assign(plan.sources.size(), 0);
  for (const Source& source : plan.sources) {
    cap_.push_back(floor_share(source.max_share, n));
    kept_.push_back(ceil_share(source.min_share, n));
  }
}

void Selection::fill(Ranking& ranking) {
  const std::size_t sources = plan_.sources.size();
  std::vector<std::size_t> open(sources, 0);
  for (std::size_t s = 0; s < sources; ++s)
    open[s] = kept_[s] > taken_[s] ? kept_[s] - taken_[s] : 0;
  std::size_t reserved = std::accumulate(open.begin(), open.end(), std::size_t{0});
  if (reserved > 0) {
    // Places are kept only for candidates that there are.
    std::vector<std::size_t> there(sources, 0);
    for (const Fused& item : ranking.all()) ++there[item.owner(sources)];
    for (std::size_t s = 0; s < sources; ++s) open[s] = std::min(open[s], there[s]);
    reserved = std::accumulate(open.begin(), open.end(), std::size_t{0});
  }
  while (!full()) {
    const Fused* item = ranking.next();
    if (item == nullptr) return;
    const std::size_t owner = item->owner(sources);
    if (open[owner] == 0 && chosen_.size() + reserved >= n_) continue;
    if (taken_[owner] >= cap_[owner]) continue;
    if (generated(*item)) {
      if (generated_ >= generated_cap_) continue;
      ++generated_;
    }
    chosen_.push_back(item);
    ++taken_[owner];
    if (open[owner] > 0) {
      --open[owner];
      --reserved;
    }
  }
}

void Selection::trim_generated() {
  while (generated_ > floor_share(plan_.max_generated_share, chosen_.size())) {
    const auto last = std::find_if(chosen_.rbegin(), chosen_.rend(),
                                   [this](const Fused* item) { return generated(*item); });
    chosen_.erase(std::next(last).base());
    --generated_;
  }
}

}  // namespace aigc
