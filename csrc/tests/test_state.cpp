#include <gtest/gtest.h>

#include "aigc/state.h"
#include "world.h"

namespace aigc {
namespace {

using testing::make_snapshot;

ItemUpdate update(const std::string& id, const float* embedding) {
  ItemUpdate item;
  item.id = id;
  item.title = "title of " + id;
  item.kind = "text";
  item.categories = {"odd", "new"};
  item.embedding = embedding;
  return item;
}

TEST(IdTable, FindsEveryIdAndNothingElse) {
  const Snapshot s = make_snapshot(1000, 10);
  for (std::size_t i = 0; i < 1000; ++i) EXPECT_EQ(s.item_row("i" + std::to_string(i)), i);
  EXPECT_EQ(s.item_row("i1000"), kNoRow);
  EXPECT_EQ(s.item_row(""), kNoRow);
}

TEST(IdTable, RefusesAnIdTwice) {
  EXPECT_THROW(testing::Strings({"a", "b", "a"}), std::invalid_argument);
}

TEST(Snapshot, RefusesRowsOutsideTheirArrays) {
  Snapshot s = make_snapshot(10, 4);
  s.verify(true);
  const std::vector<std::uint32_t> wrong(10, 10);
  s.popular_order = testing::view_of(wrong);
  EXPECT_THROW(s.verify(true), std::invalid_argument);
  const std::vector<std::uint32_t> few(9, 0);
  s.popular_order = testing::view_of(few);
  EXPECT_THROW(s.verify(false), std::invalid_argument);
}

TEST(State, ANewItemHasARowAndAChangedOneKeepsItsOwn) {
  State state(make_snapshot(10, 4));
  const float near_first[] = {1.0f, 0.0f};
  const auto rows = state.upsert_items({update("new", near_first), update("i3", near_first)});
  EXPECT_EQ(rows, (std::vector<std::uint32_t>{10, 3}));
  EXPECT_EQ(state.item_row("new"), 10u);
  EXPECT_EQ(state.item_title(3), "title of i3");
  EXPECT_EQ(state.item_id(3), "i3");
  EXPECT_EQ(state.item_categories(10).size, 2u);
  EXPECT_EQ(state.delta()->size(), 2u);
  state.upsert_items({update("new", near_first)});
  EXPECT_EQ(state.delta()->size(), 2u);
  EXPECT_EQ(state.n_items(), 11u);
}

TEST(State, ADeletedItemIsUnknownUntilItComesBack) {
  State state(make_snapshot(10, 4));
  EXPECT_EQ(state.delete_items({"i3", "i3", "nope"}), 1u);
  EXPECT_EQ(state.item_row("i3"), kNoRow);
  const float embedding[] = {0.0f, 1.0f};
  EXPECT_EQ(state.upsert_items({update("i3", embedding)}), (std::vector<std::uint32_t>{3}));
  EXPECT_EQ(state.item_row("i3"), 3u);
}

TEST(State, EventsJoinTheHistoryInOrderOfTime) {
  State state(make_snapshot(10, 4));
  const float weights[] = {1.0f, 0.5f, 0.0f, 1.0f};
  const std::int64_t times[] = {9'000'000, 1, 5, 9'000'000};
  EXPECT_EQ(
      state.apply_events({"u0", "u0", "u0", "u0"}, {"i7", "i8", "i9", "nope"}, weights, times), 1u);
  const UserView user = state.user("u0", 100);
  ASSERT_EQ(user.history.size(), 5u);
  EXPECT_EQ(user.history.front().item, 8u);
  EXPECT_EQ(user.history.back().item, 7u);
  EXPECT_TRUE(user.has_seen(7) && user.has_seen(8) && user.has_seen(0));
  EXPECT_FALSE(user.has_seen(9));
  EXPECT_EQ(state.user("u0", 2).history.size(), 2u);
}

TEST(State, RefusesNumbersThatAreNotFinite) {
  State state(make_snapshot(10, 4));
  const float weight = std::nanf("");
  const std::int64_t time = 0;
  EXPECT_THROW(state.apply_events({"u"}, {"i1"}, &weight, &time), std::invalid_argument);
  const float embedding[] = {0.0f, std::nanf("")};
  EXPECT_THROW(state.upsert_items({update("x", embedding)}), std::invalid_argument);
  EXPECT_EQ(state.n_items(), 10u);
}

}  // namespace
}  // namespace aigc
