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

void Fusion::reset(std::size_t n_sources, std::size_t expected) {
  n_sources_ = n_sources;
  entries_.clear();
  parts_.clear();
  sorted_ = 0;
  std::size_t slots = 64;
  while (slots < 2 * expected) slots *= 2;
  slots_.assign(slots, kNoRow);
  mask_ = slots - 1;
}

std::size_t Fusion::place(std::uint32_t row) {
  std::size_t slot = (row * 0x9E3779B97F4A7C15ull >> 32) & mask_;
  while (slots_[slot] != kNoRow) {
    if (entries_[slots_[slot]].row == row) return slots_[slot];
    slot = (slot + 1) & mask_;
  }
  slots_[slot] = static_cast<std::uint32_t>(entries_.size());
  entries_.push_back(Fused{row, 0.0f, nullptr});
  parts_.resize(parts_.size() + n_sources_, 0.0f);
  return entries_.size() - 1;
}

void Fusion::add(std::size_t source, float weight, Calibration calibration,
                 const std::vector<Scored>& candidates) {
  if (candidates.empty() || weight <= 0.0f) return;
  float highest = 0.0f;
  for (const Scored& candidate : candidates) highest = std::max(highest, candidate.score);
  for (std::size_t rank = 0; rank < candidates.size(); ++rank) {
    const float part = weight * calibrated(calibration, candidates[rank].score, highest, rank);
    if (!(part > 0.0f)) continue;
    const std::size_t i = place(candidates[rank].row);
    parts_[i * n_sources_ + source] += part;
    entries_[i].score += part;
  }
}

void Fusion::close() {
  for (std::size_t i = 0; i < entries_.size(); ++i)
    entries_[i].parts = parts_.data() + i * n_sources_;
}

const Fused& Fusion::best(std::size_t i) {
  // Most requests want the first hundred or so of many hundreds.
  constexpr std::size_t kFirst = 128;
  if (i >= sorted_) {
    const auto before = [](const Fused& a, const Fused& b) {
      return a.score > b.score || (a.score == b.score && a.row < b.row);
    };
    const auto begin = entries_.begin() + static_cast<std::ptrdiff_t>(sorted_);
    const std::size_t wanted = i < kFirst ? std::min(kFirst, size()) : size();
    const auto end = entries_.begin() + static_cast<std::ptrdiff_t>(wanted);
    if (end != entries_.end()) std::nth_element(begin, end, entries_.end(), before);
    std::sort(begin, end, before);
    sorted_ = wanted;
  }
  return entries_[i];
}

}  // namespace aigc
