#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "aigc/engine.h"
#include "world.h"

namespace aigc {
namespace {

using testing::make_snapshot;

Source source(SourceKind kind, const std::string& name, bool fallback = false) {
  Source s;
  s.kind = kind;
  s.name = name;
  s.fallback = fallback;
  return s;
}

Plan everything() {
  Plan plan;
  plan.sources = {
      source(SourceKind::kItemItem, "content"),      source(SourceKind::kUserUser, "user_user"),
      source(SourceKind::kVector, "vector"),         source(SourceKind::kInterests, "interests"),
      source(SourceKind::kPopular, "popular", true), source(SourceKind::kFresh, "fresh", true)};
  plan.reranker = Reranker::kMmr;
  plan.diversity = 0.2f;
  plan.max_generated_share = 0.3f;
  plan.verify();
  return plan;
}

Query ask(const std::string& user, std::size_t n) {
  Query query;
  query.user_id = user;
  query.n = n;
  query.now_ms = 1'000'000;
  return query;
}

TEST(Engine, WithoutAStateItSaysSo) {
  EXPECT_THROW(Engine().recommend({ask("u0", 5)}, everything()), std::logic_error);
}

TEST(Engine, NeitherSeenNorTwiceNorMoreThanThereIs) {
  Engine engine;
  engine.publish(std::make_shared<State>(make_snapshot(12, 5)));
  const auto [state, answers] = engine.recommend({ask("u1", 50)}, everything());
  std::set<std::uint32_t> rows;
  for (const RankedItem& item : answers[0].items) {
    EXPECT_GT(item.score, 0.0f);
    EXPECT_TRUE(rows.insert(item.row).second);
    EXPECT_FALSE(state->user("u1", 10).has_seen(item.row));
  }
  EXPECT_EQ(rows.size(), 12u - 3u);
}

TEST(Engine, ZeroIsNoNumberOfItems) {
  Engine engine;
  engine.publish(std::make_shared<State>(make_snapshot(12, 5)));
  EXPECT_THROW(engine.recommend({ask("u1", 0)}, everything()), std::invalid_argument);
}

TEST(Engine, GeneratedItemsKeepTheirShareOfWhatIsReturned) {
  Engine engine;
  auto state = std::make_shared<State>(make_snapshot(12, 5));
  const float embedding[] = {1.0f, 0.0f};
  std::vector<ItemUpdate> items;
  for (int i = 0; i < 10; ++i) {
    ItemUpdate item;
    item.id = "g" + std::to_string(i);
    item.kind = "text";
    item.generated = true;
    item.embedding = embedding;
    items.push_back(item);
  }
  state->upsert_items(items);
  engine.publish(state);
  for (std::size_t n = 1; n <= 22; ++n) {
    const auto answers = engine.recommend({ask("u0", n)}, everything()).second;
    std::size_t generated = 0;
    for (const RankedItem& item : answers[0].items)
      generated += (state->flags(item.row) & kGenerated) != 0 ? 1 : 0;
    EXPECT_LE(static_cast<double>(generated),
              0.3 * static_cast<double>(answers[0].items.size()) + 1e-6);
  }
}

TEST(Engine, SharesSumToOne) {
  Engine engine;
  engine.publish(std::make_shared<State>(make_snapshot(30, 9)));
  Query query = ask("u2", 10);
  query.explain = true;
  const auto answers = engine.recommend({query}, everything()).second;
  ASSERT_FALSE(answers[0].items.empty());
  for (const RankedItem& item : answers[0].items) {
    float sum = 0.0f;
    for (const float share : item.shares) sum += share;
    EXPECT_NEAR(sum, 1.0f, 1e-4f);
  }
}

// Readers on several threads, one writer, and snapshots swapped all the while: under TSAN no race,
// under ASAN nothing used after it is gone, and every row of an answer is a row of its own state.
TEST(Engine, AnswersStayWholeWhileStatesAreSwappedAndWritten) {
  Engine engine;
  engine.publish(std::make_shared<State>(make_snapshot(200, 40)));
  std::atomic<bool> stop{false};
  std::atomic<int> answered{0};
  const Plan plan = everything();
  std::vector<std::thread> readers;
  for (int r = 0; r < 3; ++r) {
    readers.emplace_back([&, r] {
      for (int i = 0; !stop.load(); ++i) {
        Query query = ask("u" + std::to_string((i + r) % 50), 10);
        query.explain = i % 3 == 0;
        query.categories = i % 5 == 0 ? std::vector<std::string>{"odd"} : query.categories;
        const auto [state, answers] = engine.recommend({query}, plan);
        for (const RankedItem& item : answers[0].items) {
          ASSERT_LT(item.row, state->n_items());
          ASSERT_FALSE(state->item_id(item.row).empty());
        }
        engine.similar_users(query.user_id, 5);
        answered.fetch_add(1);
      }
    });
  }
  std::thread writer([&] {
    for (int i = 0; !stop.load(); ++i) {
      const auto state = engine.state();
      const float embedding[] = {std::cos(static_cast<float>(i)), std::sin(static_cast<float>(i))};
      ItemUpdate item;
      item.id = i % 2 == 0 ? "n" + std::to_string(i % 100) : "i" + std::to_string(i % 200);
      item.kind = "kind" + std::to_string(i % 4);
      item.categories = {"odd", "c" + std::to_string(i % 7)};
      item.embedding = embedding;
      state->upsert_items({item});
      if (i % 5 == 0) state->delete_items({"n" + std::to_string(i % 50)});
      const float weight = i % 4 == 0 ? -0.5f : 1.0f;
      const std::int64_t time = i;
      state->apply_events({"u" + std::to_string(i % 60)}, {item.id}, &weight, &time);
      Preferences preferences;
      preferences.interests = {{"odd", 0.5f}};
      state->set_preferences("u" + std::to_string(i % 60), preferences);
    }
  });
  for (int swap = 0; swap < 60; ++swap) {
    engine.publish(
        std::make_shared<State>(make_snapshot(150 + static_cast<std::size_t>(swap), 40)));
    const int before = answered.load();
    while (answered.load() < before + 20) std::this_thread::yield();
  }
  stop.store(true);
  for (auto& reader : readers) reader.join();
  writer.join();
  EXPECT_GE(answered.load(), 60 * 20);
}

}  // namespace
}  // namespace aigc
