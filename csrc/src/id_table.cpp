#include "aigc/id_table.h"

#include <stdexcept>
#include <string>

namespace aigc {

std::uint64_t hash_id(std::string_view id) {
  std::uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccdull;
  hash ^= hash >> 33;
  hash *= 0xc4ceb9fe1a85ec53ull;
  return hash ^ (hash >> 33);
}

std::vector<std::uint32_t> build_id_slots(const StringTable& ids) {
  std::size_t n_slots = 2;
  while (n_slots < 2 * ids.size) n_slots *= 2;
  std::vector<std::uint32_t> slots(n_slots, kNoRow);
  for (std::size_t row = 0; row < ids.size; ++row) {
    std::size_t slot = hash_id(ids[row]) & (n_slots - 1);
    while (slots[slot] != kNoRow) {
      if (ids[slots[slot]] == ids[row])
        throw std::invalid_argument("id '" + std::string(ids[row]) + "' stands twice");
      slot = (slot + 1) & (n_slots - 1);
    }
    slots[slot] = static_cast<std::uint32_t>(row);
  }
  return slots;
}

std::uint32_t find_id(const StringTable& ids, const std::uint32_t* slots, std::size_t n_slots,
                      std::string_view id) {
  if (n_slots == 0) return kNoRow;
  std::size_t slot = hash_id(id) & (n_slots - 1);
  while (slots[slot] != kNoRow) {
    if (ids[slots[slot]] == id) return slots[slot];
    slot = (slot + 1) & (n_slots - 1);
  }
  return kNoRow;
}

}  // namespace aigc
