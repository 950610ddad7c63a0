// Greedy maximum a posteriori inference of a determinantal point process (Chen, Zhang, Zhou 2018).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "aigc/lazy_greedy.h"

namespace aigc {

// Chooses so as to maximise, greedily, the determinant of L_ij = q_i q_j S_ij, where S is the
// cosine (1 on the diagonal) and q_i = exp(a * relevance_i) with a = 4 * (1 - diversity) /
// max(diversity, 1e-3): the larger a, the more relevance weighs. Diversity 0 orders by relevance.
// What the determinant cannot tell apart any more (candidates in the span of those chosen) follows
// by relevance. Embeddings have length d and are of unit length, or zero; they are not copied.
class Dpp final : public LazyGreedy {
 public:
  Dpp(const std::vector<float>& relevance, std::vector<const float*> embeddings, std::size_t d,
      float diversity);

  std::int32_t next() override;

 protected:
  double gain(std::size_t i, std::size_t known) override;

 private:
  std::vector<float> relevance_;
  std::vector<const float*> embeddings_;
  std::size_t d_;
  double a_;
  std::vector<std::vector<double>> factors_;  // of each candidate: its row of the Cholesky factor
  std::vector<double> residual_;
  std::vector<char> taken_;
  std::vector<std::uint32_t> rest_;  // by relevance, once the determinant is spent
  std::size_t at_ = 0;
};

}  // namespace aigc
