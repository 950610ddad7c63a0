// Item–item similarity from users × items, kept as the top-k neighbours of each item.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace aigc {

// Compressed rows: row i is [offsets[i], offsets[i + 1]) of items and weights.
struct Lists {
  std::vector<std::int64_t> offsets;
  std::vector<std::uint32_t> items;
  std::vector<float> weights;
};

// X is users × items in compressed rows with strictly rising columns. For each item i the k other
// items j of largest sim(i, j) = Σ_u x_ui x_uj, divided by (‖x_i‖ ‖x_j‖ + shrinkage) when
// `normalise`; only similarities above 0, by falling similarity, ties by the lower row. Each pair
// is computed once.
Lists top_k_similarity(const std::int64_t* offsets, const std::uint32_t* columns,
                       const float* values, std::size_t n_rows, std::size_t n_columns,
                       std::size_t k, float shrinkage, bool normalise);

// The k largest positive entries of each row of a dense n × n matrix, the diagonal left out.
Lists top_k_rows(const float* matrix, std::size_t n, std::size_t k);

}  // namespace aigc
