// Decisions on held detections: each way from state to state, what goes out, and what races them.

#include <gmock/gmock.h>

#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "contract/store_contract.hpp"

namespace detection::store::testing {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

namespace {

constexpr bool kEvent = false, kDelete = true;

}  // namespace

Sent sent_of(const Claim& claim) {
  Sent out;
  for (const auto& item : claim.items) out.emplace_back(item.sequence, item.take_back);
  return out;
}

Result<Store::Verified> StoreContract::decide(std::uint64_t i, bool verified) {
  return store().verify({sample_id(i), {verified, "a note", "ann", {}}, "request-7"});
}

void StoreContract::release(std::uint64_t i) {
  const auto done = decide(i, true);
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_TRUE(done->changed);
}

void StoreContract::reject(std::uint64_t i) {
  const auto done = decide(i, false);
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_TRUE(done->changed);
}

void StoreContract::restart(std::string_view sink) {
  reopen();
  ASSERT_TRUE(store().open_sink(sink));
}

/// Claims and confirms until nothing is due.
Sent StoreContract::drain(std::string_view sink) {
  Sent out;
  for (auto next = claim(sink, 3); !next.items.empty(); next = claim(sink, 3)) {
    for (const auto& one : sent_of(next)) out.push_back(one);
    confirm(next);
  }
  return out;
}

DeliveryState StoreContract::state_at(std::uint64_t i, std::string_view sink) {
  const auto status = store().delivery_status(sample_id(i));
  EXPECT_TRUE(status);
  for (const auto& [name, state] : status->sinks)
    if (name == sink) return state;
  ADD_FAILURE() << "nothing about " << sink;
  return DeliveryState::kSpooled;
}

std::vector<std::int64_t> StoreContract::listed(DeliveryState state) {
  const auto page = store().list({.state = state}, std::nullopt, 1'000);
  EXPECT_TRUE(page);
  return sequences(*page);
}

void StoreContract::put_track(std::uint64_t i, Disposition disposition, const std::string& track) {
  put(i, i, [&](Acceptance& item) {
    item.disposition = disposition;
    item.located.track_id = track;
    item.located.cot_uid = "DET.drone-7." + track;
  });
}

TEST_P(StoreContract, AReleasedOneIsDelivered) {
  ASSERT_TRUE(store().open_sink("tak"));
  put(1, Disposition::kHold);
  put(2, 2);
  ASSERT_THAT(drain(), ElementsAre(Pair(2, kEvent)));
  const auto done = decide(1, true);
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_TRUE(done->changed);
  EXPECT_EQ(done->stored.sequence, 1);
  expect_same(done->stored.located, sample(1).located);
  ASSERT_TRUE(done->stored.decision);
  EXPECT_TRUE(done->stored.decision->verified);
  EXPECT_EQ(done->stored.decision->notes, "a note");
  EXPECT_EQ(done->stored.decision->actor, "ann");
  EXPECT_GT(done->stored.decision->at.count, 0);
  EXPECT_EQ(done->delivery.state, DeliveryState::kQueued);
  EXPECT_EQ(state(1), DeliveryState::kQueued);
  EXPECT_EQ(queue("tak").queued, 1);
  EXPECT_TRUE(queue("tak").oldest_queued);

  const auto taken = claim("tak", 10);
  ASSERT_THAT(sent_of(taken), ElementsAre(Pair(1, kEvent)));
  expect_same(taken.items[0].located, sample(1).located);
  EXPECT_THAT(claim("tak", 10).items, IsEmpty()) << "one live claim for each";
  confirm(taken);
  EXPECT_FALSE(store().confirm(taken, Confirmation::kConfirmed, system_now()));
  EXPECT_EQ(state(1), DeliveryState::kDelivered);
  EXPECT_EQ(queue("tak").queued, 0);
  EXPECT_EQ(queue("tak").delivered, 2);
  EXPECT_FALSE(queue("tak").oldest_queued);
  EXPECT_THAT(timeline_types(sample_id(1)),
              ElementsAre("detection_received", "detection_validated", "geolocation_calculated", "cot_generated",
                          "detection_queued", "detection_verified", "tak_push_attempted", "tak_push_success",
                          "detection_synced"));
  const auto events = store().timeline(sample_id(1));
  EXPECT_EQ(events->at(5).actor, "ann");
  for (const char* part : {R"("verified":true)", R"("notes":"a note")", R"("state_before":"held")",
                           R"("request_id":"request-7")", R"({"sink":"tak","then":"queued"})"})
    EXPECT_THAT(events->at(5).detail_json, HasSubstr(part));
  restart();
  EXPECT_THAT(drain(), IsEmpty());
  EXPECT_EQ(state(1), DeliveryState::kDelivered);
  EXPECT_EQ(queue("tak").delivered, 2);
  const auto found = store().find(sample_id(1));
  ASSERT_TRUE(found && *found && (*found)->decision);
  EXPECT_TRUE((*found)->decision->verified);
  EXPECT_EQ((*found)->decision->at, done->stored.decision->at);
  expect_valid_audit();
}

TEST_P(StoreContract, ARejectedOneStays) {
  ASSERT_TRUE(store().open_sink("tak"));
  put(1, Disposition::kHold);
  const auto done = decide(1, false);
  ASSERT_TRUE(done);
  EXPECT_TRUE(done->changed);
  EXPECT_EQ(done->delivery.state, DeliveryState::kRejected);
  EXPECT_THAT(done->delivery.sinks, ElementsAre(Pair("tak", DeliveryState::kRejected)));
  EXPECT_THAT(drain(), IsEmpty());
  EXPECT_EQ(queue("tak").queued, 0);
  restart();
  EXPECT_EQ(state(1), DeliveryState::kRejected);
  EXPECT_THAT(drain(), IsEmpty());
  release(1);  // allowed
  EXPECT_EQ(state(1), DeliveryState::kQueued);
  EXPECT_THAT(drain(), ElementsAre(Pair(1, kEvent)));
  EXPECT_EQ(state(1), DeliveryState::kDelivered);
}

TEST_P(StoreContract, TheSameAgainChangesNothing) {
  ASSERT_TRUE(store().open_sink("tak"));
  put_held(1, 2);
  release(1);
  reject(2);
  const auto records = store().verify_audit()->records;
  for (const auto& [i, verified] : {std::pair{1U, true}, {2U, false}}) {
    const auto again = store().verify({sample_id(i), {verified, "other words", "ben", {}}, "r"});
    ASSERT_TRUE(again);
    EXPECT_FALSE(again->changed);
    EXPECT_EQ(again->stored.decision->notes, "a note");
    EXPECT_EQ(again->stored.decision->actor, "ann");
    EXPECT_EQ(again->delivery.state, verified ? DeliveryState::kQueued : DeliveryState::kRejected);
  }
  EXPECT_EQ(store().verify_audit()->records, records);
  EXPECT_THAT(drain(), ElementsAre(Pair(1, kEvent)));
}

TEST_P(StoreContract, OnlyHeldOnesAreDecidedOn) {
  ASSERT_TRUE(store().open_sink("tak"));
  put(1, 1);
  put(2, Disposition::kDiscard);
  for (const std::uint64_t i : {1U, 2U}) {
    const auto done = decide(i, true);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::kConflict);
    EXPECT_THAT(done.error().detail, HasSubstr("never held"));
  }
  const auto unknown = decide(9, true);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(store().status().writable) << store().status().reason;
  EXPECT_EQ(store().verify_audit()->records, 2);
}

TEST_P(StoreContract, WhatTakCannotHaveIsWithdrawn) {
  ASSERT_TRUE(store().open_sink("tak"));
  put_held(1, 2);
  release(1);
  release(2);
  reject(1);
  EXPECT_EQ(state(1), DeliveryState::kRejected);
  EXPECT_EQ(queue("tak").queued, 1);
  restart();
  reject(2);  // nobody has claimed it, a restart between or not
  EXPECT_THAT(drain(), IsEmpty());
  EXPECT_EQ(state_at(2, "tak"), DeliveryState::kRejected);
  EXPECT_THAT(store().timeline(sample_id(2))->back().detail_json, HasSubstr(R"("then":"withdrawn")"));
  EXPECT_EQ(queue("tak").delivered, 0);
}

TEST_P(StoreContract, WhatTakHasIsTakenBackAndMayComeAgain) {
  ASSERT_TRUE(store().open_sink("tak"));
  put(1, Disposition::kHold);
  release(1);
  ASSERT_THAT(drain(), ElementsAre(Pair(1, kEvent)));
  const auto rejected = decide(1, false);
  ASSERT_TRUE(rejected);
  EXPECT_EQ(rejected->delivery.state, DeliveryState::kRejected) << "the whole is, whatever its sinks still do";
  EXPECT_THAT(rejected->delivery.sinks, ElementsAre(Pair("tak", DeliveryState::kQueued)));
  EXPECT_EQ(queue("tak").queued, 1);
  restart();
  const auto taken = claim("tak", 10);
  EXPECT_THAT(sent_of(taken), ElementsAre(Pair(1, kDelete)));
  store().give_back(taken);
  EXPECT_EQ(state_at(1, "tak"), DeliveryState::kQueued);
  EXPECT_THAT(drain(), ElementsAre(Pair(1, kDelete)));
  EXPECT_EQ(state_at(1, "tak"), DeliveryState::kRejected);
  EXPECT_EQ(state(1), DeliveryState::kRejected);
  EXPECT_EQ(queue("tak").queued, 0);
  EXPECT_THAT(store().timeline(sample_id(1))->back().detail_json, HasSubstr(R"("taken_back":true)"));
  EXPECT_EQ(store().timeline(sample_id(1))->back().type, "tak_push_success");

  release(1);
  EXPECT_THAT(drain(), ElementsAre(Pair(1, kEvent)));
  EXPECT_EQ(state(1), DeliveryState::kDelivered);
  reject(1);
  release(1);  // before the delete went out
  EXPECT_EQ(state(1), DeliveryState::kQueued);
  EXPECT_THAT(drain(), ElementsAre(Pair(1, kEvent)));
  reject(1);
  EXPECT_THAT(drain(), ElementsAre(Pair(1, kDelete)));
  restart();
  EXPECT_THAT(drain(), IsEmpty());
  expect_valid_audit();
}

TEST_P(StoreContract, ARejectionDuringALiveClaimEndsTakenBack) {
  ASSERT_TRUE(store().open_sink("tak"));
  put_held(1, 4);
  const auto reject_during_claim = [&](std::uint64_t i) {
    release(i);
    auto live = claim("tak", 10);
    EXPECT_THAT(sent_of(live), ElementsAre(Pair(static_cast<std::int64_t>(i), kEvent)));
    reject(i);
    EXPECT_EQ(state_at(i, "tak"), DeliveryState::kQueued);
    EXPECT_THAT(claim("tak", 10).items, IsEmpty()) << "not while its delivery is on its way";
    return live;
  };
  confirm(reject_during_claim(1));
  EXPECT_THAT(drain(), ElementsAre(Pair(1, kDelete)));
  store().give_back(reject_during_claim(2));
  EXPECT_THAT(drain(), ElementsAre(Pair(2, kDelete)));
  (void)reject_during_claim(3);
  restart();  // it did not live to end its claim
  EXPECT_THAT(drain(), ElementsAre(Pair(3, kDelete)));
  const auto live = reject_during_claim(4);
  ASSERT_TRUE(store().mark_dead(live, 4, "refused"));
  confirm(live);
  EXPECT_THAT(drain(), ElementsAre(Pair(4, kDelete)));
  for (std::uint64_t i = 1; i <= 4; ++i) EXPECT_EQ(state_at(i, "tak"), DeliveryState::kRejected) << i;
  EXPECT_EQ(queue("tak").dead_letters, 0);
  expect_valid_audit();
}

TEST_P(StoreContract, WhatWasClaimedMayBeThereAfterAGiveBackOrARestart) {
  ASSERT_TRUE(store().open_sink("tak"));
  put_held(1, 2);
  release(1);
  store().give_back(claim("tak", 10));  // the connection broke: who knows
  reject(1);
  EXPECT_THAT(drain(), ElementsAre(Pair(1, kDelete)));
  release(2);
  ASSERT_EQ(claim("tak", 10).items.size(), 1U);
  restart();
  reject(2);
  EXPECT_THAT(drain(), ElementsAre(Pair(2, kDelete)));
}

TEST_P(StoreContract, DecisionsDuringATakeBackEndAsTheLastOneSays) {
  ASSERT_TRUE(store().open_sink("tak"));
  put(1, Disposition::kHold);
  release(1);
  drain();
  reject(1);
  const auto live = claim("tak", 10);
  ASSERT_THAT(sent_of(live), ElementsAre(Pair(1, kDelete)));
  release(1);
  EXPECT_THAT(claim("tak", 10).items, IsEmpty());
  confirm(live);
  EXPECT_EQ(state(1), DeliveryState::kQueued);
  reject(1);  // the delete is confirmed, so TAK has nothing
  EXPECT_THAT(drain(), IsEmpty());
  release(1);
  const auto again = claim("tak", 10);
  reject(1);
  release(1);
  confirm(again);
  EXPECT_EQ(state(1), DeliveryState::kDelivered) << "what was sent is what counts at the end";
  EXPECT_THAT(drain(), IsEmpty());
}

TEST_P(StoreContract, EachSinkForItself) {
  ASSERT_TRUE(store().open_sink("a"));
  put_held(1, 2);
  ASSERT_TRUE(store().open_sink("b"));  // before the release, so it gets it
  release(1);
  release(2);
  ASSERT_TRUE(store().open_sink("late"));
  EXPECT_THAT(store().delivery_status(sample_id(1))->sinks,
              ElementsAre(Pair("a", DeliveryState::kQueued), Pair("b", DeliveryState::kQueued)));
  EXPECT_THAT(drain("a"), ElementsAre(Pair(1, kEvent), Pair(2, kEvent)));
  EXPECT_THAT(drain("late"), IsEmpty());
  EXPECT_EQ(state(1), DeliveryState::kQueued) << "b has not got it";
  reject(1);
  EXPECT_EQ(state_at(1, "a"), DeliveryState::kQueued);
  EXPECT_EQ(state_at(1, "b"), DeliveryState::kRejected);
  EXPECT_THAT(drain("a"), ElementsAre(Pair(1, kDelete)));

  // A sink that is not opened any more goes on where it was.
  restart("a");
  EXPECT_EQ(state(2), DeliveryState::kDelivered) << "only a counts now";
  put(3, Disposition::kHold);
  release(3);
  EXPECT_THAT(drain("a"), ElementsAre(Pair(3, kEvent)));
  ASSERT_TRUE(store().open_sink("b"));
  EXPECT_EQ(queue("b").queued, 2);
  EXPECT_THAT(drain("b"), ElementsAre(Pair(2, kEvent), Pair(3, kEvent)));
  EXPECT_EQ(queue("b").delivered, 2);
  expect_valid_audit();
}

TEST_P(StoreContract, TheFirstSinkGetsWhatWasReleasedBeforeIt) {
  put_held(1, 3);
  release(1);
  release(2);
  reject(2);
  EXPECT_EQ(state(1), DeliveryState::kQueued);
  EXPECT_THAT(listed(DeliveryState::kQueued), ElementsAre(1));
  ASSERT_TRUE(store().open_sink("tak"));
  ASSERT_TRUE(store().open_sink("second"));
  EXPECT_THAT(drain("second"), IsEmpty());
  EXPECT_THAT(drain("tak"), ElementsAre(Pair(1, kEvent)));
  EXPECT_EQ(state(1), DeliveryState::kDelivered);
  reject(1);
  EXPECT_THAT(drain("second"), IsEmpty());
  EXPECT_THAT(drain("tak"), ElementsAre(Pair(1, kDelete)));
}

TEST_P(StoreContract, ALongQueueIsPassedByDecisionsButNotStarved) {
  ASSERT_TRUE(store().open_sink("tak"));
  put_held(1, 40);
  put(41, 100);
  for (std::uint64_t i = 1; i <= 40; ++i) release(i);
  const auto first = claim("tak", 10);
  ASSERT_EQ(first.items.size(), 10U);
  EXPECT_THAT(sequences(first), ElementsAre(1, 2, 3, 4, 5, 41, 42, 43, 44, 45));
  const auto second = claim("tak", 10);
  EXPECT_THAT(sequences(second), ElementsAre(6, 7, 8, 9, 10, 46, 47, 48, 49, 50));
  std::set<std::int64_t> ones;
  for (int k = 0; k < 4; ++k) ones.insert(sequences(claim("tak", 1)).at(0));
  EXPECT_EQ(ones, (std::set<std::int64_t>{11, 12, 51, 52})) << "one at a time both have their turn";
  store().give_back(second);
  confirm(first);
  EXPECT_EQ(queue("tak").delivered, 10);
  EXPECT_EQ(queue("tak").queued, 90);
  restart();
  EXPECT_EQ(drain().size(), 90U);
  EXPECT_EQ(queue("tak").delivered, 100);
}

TEST_P(StoreContract, ADeleteNeverTakesALaterOneOfItsTrackAway) {
  ASSERT_TRUE(store().open_sink("tak"));
  // 1 is released and sent; 2 of the same track comes later: the marker is its.
  put_track(1, Disposition::kHold);
  release(1);
  drain();
  put_track(2, Disposition::kQueue);
  reject(1);
  EXPECT_EQ(state_at(1, "tak"), DeliveryState::kRejected);
  EXPECT_THAT(drain(), ElementsAre(Pair(2, kEvent)));
  EXPECT_THAT(store().timeline(sample_id(1))->back().detail_json, HasSubstr("a later detection of its track"));

  // It comes while the delete waits.
  put_track(3, Disposition::kHold, "t2");
  release(3);
  drain();
  reject(3);
  put_track(4, Disposition::kQueue, "t2");
  EXPECT_THAT(drain(), ElementsAre(Pair(4, kEvent)));
  EXPECT_EQ(state_at(3, "tak"), DeliveryState::kRejected);
  EXPECT_EQ(queue("tak").queued, 0);
  EXPECT_THAT(store().timeline(sample_id(3))->back().detail_json, HasSubstr("a later detection of its track"));

  // Held ones count when they were released; rejected and discarded ones, earlier ones and other tracks do not.
  put_track(5, Disposition::kHold, "t3");
  put_track(6, Disposition::kHold, "t3");
  put_track(7, Disposition::kDiscard, "t3");
  put_track(8, Disposition::kQueue, "t4");
  release(5);
  release(6);
  drain();
  reject(6);
  EXPECT_THAT(drain(), ElementsAre(Pair(6, kDelete)));
  reject(5);
  EXPECT_THAT(drain(), ElementsAre(Pair(5, kDelete)));
  release(6);
  release(5);  // a release is allowed, later ones or not
  EXPECT_THAT(drain(), ElementsAre(Pair(5, kEvent), Pair(6, kEvent)));
  reject(5);
  EXPECT_THAT(drain(), IsEmpty());
  expect_valid_audit();
}

TEST_P(StoreContract, DeletesGoFirstSoThatAnEarlierOneOfTheTrackStays) {
  ASSERT_TRUE(store().open_sink("tak"));
  put_track(1, Disposition::kHold);
  put_track(2, Disposition::kHold);
  release(2);
  drain();
  reject(2);
  release(1);
  EXPECT_THAT(drain(), ElementsAre(Pair(2, kDelete), Pair(1, kEvent)));
}

TEST_P(StoreContract, ListsKnowTheDecidedOnes) {
  ASSERT_TRUE(store().open_sink("tak"));
  put_held(1, 6);
  put(7, 8);
  put(9, Disposition::kDiscard);
  release(1);
  drain();  // 1, 7 and 8 are delivered
  release(2);
  reject(3);
  release(4);
  drain();    // 2 and 4 too
  reject(4);  // its delete waits
  release(5);
  put(10, 10);
  const auto dead = claim("tak", 10);
  ASSERT_TRUE(store().mark_dead(dead, 5, "refused"));
  store().give_back(dead);
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(listed(DeliveryState::kHeld), ElementsAre(6));
    EXPECT_THAT(listed(DeliveryState::kRejected), ElementsAre(4, 3));
    EXPECT_THAT(listed(DeliveryState::kQueued), ElementsAre(10));
    EXPECT_THAT(listed(DeliveryState::kDelivered), ElementsAre(8, 7, 2, 1));
    EXPECT_THAT(listed(DeliveryState::kDeadLetter), ElementsAre(5));
    EXPECT_THAT(listed(DeliveryState::kDiscarded), ElementsAre(9));
    restart();
  }
  release(3);  // far below what the sink is done with
  EXPECT_THAT(listed(DeliveryState::kQueued), ElementsAre(10, 3));
  const auto page = store().list({.state = DeliveryState::kQueued}, std::nullopt, 1);
  EXPECT_THAT(sequences(*page), ElementsAre(10));
  ASSERT_TRUE(page->next_before);
  EXPECT_THAT(sequences(*store().list({.state = DeliveryState::kQueued}, page->next_before, 1)), ElementsAre(3));
  const auto all = store().list({}, std::nullopt, 20);
  ASSERT_EQ(all->items.size(), 10U);
  EXPECT_FALSE(all->items[4].first.decision);            // 6
  EXPECT_TRUE(all->items[5].first.decision->verified);   // 5
  EXPECT_FALSE(all->items[6].first.decision->verified);  // 4
  EXPECT_EQ(all->items[6].first.decision->actor, "ann");
}

TEST_P(StoreContract, TellsWhenADecisionMakesSomethingDue) {
  ASSERT_TRUE(store().open_sink("tak"));
  std::atomic<int> due = 0, commits = 0;
  store().on_due([&] { ++due; });
  store().on_commit([&] { ++commits; });
  const auto settled = [&] {
    EXPECT_TRUE(store().record({.type = "config_loaded"}));
    EXPECT_TRUE(store().record({.type = "config_loaded"}));
    return due.load();
  };
  put(1, Disposition::kHold);
  expect_told(settled(), 0);
  EXPECT_GE(commits, 2);
  release(1);
  expect_told(settled(), 1);
  reject(1);
  expect_told(settled(), 1);  // withdrawn: nothing is due
  const int before = commits;
  put(2, Disposition::kDiscard);
  (void)settled();
  EXPECT_GT(commits, before);
  store().on_due(nullptr);
  store().on_commit(nullptr);
  const int last = commits;
  put(3, 3);
  expect_told(settled(), 1);
  EXPECT_EQ(commits, last);
}

TEST_P(StoreContract, ManyDecidersAndCouriersEndAsTheLastDecisionSays) {
  constexpr std::uint64_t kHeld = 24;
  ASSERT_TRUE(store().open_sink("tak"));
  put_held(1, kHeld);
  std::atomic<bool> decided = false;
  std::mutex mutex;
  std::map<std::int64_t, bool> at_tak;  // what a map would show: the last thing that was confirmed
  std::set<std::int64_t> in_flight;
  const auto courier = [&](unsigned seed) {
    std::mt19937 random(seed);
    while (true) {
      const bool last = decided;
      auto taken = store().claim("tak", 1 + random() % 8);
      ASSERT_TRUE(taken) << taken.error().detail;
      if (taken->items.empty()) {
        if (last && queue("tak").queued == 0) return;
        std::this_thread::yield();
        continue;
      }
      const bool arrives = random() % 4 != 0, confirmed = arrives && random() % 3 != 0;
      {
        const std::lock_guard lock(mutex);
        for (const auto& item : taken->items) {
          EXPECT_TRUE(in_flight.insert(item.sequence).second) << "twice at once: " << item.sequence;
          if (arrives) at_tak[item.sequence] = !item.take_back;
        }
      }
      std::this_thread::yield();
      {
        const std::lock_guard lock(mutex);
        for (const auto& item : taken->items) in_flight.erase(item.sequence);
      }
      if (confirmed) {
        EXPECT_TRUE(store().confirm(*taken, Confirmation::kConfirmed, system_now()));
      } else {
        store().give_back(*taken);
      }
    }
  };
  std::vector<std::thread> couriers;
  for (unsigned k = 0; k < 3; ++k) couriers.emplace_back(courier, k);
  std::vector<std::thread> deciders;
  for (unsigned k = 0; k < 2; ++k) {
    deciders.emplace_back([&, k] {
      std::mt19937 random(100 + k);
      for (int round = 0; round < 150; ++round) {
        const auto done = decide(1 + random() % kHeld, random() % 2 == 0);
        EXPECT_TRUE(done) << done.error().detail;
      }
    });
  }
  for (auto& thread : deciders) thread.join();
  decided = true;
  for (auto& thread : couriers) thread.join();
  for (std::uint64_t i = 1; i <= kHeld; ++i) {
    const auto found = store().find(sample_id(i));
    ASSERT_TRUE(found && *found);
    const bool released = (*found)->decision && (*found)->decision->verified;
    EXPECT_EQ(at_tak[static_cast<std::int64_t>(i)], released) << i;
    EXPECT_EQ(state(i), released             ? DeliveryState::kDelivered
                        : (*found)->decision ? DeliveryState::kRejected
                                             : DeliveryState::kHeld)
        << i;
  }
  EXPECT_EQ(queue("tak").queued, 0);
  restart();
  EXPECT_THAT(drain(), IsEmpty());
  expect_valid_audit();
}

}  // namespace detection::store::testing
