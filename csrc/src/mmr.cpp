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
  while (order.size() < n) {
    std::size_t best = 0;
    float best_value = -std::numeric_limits<float>::infinity();
    for (std::size_t k = 0; k < remaining.size(); ++k) {
      const float penalty = order.empty() ? 0.0f : closest[k];
      const float value = (1.0f - diversity) * relevance[remaining[k]] - diversity * penalty;
      if (value > best_value) {
        best_value = value;
        best = k;
      }
    }
    order.push_back(remaining[best]);
    const float* chosen = rows[best];
    // Erasing keeps the order, so that ties go on to the lower index.
    remaining.erase(remaining.begin() + static_cast<std::ptrdiff_t>(best));
    rows.erase(rows.begin() + static_cast<std::ptrdiff_t>(best));
    closest.erase(closest.begin() + static_cast<std::ptrdiff_t>(best));
    if (order.size() < n) max_dots(chosen, rows.data(), rows.size(), d, closest.data());
  }
}

}  // namespace aigc
