#include "aigc/lazy_greedy.h"

#include <algorithm>
#include <utility>

namespace aigc {
namespace {

// The first of the largest, in lanes, so that no comparison waits for the one before it.
std::size_t first_largest(const std::vector<double>& values) {
  constexpr std::size_t kLanes = 8;
  double largest[kLanes];
  std::fill(largest, largest + kLanes, -std::numeric_limits<double>::infinity());
  const std::size_t whole = values.size() / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      largest[lane] = values[i + lane] > largest[lane] ? values[i + lane] : largest[lane];
  double most = *std::max_element(largest, largest + kLanes);
  for (std::size_t i = whole; i < values.size(); ++i) most = std::max(most, values[i]);
  return static_cast<std::size_t>(std::find(values.begin(), values.end(), most) - values.begin());
}

}  // namespace

LazyGreedy::LazyGreedy(std::vector<double> gains)
    : bounds_(std::move(gains)), known_(bounds_.size(), 0) {}

std::int32_t LazyGreedy::next() {
  for (;;) {
    const std::size_t i = first_largest(bounds_);
    if (i >= bounds_.size() || bounds_[i] == kOut) return -1;
    if (known_[i] == chosen_.size()) {
      bounds_[i] = kOut;
      chosen_.push_back(static_cast<std::uint32_t>(i));
      return static_cast<std::int32_t>(i);
    }
    renew(i);
  }
}

void LazyGreedy::renew() {
  for (std::size_t i = 0; i < bounds_.size(); ++i)
    if (bounds_[i] != kOut) renew(i);
}

void LazyGreedy::renew(std::size_t i) {
  bounds_[i] = gain(i, known_[i]);
  known_[i] = static_cast<std::uint32_t>(chosen_.size());
}

}  // namespace aigc
