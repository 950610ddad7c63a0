#include "aigc/exact_search.h"

#include <immintrin.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "aigc/simd.h"
#include "aigc/top_k.h"

namespace aigc {
namespace {

// Rows of the base scored together: enough independent sums to hide the latency of a multiply-add.
constexpr std::size_t kRows = 8;

// Up to 16 queries: `lanes` holds them transposed (d × width), `heaps` and `floor` one entry a
// lane.
struct Group {
  std::size_t width;
  std::size_t used;
  std::vector<float> lanes;
  std::vector<TopK> heaps;
  std::vector<float> floor;

  void offer(std::size_t lane, float score, std::size_t row) {
    if (lane >= used) return;
    heaps[lane].push(score, static_cast<std::uint32_t>(row));
    floor[lane] = heaps[lane].threshold();
  }
};

void scan_generic(Group& group, const float* base, std::size_t n, std::size_t d) {
  constexpr std::size_t kWidth = 8;
  for (std::size_t row = 0; row < n; ++row) {
    float sums[kWidth] = {};
    for (std::size_t i = 0; i < d; ++i)
      for (std::size_t lane = 0; lane < kWidth; ++lane)
        sums[lane] += base[row * d + i] * group.lanes[i * kWidth + lane];
    for (std::size_t lane = 0; lane < kWidth; ++lane)
      if (sums[lane] > group.floor[lane]) group.offer(lane, sums[lane], row);
  }
}

template <std::size_t R>
__attribute__((target("avx2,fma"))) void rows_avx2(Group& group, const float* base,
                                                   std::size_t first, std::size_t d) {
  __m256 sums[R];
  for (std::size_t r = 0; r < R; ++r) sums[r] = _mm256_setzero_ps();
  const float* rows = base + first * d;
  for (std::size_t i = 0; i < d; ++i) {
    const __m256 lanes = _mm256_loadu_ps(group.lanes.data() + i * 8);
    for (std::size_t r = 0; r < R; ++r)
      sums[r] = _mm256_fmadd_ps(_mm256_broadcast_ss(rows + r * d + i), lanes, sums[r]);
  }
  for (std::size_t r = 0; r < R; ++r) {
    const __m256 above = _mm256_cmp_ps(sums[r], _mm256_loadu_ps(group.floor.data()), _CMP_GT_OQ);
    unsigned mask = static_cast<unsigned>(_mm256_movemask_ps(above));
    if (mask == 0) continue;
    alignas(32) float scores[8];
    _mm256_store_ps(scores, sums[r]);
    for (; mask != 0; mask &= mask - 1) {
      const std::size_t lane = static_cast<std::size_t>(__builtin_ctz(mask));
      group.offer(lane, scores[lane], first + r);
    }
  }
}

__attribute__((target("avx2,fma"))) void scan_avx2(Group& group, const float* base, std::size_t n,
                                                   std::size_t d) {
  std::size_t row = 0;
  for (; row + kRows <= n; row += kRows) rows_avx2<kRows>(group, base, row, d);
  for (; row < n; ++row) rows_avx2<1>(group, base, row, d);
}

template <std::size_t R>
__attribute__((target("avx512f,avx512dq,avx512vl"))) void rows_avx512(Group& group,
                                                                      const float* base,
                                                                      std::size_t first,
                                                                      std::size_t d) {
  __m512 sums[R];
  for (std::size_t r = 0; r < R; ++r) sums[r] = _mm512_setzero_ps();
  const float* rows = base + first * d;
  for (std::size_t i = 0; i < d; ++i) {
    const __m512 lanes = _mm512_loadu_ps(group.lanes.data() + i * 16);
    for (std::size_t r = 0; r < R; ++r)
      sums[r] = _mm512_fmadd_ps(_mm512_set1_ps(rows[r * d + i]), lanes, sums[r]);
  }
  const __m512 floor = _mm512_loadu_ps(group.floor.data());
  for (std::size_t r = 0; r < R; ++r) {
    unsigned mask = _mm512_cmp_ps_mask(sums[r], floor, _CMP_GT_OQ);
    if (mask == 0) continue;
    alignas(64) float scores[16];
    _mm512_store_ps(scores, sums[r]);
    for (; mask != 0; mask &= mask - 1) {
      const std::size_t lane = static_cast<std::size_t>(__builtin_ctz(mask));
      group.offer(lane, scores[lane], first + r);
    }
  }
}

__attribute__((target("avx512f,avx512dq,avx512vl"))) void scan_avx512(Group& group,
                                                                      const float* base,
                                                                      std::size_t n,
                                                                      std::size_t d) {
  std::size_t row = 0;
  for (; row + 2 * kRows <= n; row += 2 * kRows) rows_avx512<2 * kRows>(group, base, row, d);
  for (; row < n; ++row) rows_avx512<1>(group, base, row, d);
}

// One query: nothing to share between lanes, so each row is one inner product along d.
void scan_single(TopK& heap, const float* base, std::size_t n, std::size_t d, const float* query) {
  float floor = heap.threshold();
  for (std::size_t row = 0; row < n; ++row) {
    const float score = dot(query, base + row * d, d);
    if (score > floor) {
      heap.push(score, static_cast<std::uint32_t>(row));
      floor = heap.threshold();
    }
  }
}

void write(TopK& heap, std::size_t k, std::int64_t* rows, float* scores) {
  const auto& best = heap.sorted();
  for (std::size_t j = 0; j < k; ++j) {
    rows[j] = j < best.size() ? static_cast<std::int64_t>(best[j].row) : -1;
    scores[j] = j < best.size() ? best[j].score : -std::numeric_limits<float>::infinity();
  }
}

}  // namespace

void exact_search(const float* base, std::size_t n, std::size_t d, const float* queries,
                  std::size_t q, std::size_t k, std::int64_t* rows, float* scores) {
  const SimdLevel level = simd_level();
  const std::size_t width = level == SimdLevel::kAvx512 ? 16 : 8;
  for (std::size_t start = 0; start < q; start += width) {
    const std::size_t used = std::min(width, q - start);
    if (used == 1) {
      TopK heap(std::min(k, n));
      scan_single(heap, base, n, d, queries + start * d);
      write(heap, k, rows + start * k, scores + start * k);
      continue;
    }
    Group group;
    group.width = width;
    group.used = used;
    group.lanes.assign(d * width, 0.0f);
    group.heaps.assign(used, TopK(std::min(k, n)));
    // An unused lane never rises above its floor.
    group.floor.assign(width, std::numeric_limits<float>::infinity());
    for (std::size_t lane = 0; lane < used; ++lane) {
      group.floor[lane] =
          k == 0 ? std::numeric_limits<float>::infinity() : -std::numeric_limits<float>::infinity();
      for (std::size_t i = 0; i < d; ++i)
        group.lanes[i * width + lane] = queries[(start + lane) * d + i];
    }
    if (level == SimdLevel::kAvx512)
      scan_avx512(group, base, n, d);
    else if (level == SimdLevel::kAvx2)
      scan_avx2(group, base, n, d);
    else
      scan_generic(group, base, n, d);
    for (std::size_t lane = 0; lane < used; ++lane)
      write(group.heaps[lane], k, rows + (start + lane) * k, scores + (start + lane) * k);
  }
}

}  // namespace aigc
