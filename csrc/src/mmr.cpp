#include "aigc/mmr.h"

#include <algorithm>
#include <limits>

#include "aigc/simd.h"

namespace aigc {

void mmr(const float* relevance, const float* const* embeddings, std::size_t count, std::size_t d,
         std::size_t n, float diversity, std::vector<std::int32_t>& order) {
  order.clear();
  n = std::min(n, count);
  // Compacted, so that each round touches only what is left: remaining[k] is the candidate at k.
  static thread_local std::vector<std::int32_t> remaining;
  static thread_local std::vector<const float*> rows;
  static thread_local std::vector<float> closest;
  remaining.resize(count);
  for (std::size_t i = 0; i < count; ++i) remaining[i] = static_cast<std::int32_t>(i);
  rows.assign(embeddings, embeddings + count);
  // Before the first choice nothing is near: the penalty is 0.
  closest.assign(count, -std::numeric_limits<float>::infinity());
  static thread_local std::vector<float> weighted;
  weighted.resize(count);
  for (std::size_t i = 0; i < count; ++i) weighted[i] = (1.0f - diversity) * relevance[i];
  while (order.size() < n) {
    const std::size_t left = remaining.size();
    const float penalty = order.empty() ? 0.0f : diversity;
    // Eight running bests, so that no comparison waits for the one before it.
    constexpr std::size_t kLanes = 8;
    float best_value[kLanes];
    std::size_t best_at[kLanes] = {};
    std::fill(best_value, best_value + kLanes, -std::numeric_limits<float>::infinity());
    for (std::size_t k = 0; k < left; ++k) {
      const float value = weighted[k] - (penalty > 0.0f ? penalty * closest[k] : 0.0f);
      const std::size_t lane = k % kLanes;
      if (value > best_value[lane]) {
        best_value[lane] = value;
        best_at[lane] = k;
      }
    }
    std::size_t best = best_at[0];
    float value = best_value[0];
    for (std::size_t lane = 1; lane < kLanes; ++lane) {
      if (best_value[lane] > value || (best_value[lane] == value && best_at[lane] < best)) {
        value = best_value[lane];
        best = best_at[lane];
      }
    }
    order.push_back(remaining[best]);
    const float* chosen = rows[best];
    // Erasing keeps the order, so that ties go on to the lower index.
    const auto at = static_cast<std::ptrdiff_t>(best);
    remaining.erase(remaining.begin() + at);
    rows.erase(rows.begin() + at);
    closest.erase(closest.begin() + at);
    weighted.erase(weighted.begin() + at);
    if (order.size() < n) max_dots(chosen, rows.data(), rows.size(), d, closest.data());
  }
}

}  // namespace aigc
