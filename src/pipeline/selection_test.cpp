#include "pipeline/selection.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>

#include "pipeline/claimed_events.hpp"

namespace detection::pipeline {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr UtcMicros kNow{1'790'000'000'000'000};

store::OutboxItem item(std::int64_t sequence, const std::string& uid = "u") {
  store::OutboxItem out;
  out.sequence = sequence;
  out.located.cot_uid = uid;
  out.located.cot_type = "a-u-G-E-V";
  out.located.source = "uav-1";
  out.located.object_class = "vehicle";
  out.located.verdict.flag = Flag::kGreen;
  out.located.fix.position = {48, 11, 500};
  out.located.observed = out.located.received = kNow;
  return out;
}

std::vector<std::int64_t> omitted(const Selection& selection, store::OmitReason reason) {
  std::vector<std::int64_t> out;
  for (const auto& one : selection.omitted)
    if (one.reason == reason) out.push_back(one.sequence);
  return out;
}

TEST(SinkFilter, PatternsAreATextOrABeginning) {
  EXPECT_TRUE(matches_pattern("a-f-*", "a-f-G"));
  EXPECT_FALSE(matches_pattern("a-f-*", "a-f"));
  EXPECT_TRUE(matches_pattern("*", ""));
  EXPECT_TRUE(matches_pattern("a", "a"));
  EXPECT_FALSE(matches_pattern("a", "ab"));
  EXPECT_FALSE(matches_pattern("a*b*", "axb"));
  EXPECT_TRUE(matches_pattern("a*b*", "a*bc"));
}

TEST(SinkFilter, EachConditionMustHold) {
  auto one = item(1);
  EXPECT_TRUE(SinkFilter{}.passes(one));
  EXPECT_TRUE((SinkFilter{.types = {"b-*", "a-u-*"}}.passes(one)));
  EXPECT_FALSE(SinkFilter{.types = {"b-*"}}.passes(one));
  EXPECT_FALSE(SinkFilter{.sources = {"uav"}}.passes(one));
  EXPECT_TRUE(SinkFilter{.sources = {"uav*"}}.passes(one));
  EXPECT_FALSE(SinkFilter{.classes = {"person"}}.passes(one));
  EXPECT_FALSE((SinkFilter{.types = {"*"}, .sources = {"x"}}.passes(one)));
  const SinkFilter yellow{.flags = 1 << static_cast<int>(Flag::kYellow)};
  EXPECT_FALSE(yellow.passes(one));
  one.located.verdict.flag = Flag::kYellow;
  EXPECT_TRUE(yellow.passes(one));
  one.located.verdict.flag = Flag::kRed;
  one.guaranteed = true;
  EXPECT_TRUE(yellow.passes(one)) << "a person released it";
  EXPECT_FALSE(SinkFilter{.types = {"b-*"}}.passes(one)) << "but it is still no business of this sink";
  one.take_back = true;
  EXPECT_TRUE(SinkFilter{.types = {"b-*"}}.passes(one));
}

TEST(SinkFilter, AnAreaMayCrossTheAntimeridian) {
  const SinkFilter pacific{.area = store::BoundingBox{170, -10, -170, 10}};
  const auto at = [](double lon, double lat) {
    auto one = item(1);
    one.located.fix.position = {lat, lon, 0};
    return one;
  };
  for (const double lon : {170.0, 175.0, 180.0, -180.0, -170.0}) EXPECT_TRUE(pacific.passes(at(lon, 0))) << lon;
  for (const double lon : {169.9, -169.9, 0.0}) EXPECT_FALSE(pacific.passes(at(lon, 0))) << lon;
  EXPECT_FALSE(pacific.passes(at(175, 10.1)));
  const SinkFilter europe{.area = store::BoundingBox{-10, 35, 30, 60}};
  EXPECT_TRUE(europe.passes(at(11, 48)));
  EXPECT_FALSE(europe.passes(at(31, 48)));
}

TEST(Selection, AllGoesOutByDefault) {
  const auto selection = select({item(1), item(2), item(3)}, {}, kNow + 24h);
  EXPECT_THAT(selection.sent, ElementsAre(0, 1, 2));
  EXPECT_THAT(selection.omitted, IsEmpty());
}

TEST(Selection, OfEachUidTheNewestObservationGoesOut) {
  std::vector items{item(1), item(2), item(3, "v"), item(4), item(5, "v")};
  items[1].located.observed = kNow + 1s;  // 4 came later and was seen earlier
  const auto selection = select(items, {.keep = {.latest = true}}, kNow);
  EXPECT_THAT(selection.sent, ElementsAre(1, 4));
  EXPECT_THAT(omitted(selection, store::OmitReason::kSuperseded), ElementsAre(1, 3, 4));
}

TEST(Selection, WhatAPersonAskedForAndTakeBacksAlwaysGoOut) {
  std::vector items{item(1), item(2), item(3), item(4)};
  items[0].guaranteed = true;
  items[1].guaranteed = items[1].take_back = true;
  const auto selection = select(items, {.keep = {.latest = true, .fresh = true}}, kNow + 24h);
  EXPECT_THAT(selection.sent, ElementsAre(0, 1));
  EXPECT_THAT(omitted(selection, store::OmitReason::kStale), ElementsAre(3, 4));
  const auto latest = select(items, {.keep = {.latest = true}}, kNow);
  EXPECT_THAT(latest.sent, ElementsAre(0, 1, 3)) << "and they supersede nothing";
}

TEST(Selection, FreshLeavesOutWhatIsStaleByNow) {
  std::vector items{item(1), item(2), item(3)};
  items[1].located.observed = kNow + 1h;  // a clock that is ahead: its receipt counts
  items[2].located.observed = kNow + -10min;
  const SelectionRules rules{.keep = {.fresh = true}, .stale_after = 5min};
  EXPECT_THAT(select(items, rules, kNow + 5min).sent, ElementsAre(0, 1));
  EXPECT_THAT(select(items, rules, kNow + 5min + 1us).sent, IsEmpty());
}

TEST(Selection, WhatIsFilteredOutSupersedesNothing) {
  std::vector items{item(1), item(2)};
  items[1].located.cot_type = "b-x";
  const auto selection = select(items, {.filter = {.types = {"a-*"}}, .keep = {.latest = true}}, kNow);
  EXPECT_THAT(selection.sent, ElementsAre(0));
  EXPECT_THAT(omitted(selection, store::OmitReason::kFiltered), ElementsAre(2));
}

RC_GTEST_PROP(Selection, EachEndsOnceAndEachUidArrives, ()) {
  std::vector<store::OutboxItem> items;
  const auto count = *rc::gen::inRange(1, 60);
  for (int i = 1; i <= count; ++i) {
    // Not in the order of their numbers: what is due beside the log comes first.
    auto one = item(i * 37 % 61, "u" + std::to_string(*rc::gen::inRange(0, 5)));
    one.located.observed = kNow + std::chrono::seconds(*rc::gen::inRange(0, 5));
    one.located.cot_type = *rc::gen::element<std::string>("a-u", "b-m");
    one.guaranteed = *rc::gen::inRange(0, 6) == 0;
    items.push_back(one);
  }
  SelectionRules rules;
  rules.keep.latest = *rc::gen::arbitrary<bool>();
  if (*rc::gen::arbitrary<bool>()) rules.filter.types = {"a-*"};
  auto selection = select(items, rules, kNow);
  std::multiset<std::int64_t> seen;
  std::map<std::string, UtcMicros> newest_sent, newest;
  for (const auto i : selection.sent) {
    seen.insert(items[i].sequence);
    auto& at = newest_sent[items[i].located.cot_uid];
    at = std::max(at, items[i].located.observed);
  }
  for (const auto& one : selection.omitted) seen.insert(one.sequence);
  std::multiset<std::int64_t> all;
  for (const auto& one : items) {
    all.insert(one.sequence);
    if (!rules.filter.passes(one)) continue;
    auto& at = newest[one.located.cot_uid];
    at = std::max(at, one.located.observed);
  }
  RC_ASSERT(seen == all);
  RC_ASSERT(newest_sent == newest);

  const auto most = static_cast<std::size_t>(*rc::gen::inRange(1, 20));
  const auto kept = cut(selection, items, most);
  RC_ASSERT(selection.sent.size() <= most);
  seen.clear();
  for (const auto i : selection.sent) seen.insert(items[i].sequence);
  for (const auto& one : selection.omitted) seen.insert(one.sequence);
  all.clear();
  for (std::size_t i = 0; i < kept; ++i) all.insert(items[i].sequence);
  RC_ASSERT(seen == all);
}

TEST(ClaimedEvents, TheStaleTimeIsOfTheMomentAnEventLeaves) {
  store::Claim claim;
  claim.items = {item(1), item(2)};
  claim.items[1].take_back = true;
  const ClaimedEvents events(claim, select(claim.items, {}, kNow), {.stale = 5min});
  const auto late = kNow + 24h;
  std::string text;
  events.append(0, cot::WireFormat::kXml, late, text);
  EXPECT_THAT(text, HasSubstr("time=\"" + format_rfc3339_ms(late)));
  EXPECT_THAT(text, HasSubstr("start=\"" + format_rfc3339_ms(kNow)));
  EXPECT_THAT(text, HasSubstr("stale=\"" + format_rfc3339_ms(late + 5min)));
  text.clear();
  events.append(1, cot::WireFormat::kXml, late, text);
  EXPECT_THAT(text, HasSubstr("t-x-d-d"));
}

}  // namespace
}  // namespace detection::pipeline
