#include "aigc/lazy_greedy.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace aigc {

LazyGreedy::LazyGreedy(const std::vector<double>& gains) : known_(gains.size(), 0) {
  bounds_.reserve(gains.size());
  for (const double gain : gains)
    bounds_.push_back({gain, static_cast<std::uint32_t>(bounds_.size())});
  heap();
}

std::int32_t LazyGreedy::next() {
  while (!bounds_.empty()) {
    Bound& lead = bounds_.front();
    if (lead.gain == kOut) return -1;
    const std::uint32_t i = lead.i;
    if (known_[i] == chosen_.size()) {
      chosen_.push_back(i);
      lead = bounds_.back();
      bounds_.pop_back();
      sink();
      return static_cast<std::int32_t>(i);
    }
    renew(lead);
    sink();
  }
  return -1;
}

void LazyGreedy::renew() {
  for (Bound& bound : bounds_) renew(bound);
  heap();
}

void LazyGreedy::renew(Bound& bound) {
  const double now = gain(bound.i, known_[bound.i]);
  // What is no number leads nobody.
  bound.gain = std::isnan(now) ? kOut : now;
  known_[bound.i] = static_cast<std::uint32_t>(chosen_.size());
}

void LazyGreedy::heap() {
  std::make_heap(bounds_.begin(), bounds_.end(),
                 [](const Bound& a, const Bound& b) { return b.before(a); });
}

// The top has fallen: down to its place. As a rule that is near, which the library's pop and push
// cannot know.
void LazyGreedy::sink() {
  const std::size_t n = bounds_.size();
  for (std::size_t at = 0;;) {
    std::size_t child = 2 * at + 1;
    if (child >= n) return;
    if (child + 1 < n && bounds_[child + 1].before(bounds_[child])) ++child;
    if (!bounds_[child].before(bounds_[at])) return;
    std::swap(bounds_[at], bounds_[child]);
    at = child;
  }
}

}  // namespace aigc
