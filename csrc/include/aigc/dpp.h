// Greedy maximum a posteriori inference of a determinantal point process (Chen, Zhang, Zhou 2018).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace aigc {

// Chooses up to n of `count` candidates so as to maximise, greedily, the determinant of
// L_ij = q_i q_j S_ij, where S is the cosine (1 on the diagonal) and q_i = exp(a * relevance_i)
// with a = 4 * (1 - diversity) / max(diversity, 1e-3): the larger a, the more relevance weighs.
// Diversity 0 orders by relevance. What the determinant cannot tell apart any more (candidates in
// the span of those chosen) follows by relevance. Ties go to the lower index.
void dpp(const float* relevance, const float* const* embeddings, std::size_t count, std::size_t d,
         std::size_t n, float diversity, std::vector<std::int32_t>& order);

}  // namespace aigc
