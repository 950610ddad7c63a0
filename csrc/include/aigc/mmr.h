// Maximal marginal relevance (Carbonell and Goldstein 1998).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "aigc/lazy_greedy.h"

namespace aigc {

// Greedy choice by (1 - diversity) * relevance - diversity * (largest cosine with one chosen
// before). Embeddings have length d and are of unit length, or zero; they are not copied.
class Mmr final : public LazyGreedy {
 public:
  Mmr(const std::vector<float>& relevance, std::vector<const float*> embeddings, std::size_t d,
      float diversity);

  std::int32_t next() override;

 protected:
  double gain(std::size_t i, std::size_t known) override;

 private:
  std::vector<float> weighted_;  // (1 - diversity) * relevance
  std::vector<float> closest_;   // largest cosine with those of the chosen that are known
  std::vector<const float*> embeddings_;
  std::size_t d_;
  float diversity_;
};

}  // namespace aigc
