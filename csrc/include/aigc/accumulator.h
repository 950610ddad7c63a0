// Sums by row, reused between requests without clearing more than was touched.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "aigc/id_table.h"

namespace aigc {

// Dense for few rows, where an array fits the cache; else a hash table as large as what is added.
class Accumulator {
 public:
  static constexpr std::size_t kDenseRows = 1u << 18;

  // Prepare for rows below n_rows and at most `additions` calls of add.
  void reset(std::size_t n_rows, std::size_t additions) {
    dense_ = n_rows <= kDenseRows;
    if (dense_) {
      for (const std::uint32_t row : touched_dense_) {
        sums_[row] = 0.0f;
        marks_[row] = 0;
      }
      touched_dense_.clear();
      if (sums_.size() < n_rows) {
        sums_.resize(n_rows, 0.0f);
        marks_.resize(n_rows, 0);
      }
      return;
    }
    std::size_t slots = 1024;
    while (slots < 2 * std::min(additions, n_rows)) slots *= 2;
    if (slots > entries_.size()) {
      entries_.assign(slots, Entry{kNoRow, 0.0f});
    } else {
      for (const std::uint32_t slot : touched_slots_) entries_[slot] = Entry{kNoRow, 0.0f};
    }
    touched_slots_.clear();
    // A large table left by an earlier request is used only as far as this one needs.
    mask_ = slots - 1;
  }

  void add(std::uint32_t row, float value) {
    if (dense_) {
      if (marks_[row] == 0) {
        marks_[row] = 1;
        touched_dense_.push_back(row);
      }
      sums_[row] += value;
      return;
    }
    std::size_t slot = (row * 0x9E3779B97F4A7C15ull >> 32) & mask_;
    while (entries_[slot].row != row) {
      if (entries_[slot].row == kNoRow) {
        entries_[slot].row = row;
        touched_slots_.push_back(static_cast<std::uint32_t>(slot));
        break;
      }
      slot = (slot + 1) & mask_;
    }
    entries_[slot].sum += value;
  }

  template <typename F>
  void for_each(F&& visit) const {
    if (dense_) {
      for (const std::uint32_t row : touched_dense_) visit(row, sums_[row]);
    } else {
      for (const std::uint32_t slot : touched_slots_) visit(entries_[slot].row, entries_[slot].sum);
    }
  }

 private:
  struct Entry {
    std::uint32_t row;
    float sum;
  };
  bool dense_ = true;
  std::size_t mask_ = 0;
  std::vector<float> sums_;
  std::vector<std::uint8_t> marks_;
  std::vector<std::uint32_t> touched_dense_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> touched_slots_;
};

}  // namespace aigc
