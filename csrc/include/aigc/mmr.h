// Maximal marginal relevance (Carbonell and Goldstein 1998).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace aigc {

// Greedy choice of n of `count` candidates by (1 - diversity) * relevance - diversity * (largest
// cosine with one chosen before). Embeddings have length d and are of unit length, or zero. Ties go
// to the lower index. `order` receives min(n, count) indices.
void mmr(const float* relevance, const float* const* embeddings, std::size_t count, std::size_t d,
         std::size_t n, float diversity, std::vector<std::int32_t>& order);

}  // namespace aigc
