#include "aigc/mmr.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "aigc/simd.h"

namespace aigc {
namespace {

std::vector<double> scaled(const std::vector<float>& relevance, float by) {
  std::vector<double> gains;
  gains.reserve(relevance.size());
  for (const float x : relevance) gains.push_back(by * x);
  return gains;
}

}  // namespace

Mmr::Mmr(const std::vector<float>& relevance, std::vector<const float*> embeddings, std::size_t d,
         float diversity)
    : LazyGreedy(scaled(relevance, 1.0f - diversity)),
      weighted_(relevance),
      closest_(relevance.size(), -std::numeric_limits<float>::infinity()),
      embeddings_(std::move(embeddings)),
      d_(d),
      diversity_(diversity) {
  for (float& x : weighted_) x *= 1.0f - diversity;
}

std::int32_t Mmr::next() {
  const std::int32_t i = LazyGreedy::next();
  // The first choice has no penalty; what points away from it gains by it.
  if (chosen().size() == 1) renew();
  return i;
}

double Mmr::gain(std::size_t i, std::size_t known) {
  for (std::size_t k = known; k < chosen().size(); ++k)
    closest_[i] = std::max(closest_[i], dot(embeddings_[i], embeddings_[chosen()[k]], d_));
  // Cosines of what is not of unit length may overflow: such a candidate comes last, but it comes.
  const double gain = weighted_[i] - diversity_ * closest_[i];
  constexpr double kLast = std::numeric_limits<double>::lowest();
  return gain > kLast ? gain : kLast;
}

}  // namespace aigc
