// A small snapshot for tests: items of two categories, users who like a run of items each.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "aigc/snapshot.h"

namespace aigc::testing {

template <typename T>
View<T> view_of(const std::vector<T>& values) {
  return {values.data(), values.size()};
}

struct Strings {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::uint8_t> bytes;
  std::vector<std::uint32_t> slots;

  explicit Strings(const std::vector<std::string>& strings) {
    for (const auto& text : strings) {
      bytes.insert(bytes.end(), text.begin(), text.end());
      offsets.push_back(static_cast<std::int64_t>(bytes.size()));
    }
    slots = build_id_slots(
        {offsets.data(), reinterpret_cast<const char*>(bytes.data()), strings.size()});
  }
};

// Everything behind the views; the snapshot owns it.
struct World {
  Strings item_ids, titles, user_ids;
  std::vector<std::uint8_t> kinds, flags;
  std::vector<std::int64_t> category_offsets{0}, created, history_offsets{0}, seen_offsets{0},
      item_user_offsets{0}, model_offsets{0};
  std::vector<std::uint32_t> categories, popular, fresh, history_items, history_times, seen_items,
      item_users, model_items;
  std::vector<float> embeddings, popularity, idf, history_weights, norms, model_weights;

  World(const std::vector<std::string>& items, const std::vector<std::string>& users)
      : item_ids(items), titles(items), user_ids(users) {}
};

// n items "i0", "i1", …, m users "u0", …: user u likes items u, u + 1, u + 2 (mod n). The one
// model, "content", says that i speaks for the four items after it, less and less.
inline Snapshot make_snapshot(std::size_t n, std::size_t m) {
  std::vector<std::string> items, users;
  for (std::size_t i = 0; i < n; ++i) items.push_back("i" + std::to_string(i));
  for (std::size_t u = 0; u < m; ++u) users.push_back("u" + std::to_string(u));
  auto w = std::make_shared<World>(items, users);
  std::vector<std::vector<std::uint32_t>> fans(n);
  for (std::size_t u = 0; u < m; ++u) {
    std::vector<std::uint32_t> liked;
    for (std::size_t k = 0; k < 3; ++k) liked.push_back(static_cast<std::uint32_t>((u + k) % n));
    for (const auto item : liked) {
      w->history_items.push_back(item);
      w->history_weights.push_back(1.0f);
      w->history_times.push_back(static_cast<std::uint32_t>(1000 + w->history_times.size()));
      fans[item].push_back(static_cast<std::uint32_t>(u));
    }
    std::sort(liked.begin(), liked.end());
    w->seen_items.insert(w->seen_items.end(), liked.begin(), liked.end());
    w->history_offsets.push_back(static_cast<std::int64_t>(w->history_items.size()));
    w->seen_offsets.push_back(static_cast<std::int64_t>(w->seen_items.size()));
    w->norms.push_back(std::sqrt(3.0f));
  }
  for (std::size_t i = 0; i < n; ++i) {
    w->kinds.push_back(0);
    w->flags.push_back(0);
    w->categories.push_back(static_cast<std::uint32_t>(i % 2));
    w->category_offsets.push_back(static_cast<std::int64_t>(i) + 1);
    w->created.push_back(static_cast<std::int64_t>(i) * 1000);
    w->embeddings.push_back(std::cos(0.1f * static_cast<float>(i)));
    w->embeddings.push_back(std::sin(0.1f * static_cast<float>(i)));
    w->popularity.push_back(static_cast<float>(n - i));
    w->popular.push_back(static_cast<std::uint32_t>(i));
    w->fresh.push_back(static_cast<std::uint32_t>(n - 1 - i));
    w->idf.push_back(1.0f);
    w->item_users.insert(w->item_users.end(), fans[i].begin(), fans[i].end());
    w->item_user_offsets.push_back(static_cast<std::int64_t>(w->item_users.size()));
    for (std::size_t k = 1; k <= 4; ++k) {
      w->model_items.push_back(static_cast<std::uint32_t>((i + k) % n));
      w->model_weights.push_back(1.0f / static_cast<float>(k));
    }
    w->model_offsets.push_back(static_cast<std::int64_t>(w->model_items.size()));
  }
  Snapshot s;
  s.n_items = n;
  s.n_users = m;
  s.embedding_size = 2;
  s.kinds = {"text"};
  s.categories = {"even", "odd"};
  s.item_id_offsets = view_of(w->item_ids.offsets);
  s.item_id_bytes = view_of(w->item_ids.bytes);
  s.item_id_slots = view_of(w->item_ids.slots);
  s.item_title_offsets = view_of(w->titles.offsets);
  s.item_title_bytes = view_of(w->titles.bytes);
  s.item_kinds = view_of(w->kinds);
  s.item_category_offsets = view_of(w->category_offsets);
  s.item_categories = view_of(w->categories);
  s.item_flags = view_of(w->flags);
  s.item_created = view_of(w->created);
  s.item_embeddings = view_of(w->embeddings);
  s.item_popularity = view_of(w->popularity);
  s.popular_order = view_of(w->popular);
  s.fresh_order = view_of(w->fresh);
  s.item_idf = view_of(w->idf);
  s.user_id_offsets = view_of(w->user_ids.offsets);
  s.user_id_bytes = view_of(w->user_ids.bytes);
  s.user_id_slots = view_of(w->user_ids.slots);
  s.history_offsets = view_of(w->history_offsets);
  s.history_items = view_of(w->history_items);
  s.history_weights = view_of(w->history_weights);
  s.history_times = view_of(w->history_times);
  s.seen_offsets = view_of(w->seen_offsets);
  s.seen_items = view_of(w->seen_items);
  s.item_user_offsets = view_of(w->item_user_offsets);
  s.item_users = view_of(w->item_users);
  s.user_norms = view_of(w->norms);
  s.models.push_back(
      {"content", view_of(w->model_offsets), view_of(w->model_items), view_of(w->model_weights)});
  s.owner = w;
  return s;
}

}  // namespace aigc::testing
