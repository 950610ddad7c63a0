// The arrays of a snapshot (docs/snapshot.md), as views: nothing is copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "aigc/id_table.h"

namespace aigc {

template <typename T>
struct View {
  const T* data = nullptr;
  std::size_t size = 0;

  const T& operator[](std::size_t i) const { return data[i]; }
  const T* begin() const { return data; }
  const T* end() const { return data + size; }
  View slice(std::int64_t from, std::int64_t to) const {
    return {data + from, static_cast<std::size_t>(to - from)};
  }
};

// A CSR matrix of top-K neighbours: row i speaks for items[...] with weights[...], heaviest first.
struct ItemItemModel {
  std::string name;
  View<std::int64_t> offsets;
  View<std::uint32_t> items;
  View<float> weights;
};

struct Snapshot {
  std::size_t n_items = 0;
  std::size_t n_users = 0;
  std::size_t embedding_size = 0;
  std::vector<std::string> kinds;
  std::vector<std::string> categories;

  View<std::int64_t> item_id_offsets;
  View<std::uint8_t> item_id_bytes;
  View<std::uint32_t> item_id_slots;
  View<std::int64_t> item_title_offsets;
  View<std::uint8_t> item_title_bytes;
  View<std::uint8_t> item_kinds;
  View<std::int64_t> item_category_offsets;
  View<std::uint32_t> item_categories;
  View<std::uint8_t> item_flags;
  View<std::int64_t> item_created;
  View<float> item_embeddings;
  View<float> item_popularity;
  View<std::uint32_t> popular_order;
  View<std::uint32_t> fresh_order;
  View<float> item_idf;

  View<std::int64_t> user_id_offsets;
  View<std::uint8_t> user_id_bytes;
  View<std::uint32_t> user_id_slots;
  View<std::int64_t> history_offsets;
  View<std::uint32_t> history_items;
  View<float> history_weights;
  View<std::uint32_t> history_times;
  View<std::int64_t> seen_offsets;
  View<std::uint32_t> seen_items;
  View<std::int64_t> item_user_offsets;
  View<std::uint32_t> item_users;
  View<float> user_norms;

  std::vector<ItemItemModel> models;

  // Whatever keeps the memory behind the views alive.
  std::shared_ptr<void> owner;

  StringTable item_ids() const;
  StringTable item_titles() const;
  StringTable user_ids() const;
  std::uint32_t item_row(std::string_view id) const;
  std::uint32_t user_row(std::string_view id) const;

  // Check every size, and with `deep` every value, so that no index can leave its array. Throws
  // std::invalid_argument that names the array, what was expected and what was found.
  void verify(bool deep) const;
};

}  // namespace aigc
