#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "aigc/accumulator.h"

namespace aigc {
namespace {

struct Added {
  std::vector<std::uint32_t> rows;
  std::vector<float> weights;
};

// Rows below n, some of them again and again.
Added some(std::size_t n, std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  Added added;
  for (std::size_t i = 0; i < count; ++i) {
    added.rows.push_back(static_cast<std::uint32_t>(random() % n));
    added.weights.push_back(static_cast<float>(random() % 64) / 8.0f);
  }
  return added;
}

// A dense table, and a hash table.
class Accumulators : public ::testing::TestWithParam<std::size_t> {};

TEST_P(Accumulators, VisitEverySumFromTheFloorOnAndNothingDropped) {
  const std::size_t n = GetParam();
  Accumulator sums;
  for (std::uint32_t round = 0; round < 3; ++round) {
    const Added added = some(n, 5000, round);
    std::map<std::uint32_t, float> wanted, got;
    for (std::size_t i = 0; i < added.rows.size(); ++i)
      wanted[added.rows[i]] += 0.5f * added.weights[i];
    sums.reset(n, added.rows.size());
    sums.add_list(added.rows.data(), added.weights.data(), added.rows.size(), 0.5f);
    sums.drop(added.rows[7]);
    sums.drop(static_cast<std::uint32_t>(n - 1));
    wanted.erase(added.rows[7]);
    wanted.erase(static_cast<std::uint32_t>(n - 1));
    for (auto at = wanted.begin(); at != wanted.end();)
      at = at->second >= 2.0f ? std::next(at) : wanted.erase(at);
    sums.for_each_above(2.0f, [&got](std::uint32_t row, float sum) {
      got[row] = sum;
      return 2.0f;
    });
    EXPECT_EQ(got, wanted);
  }
}

TEST_P(Accumulators, ALevelIsReachedByAsManyAsAskedAndNotManyMore) {
  const std::size_t n = GetParam();
  Accumulator sums;
  const Added added = some(n, 20000, 9);
  sums.reset(n, added.rows.size());
  sums.add_list(added.rows.data(), added.weights.data(), added.rows.size(), 1.0f);
  for (const std::size_t k : {1, 10, 100}) {
    const float level = sums.level(k);
    std::size_t reached = 0;
    sums.for_each_above(level, [&reached, level](std::uint32_t, float) {
      ++reached;
      return level;
    });
    EXPECT_GT(level, 0.0f);
    EXPECT_GE(reached, k);
    EXPECT_LE(reached, 2 * k + 8);
  }
}

TEST_P(Accumulators, KnowNoLevelOfAFew) {
  Accumulator sums;
  sums.reset(GetParam(), 3);
  sums.add(1, 1.0f);
  EXPECT_EQ(sums.level(100'000), 0.0f);
  EXPECT_EQ(sums.level(0), 0.0f);
}

INSTANTIATE_TEST_SUITE_P(Tables, Accumulators,
                         ::testing::Values(std::size_t{1000}, Accumulator::kDenseRows + 1000));

}  // namespace
}  // namespace aigc
