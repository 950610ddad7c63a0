// Candidates of several sources → one list, each item with the part that each source played.
#pragma once

#include <cstdint>
#include <vector>

#include "aigc/plan.h"
#include "aigc/top_k.h"

namespace aigc {

constexpr std::size_t kMaxSources = 16;

struct Fused {
  std::uint32_t row;
  float score;
  const float* parts;  // of each source

  // The source that speaks for the item most; the first of equals.
  std::size_t owner(std::size_t n_sources) const;
};

class Fusion {
 public:
  void reset(std::size_t n_sources, std::size_t expected);
  // Scores are above 0; for the calibration by rank the best come first, else in any order.
  void add(std::size_t source, float weight, Calibration calibration,
           const std::vector<Scored>& candidates);
  // No more is added.
  void close();

  std::size_t size() const { return entries_.size(); }
  // In no order.
  const std::vector<Fused>& entries() const { return entries_; }
  // The i-th best, ties by the lower row. It stays where it is.
  const Fused& best(std::size_t i);

 private:
  std::size_t place(std::uint32_t row);

  std::size_t n_sources_ = 0;
  std::vector<Fused> entries_;
  std::vector<float> parts_;  // of the entries as they came
  std::vector<std::uint32_t> slots_;
  std::size_t mask_ = 0;
  std::size_t sorted_ = 0;  // so many entries stand in their places
};

}  // namespace aigc
