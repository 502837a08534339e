// What a sink's policy leaves out: how it ends, how it is shown, and how claims are shortened.

#include <gmock/gmock.h>

#include <algorithm>
#include <random>

#include "contract/store_contract.hpp"

namespace detection::store::testing {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

namespace {

using enum OmitReason;

std::string last_detail(Store& store, std::uint64_t i) {
  const auto events = store.timeline(sample_id(i));
  return events && !events->empty() ? events->back().detail_json : "";
}

}  // namespace

TEST_P(StoreContract, WhatIsLeftOutEndsWithTheRestOfItsClaim) {
  ASSERT_TRUE(store().open_sink("tak"));
  put(1, 8);
  const auto all = claim("tak", 8);
  ASSERT_TRUE(store().confirm(all, Confirmation::kConfirmed, system_now(),
                              {{2, kFiltered}, {3, kFiltered}, {6, kStale}, {5, kSuperseded}}));
  EXPECT_EQ(queue("tak").queued, 0);
  EXPECT_EQ(queue("tak").delivered, 4);
  EXPECT_EQ(queue("tak").omitted, 4);
  EXPECT_FALSE(queue("tak").oldest_queued);
  for (const std::uint64_t i : {1U, 4U, 7U, 8U}) {
    EXPECT_EQ(state(i), DeliveryState::kDelivered) << i;
    EXPECT_EQ(timeline_types(sample_id(i)).size(), 8U) << i;
  }
  for (const std::uint64_t i : {2U, 3U, 5U, 6U}) {
    EXPECT_EQ(state(i), DeliveryState::kDiscarded) << i;
    EXPECT_EQ(state_at(i, "tak"), DeliveryState::kDiscarded) << i;
    EXPECT_EQ(timeline_types(sample_id(i)).size(), 6U) << i;
    EXPECT_EQ(timeline_types(sample_id(i)).back(), "tak_push_omitted") << i;
  }
  EXPECT_EQ(last_detail(store(), 3), R"({"sink":"tak","state":"discarded","reason":"filtered"})");
  EXPECT_EQ(last_detail(store(), 5), R"({"sink":"tak","state":"discarded","reason":"superseded"})");
  EXPECT_EQ(last_detail(store(), 6), R"({"sink":"tak","state":"discarded","reason":"stale"})");
  EXPECT_EQ(store().verify_audit()->records, 8 + 2) << "one record for what went, one for what did not";
  const auto found = store().search_audit({.type = "tak_push_omitted"}, "", 10);
  ASSERT_EQ(found->items.size(), 1U);
  EXPECT_THAT(found->items[0].event.detail_json, HasSubstr(R"("count":4)"));
  EXPECT_THAT(claim("tak", 10).items, IsEmpty());
  restart();
  EXPECT_THAT(claim("tak", 10).items, IsEmpty());
  EXPECT_EQ(queue("tak").omitted, 4);
  EXPECT_EQ(state(5), DeliveryState::kDiscarded);
  expect_valid_audit();
}

TEST_P(StoreContract, ALongRunThatIsLeftOutCostsOneRange) {
  ASSERT_TRUE(store().open_sink("tak"));
  put(1, 400);
  put_held(401, 401);
  put(402, 1'000);
  const auto all = claim("tak", 2'000);
  std::vector<Omission> omitted;
  for (const auto sequence : sequences(all)) omitted.push_back({sequence, kFiltered});
  ASSERT_TRUE(store().confirm(all, Confirmation::kConfirmed, system_now(), omitted));
  std::size_t bytes = 0;
  ASSERT_TRUE(store().export_audit([&](const AuditRecordText& record) {
    if (record.json.find("tak_push_omitted") != std::string::npos) bytes += record.json.size();
    return true;
  }));
  EXPECT_GT(bytes, 0U);
  EXPECT_LT(bytes, 600U) << "for 999 events";
  EXPECT_EQ(state(401), DeliveryState::kHeld) << "a range reaches over what is not in the queue";
  EXPECT_EQ(timeline_types(sample_id(401)).size(), 5U);
  EXPECT_EQ(queue("tak").omitted, 999);
}

TEST_P(StoreContract, TheWholeIsDeliveredWhenEveryOtherSinkHasIt) {
  ASSERT_TRUE(store().open_sink("one"));
  ASSERT_TRUE(store().open_sink("two"));
  put(1, 3);
  const auto one = claim("one", 3);
  ASSERT_TRUE(store().confirm(one, Confirmation::kConfirmed, system_now(), {{1, kFiltered}, {2, kStale}}));
  EXPECT_EQ(state(1), DeliveryState::kQueued);
  const auto two = claim("two", 3);
  ASSERT_TRUE(store().confirm(two, Confirmation::kConfirmed, system_now(), {{2, kFiltered}}));
  EXPECT_EQ(state(1), DeliveryState::kDelivered);
  EXPECT_EQ(state(2), DeliveryState::kDiscarded) << "every sink left it out";
  EXPECT_EQ(state(3), DeliveryState::kDelivered);
  put(4, Disposition::kDiscard);
  EXPECT_THAT(listed(DeliveryState::kDiscarded), ElementsAre(4, 2));
  EXPECT_THAT(listed(DeliveryState::kDelivered), ElementsAre(3, 1));
}

TEST_P(StoreContract, AFeedTellsWhatWasLeftOut) {
  ASSERT_TRUE(store().open_sink("tak"));
  put(1, 3);
  const auto from = store().feed_head();
  const auto all = claim("tak", 3);
  ASSERT_TRUE(store().confirm(all, Confirmation::kConfirmed, system_now(), {{1, kFiltered}, {3, kStale}}));
  const auto page = store().feed(*from, 10);
  ASSERT_EQ(page->events.size(), 2U);
  EXPECT_EQ(page->events[0].state, DeliveryState::kDelivered);
  EXPECT_THAT(page->events[0].ids, ElementsAre(sample_id(2)));
  EXPECT_EQ(page->events[1].state, DeliveryState::kDiscarded);
  EXPECT_THAT(page->events[1].ids, ElementsAre(sample_id(1), sample_id(3)));
}

TEST_P(StoreContract, AReleasedOneThatAFilterLeftOutCanBeDecidedAnew) {
  ASSERT_TRUE(store().open_sink("tak"));
  put_held(1, 2);
  release(1);
  const auto first = claim("tak", 5);
  ASSERT_EQ(first.items.size(), 1U);
  EXPECT_TRUE(first.items[0].guaranteed);
  ASSERT_TRUE(store().confirm(first, Confirmation::kConfirmed, system_now(), {{1, kFiltered}}));
  EXPECT_EQ(state(1), DeliveryState::kDiscarded);
  EXPECT_EQ(state_at(1, "tak"), DeliveryState::kDiscarded);
  EXPECT_EQ(timeline_types(sample_id(1)).back(), "tak_push_omitted");
  EXPECT_THAT(last_detail(store(), 1), HasSubstr(R"("reason":"filtered")"));
  EXPECT_THAT(listed(DeliveryState::kDiscarded), ElementsAre(1));
  EXPECT_EQ(queue("tak").omitted, 1);
  reject(1);
  EXPECT_EQ(state_at(1, "tak"), DeliveryState::kRejected);
  EXPECT_THAT(drain(), IsEmpty()) << "TAK never had it: nothing is taken back";
  release(1);
  restart();
  EXPECT_EQ(state(1), DeliveryState::kQueued);
  EXPECT_THAT(drain(), ElementsAre(Pair(1, false)));
  EXPECT_EQ(state(1), DeliveryState::kDelivered);

  // A take-back goes out whatever is asked.
  reject(1);
  const auto back = claim("tak", 5);
  ASSERT_EQ(back.items.size(), 1U);
  ASSERT_TRUE(back.items[0].take_back);
  ASSERT_TRUE(store().confirm(back, Confirmation::kConfirmed, system_now(), {{1, kFiltered}}));
  EXPECT_EQ(state_at(1, "tak"), DeliveryState::kRejected);
  EXPECT_EQ(queue("tak").queued, 0);
  expect_valid_audit();
}

TEST_P(StoreContract, ADeadLetterTriedAgainMayBeLeftOut) {
  ASSERT_TRUE(store().open_sink("tak"));
  put(1, 4);
  const auto first = claim("tak", 4);
  ASSERT_TRUE(store().mark_dead(first, 2, "refused"));
  ASSERT_TRUE(store().confirm(first, Confirmation::kConfirmed, system_now(), {{1, kStale}, {3, kStale}}));
  ASSERT_EQ(store().retry_dead_letters("tak", "ann"), 1);
  const auto again = claim("tak", 4);
  ASSERT_EQ(again.items.size(), 1U);
  EXPECT_TRUE(again.items[0].guaranteed);
  ASSERT_TRUE(store().confirm(again, Confirmation::kConfirmed, system_now(), {{2, kFiltered}}));
  EXPECT_EQ(state(2), DeliveryState::kDiscarded);
  EXPECT_THAT(last_detail(store(), 2), HasSubstr(R"("reason":"filtered")"));
  EXPECT_EQ(queue("tak").queued, 0);
  EXPECT_EQ(queue("tak").omitted, 3);
  restart();
  EXPECT_THAT(claim("tak", 4).items, IsEmpty());
  expect_valid_audit();
}

TEST_P(StoreContract, ShortenedClaimsGiveTheirEndBackInOrder) {
  ASSERT_TRUE(store().open_sink("tak"));
  put_held(1, 2);
  put(3, 10);
  release(1);
  release(2);
  auto first = claim("tak", 20);
  EXPECT_THAT(sequences(first), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
  store().shorten(first, 4);
  EXPECT_THAT(sequences(first), ElementsAre(1, 2, 3, 4));
  store().shorten(first, 9);
  EXPECT_EQ(first.items.size(), 4U) << "it does not grow";
  auto second = claim("tak", 3);
  EXPECT_THAT(sequences(second), ElementsAre(5, 6, 7));
  store().shorten(second, 0);
  EXPECT_THAT(sequences(second), ElementsAre(5)) << "one stays";
  confirm(first);
  confirm(second);
  EXPECT_EQ(queue("tak").queued, 5);
  auto third = claim("tak", 20);
  EXPECT_THAT(sequences(third), ElementsAre(6, 7, 8, 9, 10));
  store().shorten(third, 2);
  store().give_back(third);
  EXPECT_THAT(drain(), ElementsAre(Pair(6, false), Pair(7, false), Pair(8, false), Pair(9, false), Pair(10, false)));

  // Within what is due beside the log.
  put_held(11, 13);
  for (const std::uint64_t i : {11U, 12U, 13U}) release(i);
  put(14, 14);
  auto late = claim("tak", 20);
  store().shorten(late, 1);
  EXPECT_THAT(sequences(late), ElementsAre(11));
  confirm(late);
  EXPECT_THAT(drain(), ElementsAre(Pair(12, false), Pair(13, false), Pair(14, false)));
  EXPECT_EQ(queue("tak").queued, 0);
  restart();
  EXPECT_THAT(drain(), IsEmpty());
  expect_valid_audit();
}

/// Whatever is left out, confirmed late, given back, shortened, dead or cut off by a restart: each ends once, and the
/// counts fit.
TEST_P(StoreContract, OmissionsByChanceEndEachEventOnce) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::minstd_rand random(seed);
  ASSERT_TRUE(store().open_sink("tak"));
  constexpr std::uint64_t kAll = 300;
  put(1, kAll, [&](Acceptance& item) {
    if (random() % 7 == 0) item.disposition = Disposition::kHold;
  });
  std::map<std::int64_t, DeliveryState> ended;
  std::vector<Claim> live;
  while (true) {
    if (random() % 40 == 0) {
      live.clear();
      restart();
    }
    if (live.size() < 4) {
      auto next = claim("tak", 1 + random() % 20);
      if (next.items.empty() && live.empty()) break;
      if (!next.items.empty()) live.push_back(std::move(next));
    }
    if (live.empty()) continue;
    const auto which = static_cast<std::ptrdiff_t>(random() % live.size());
    auto one = std::move(live[static_cast<std::size_t>(which)]);
    live.erase(live.begin() + which);
    if (random() % 3 == 0) store().shorten(one, random() % 20);
    const bool give_back = random() % 4 == 0;
    std::optional<std::int64_t> dead;
    if (random() % 10 == 0) {
      dead = one.items[random() % one.items.size()].sequence;
      ASSERT_TRUE(store().mark_dead(one, *dead, "chance"));
      ASSERT_TRUE(ended.emplace(*dead, DeliveryState::kDeadLetter).second) << *dead;
    }
    if (give_back) {
      store().give_back(one);
      continue;
    }
    std::vector<Omission> omitted;
    for (const auto sequence : sequences(one)) {
      if (sequence == dead) continue;
      const bool out = random() % 2 == 0;
      if (out) omitted.push_back({sequence, static_cast<OmitReason>(random() % 3)});
      ASSERT_TRUE(ended.emplace(sequence, out ? DeliveryState::kDiscarded : DeliveryState::kDelivered).second)
          << sequence;
    }
    std::ranges::shuffle(omitted, random);
    ASSERT_TRUE(store().confirm(one, Confirmation::kConfirmed, system_now(), omitted));
  }
  restart();
  std::map<DeliveryState, std::int64_t> counts;
  for (std::uint64_t i = 1; i <= kAll; ++i) {
    const auto found = ended.find(static_cast<std::int64_t>(i));
    const auto expected = found == ended.end() ? DeliveryState::kHeld : found->second;
    EXPECT_EQ(state(i), expected) << i;
    ++counts[expected];
  }
  EXPECT_EQ(queue("tak").delivered, counts[DeliveryState::kDelivered]);
  EXPECT_EQ(queue("tak").omitted, counts[DeliveryState::kDiscarded]);
  EXPECT_EQ(queue("tak").dead_letters, counts[DeliveryState::kDeadLetter]);
  EXPECT_EQ(queue("tak").queued, 0);
  expect_valid_audit();
}

}  // namespace detection::store::testing
