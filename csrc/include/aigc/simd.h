// Instruction sets: what this processor has, and which one the kernels use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace aigc {

enum class SimdLevel { kGeneric = 0, kAvx2 = 1, kAvx512 = 2 };

// The levels that this processor can run, lowest first.
std::vector<std::string> simd_levels();

// The level in use: the highest there is, unless AIGC_SIMD or set_simd_level says otherwise.
SimdLevel simd_level();
std::string simd_level_name();

// Throws std::invalid_argument for a level that is unknown or that this processor lacks.
void set_simd_level(const std::string& name);

// The places of the values that are not below `level`, rising, into `places`, which has room for n;
// gives how many there are.
std::size_t places_from(const float* values, std::size_t n, float level, std::uint32_t* places);

// Inner product of two float32 vectors of length d.
float dot(const float* a, const float* b, std::size_t d);

}  // namespace aigc
