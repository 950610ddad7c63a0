#include "aigc/dpp.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "aigc/simd.h"

namespace aigc {

// With c_i the rows of the Cholesky factor and e_i² = det ratio / q_i² (section 4 of the paper),
// the gain of i is log(q_i² e_i²) = 2 a relevance_i + log(e_i²): kept in logarithms, q never
// overflows.
void dpp(const float* relevance, const float* const* embeddings, std::size_t count, std::size_t d,
         std::size_t n, float diversity, std::vector<std::int32_t>& order) {
  n = std::min(n, count);
  order.resize(count);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [relevance](std::int32_t a, std::int32_t b) {
    return relevance[a] > relevance[b];
  });
  if (diversity <= 0.0f) {
    order.resize(n);
    return;
  }
  const std::vector<std::int32_t> by_relevance = order;
  order.clear();
  const double a = 4.0 * (1.0 - diversity) / std::max(diversity, 1e-3f);
  std::vector<double> residual(count, 1.0);
  std::vector<double> factors(count * n, 0.0);
  std::vector<char> taken(count, 0);
  constexpr double kSpanned = 1e-6;
  while (order.size() < n) {
    std::int64_t best = -1;
    double best_gain = -std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < count; ++i) {
      if (taken[i] || residual[i] < kSpanned) continue;
      const double gain = 2.0 * a * relevance[i] + std::log(residual[i]);
      if (gain > best_gain) {
        best_gain = gain;
        best = static_cast<std::int64_t>(i);
      }
    }
    if (best < 0) break;
    const std::size_t j = static_cast<std::size_t>(best);
    const std::size_t round = order.size();
    order.push_back(static_cast<std::int32_t>(j));
    taken[j] = 1;
    const double root = std::sqrt(residual[j]);
    for (std::size_t i = 0; i < count; ++i) {
      if (taken[i]) continue;
      double overlap = dot(embeddings[j], embeddings[i], d);
      for (std::size_t r = 0; r < round; ++r) overlap -= factors[j * n + r] * factors[i * n + r];
      const double factor = overlap / root;
      factors[i * n + round] = factor;
      residual[i] -= factor * factor;
    }
  }
  for (std::size_t k = 0; order.size() < n; ++k)
    if (!taken[by_relevance[k]]) order.push_back(by_relevance[k]);
}

}  // namespace aigc
