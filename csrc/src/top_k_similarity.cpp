#include "aigc/top_k_similarity.h"

#include <immintrin.h>

#include <algorithm>
#include <cmath>

#include "aigc/simd.h"
#include "aigc/top_k.h"

namespace aigc {
namespace {

// Items × users, each row holding the user, the weight, and where in the user's row the item
// stands.
struct Transposed {
  std::vector<std::int64_t> offsets;
  std::vector<std::uint32_t> users;
  std::vector<float> values;
  std::vector<std::int64_t> positions;
};

Transposed transpose(const std::int64_t* offsets, const std::uint32_t* columns, const float* values,
                     std::size_t n_rows, std::size_t n_columns) {
  const std::size_t entries = static_cast<std::size_t>(offsets[n_rows]);
  Transposed t;
  t.offsets.assign(n_columns + 1, 0);
  for (std::size_t p = 0; p < entries; ++p) ++t.offsets[columns[p] + 1];
  for (std::size_t i = 0; i < n_columns; ++i) t.offsets[i + 1] += t.offsets[i];
  t.users.resize(entries);
  t.values.resize(entries);
  t.positions.resize(entries);
  std::vector<std::int64_t> next(t.offsets.begin(), t.offsets.end() - 1);
  for (std::size_t u = 0; u < n_rows; ++u) {
    for (std::int64_t p = offsets[u]; p < offsets[u + 1]; ++p) {
      const std::size_t at = static_cast<std::size_t>(next[columns[p]]++);
      t.users[at] = static_cast<std::uint32_t>(u);
      t.values[at] = values[p];
      t.positions[at] = p;
    }
  }
  return t;
}

// The similarities of one item i with the items in [first, n): which exceed its own floor, or that
// of the other? Gives the indices of those that do, in rising order, and leaves the similarity in
// sums.
using Scan = std::size_t (*)(float* sums, const float* norms, const float* floors,
                             std::size_t first, std::size_t n, float norm, float shrinkage,
                             float floor, std::uint32_t* found);

std::size_t scan_generic(float* sums, const float* norms, const float* floors, std::size_t first,
                         std::size_t n, float norm, float shrinkage, float floor,
                         std::uint32_t* found) {
  std::size_t count = 0;
  for (std::size_t j = first; j < n; ++j) {
    const float similarity = sums[j] / (norm * norms[j] + shrinkage);
    sums[j] = similarity;
    if (similarity > std::min(floor, floors[j])) found[count++] = static_cast<std::uint32_t>(j);
  }
  return count;
}

__attribute__((target("avx2,fma"))) std::size_t scan_avx2(float* sums, const float* norms,
                                                          const float* floors, std::size_t first,
                                                          std::size_t n, float norm,
                                                          float shrinkage, float floor,
                                                          std::uint32_t* found) {
  std::size_t count = 0, j = first;
  const __m256 vnorm = _mm256_set1_ps(norm), vshrink = _mm256_set1_ps(shrinkage);
  const __m256 vfloor = _mm256_set1_ps(floor);
  for (; j + 8 <= n; j += 8) {
    const __m256 sum = _mm256_loadu_ps(sums + j);
    if (_mm256_testz_si256(_mm256_castps_si256(sum), _mm256_castps_si256(sum))) continue;
    // Two roundings, as in the other variants: a fused one would break ties between levels.
    const __m256 below = _mm256_add_ps(_mm256_mul_ps(vnorm, _mm256_loadu_ps(norms + j)), vshrink);
    const __m256 similarity = _mm256_div_ps(sum, below);
    _mm256_storeu_ps(sums + j, similarity);
    const __m256 lowest = _mm256_min_ps(vfloor, _mm256_loadu_ps(floors + j));
    unsigned mask =
        static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(similarity, lowest, _CMP_GT_OQ)));
    for (; mask != 0; mask &= mask - 1)
      found[count++] =
          static_cast<std::uint32_t>(j) + static_cast<std::uint32_t>(__builtin_ctz(mask));
  }
  return count + scan_generic(sums, norms, floors, j, n, norm, shrinkage, floor, found + count);
}

__attribute__((target("avx512f,avx512dq,avx512vl"))) std::size_t scan_avx512(
    float* sums, const float* norms, const float* floors, std::size_t first, std::size_t n,
    float norm, float shrinkage, float floor, std::uint32_t* found) {
  std::size_t count = 0, j = first;
  const __m512 vnorm = _mm512_set1_ps(norm), vshrink = _mm512_set1_ps(shrinkage);
  const __m512 vfloor = _mm512_set1_ps(floor);
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (; j + 16 <= n; j += 16) {
    const __m512 sum = _mm512_loadu_ps(sums + j);
    if (_mm512_test_epi32_mask(_mm512_castps_si512(sum), _mm512_castps_si512(sum)) == 0) continue;
    const __m512 below = _mm512_add_ps(_mm512_mul_ps(vnorm, _mm512_loadu_ps(norms + j)), vshrink);
    const __m512 similarity = _mm512_div_ps(sum, below);
    _mm512_storeu_ps(sums + j, similarity);
    const __m512 lowest = _mm512_min_ps(vfloor, _mm512_loadu_ps(floors + j));
    const __mmask16 mask = _mm512_cmp_ps_mask(similarity, lowest, _CMP_GT_OQ);
    if (mask == 0) continue;
    const __m512i index = _mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(j)), lane);
    _mm512_mask_compressstoreu_epi32(found + count, mask, index);
    count += static_cast<std::size_t>(__builtin_popcount(mask));
  }
  return count + scan_generic(sums, norms, floors, j, n, norm, shrinkage, floor, found + count);
}

Scan scan_function() {
  switch (simd_level()) {
    case SimdLevel::kAvx512:
      return scan_avx512;
    case SimdLevel::kAvx2:
      return scan_avx2;
    default:
      return scan_generic;
  }
}

Lists gather(std::vector<TopKBuffer>& best) {
  Lists lists;
  lists.offsets.reserve(best.size() + 1);
  lists.offsets.push_back(0);
  for (auto& buffer : best) {
    for (const Scored& entry : buffer.sorted()) {
      lists.items.push_back(entry.row);
      lists.weights.push_back(entry.score);
    }
    lists.offsets.push_back(static_cast<std::int64_t>(lists.items.size()));
    buffer = TopKBuffer();
  }
  return lists;
}

}  // namespace

Lists top_k_similarity(const std::int64_t* offsets, const std::uint32_t* columns,
                       const float* values, std::size_t n_rows, std::size_t n_columns,
                       std::size_t k, float shrinkage, bool normalise) {
  const Transposed t = transpose(offsets, columns, values, n_rows, n_columns);
  std::vector<float> norms(n_columns, 0.0f);
  for (std::size_t i = 0; i < n_columns; ++i) {
    double squares = 0.0;
    for (std::int64_t p = t.offsets[i]; p < t.offsets[i + 1]; ++p)
      squares += static_cast<double>(t.values[p]) * t.values[p];
    norms[i] = normalise ? static_cast<float>(std::sqrt(squares)) : 0.0f;
    // An item without users divides by no zero; nothing is ever summed for it.
    if (normalise && norms[i] == 0.0f) norms[i] = 1.0f;
  }
  const float below = normalise ? shrinkage : 1.0f;
  std::vector<TopKBuffer> best(n_columns, TopKBuffer(k));
  // What a similarity must exceed to enter an item's list: 0 until the list is full.
  std::vector<float> floors(n_columns, 0.0f);
  std::vector<float> sums(n_columns, 0.0f);
  std::vector<std::uint32_t> found(n_columns + 16);
  const Scan scan = scan_function();
  const auto offer = [&](std::size_t to, float similarity, std::size_t row) {
    floors[to] = best[to].push(similarity, static_cast<std::uint32_t>(row));
  };
  if (k == 0) return gather(best);
  for (std::size_t i = 0; i < n_columns; ++i) {
    std::size_t work = 0;
    for (std::int64_t p = t.offsets[i]; p < t.offsets[i + 1]; ++p)
      work += static_cast<std::size_t>(offsets[t.users[p] + 1] - t.positions[p] - 1);
    if (work == 0) continue;
    const bool dense = work * 16 >= n_columns - i;
    std::size_t touched = 0;
    for (std::int64_t p = t.offsets[i]; p < t.offsets[i + 1]; ++p) {
      const float weight = t.values[p];
      const std::int64_t end = offsets[t.users[p] + 1];
      if (dense) {
        for (std::int64_t e = t.positions[p] + 1; e < end; ++e)
          sums[columns[e]] += weight * values[e];
      } else {
        for (std::int64_t e = t.positions[p] + 1; e < end; ++e) {
          const std::uint32_t j = columns[e];
          if (sums[j] == 0.0f) found[touched++] = j;
          sums[j] += weight * values[e];
          // A sum that cancels to 0 would be listed twice; no weight below 0 comes here.
        }
      }
    }
    if (dense) {
      const std::size_t count = scan(sums.data(), norms.data(), floors.data(), i + 1, n_columns,
                                     norms[i], below, floors[i], found.data());
      for (std::size_t c = 0; c < count; ++c) {
        const std::size_t j = found[c];
        if (sums[j] > floors[i]) offer(i, sums[j], j);
        if (sums[j] > floors[j]) offer(j, sums[j], i);
      }
      std::fill(sums.begin() + static_cast<std::ptrdiff_t>(i) + 1, sums.end(), 0.0f);
    } else {
      std::sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(touched));
      for (std::size_t c = 0; c < touched; ++c) {
        const std::size_t j = found[c];
        const float similarity = sums[j] / (norms[i] * norms[j] + below);
        sums[j] = 0.0f;
        if (similarity > floors[i]) offer(i, similarity, j);
        if (similarity > floors[j]) offer(j, similarity, i);
      }
    }
  }
  return gather(best);
}

Lists top_k_rows(const float* matrix, std::size_t n, std::size_t k) {
  std::vector<TopKBuffer> best(n, TopKBuffer(std::min(k, n)));
  for (std::size_t i = 0; i < n && k > 0; ++i) {
    float floor = 0.0f;
    for (std::size_t j = 0; j < n; ++j) {
      const float value = matrix[i * n + j];
      if (value > floor && j != i) floor = best[i].push(value, static_cast<std::uint32_t>(j));
    }
  }
  return gather(best);
}

}  // namespace aigc
