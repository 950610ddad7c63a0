#include <gtest/gtest.h>

#include <vector>

#include "aigc/simd.h"

namespace aigc {
namespace {

TEST(Simd, PlacesAreThoseOfTheValuesThatReachTheLevel) {
  const std::string before = simd_level_name();
  for (const auto& name : simd_levels()) {
    set_simd_level(name);
    for (const std::size_t n : {0, 1, 15, 16, 33, 1000}) {
      std::vector<float> values;
      for (std::size_t i = 0; i < n; ++i) values.push_back(static_cast<float>(i * i % 7));
      for (const float level : {0.0f, 2.0f, 4.0f, 9.0f}) {
        std::vector<std::uint32_t> wanted, got(n);
        for (std::size_t i = 0; i < n; ++i)
          if (values[i] >= level) wanted.push_back(static_cast<std::uint32_t>(i));
        got.resize(places_from(values.data(), n, level, got.data()));
        EXPECT_EQ(got, wanted) << name << ", " << n << " values, level " << level;
      }
    }
  }
  set_simd_level(before);
}

}  // namespace
}  // namespace aigc
