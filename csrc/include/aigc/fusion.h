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
  float parts[kMaxSources];

  // The source that speaks for the item most; the first of equals.
  std::size_t owner(std::size_t n_sources) const;
};

class Fusion {
 public:
  void reset(std::size_t expected);
  // `candidates` are best first, scores above 0.
  void add(std::size_t source, float weight, Calibration calibration,
           const std::vector<Scored>& candidates);
  // Best first, ties by the lower row; only scores above 0.
  std::vector<Fused>& sorted();

 private:
  Fused& entry(std::uint32_t row);

  std::vector<Fused> entries_;
  std::vector<std::uint32_t> slots_;
  std::size_t mask_ = 0;
};

}  // namespace aigc
