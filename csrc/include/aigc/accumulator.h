// Sums by row, reused between requests without clearing more than was touched.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "aigc/id_table.h"
#include "aigc/simd.h"

namespace aigc {

// Dense for few rows, where the array fits the cache and is scanned and cleared as a whole; else a
// hash table as large as what is added.
class Accumulator {
 public:
  static constexpr std::size_t kDenseRows = 1u << 16;

  // Prepare for rows below n_rows and at most `additions` calls of add.
  void reset(std::size_t n_rows, std::size_t additions) {
    dense_ = n_rows <= kDenseRows;
    if (dense_) {
      sums_.assign(n_rows, 0.0f);
      return;
    }
    std::size_t slots = 1024;
    while (slots < 2 * std::min(additions, n_rows)) slots *= 2;
    if (slots > entries_.size()) {
      entries_.assign(slots, Entry{kNoRow, 0.0f});
    } else {
      for (const std::uint32_t slot : touched_) entries_[slot] = Entry{kNoRow, 0.0f};
    }
    touched_.clear();
    // A large table left by an earlier request is used only as far as this one needs.
    mask_ = slots - 1;
  }

  // Add value · weights[i] to rows[i], for `count` rows.
  void add_list(const std::uint32_t* rows, const float* weights, std::size_t count, float value) {
    if (dense_) {
      for (std::size_t i = 0; i < count; ++i) sums_[rows[i]] += value * weights[i];
    } else {
      for (std::size_t i = 0; i < count; ++i) add(rows[i], value * weights[i]);
    }
  }

  void add(std::uint32_t row, float value) {
    if (dense_) {
      sums_[row] += value;
      return;
    }
    std::size_t slot = slot_of(row);
    while (entries_[slot].row != row) {
      if (entries_[slot].row == kNoRow) {
        entries_[slot].row = row;
        touched_.push_back(static_cast<std::uint32_t>(slot));
        break;
      }
      slot = (slot + 1) & mask_;
    }
    entries_[slot].sum += value;
  }

  // Make the row's sum 0.
  void drop(std::uint32_t row) {
    if (dense_) {
      sums_[row] = 0.0f;
      return;
    }
    std::size_t slot = slot_of(row);
    while (entries_[slot].row != row) {
      if (entries_[slot].row == kNoRow) return;
      slot = (slot + 1) & mask_;
    }
    entries_[slot].sum = 0.0f;
  }

  // A level that at least k sums reach and, as a rule, not many more; 0 when less than 6 k are
  // known. The sums are dealt out to 3 k groups: where the largest of k groups reach a level, k
  // sums do.
  float level(std::size_t k) {
    const std::size_t n = dense_ ? sums_.size() : touched_.size();
    if (k == 0 || n < 6 * k) return 0.0f;
    const std::size_t groups = 3 * k;
    largest_.assign(groups, 0.0f);
    for (std::size_t start = 0; start < n; start += groups) {
      const std::size_t count = std::min(groups, n - start);
      if (dense_) {
        const float* sums = sums_.data() + start;
        for (std::size_t i = 0; i < count; ++i)
          largest_[i] = sums[i] > largest_[i] ? sums[i] : largest_[i];
      } else {
        for (std::size_t i = 0; i < count; ++i)
          largest_[i] = std::max(largest_[i], entries_[touched_[start + i]].sum);
      }
    }
    // Halving the range of the level costs a few passes over the groups, less than sorting them by
    // halves does. Floats above 0 are in the order of their bits.
    std::uint32_t low = 0, high = bits(std::numeric_limits<float>::infinity());
    while (high - low > 1) {
      const std::uint32_t middle = low + (high - low) / 2;
      const float at = from_bits(middle);
      std::uint32_t reach = 0;
      for (std::size_t i = 0; i < groups; ++i) reach += largest_[i] >= at ? 1u : 0u;
      (reach >= k ? low : high) = middle;
      if (reach >= k && reach <= k + k / 16) break;
    }
    return from_bits(low);
  }

  // Visit every row whose sum is above 0 and not below `floor`; a visit gives the floor from then
  // on.
  template <typename Visit>
  void for_each_above(float floor, Visit&& visit) {
    // One comparison serves for both conditions.
    const auto cut = [](float x) { return std::max(x, std::numeric_limits<float>::denorm_min()); };
    float least = cut(floor);
    if (!dense_) {
      for (const std::uint32_t slot : touched_)
        if (entries_[slot].sum >= least) least = cut(visit(entries_[slot].row, entries_[slot].sum));
      return;
    }
    places_.resize(sums_.size());
    const std::size_t count = places_from(sums_.data(), sums_.size(), least, places_.data());
    for (std::size_t i = 0; i < count; ++i) {
      const float sum = sums_[places_[i]];
      if (sum >= least) least = cut(visit(places_[i], sum));
    }
  }

 private:
  struct Entry {
    std::uint32_t row;
    float sum;
  };

  static std::uint32_t bits(float x) {
    std::uint32_t out;
    std::memcpy(&out, &x, sizeof out);
    return out;
  }

  static float from_bits(std::uint32_t x) {
    float out;
    std::memcpy(&out, &x, sizeof out);
    return out;
  }

  std::size_t slot_of(std::uint32_t row) const {
    return (row * 0x9E3779B97F4A7C15ull >> 32) & mask_;
  }

  bool dense_ = true;
  std::size_t mask_ = 0;
  std::vector<float> sums_, largest_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> touched_, places_;
};

}  // namespace aigc
