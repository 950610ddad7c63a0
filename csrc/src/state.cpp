#include "aigc/state.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <new>
#include <stdexcept>

#include "aigc/exact_search.h"
#include "aigc/simd.h"

namespace aigc {
namespace {

constexpr std::size_t kHistory = 1000;
constexpr std::size_t kNeighbours = 50;

bool earlier(const Interaction& a, const Interaction& b) { return a.time_ms < b.time_ms; }

}  // namespace

bool UserView::has_seen(std::uint32_t item) const {
  return std::binary_search(base_seen.begin(), base_seen.end(), item) ||
         std::binary_search(new_seen.begin(), new_seen.end(), item);
}

State::State(Snapshot snapshot)
    : base_(std::move(snapshot)),
      n_items_(base_.n_items),
      base_flags_(new std::atomic<std::uint8_t>[base_.n_items]),
      // Zeroed pages cost nothing until an item changes.
      base_records_(static_cast<std::atomic<const ItemRecord*>*>(std::calloc(
                        std::max<std::size_t>(base_.n_items, 1), sizeof(const ItemRecord*))),
                    std::free),
      chunks_(new std::atomic<Slot*>[kChunks]),
      delta_(std::make_shared<std::vector<DeltaEntry>>()),
      kinds_(base_.kinds),
      categories_(base_.categories),
      user_versions_(new std::atomic<std::uint32_t>[kVersions]()) {
  if (base_records_ == nullptr) throw std::bad_alloc();
  for (std::size_t i = 0; i < base_.n_items; ++i)
    base_flags_[i].store(base_.item_flags[i] & (kHidden | kGenerated), std::memory_order_relaxed);
  for (std::size_t i = 0; i < kChunks; ++i) chunks_[i].store(nullptr, std::memory_order_relaxed);
  for (std::size_t i = 0; i < kinds_.size(); ++i)
    kind_rows_[kinds_[i]] = static_cast<std::uint32_t>(i);
  for (std::size_t i = 0; i < categories_.size(); ++i)
    category_rows_[categories_[i]] = static_cast<std::uint32_t>(i);
}

State::~State() {
  for (std::size_t i = 0; i < kChunks; ++i) delete[] chunks_[i].load(std::memory_order_relaxed);
}

// --- items --------------------------------------------------------------------------------------

State::Slot& State::new_slot(std::size_t index) const {
  return chunks_[index / kChunk].load(std::memory_order_acquire)[index % kChunk];
}

std::uint32_t State::find_row(std::string_view id) const {
  const std::uint32_t row = base_.item_row(id);
  if (row != kNoRow) return row;
  std::shared_lock lock(names_mutex_);
  const auto found = new_rows_.find(std::string(id));
  return found == new_rows_.end() ? kNoRow : found->second;
}

std::uint32_t State::item_row(std::string_view id) const {
  const std::uint32_t row = find_row(id);
  return row == kNoRow || (flags(row) & kDeleted) != 0 ? kNoRow : row;
}

std::uint8_t State::flags(std::uint32_t row) const {
  if (row < base_.n_items) return base_flags_[row].load(std::memory_order_acquire);
  return new_slot(row - base_.n_items).flags.load(std::memory_order_acquire);
}

void State::set_flags(std::uint32_t row, std::uint8_t flags) {
  auto& slot = row < base_.n_items ? base_flags_[row] : new_slot(row - base_.n_items).flags;
  slot.store(flags, std::memory_order_release);
}

const ItemRecord* State::record(std::uint32_t row) const {
  if (row >= base_.n_items)
    return new_slot(row - base_.n_items).record.load(std::memory_order_acquire);
  if ((flags(row) & kChanged) == 0) return nullptr;
  return base_records_.get()[row].load(std::memory_order_acquire);
}

void State::set_record(std::uint32_t row, const ItemRecord* record) {
  auto& slot =
      row < base_.n_items ? base_records_.get()[row] : new_slot(row - base_.n_items).record;
  slot.store(record, std::memory_order_release);
}

std::string_view State::item_id(std::uint32_t row) const {
  return row < base_.n_items ? base_.item_ids()[row] : std::string_view(record(row)->id);
}

std::string_view State::item_title(std::uint32_t row) const {
  const ItemRecord* changed = record(row);
  return changed == nullptr ? base_.item_titles()[row] : std::string_view(changed->title);
}

std::uint32_t State::item_kind(std::uint32_t row) const {
  const ItemRecord* changed = record(row);
  return changed == nullptr ? base_.item_kinds[row] : changed->kind;
}

std::int64_t State::item_created(std::uint32_t row) const {
  const ItemRecord* changed = record(row);
  return changed == nullptr ? base_.item_created[row] : changed->created_ms;
}

const float* State::item_embedding(std::uint32_t row) const {
  const ItemRecord* changed = record(row);
  return changed == nullptr ? base_.item_embeddings.data + row * base_.embedding_size
                            : changed->embedding.data();
}

View<std::uint32_t> State::item_categories(std::uint32_t row) const {
  const ItemRecord* changed = record(row);
  if (changed != nullptr) return {changed->categories.data(), changed->categories.size()};
  return base_.item_categories.slice(base_.item_category_offsets[row],
                                     base_.item_category_offsets[row + 1]);
}

std::shared_ptr<const std::vector<DeltaEntry>> State::delta() const {
  std::lock_guard lock(delta_mutex_);
  return delta_;
}

std::uint32_t State::intern(const std::string& name, std::vector<std::string>& names,
                            std::unordered_map<std::string, std::uint32_t>& rows) {
  std::unique_lock lock(names_mutex_);
  const auto [found, inserted] = rows.emplace(name, static_cast<std::uint32_t>(names.size()));
  if (inserted) names.push_back(name);
  return found->second;
}

std::vector<Scored> State::nearest(const float* embedding) const {
  const std::size_t d = base_.embedding_size;
  TopK best(kNeighbours);
  std::vector<std::int64_t> rows(kNeighbours);
  std::vector<float> scores(kNeighbours);
  exact_search(base_.item_embeddings.data, base_.n_items, d, embedding, 1, kNeighbours, rows.data(),
               scores.data());
  for (std::size_t i = 0; i < kNeighbours; ++i)
    if (rows[i] >= 0 && scores[i] > 0.0f) best.push(scores[i], static_cast<std::uint32_t>(rows[i]));
  const auto entries = delta();
  for (const DeltaEntry& entry : *entries) {
    const float score = dot(embedding, entry.record->embedding.data(), d);
    if (entry.row >= base_.n_items && score > 0.0f) best.push(score, entry.row);
  }
  return best.sorted();
}

std::vector<std::uint32_t> State::upsert_items(const std::vector<ItemUpdate>& items) {
  const std::size_t d = base_.embedding_size;
  for (std::size_t i = 0; i < items.size(); ++i)
    for (std::size_t j = 0; j < d; ++j)
      if (!std::isfinite(items[i].embedding[j]))
        throw std::invalid_argument("embeddings[" + std::to_string(i) + "] of item '" +
                                    items[i].id + "' holds a number that is not finite");
  std::lock_guard write(write_mutex_);
  std::vector<std::uint32_t> rows;
  rows.reserve(items.size());
  auto delta_now = std::make_shared<std::vector<DeltaEntry>>(*delta());
  for (const ItemUpdate& item : items) {
    auto record = std::make_unique<ItemRecord>();
    record->id = item.id;
    record->title = item.title;
    record->kind = intern(item.kind, kinds_, kind_rows_);
    for (const auto& name : item.categories)
      record->categories.push_back(intern(name, categories_, category_rows_));
    std::sort(record->categories.begin(), record->categories.end());
    record->created_ms = item.created_ms;
    record->embedding.assign(item.embedding, item.embedding + d);
    std::uint32_t row = find_row(item.id);
    const bool is_new = row == kNoRow;
    if (is_new || row >= base_.n_items) {
      const bool filled = std::any_of(record->embedding.begin(), record->embedding.end(),
                                      [](float x) { return x != 0.0f; });
      if (filled) record->neighbours = nearest(record->embedding.data());
      // An item that is replaced is not its own neighbour.
      record->neighbours.erase(std::remove_if(record->neighbours.begin(), record->neighbours.end(),
                                              [row](const Scored& s) { return s.row == row; }),
                               record->neighbours.end());
    }
    if (is_new) {
      const std::size_t index = n_items_.load(std::memory_order_relaxed) - base_.n_items;
      if (index >= kChunk * kChunks) throw std::length_error("too many new items; train again");
      row = static_cast<std::uint32_t>(base_.n_items + index);
      if (chunks_[index / kChunk].load(std::memory_order_relaxed) == nullptr)
        chunks_[index / kChunk].store(new Slot[kChunk], std::memory_order_release);
    }
    set_record(row, record.get());
    set_flags(row, static_cast<std::uint8_t>((item.hidden ? kHidden : 0) |
                                             (item.generated ? kGenerated : 0) | kChanged));
    const auto [place, added] = delta_places_.emplace(row, delta_now->size());
    if (added)
      delta_now->push_back({row, record.get()});
    else
      (*delta_now)[place->second].record = record.get();
    if (is_new) {
      n_items_.store(row + 1, std::memory_order_release);
      std::unique_lock lock(names_mutex_);
      new_rows_.emplace(item.id, row);
    }
    records_.push_back(std::move(record));
    rows.push_back(row);
  }
  changed_items_.store(static_cast<std::int64_t>(delta_now->size()), std::memory_order_relaxed);
  {
    std::lock_guard lock(delta_mutex_);
    delta_ = std::move(delta_now);
  }
  items_version_.fetch_add(1, std::memory_order_release);
  return rows;
}

std::size_t State::delete_items(const std::vector<std::string>& ids) {
  std::lock_guard write(write_mutex_);
  std::size_t deleted = 0;
  for (const auto& id : ids) {
    const std::uint32_t row = find_row(id);
    if (row == kNoRow) continue;
    const std::uint8_t before = flags(row);
    if ((before & kDeleted) != 0) continue;
    set_flags(row, before | kDeleted);
    ++deleted;
  }
  items_version_.fetch_add(1, std::memory_order_release);
  return deleted;
}

// --- users --------------------------------------------------------------------------------------

std::size_t State::user_slot(std::string_view user) const {
  return std::hash<std::string_view>{}(user) % kVersions;
}

std::uint64_t State::version(std::size_t slot) const {
  return static_cast<std::uint64_t>(items_version_.load(std::memory_order_acquire)) << 32 |
         user_versions_[slot].load(std::memory_order_acquire);
}

Versions State::versions() const {
  Versions all;
  all.items = items_version_.load(std::memory_order_acquire);
  all.users.reserve(kVersions);
  for (std::size_t slot = 0; slot < kVersions; ++slot)
    all.users.push_back(user_versions_[slot].load(std::memory_order_acquire));
  return all;
}

void State::changed(const std::string& user) {
  user_versions_[user_slot(user)].fetch_add(1, std::memory_order_release);
}

State::Shard& State::shard(const std::string& user) const {
  return shards_[std::hash<std::string>{}(user) % kShards];
}

std::size_t State::apply_events(const std::vector<std::string>& users,
                                const std::vector<std::string>& items, const float* weights,
                                const std::int64_t* times_ms) {
  for (std::size_t i = 0; i < users.size(); ++i)
    if (!std::isfinite(weights[i]))
      throw std::invalid_argument("weights[" + std::to_string(i) + "] is not finite");
  std::lock_guard write(write_mutex_);
  std::size_t ignored = 0;
  for (std::size_t i = 0; i < users.size(); ++i) {
    const std::uint32_t row = item_row(items[i]);
    if (row == kNoRow) {
      ++ignored;
      continue;
    }
    if (weights[i] == 0.0f) continue;
    Shard& home = shard(users[i]);
    std::unique_lock lock(home.mutex);
    const auto [found, added] = home.users.try_emplace(users[i]);
    if (added && base_.user_row(users[i]) == kNoRow)
      new_users_.fetch_add(1, std::memory_order_relaxed);
    UserDelta& user = found->second;
    const Interaction event{row, weights[i], times_ms[i]};
    user.history.insert(std::upper_bound(user.history.begin(), user.history.end(), event, earlier),
                        event);
    if (user.history.size() > kHistory) user.history.erase(user.history.begin());
    user.seen.insert(row);
    changed(users[i]);
    events_.fetch_add(1, std::memory_order_relaxed);
  }
  ignored_events_.fetch_add(static_cast<std::int64_t>(ignored), std::memory_order_relaxed);
  return ignored;
}

void State::set_preferences(const std::string& user_id, Preferences preferences) {
  std::lock_guard write(write_mutex_);
  Shard& home = shard(user_id);
  std::unique_lock lock(home.mutex);
  home.users[user_id].preferences = std::move(preferences);
  changed(user_id);
}

bool State::has_user(const std::string& id) const {
  if (base_.user_row(id) != kNoRow) return true;
  Shard& home = shard(id);
  std::shared_lock lock(home.mutex);
  const auto found = home.users.find(id);
  return found != home.users.end() && !found->second.history.empty();
}

UserView State::user(const std::string& id, std::size_t limit) const {
  UserView view;
  if (id.empty()) return view;
  {
    Shard& home = shard(id);
    std::shared_lock lock(home.mutex);
    const auto found = home.users.find(id);
    if (found != home.users.end()) {
      const UserDelta& user = found->second;
      const std::size_t skip = user.history.size() > limit ? user.history.size() - limit : 0;
      view.history.assign(user.history.begin() + static_cast<std::ptrdiff_t>(skip),
                          user.history.end());
      view.new_seen.assign(user.seen.begin(), user.seen.end());
      view.preferences = user.preferences;
    }
  }
  std::sort(view.new_seen.begin(), view.new_seen.end());
  view.base_row = base_.user_row(id);
  view.known = view.base_row != kNoRow || !view.history.empty();
  if (view.base_row == kNoRow) return view;
  const std::size_t row = view.base_row;
  view.base_seen = base_.seen_items.slice(base_.seen_offsets[row], base_.seen_offsets[row + 1]);
  const std::int64_t end = base_.history_offsets[row + 1];
  const std::int64_t begin =
      std::max(base_.history_offsets[row], end - static_cast<std::int64_t>(limit));
  std::vector<Interaction> history;
  history.reserve(static_cast<std::size_t>(end - begin) + view.history.size());
  for (std::int64_t i = begin; i < end; ++i)
    history.push_back({base_.history_items[i], base_.history_weights[i],
                       static_cast<std::int64_t>(base_.history_times[i]) * 1000});
  const bool late = !history.empty() && !view.history.empty() &&
                    view.history.front().time_ms < history.back().time_ms;
  history.insert(history.end(), view.history.begin(), view.history.end());
  if (late) std::stable_sort(history.begin(), history.end(), earlier);
  if (history.size() > limit)
    history.erase(history.begin(), history.end() - static_cast<std::ptrdiff_t>(limit));
  view.history = std::move(history);
  return view;
}

// --- names, search, counts ----------------------------------------------------------------------

std::uint32_t State::category(const std::string& name) const {
  std::shared_lock lock(names_mutex_);
  const auto found = category_rows_.find(name);
  return found == category_rows_.end() ? kNoRow : found->second;
}

std::uint32_t State::kind(const std::string& name) const {
  std::shared_lock lock(names_mutex_);
  const auto found = kind_rows_.find(name);
  return found == kind_rows_.end() ? kNoRow : found->second;
}

std::string State::kind_name(std::uint32_t kind) const {
  std::shared_lock lock(names_mutex_);
  return kinds_.at(kind);
}

std::size_t State::n_categories() const {
  std::shared_lock lock(names_mutex_);
  return categories_.size();
}

void State::search_delta(const float* query, std::size_t k, TopK& best) const {
  best.reset(k);
  const auto entries = delta();
  for (const DeltaEntry& entry : *entries)
    best.push(dot(query, entry.record->embedding.data(), base_.embedding_size), entry.row);
}

std::map<std::string, std::int64_t> State::stats() const {
  return {{"items", static_cast<std::int64_t>(n_items())},
          {"base_items", static_cast<std::int64_t>(base_.n_items)},
          {"base_users", static_cast<std::int64_t>(base_.n_users)},
          {"changed_items", changed_items_.load(std::memory_order_relaxed)},
          {"new_users", new_users_.load(std::memory_order_relaxed)},
          {"events", events_.load(std::memory_order_relaxed)},
          {"ignored_events", ignored_events_.load(std::memory_order_relaxed)}};
}

}  // namespace aigc
