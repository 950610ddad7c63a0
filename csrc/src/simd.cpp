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

std::size_t places_generic(const float* values, std::size_t begin, std::size_t n, float level,
                           std::uint32_t* places) {
  std::size_t found = 0;
  for (std::size_t i = begin; i < n; ++i) {
    places[found] = static_cast<std::uint32_t>(i);
    found += values[i] >= level ? 1 : 0;
  }
  return found;
}

__attribute__((target("avx2"))) std::size_t places_avx2(const float* values, std::size_t n,
                                                        float level, std::uint32_t* places) {
  const __m256 least = _mm256_set1_ps(level);
  std::size_t found = 0, i = 0;
  for (; i + 32 <= n; i += 32) {
    unsigned mask = 0;
    for (unsigned part = 0; part < 4; ++part)
      mask |= static_cast<unsigned>(_mm256_movemask_ps(
                  _mm256_cmp_ps(_mm256_loadu_ps(values + i + 8 * part), least, _CMP_GE_OQ)))
              << 8 * part;
    for (; mask != 0; mask &= mask - 1)
      places[found++] =
          static_cast<std::uint32_t>(i) + static_cast<std::uint32_t>(__builtin_ctz(mask));
  }
  return found + places_generic(values, i, n, level, places + found);
}

__attribute__((target("avx512f"))) std::size_t places_avx512(const float* values, std::size_t n,
                                                             float level, std::uint32_t* places) {
  const __m512 least = _mm512_set1_ps(level);
  const __m512i step = _mm512_set1_epi32(16);
  __m512i place = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  std::size_t found = 0, i = 0;
  for (; i + 16 <= n; i += 16, place = _mm512_add_epi32(place, step)) {
    const __mmask16 mask = _mm512_cmp_ps_mask(_mm512_loadu_ps(values + i), least, _CMP_GE_OQ);
    // Sixteen are written, and as many kept as there are: no more than i + 16 have been found.
    _mm512_storeu_si512(places + found, _mm512_maskz_compress_epi32(mask, place));
    found += static_cast<std::size_t>(__builtin_popcount(mask));
  }
  return found + places_generic(values, i, n, level, places + found);
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

std::size_t places_from(const float* values, std::size_t n, float level, std::uint32_t* places) {
  switch (simd_level()) {
    case SimdLevel::kAvx512:
      return places_avx512(values, n, level, places);
    case SimdLevel::kAvx2:
      return places_avx2(values, n, level, places);
    default:
      return places_generic(values, 0, n, level, places);
  }
}

}  // namespace aigc
