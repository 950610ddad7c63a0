// One snapshot and the delta on top of it: what came since it was built.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "aigc/snapshot.h"
#include "aigc/top_k.h"

namespace aigc {

enum ItemFlag : std::uint8_t {
  kHidden = 1,
  kGenerated = 2,
  kDeleted = 4,
  kChanged = 8,  // the item's record counts, not the snapshot's arrays
};

struct Interaction {
  std::uint32_t item;
  float weight;
  std::int64_t time_ms;
};

// An item as it is since the snapshot; never altered once readers can see it.
struct ItemRecord {
  std::string id;
  std::string title;
  std::uint32_t kind = 0;
  std::vector<std::uint32_t> categories;
  std::int64_t created_ms = 0;
  std::vector<float> embedding;
  std::vector<Scored> neighbours;  // nearest by content when the item came; new items only
};

struct ItemUpdate {
  std::string id;
  std::string title;
  std::string kind;
  std::vector<std::string> categories;
  bool hidden = false;
  bool generated = false;
  std::int64_t created_ms = 0;
  const float* embedding = nullptr;
};

struct Preferences {
  std::vector<std::pair<std::string, float>> interests;
  std::vector<std::string> dislikes;
  bool allow_generated = true;
  bool allow_personalisation = true;
};

// What the Engine knows of one user at one moment: a copy, except for the views into the snapshot.
struct UserView {
  bool known = false;
  std::uint32_t base_row = kNoRow;
  std::vector<Interaction> history;  // oldest first, at most the limit asked for
  View<std::uint32_t> base_seen;
  std::vector<std::uint32_t> new_seen;  // rising
  Preferences preferences;

  bool has_seen(std::uint32_t item) const;
};

struct DeltaEntry {
  std::uint32_t row;
  const ItemRecord* record;
};

// All that State::version can say, at one moment.
struct Versions {
  std::uint32_t items = 0;
  std::vector<std::uint32_t> users;

  std::uint64_t of(std::size_t user_slot) const {
    return static_cast<std::uint64_t>(items) << 32 | users[user_slot];
  }
};

// Any number of readers beside one writer at a time; readers never wait for more than the copying
// of one user's history or one pointer.
class State {
 public:
  explicit State(Snapshot snapshot);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  const Snapshot& base() const { return base_; }
  std::size_t n_items() const { return n_items_.load(std::memory_order_acquire); }

  // Writers.
  std::size_t apply_events(const std::vector<std::string>& users,
                           const std::vector<std::string>& items, const float* weights,
                           const std::int64_t* times_ms);
  std::vector<std::uint32_t> upsert_items(const std::vector<ItemUpdate>& items);
  std::size_t delete_items(const std::vector<std::string>& ids);
  void set_preferences(const std::string& user_id, Preferences preferences);

  // Readers.
  // The user's place in a table that others may share, and the number that stands there: after a
  // write of the user's events or preferences, or of any item, it is another one.
  std::size_t user_slot(std::string_view user) const;
  std::uint64_t version(std::size_t user_slot) const;
  Versions versions() const;
  std::uint32_t item_row(std::string_view id) const;  // kNoRow when unknown or deleted
  std::uint8_t flags(std::uint32_t row) const;
  const ItemRecord* record(std::uint32_t row) const;  // null while the snapshot's arrays count
  std::string_view item_id(std::uint32_t row) const;
  std::string_view item_title(std::uint32_t row) const;
  std::uint32_t item_kind(std::uint32_t row) const;
  std::int64_t item_created(std::uint32_t row) const;
  const float* item_embedding(std::uint32_t row) const;
  View<std::uint32_t> item_categories(std::uint32_t row) const;
  std::shared_ptr<const std::vector<DeltaEntry>> delta() const;
  UserView user(const std::string& id, std::size_t history_limit) const;
  bool has_user(const std::string& id) const;
  std::uint32_t category(const std::string& name) const;  // kNoRow when unknown
  std::uint32_t kind(const std::string& name) const;
  std::string kind_name(std::uint32_t kind) const;
  std::size_t n_categories() const;
  void search_delta(const float* query, std::size_t k, TopK& best) const;
  std::map<std::string, std::int64_t> stats() const;

 private:
  struct UserDelta {
    std::vector<Interaction> history;
    std::unordered_set<std::uint32_t> seen;
    Preferences preferences;
  };
  struct Shard {
    mutable std::shared_mutex mutex;
    std::unordered_map<std::string, UserDelta> users;
  };
  struct Slot {
    std::atomic<const ItemRecord*> record{nullptr};
    std::atomic<std::uint8_t> flags{0};
  };
  static constexpr std::size_t kShards = 64;
  static constexpr std::size_t kVersions = 65536;
  static constexpr std::size_t kChunk = 4096;
  static constexpr std::size_t kChunks = 16384;

  std::uint32_t find_row(std::string_view id) const;
  Slot& new_slot(std::size_t index) const;
  Shard& shard(const std::string& user) const;
  void changed(const std::string& user);
  void set_flags(std::uint32_t row, std::uint8_t flags);
  void set_record(std::uint32_t row, const ItemRecord* record);
  std::vector<Scored> nearest(const float* embedding) const;
  std::uint32_t intern(const std::string& name, std::vector<std::string>& names,
                       std::unordered_map<std::string, std::uint32_t>& rows);

  const Snapshot base_;
  std::atomic<std::size_t> n_items_;

  // Writers take this first, so that there is one at a time.
  std::mutex write_mutex_;

  std::unique_ptr<std::atomic<std::uint8_t>[]> base_flags_;
  std::unique_ptr<std::atomic<const ItemRecord*>, void (*)(void*)> base_records_;
  std::unique_ptr<std::atomic<Slot*>[]> chunks_;
  std::vector<std::unique_ptr<const ItemRecord>>
      records_;  // replaced ones too: readers may hold them

  std::unordered_map<std::uint32_t, std::size_t> delta_places_;  // row → place in *delta_
  mutable std::mutex delta_mutex_;
  std::shared_ptr<const std::vector<DeltaEntry>> delta_;

  mutable std::shared_mutex names_mutex_;
  std::unordered_map<std::string, std::uint32_t> new_rows_;
  std::vector<std::string> kinds_, categories_;
  std::unordered_map<std::string, std::uint32_t> kind_rows_, category_rows_;

  mutable std::array<Shard, kShards> shards_;
  std::unique_ptr<std::atomic<std::uint32_t>[]> user_versions_;
  std::atomic<std::uint32_t> items_version_{0};
  std::atomic<std::int64_t> events_{0}, ignored_events_{0}, changed_items_{0}, new_users_{0};
};

}  // namespace aigc
