#include "aigc/fusion.h"

#include <algorithm>

#include "aigc/id_table.h"

namespace aigc {
namespace {

// The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009).
constexpr float kRankOffset = 60.0f;

float calibrated(Calibration calibration, float score, float highest, std::size_t rank) {
  switch (calibration) {
    case Calibration::kMax:
      return score / highest;
    case Calibration::kRank:
      return (kRankOffset + 1.0f) / (kRankOffset + 1.0f + static_cast<float>(rank));
    default:
      return score;
  }
}

}  // namespace

std::size_t Fused::owner(std::size_t n_sources) const {
  return static_cast<std::size_t>(std::max_element(parts, parts + n_sources) - parts);
}

void Fusion::reset(std::size_t expected) {
  entries_.clear();
  std::size_t slots = 64;
  while (slots < 2 * expected) slots *= 2;
  slots_.assign(slots, kNoRow);
  mask_ = slots - 1;
}

Fused& Fusion::entry(std::uint32_t row) {
  std::size_t slot = (row * 0x9E3779B97F4A7C15ull >> 32) & mask_;
  while (slots_[slot] != kNoRow) {
    if (entries_[slots_[slot]].row == row) return entries_[slots_[slot]];
    slot = (slot + 1) & mask_;
  }
  slots_[slot] = static_cast<std::uint32_t>(entries_.size());
  entries_.push_back(Fused{row, 0.0f, {}});
  return entries_.back();
}

void Fusion::add(std::size_t source, float weight, Calibration calibration,
                 const std::vector<Scored>& candidates) {
  if (candidates.empty() || weight <= 0.0f) return;
  const float highest = candidates.front().score;
  for (std::size_t rank = 0; rank < candidates.size(); ++rank) {
    const float part = weight * calibrated(calibration, candidates[rank].score, highest, rank);
    if (!(part > 0.0f)) continue;
    Fused& fused = entry(candidates[rank].row);
    fused.parts[source] += part;
    fused.score += part;
  }
}

std::vector<Fused>& Fusion::sorted() {
  // Sorting moves the entries, so the table ends here.
  std::sort(entries_.begin(), entries_.end(), [](const Fused& a, const Fused& b) {
    return a.score > b.score || (a.score == b.score && a.row < b.row);
  });
  return entries_;
}

}  // namespace aigc
