#include "aigc/snapshot.h"

#include <cmath>
#include <stdexcept>

namespace aigc {
namespace {

[[noreturn]] void refuse(const std::string& array, const std::string& what) {
  throw std::invalid_argument("snapshot array '" + array + "' " + what);
}

template <typename T>
void check_size(const std::string& array, const View<T>& view, std::size_t expected) {
  if (view.size != expected)
    refuse(array,
           "has " + std::to_string(view.size) + " entries, expected " + std::to_string(expected));
}

// Offsets of `rows` rows into an array of `entries`; without `deep` only the ends are looked at.
void check_offsets(const std::string& array, const View<std::int64_t>& offsets, std::size_t rows,
                   std::size_t entries, bool deep) {
  check_size(array, offsets, rows + 1);
  if (offsets[0] != 0) refuse(array, "starts at " + std::to_string(offsets[0]) + ", expected 0");
  if (offsets[rows] != static_cast<std::int64_t>(entries))
    refuse(array,
           "ends at " + std::to_string(offsets[rows]) + ", expected " + std::to_string(entries));
  if (!deep) return;
  for (std::size_t i = 0; i < rows; ++i)
    if (offsets[i] > offsets[i + 1]) refuse(array, "falls after entry " + std::to_string(i));
}

template <typename T>
void check_below(const std::string& array, const View<T>& view, std::size_t bound, bool deep) {
  if (!deep) return;
  for (std::size_t i = 0; i < view.size; ++i)
    if (view[i] >= bound)
      refuse(array, "holds " + std::to_string(view[i]) + " at entry " + std::to_string(i) +
                        ", expected less than " + std::to_string(bound));
}

void check_finite(const std::string& array, const View<float>& view, bool deep) {
  if (!deep) return;
  for (std::size_t i = 0; i < view.size; ++i)
    if (!std::isfinite(view[i]))
      refuse(array, "holds a number that is not finite at entry " + std::to_string(i));
}

void check_slots(const std::string& array, const View<std::uint32_t>& slots, std::size_t rows,
                 bool deep) {
  if (slots.size < 2 * rows || slots.size < 2 || (slots.size & (slots.size - 1)) != 0)
    refuse(array, "has " + std::to_string(slots.size) +
                      " entries, expected a power of two of at least twice the ids");
  if (!deep) return;
  for (std::size_t i = 0; i < slots.size; ++i)
    if (slots[i] != kNoRow && slots[i] >= rows)
      refuse(array, "holds row " + std::to_string(slots[i]) + ", expected less than " +
                        std::to_string(rows));
}

StringTable table(const View<std::int64_t>& offsets, const View<std::uint8_t>& bytes,
                  std::size_t size) {
  return {offsets.data, reinterpret_cast<const char*>(bytes.data), size};
}

}  // namespace

StringTable Snapshot::item_ids() const { return table(item_id_offsets, item_id_bytes, n_items); }

StringTable Snapshot::item_titles() const {
  return table(item_title_offsets, item_title_bytes, n_items);
}

StringTable Snapshot::user_ids() const { return table(user_id_offsets, user_id_bytes, n_users); }

std::uint32_t Snapshot::item_row(std::string_view id) const {
  return find_id(item_ids(), item_id_slots.data, item_id_slots.size, id);
}

std::uint32_t Snapshot::user_row(std::string_view id) const {
  return find_id(user_ids(), user_id_slots.data, user_id_slots.size, id);
}

void Snapshot::verify(bool deep) const {
  const std::size_t n = n_items, m = n_users;
  if (embedding_size == 0) throw std::invalid_argument("embedding_size is 0, expected at least 1");
  check_offsets("item_id_offsets", item_id_offsets, n, item_id_bytes.size, deep);
  check_slots("item_id_slots", item_id_slots, n, deep);
  check_offsets("item_title_offsets", item_title_offsets, n, item_title_bytes.size, deep);
  check_size("item_kinds", item_kinds, n);
  check_below("item_kinds", item_kinds, kinds.size(), deep);
  check_offsets("item_category_offsets", item_category_offsets, n, item_categories.size, deep);
  check_below("item_categories", item_categories, categories.size(), deep);
  check_size("item_flags", item_flags, n);
  check_size("item_created", item_created, n);
  check_size("item_embeddings", item_embeddings, n * embedding_size);
  check_finite("item_embeddings", item_embeddings, deep);
  check_size("item_popularity", item_popularity, n);
  check_finite("item_popularity", item_popularity, deep);
  check_size("popular_order", popular_order, n);
  check_below("popular_order", popular_order, n, deep);
  check_size("fresh_order", fresh_order, n);
  check_below("fresh_order", fresh_order, n, deep);
  check_size("item_idf", item_idf, n);
  check_finite("item_idf", item_idf, deep);
  check_offsets("user_id_offsets", user_id_offsets, m, user_id_bytes.size, deep);
  check_slots("user_id_slots", user_id_slots, m, deep);
  check_offsets("history_offsets", history_offsets, m, history_items.size, deep);
  check_below("history_items", history_items, n, deep);
  check_size("history_weights", history_weights, history_items.size);
  check_finite("history_weights", history_weights, deep);
  check_size("history_times", history_times, history_items.size);
  check_offsets("seen_offsets", seen_offsets, m, seen_items.size, deep);
  check_below("seen_items", seen_items, n, deep);
  check_offsets("item_user_offsets", item_user_offsets, n, item_users.size, deep);
  check_below("item_users", item_users, m, deep);
  check_size("user_norms", user_norms, m);
  check_finite("user_norms", user_norms, deep);
  for (const auto& model : models) {
    const std::string name = "model_" + model.name;
    check_offsets(name + "_offsets", model.offsets, n, model.items.size, deep);
    check_below(name + "_items", model.items, n, deep);
    check_size(name + "_weights", model.weights, model.items.size);
    check_finite(name + "_weights", model.weights, deep);
  }
}

}  // namespace aigc
