// Exact nearest rows by inner product.
#pragma once

#include <cstddef>
#include <cstdint>

namespace aigc {

// For each of q queries (q × d, row-major) the k rows of `base` (n × d) of largest inner product,
// best first, ties by the lower row. rows and scores are q × k; what is beyond n is row -1, score
// -inf. The queries are taken several at a time over one pass of the base, one query a SIMD lane,
// so that the base is read q / 16 times, not q times. One query left alone is summed along its
// dimensions: its scores may differ in the last bit from those in company.
void exact_search(const float* base, std::size_t n, std::size_t d, const float* queries,
                  std::size_t q, std::size_t k, std::int64_t* rows, float* scores);

}  // namespace aigc
