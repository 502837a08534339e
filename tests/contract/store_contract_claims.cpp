// Claims: what is due, to whom, and what becomes of it.

#include <gmock/gmock.h>

#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "contract/store_contract.hpp"

namespace detection::store::testing {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST_P(StoreContract, ClaimsComeInOrderWithTheirDetections) {
  ASSERT_TRUE(store().open_sink("tak"));
  EXPECT_THAT(claim("tak", 10).items, IsEmpty());
  put(1, 5);
  const auto first = claim("tak", 2), second = claim("tak", 10), none = claim("tak", 10);
  EXPECT_THAT(sequences(first), ElementsAre(1, 2));
  EXPECT_THAT(sequences(second), ElementsAre(3, 4, 5));
  EXPECT_THAT(none.items, IsEmpty());
  EXPECT_NE(first.number, second.number);
  EXPECT_EQ(first.sink, "tak");
  expect_same(first.items[1].located, sample(2).located);
  EXPECT_FALSE(store().claim("unknown", 1));
  EXPECT_THAT(claim("tak", 0).items, IsEmpty());
}

TEST_P(StoreContract, HeldAndDiscardedOnesAreNeverClaimed) {
  ASSERT_TRUE(store().open_sink("tak"));
  put(1, Disposition::kHold);
  put(2, 2);
  put(3, Disposition::kDiscard);
  put(4, 4);
  put(5, Disposition::kHold);
  EXPECT_EQ(queue("tak").queued, 2);
  const auto all = claim("tak", 10);
  EXPECT_THAT(sequences(all), ElementsAre(2, 4));
  confirm(all);
  EXPECT_EQ(state(1), DeliveryState::kHeld);
  EXPECT_EQ(state(2), DeliveryState::kDelivered);
  EXPECT_EQ(state(3), DeliveryState::kDiscarded);
  EXPECT_EQ(state(4), DeliveryState::kDelivered);
  EXPECT_EQ(state(5), DeliveryState::kHeld);
  EXPECT_THAT(store().delivery_status(sample_id(1))->sinks, ElementsAre(Pair("tak", DeliveryState::kHeld)));
  EXPECT_THAT(store().delivery_status(sample_id(3))->sinks, IsEmpty());
  EXPECT_EQ(queue("tak").queued, 0);
  EXPECT_EQ(queue("tak").delivered, 2);
  // A delivery's range reaches over what was not in the queue, which was not delivered with it.
  EXPECT_EQ(timeline_types(sample_id(1)).size(), 5U);
  EXPECT_EQ(timeline_types(sample_id(3)).size(), 5U);
  EXPECT_EQ(timeline_types(sample_id(4)).size(), 8U);
  put(6, Disposition::kHold);
  EXPECT_THAT(claim("tak", 10).items, IsEmpty());
  put(7, 7);
  EXPECT_THAT(sequences(claim("tak", 10)), ElementsAre(7));
}

TEST_P(StoreContract, WhatIsGivenBackIsDueAgainInOrder) {
  ASSERT_TRUE(store().open_sink("tak"));
  put(1, 9);
  const auto a = claim("tak", 3), b = claim("tak", 3);
  store().give_back(b);
  store().give_back(a);
  EXPECT_EQ(queue("tak").queued, 9);
  std::vector<std::int64_t> again;
  for (auto next = claim("tak", 2); !next.items.empty(); next = claim("tak", 2))
    for (const auto n : sequences(next)) again.push_back(n);
  EXPECT_THAT(again, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9));
  // Ended claims have no say.
  EXPECT_FALSE(store().confirm(a, Confirmation::kConfirmed, system_now()));
  store().give_back(a);
  EXPECT_FALSE(store().mark_dead(a, 1, "x"));
  EXPECT_THAT(claim("tak", 9).items, IsEmpty());
  EXPECT_EQ(queue("tak").delivered, 0);
}

TEST_P(StoreContract, ConfirmationsMayComeOutOfOrderAndOutliveARestart) {
  ASSERT_TRUE(store().open_sink("tak"));
  put(1, 10);
  const auto a = claim("tak", 3), b = claim("tak", 3), c = claim("tak", 3);
  confirm(b);
  EXPECT_FALSE(store().confirm(b, Confirmation::kConfirmed, system_now()));
  EXPECT_EQ(state(2), DeliveryState::kQueued);
  EXPECT_EQ(state(5), DeliveryState::kDelivered);
  EXPECT_EQ(queue("tak").queued, 7);
  EXPECT_EQ(queue("tak").oldest_queued, sample(1).located.received);
  reopen();
  ASSERT_TRUE(store().open_sink("tak"));
  EXPECT_FALSE(store().confirm(c, Confirmation::kConfirmed, system_now())) << "a claim of an earlier process";
  EXPECT_EQ(queue("tak").queued, 7);
  EXPECT_EQ(queue("tak").delivered, 3);
  const auto left = claim("tak", 100);
  EXPECT_THAT(sequences(left), ElementsAre(1, 2, 3));
  const auto rest = claim("tak", 100);
  EXPECT_THAT(sequences(rest), ElementsAre(7, 8, 9, 10));
  confirm(rest);
  confirm(left);
  EXPECT_EQ(queue("tak").queued, 0);
  EXPECT_EQ(queue("tak").delivered, 10);
  EXPECT_FALSE(queue("tak").oldest_queued);
  reopen();
  ASSERT_TRUE(store().open_sink("tak"));
  EXPECT_THAT(claim("tak", 100).items, IsEmpty());
  for (std::uint64_t i = 1; i <= 10; ++i) EXPECT_EQ(state(i), DeliveryState::kDelivered) << i;
  expect_valid_audit();
}

TEST_P(StoreContract, ADeliveryShowsInTheTimelineOfEachOfItsDetections) {
  ASSERT_TRUE(store().open_sink("tak"));
  ASSERT_TRUE(store().open_sink("other"));
  put(1, 4);
  const auto sent = system_now();
  const auto a = claim("tak", 2), b = claim("tak", 2), c = claim("other", 3);
  ASSERT_TRUE(store().confirm(b, Confirmation::kSentUnconfirmed, sent));
  ASSERT_TRUE(store().confirm(a, Confirmation::kConfirmed, sent));
  ASSERT_TRUE(store().confirm(c, Confirmation::kConfirmed, sent));
  EXPECT_EQ(timeline_types(sample_id(1)).size(), 5U + 3U + 3U);
  EXPECT_EQ(timeline_types(sample_id(4)).size(), 5U + 3U);
  const auto events = store().timeline(sample_id(4));
  EXPECT_EQ((*events)[5].type, "tak_push_attempted");
  EXPECT_EQ((*events)[5].at, sent);
  EXPECT_EQ((*events)[6].type, "tak_push_success");
  EXPECT_EQ((*events)[6].detail_json, R"({"sink":"tak","confirmation":"sent, unconfirmed"})");
  EXPECT_EQ((*events)[7].type, "detection_synced");
  EXPECT_EQ(store().timeline(sample_id(1))->at(6).type, "tak_push_attempted");
  std::size_t confirmed = 0;
  const auto whole = store().timeline(sample_id(1));
  for (const auto& event : *whole)
    confirmed += event.detail_json.find(R"("confirmation":"confirmed")") != std::string::npos;
  EXPECT_EQ(confirmed, 2U);
  EXPECT_EQ(store().verify_audit()->records, 4 + 3) << "one record for each batch";
}

TEST_P(StoreContract, ADeadLetterLeavesTheQueueAndTheRestOfItsClaimStays) {
  ASSERT_TRUE(store().open_sink("tak"));
  put(1, 6);
  const auto first = claim("tak", 5);
  ASSERT_TRUE(store().mark_dead(first, 3, "too \"long\""));
  ASSERT_TRUE(store().mark_dead(first, 3, "again"));  // once is enough
  EXPECT_FALSE(store().mark_dead(first, 6, "not in it"));
  EXPECT_EQ(queue("tak").dead_letters, 1);
  EXPECT_EQ(queue("tak").queued, 5);
  EXPECT_EQ(state(3), DeliveryState::kDeadLetter);
  EXPECT_EQ(state(2), DeliveryState::kQueued);
  store().give_back(first);
  const auto again = claim("tak", 4);
  EXPECT_THAT(sequences(again), ElementsAre(1, 2, 4, 5));
  confirm(again);
  EXPECT_EQ(state(2), DeliveryState::kDelivered);
  EXPECT_EQ(state(3), DeliveryState::kDeadLetter);
  EXPECT_EQ(state(4), DeliveryState::kDelivered);
  EXPECT_EQ(timeline_types(sample_id(3)).back(), "tak_push_failed");
  EXPECT_EQ(timeline_types(sample_id(3)).size(), 6U);
  const auto failed = store().timeline(sample_id(3))->back();
  EXPECT_EQ(failed.severity, "ERROR");
  EXPECT_NE(failed.detail_json.find(R"(too \"long\")"), std::string::npos);

  // Marked and confirmed in one claim, the only one of its claim, and over a restart.
  const auto last = claim("tak", 5);
  ASSERT_EQ(last.items.size(), 1U);
  ASSERT_TRUE(store().mark_dead(last, 6, "bad"));
  confirm(last);
  put(7, 9);
  const auto tail = claim("tak", 5);
  ASSERT_TRUE(store().mark_dead(tail, 8, "bad"));
  reopen();
  ASSERT_TRUE(store().open_sink("tak"));
  EXPECT_EQ(queue("tak").dead_letters, 3);
  EXPECT_EQ(queue("tak").delivered, 4);
  EXPECT_EQ(queue("tak").queued, 2);
  const auto left = claim("tak", 5);
  EXPECT_THAT(sequences(left), ElementsAre(7, 9));
  confirm(left);
  EXPECT_EQ(state(8), DeliveryState::kDeadLetter);
  EXPECT_EQ(state(9), DeliveryState::kDelivered);
  EXPECT_THAT(claim("tak", 5).items, IsEmpty());
  EXPECT_EQ(timeline_types(sample_id(8)).size(), 6U);
  expect_valid_audit();
}

TEST_P(StoreContract, TheFirstSinkGetsEverythingALaterOneWhatComesThen) {
  put(1, 2);
  put(3, Disposition::kHold);
  EXPECT_EQ(state(1), DeliveryState::kQueued);
  ASSERT_TRUE(store().open_sink("tak"));
  EXPECT_EQ(queue("tak").queued, 2);
  ASSERT_TRUE(store().open_sink("late"));
  EXPECT_EQ(queue("late").queued, 0);
  EXPECT_THAT(claim("late", 10).items, IsEmpty());
  put(4, 5);
  put(6, Disposition::kDiscard);
  EXPECT_EQ(queue("tak").queued, 4);
  EXPECT_EQ(queue("late").queued, 2);
  EXPECT_THAT(sequences(claim("late", 10)), ElementsAre(4, 5));
  const auto all = claim("tak", 10);
  EXPECT_THAT(sequences(all), ElementsAre(1, 2, 4, 5));
  confirm(all);
  EXPECT_EQ(state(1), DeliveryState::kDelivered);  // only tak counts for it
  EXPECT_EQ(state(4), DeliveryState::kQueued);
  EXPECT_THAT(store().delivery_status(sample_id(1))->sinks, ElementsAre(Pair("tak", DeliveryState::kDelivered)));
  EXPECT_THAT(store().delivery_status(sample_id(4))->sinks,
              ElementsAre(Pair("late", DeliveryState::kQueued), Pair("tak", DeliveryState::kDelivered)));
  reopen();
  ASSERT_TRUE(store().open_sink("late"));
  ASSERT_TRUE(store().open_sink("late"));
  EXPECT_THAT(sequences(claim("late", 10)), ElementsAre(4, 5));
  EXPECT_EQ(store().sink_queues()->size(), 1U) << "a sink that is not opened any more does not count";
  ASSERT_TRUE(store().open_sink("tak"));
  EXPECT_EQ(queue("tak").delivered, 4);
  EXPECT_FALSE(store().open_sink(""));
}

TEST_P(StoreContract, ManyCouriersAndManyPostersLoseAndDoubleNothing) {
  constexpr std::uint64_t kPosters = 2, kEach = 300;
  const std::vector<std::string> sinks = {"a", "b"};
  for (const auto& sink : sinks) ASSERT_TRUE(store().open_sink(sink));
  std::atomic<bool> posted = false;
  std::mutex mutex;
  std::map<std::pair<std::string, std::int64_t>, int> delivered;
  std::set<std::pair<std::string, std::int64_t>> held;  // by a live claim

  std::vector<std::thread> couriers;
  for (unsigned k = 0; k < 4; ++k) {
    couriers.emplace_back([&, k] {
      std::mt19937 random(k);
      const auto& sink = sinks[k % 2];
      while (true) {
        const bool last = posted;
        auto claim = store().claim(sink, 1 + random() % 40);
        ASSERT_TRUE(claim) << claim.error().detail;
        if (claim->items.empty()) {
          // A courier that still holds a claim may give it back: only the numbers say when all is done.
          if (last && queue(sink).queued == 0) return;
          std::this_thread::yield();
          continue;
        }
        {
          const std::lock_guard lock(mutex);
          for (const auto n : sequences(*claim))
            EXPECT_TRUE(held.emplace(sink, n).second) << "claimed twice at once: " << n;
        }
        const bool give_back = random() % 3 == 0;
        std::optional<std::int64_t> dead;
        if (random() % 4 == 0) {
          dead = claim->items[random() % claim->items.size()].sequence;
          EXPECT_TRUE(store().mark_dead(*claim, *dead, "chance"));
        }
        const std::lock_guard lock(mutex);
        for (const auto n : sequences(*claim)) {
          held.erase({sink, n});
          if (!give_back || n == dead) ++delivered[{sink, n}];
        }
        if (give_back) {
          store().give_back(*claim);
        } else {
          EXPECT_TRUE(store().confirm(*claim, Confirmation::kConfirmed, system_now()));
        }
      }
    });
  }
  std::thread reader([&] {
    while (!posted) {
      EXPECT_TRUE(store().list({.state = DeliveryState::kQueued}, std::nullopt, 20));
      EXPECT_TRUE(store().sink_queues());
      EXPECT_TRUE(store().verify_audit().value().valid);
    }
  });
  std::vector<std::thread> posters;
  for (std::uint64_t p = 0; p < kPosters; ++p) {
    posters.emplace_back([&, p] {
      for (std::uint64_t i = 0; i < kEach; ++i) {
        auto item = sample(i, p + 1);
        if (i % 5 == 0) item.disposition = Disposition::kHold;
        ASSERT_FALSE(commit(store(), {item})->error);
      }
    });
  }
  for (auto& thread : posters) thread.join();
  posted = true;
  reader.join();
  for (auto& thread : couriers) thread.join();

  const auto expected = static_cast<std::int64_t>(kPosters * kEach * 4 / 5);
  EXPECT_EQ(delivered.size(), static_cast<std::size_t>(expected) * 2);
  for (const auto& [key, times] : delivered) EXPECT_EQ(times, 1) << key.first << " " << key.second;
  for (int round = 0; round < 2; ++round) {
    for (const auto& sink : sinks) {
      ASSERT_TRUE(store().open_sink(sink));
      EXPECT_EQ(queue(sink).delivered + queue(sink).dead_letters, expected);
      EXPECT_EQ(queue(sink).queued, 0);
      EXPECT_THAT(claim(sink, 10).items, IsEmpty());
    }
    expect_valid_audit();
    reopen();
  }
}

}  // namespace detection::store::testing
