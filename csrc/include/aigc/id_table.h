// Strings in one block, and the open-addressing table that finds a string's row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace aigc {

constexpr std::uint32_t kNoRow = 0xFFFFFFFFu;

// A 64-bit hash that is part of the snapshot's format: FNV-1a with the finaliser of MurmurHash3.
std::uint64_t hash_id(std::string_view id);

// Strings row by row: views, not copies.
struct StringTable {
  const std::int64_t* offsets = nullptr;
  const char* characters = nullptr;
  std::size_t size = 0;

  std::string_view operator[](std::size_t row) const {
    return {characters + offsets[row], static_cast<std::size_t>(offsets[row + 1] - offsets[row])};
  }
};

// Slots for all rows: a power of two, at most half full. Throws std::invalid_argument, naming the
// id, when two rows have the same one.
std::vector<std::uint32_t> build_id_slots(const StringTable& ids);

// The row of `id`, or kNoRow.
std::uint32_t find_id(const StringTable& ids, const std::uint32_t* slots, std::size_t n_slots,
                      std::string_view id);

}  // namespace aigc
