#include "aigc/simd.h"

#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <stdexcept>

namespace aigc {
namespace {

const char* const kNames[] = {"generic", "avx2", "avx512"};

SimdLevel highest() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return SimdLevel::kAvx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return SimdLevel::kAvx2;
  return SimdLevel::kGeneric;
}

SimdLevel parse(const std::string& name) {
  for (int i = 0; i <= static_cast<int>(highest()); ++i)
    if (name == kNames[i]) return static_cast<SimdLevel>(i);
  std::string known;
  for (const auto& level : simd_levels()) known += (known.empty() ? "" : ", ") + level;
  throw std::invalid_argument("SIMD level '" + name + "' is not available here; give one of " +
                              known);
}

SimdLevel initial() {
  const char* wanted = std::getenv("AIGC_SIMD");
  return wanted != nullptr && *wanted != '\0' ? parse(wanted) : highest();
}

std::atomic<SimdLevel>& current() {
  static std::atomic<SimdLevel> level{initial()};
  return level;
}

float dot_generic(const float* a, const float* b, std::size_t d) {
  float sums[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= d; i += 8)
    for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  float total =
      ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
  for (; i < d; ++i) total += a[i] * b[i];
  return total;
}

__attribute__((target("avx2,fma"))) float dot_avx2(const float* a, const float* b, std::size_t d) {
  __m256 s0 = _mm256_setzero_ps(), s1 = _mm256_setzero_ps();
  std::size_t i = 0;
  for (; i + 16 <= d; i += 16) {
    s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
    s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
  }
  for (; i + 8 <= d; i += 8)
    s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
  s0 = _mm256_add_ps(s0, s1);
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(s0), _mm256_extractf128_ps(s0, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  s = _mm_add_ss(s, _mm_movehdup_ps(s));
  float total = _mm_cvtss_f32(s);
  for (; i < d; ++i) total += a[i] * b[i];
  return total;
}

__attribute__((target("avx512f,avx512dq,avx512vl"))) float dot_avx512(const float* a,
                                                                      const float* b,
                                                                      std::size_t d) {
  __m512 s0 = _mm512_setzero_ps(), s1 = _mm512_setzero_ps();
  std::size_t i = 0;
  for (; i + 32 <= d; i += 32) {
    s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
    s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16), s1);
  }
  for (; i < d; i += 16) {
    const std::size_t left = std::min<std::size_t>(16, d - i);
    const __mmask16 mask = static_cast<__mmask16>((1u << left) - 1u);
    s0 =
        _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, a + i), _mm512_maskz_loadu_ps(mask, b + i), s0);
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
}

// Four rows at a time, so that the vector is loaded once for them and their sums are reduced
// together.
__attribute__((target("avx512f,avx512dq,avx512vl"))) std::size_t max_dots_avx512(
    const float* vector, const float* const* rows, std::size_t count, std::size_t d, float* out) {
  std::size_t j = 0;
  for (; j + 4 <= count; j += 4) {
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    for (std::size_t i = 0; i < d; i += 16) {
      const std::size_t left = std::min<std::size_t>(16, d - i);
      const __mmask16 mask = static_cast<__mmask16>((1u << left) - 1u);
      const __m512 v = _mm512_maskz_loadu_ps(mask, vector + i);
      s0 = _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(mask, rows[j] + i), s0);
      s1 = _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(mask, rows[j + 1] + i), s1);
      s2 = _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(mask, rows[j + 2] + i), s2);
      s3 = _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(mask, rows[j + 3] + i), s3);
    }
    // Halve to 256 and 128 bits, then transpose-add the four quarters.
    const auto half = [](__m512 s) __attribute__((target("avx512f,avx512dq,avx512vl"))) {
      const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(s), _mm512_extractf32x8_ps(s, 1));
      return _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    };
    const __m128 pairs01 = _mm_hadd_ps(half(s0), half(s1));
    const __m128 pairs23 = _mm_hadd_ps(half(s2), half(s3));
    const __m128 sums = _mm_hadd_ps(pairs01, pairs23);
    _mm_storeu_ps(out + j, _mm_max_ps(_mm_loadu_ps(out + j), sums));
  }
  return j;
}

using Dot = float (*)(const float*, const float*, std::size_t);

Dot dot_function() {
  switch (simd_level()) {
    case SimdLevel::kAvx512:
      return dot_avx512;
    case SimdLevel::kAvx2:
      return dot_avx2;
    default:
      return dot_generic;
  }
}

}  // namespace

std::vector<std::string> simd_levels() {
  return {kNames, kNames + static_cast<int>(highest()) + 1};
}

SimdLevel simd_level() { return current().load(std::memory_order_relaxed); }

std::string simd_level_name() { return kNames[static_cast<int>(simd_level())]; }

void set_simd_level(const std::string& name) { current().store(parse(name)); }

float dot(const float* a, const float* b, std::size_t d) { return dot_function()(a, b, d); }

void max_dots(const float* vector, const float* const* rows, std::size_t count, std::size_t d,
              float* out) {
  const Dot product = dot_function();
  std::size_t j = 0;
  if (simd_level() == SimdLevel::kAvx512) j = max_dots_avx512(vector, rows, count, d, out);
  for (; j < count; ++j) out[j] = std::max(out[j], product(vector, rows[j], d));
}

}  // namespace aigc
