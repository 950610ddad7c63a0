#include "aigc/matrix.h"

#include <immintrin.h>

#include <algorithm>

#include "aigc/simd.h"

namespace aigc {
namespace {

constexpr std::size_t kPanel = PackedMatrix::kPanel;

void rows_generic(const float* w, const float* x, std::size_t k, std::size_t rows, float* out,
                  std::size_t stride) {
  for (std::size_t r = 0; r < rows; ++r) {
    float sums[kPanel] = {};
    for (std::size_t i = 0; i < k; ++i)
      for (std::size_t j = 0; j < kPanel; ++j) sums[j] += x[r * k + i] * w[i * kPanel + j];
    std::copy(sums, sums + kPanel, out + r * stride);
  }
}

template <int R>
__attribute__((target("avx2,fma"))) void block_avx2(const float* w, const float* x, std::size_t k,
                                                    float* out, std::size_t stride) {
  __m256 s[R][4];
  for (int r = 0; r < R; ++r)
    for (int j = 0; j < 4; ++j) s[r][j] = _mm256_setzero_ps();
  for (std::size_t i = 0; i < k; ++i) {
    const float* at = w + i * kPanel;
    for (int r = 0; r < R; ++r) {
      const __m256 a = _mm256_broadcast_ss(x + static_cast<std::size_t>(r) * k + i);
      for (int j = 0; j < 4; ++j)
        s[r][j] = _mm256_fmadd_ps(a, _mm256_loadu_ps(at + 8 * j), s[r][j]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int j = 0; j < 4; ++j)
      _mm256_storeu_ps(out + static_cast<std::size_t>(r) * stride + 8 * j, s[r][j]);
}

void rows_avx2(const float* w, const float* x, std::size_t k, std::size_t rows, float* out,
               std::size_t stride) {
  std::size_t r = 0;
  for (; r + 2 <= rows; r += 2) block_avx2<2>(w, x + r * k, k, out + r * stride, stride);
  for (; r < rows; ++r) block_avx2<1>(w, x + r * k, k, out + r * stride, stride);
}

template <int R>
__attribute__((target("avx512f,avx512dq,avx512vl"))) void block_avx512(const float* w,
                                                                       const float* x,
                                                                       std::size_t k, float* out,
                                                                       std::size_t stride) {
  __m512 low[R], high[R];
  for (int r = 0; r < R; ++r) low[r] = high[r] = _mm512_setzero_ps();
  for (std::size_t i = 0; i < k; ++i) {
    const __m512 a = _mm512_loadu_ps(w + i * kPanel), b = _mm512_loadu_ps(w + i * kPanel + 16);
    for (int r = 0; r < R; ++r) {
      const __m512 v = _mm512_set1_ps(x[static_cast<std::size_t>(r) * k + i]);
      low[r] = _mm512_fmadd_ps(v, a, low[r]);
      high[r] = _mm512_fmadd_ps(v, b, high[r]);
    }
  }
  for (int r = 0; r < R; ++r) {
    _mm512_storeu_ps(out + static_cast<std::size_t>(r) * stride, low[r]);
    _mm512_storeu_ps(out + static_cast<std::size_t>(r) * stride + 16, high[r]);
  }
}

__attribute__((target("avx512f,avx512dq,avx512vl"))) void rows_avx512(const float* w,
                                                                      const float* x, std::size_t k,
                                                                      std::size_t rows, float* out,
                                                                      std::size_t stride) {
  std::size_t r = 0;
  for (; r + 8 <= rows; r += 8) block_avx512<8>(w, x + r * k, k, out + r * stride, stride);
  for (; r + 4 <= rows; r += 4) block_avx512<4>(w, x + r * k, k, out + r * stride, stride);
  for (; r + 2 <= rows; r += 2) block_avx512<2>(w, x + r * k, k, out + r * stride, stride);
  for (; r < rows; ++r) block_avx512<1>(w, x + r * k, k, out + r * stride, stride);
}

}  // namespace

PackedMatrix::PackedMatrix(const float* weights, std::size_t n, std::size_t k)
    : k_(k), panels_((n + kPanel - 1) / kPanel), data_(panels_ * k * kPanel) {
  for (std::size_t j = 0; j < n; ++j)
    for (std::size_t i = 0; i < k; ++i)
      data_[((j / kPanel) * k + i) * kPanel + j % kPanel] = weights[j * k + i];
}

void PackedMatrix::multiply(std::size_t panel, const float* x, std::size_t rows, float* out,
                            std::size_t stride) const {
  const float* w = data_.data() + panel * k_ * kPanel;
  switch (simd_level()) {
    case SimdLevel::kAvx512:
      return rows_avx512(w, x, k_, rows, out, stride);
    case SimdLevel::kAvx2:
      return rows_avx2(w, x, k_, rows, out, stride);
    default:
      return rows_generic(w, x, k_, rows, out, stride);
  }
}

}  // namespace aigc
