#include "aigc/dpp.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "aigc/simd.h"

namespace aigc {
namespace {

// Below this a candidate lies in the span of those chosen.
constexpr double kSpanned = 1e-6;

double relevance_weight(float diversity) {
  return 4.0 * (1.0 - diversity) / std::max(diversity, 1e-3f);
}

// In lanes, so that no addition waits for the one before it.
double dot_double(const double* a, const double* b, std::size_t n) {
  double sums[4] = {};
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (std::size_t lane = 0; lane < 4; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  double total = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  for (; i < n; ++i) total += a[i] * b[i];
  return total;
}

std::vector<double> first_gains(const std::vector<float>& relevance, float diversity) {
  std::vector<double> gains;
  gains.reserve(relevance.size());
  for (const float x : relevance) gains.push_back(2.0 * relevance_weight(diversity) * x);
  return gains;
}

}  // namespace

Dpp::Dpp(const std::vector<float>& relevance, std::vector<const float*> embeddings, std::size_t d,
         float diversity)
    : LazyGreedy(diversity > 0.0f ? first_gains(relevance, diversity) : std::vector<double>()),
      relevance_(relevance),
      embeddings_(std::move(embeddings)),
      d_(d),
      a_(relevance_weight(diversity)),
      factors_(relevance.size()),
      residual_(relevance.size(), 1.0),
      taken_(relevance.size(), 0) {}

std::int32_t Dpp::next() {
  if (rest_.empty()) {
    const std::int32_t i = LazyGreedy::next();
    if (i >= 0) {
      taken_[static_cast<std::size_t>(i)] = 1;
      return i;
    }
    rest_.resize(relevance_.size());
    std::iota(rest_.begin(), rest_.end(), 0u);
    std::stable_sort(rest_.begin(), rest_.end(), [this](std::uint32_t x, std::uint32_t y) {
      return relevance_[x] > relevance_[y];
    });
  }
  while (at_ < rest_.size() && taken_[rest_[at_]] != 0) ++at_;
  return at_ < rest_.size() ? static_cast<std::int32_t>(rest_[at_++]) : -1;
}

// With c_i the rows of the Cholesky factor and e_i² = det ratio / q_i² (section 4 of the paper),
// the gain of i is log(q_i² e_i²) = 2 a relevance_i + log(e_i²): kept in logarithms, q never
// overflows.
double Dpp::gain(std::size_t i, std::size_t known) {
  std::vector<double>& row = factors_[i];
  for (std::size_t k = known; k < chosen().size(); ++k) {
    const std::size_t j = chosen()[k];
    const double overlap =
        dot(embeddings_[j], embeddings_[i], d_) - dot_double(factors_[j].data(), row.data(), k);
    const double factor = overlap / std::sqrt(residual_[j]);
    row.push_back(factor);
    residual_[i] -= factor * factor;
  }
  return residual_[i] < kSpanned ? kOut : 2.0 * a_ * relevance_[i] + std::log(residual_[i]);
}

}  // namespace aigc
