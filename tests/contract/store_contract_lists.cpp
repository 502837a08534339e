// Lists: each filter, and all of them together against a plain look at every detection.

#include <gmock/gmock.h>

#include <random>

#include "contract/store_contract.hpp"

namespace detection::store::testing {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_P(StoreContract, ListsAreNewestFirstInPages) {
  put(1, 7);
  const auto first = store().list({}, std::nullopt, 3);
  ASSERT_TRUE(first);
  EXPECT_THAT(sequences(*first), ElementsAre(7, 6, 5));
  EXPECT_EQ(first->next_before, 5);
  expect_same(first->items[0].first.located, sample(7).located);
  EXPECT_EQ(first->items[0].first.request_json, sample(7).request_json);
  EXPECT_EQ(first->items[0].second.state, DeliveryState::kQueued);
  put(8, 9);  // does not move the pages that follow
  const auto second = store().list({}, first->next_before, 3);
  EXPECT_THAT(sequences(*second), ElementsAre(4, 3, 2));
  const auto third = store().list({}, second->next_before, 3);
  EXPECT_THAT(sequences(*third), ElementsAre(1));
  EXPECT_FALSE(third->next_before);
  EXPECT_FALSE(store().list({}, std::nullopt, 9)->next_before) << "a page that is just full is the last";
  EXPECT_THAT(sequences(*store().list({}, 1, 3)), IsEmpty());
  EXPECT_THAT(sequences(*store().list({}, std::numeric_limits<std::int64_t>::min(), 3)), IsEmpty());
  EXPECT_EQ(store().list({}, std::numeric_limits<std::int64_t>::max(), 100)->items.size(), 9U);
}

TEST_P(StoreContract, ABoxMayCrossTheAntimeridian) {
  const double longitudes[] = {-180, -179.5, -170, 0, 170, 179.5, 180};
  std::uint64_t i = 0;
  for (const double lon : longitudes) {
    ++i;
    put(i, i, [&](Acceptance& item) { item.located.fix.position = {static_cast<double>(i), lon, 0}; });
  }
  const auto within = [&](double west, double south, double east, double north) {
    return sequences(*store().list({.bbox = BoundingBox{west, south, east, north}}, std::nullopt, 10));
  };
  EXPECT_THAT(within(-180, -90, 180, 90), ElementsAre(7, 6, 5, 4, 3, 2, 1));
  EXPECT_THAT(within(175, -90, -175, 90), ElementsAre(7, 6, 2, 1));
  EXPECT_THAT(within(-175, -90, 175, 90), ElementsAre(5, 4, 3));
  EXPECT_THAT(within(170, 5, 180, 6), ElementsAre(6, 5));  // the edges are in it
  EXPECT_THAT(within(1, 1, 2, 2), IsEmpty());
}

TEST_P(StoreContract, FiltersTogetherFindWhatALookAtEachWouldFind) {
  ASSERT_TRUE(store().open_sink("tak"));
  ASSERT_TRUE(store().open_sink("two"));
  std::mt19937 random(11);
  const auto upto = [&](unsigned n) { return static_cast<int>(random() % n); };
  const std::string classes[] = {"vehicle", "person", "ship"}, sources[] = {"drone-1", "mast-2"};
  std::vector<Acceptance> all;
  for (std::uint64_t i = 1; i <= 300; ++i) {
    auto item = sample(i);
    item.located.object_class = classes[upto(3)];
    item.located.source = sources[upto(2)];
    item.located.observed = {kStart + upto(50) * 1'000'000};  // not in the order of the log
    item.located.fix.position = {upto(20) * 1.0, upto(360) - 180.0, 0};
    item.located.verdict.flag = static_cast<Flag>(upto(3));
    item.disposition = upto(4) == 0 ? (upto(2) == 0 ? Disposition::kHold : Disposition::kDiscard) : Disposition::kQueue;
    all.push_back(item);
  }
  ASSERT_FALSE(commit(store(), all)->error);
  for (const auto* sink : {"tak", "two"}) {
    for (int k = 0; k < 12; ++k) {
      const auto taken = claim(sink, static_cast<std::size_t>(5 + upto(20)));
      if (upto(3) == 0) {
        ASSERT_TRUE(store().mark_dead(taken, taken.items[2].sequence, "x"));
      }
      if (upto(4) != 0) confirm(taken);
    }
  }
  std::vector<DeliveryState> states;
  std::set<DeliveryState> seen;
  for (const auto& item : all) {
    states.push_back(store().delivery_status(item.located.id)->state);
    seen.insert(states.back());
  }
  EXPECT_EQ(seen.size(), 5U);

  for (int round = 0; round < 200; ++round) {
    ListFilter filter;
    if (upto(3) == 0) filter.bbox = BoundingBox{upto(360) - 180.0, 2, upto(360) - 180.0, 15};
    if (upto(3) == 0) filter.since = UtcMicros{kStart + upto(50) * 1'000'000};
    if (upto(3) == 0) filter.until = UtcMicros{kStart + upto(50) * 1'000'000};
    if (upto(3) == 0) filter.object_class = classes[upto(3)];
    if (upto(3) == 0) filter.source = sources[upto(2)];
    if (upto(3) == 0) filter.flag = static_cast<Flag>(upto(3));
    if (upto(2) == 0) filter.state = static_cast<DeliveryState>(upto(7));
    std::vector<std::int64_t> expected;
    for (std::size_t k = all.size(); k-- > 0;) {
      const auto& d = all[k].located;
      const double lon = d.fix.position.lon_deg, lat = d.fix.position.lat_deg;
      const auto& box = filter.bbox;
      const bool in_box = !box || (lat >= box->south_deg && lat <= box->north_deg &&
                                   (box->west_deg <= box->east_deg ? lon >= box->west_deg && lon <= box->east_deg
                                                                   : lon >= box->west_deg || lon <= box->east_deg));
      if (in_box && (!filter.since || d.observed >= *filter.since) && (!filter.until || d.observed < *filter.until) &&
          filter.object_class.value_or(d.object_class) == d.object_class &&
          filter.source.value_or(d.source) == d.source && filter.flag.value_or(d.verdict.flag) == d.verdict.flag &&
          filter.state.value_or(states[k]) == states[k])
        expected.push_back(static_cast<std::int64_t>(k) + 1);
    }
    std::vector<std::int64_t> got;
    std::optional<std::int64_t> before;
    for (int pages = 0; pages < 1000; ++pages) {
      const auto page = store().list(filter, before, static_cast<std::size_t>(1 + upto(40)));
      ASSERT_TRUE(page) << page.error().detail;
      for (const auto& [stored, status] : page->items) {
        got.push_back(stored.sequence);
        EXPECT_EQ(status.state, states[static_cast<std::size_t>(stored.sequence) - 1]);
      }
      before = page->next_before;
      if (!before) break;
    }
    EXPECT_EQ(got, expected) << "round " << round;
  }
}

}  // namespace detection::store::testing
