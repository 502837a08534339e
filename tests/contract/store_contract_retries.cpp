// Dead letters that are tried again: of the log, of decided ones, while their claim lives, many at once.

#include <gmock/gmock.h>

#include <thread>

#include "contract/store_contract.hpp"

namespace detection::store::testing {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

namespace {

constexpr bool kEvent = false, kDelete = true;

}  // namespace

TEST_P(StoreContract, DeadLettersAreTriedAgain) {
  ASSERT_TRUE(store().open_sink("tak"));
  ASSERT_TRUE(store().open_sink("two"));
  put(1, Disposition::kHold);
  put(2, 6);
  release(1);
  const auto first = claim("tak", 10);
  for (const std::int64_t sequence : {1, 3, 4, 6}) ASSERT_TRUE(store().mark_dead(first, sequence, "refused"));
  EXPECT_EQ(queue("tak").dead_letters, 4);
  EXPECT_EQ(queue("tak").queued, 2);
  confirm(first);
  EXPECT_EQ(queue("tak").delivered, 2);
  EXPECT_THAT(drain(), IsEmpty());
  EXPECT_EQ(store().retry_dead_letters("none", "ann").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store().retry_dead_letters("two", "ann"), 0);
  EXPECT_EQ(store().retry_dead_letters("tak", "ann"), 4);
  EXPECT_EQ(store().retry_dead_letters("tak", "ann"), 0);
  EXPECT_EQ(queue("tak").dead_letters, 0);
  EXPECT_EQ(queue("tak").queued, 4);
  EXPECT_EQ(state_at(3, "tak"), DeliveryState::kQueued);
  EXPECT_EQ(state_at(5, "tak"), DeliveryState::kDelivered);
  restart();
  auto again = claim("tak", 10);
  EXPECT_THAT(sequences(again), ElementsAre(1, 3, 4, 6));
  store().give_back(again);
  again = claim("tak", 10);
  ASSERT_TRUE(store().mark_dead(again, 4, "still refused"));
  ASSERT_TRUE(store().mark_dead(again, 4, "once is enough"));
  confirm(again);
  EXPECT_EQ(queue("tak").dead_letters, 1);
  EXPECT_EQ(queue("tak").delivered, 5);
  EXPECT_EQ(queue("tak").queued, 0);
  EXPECT_EQ(state_at(4, "tak"), DeliveryState::kDeadLetter);
  EXPECT_EQ(state_at(3, "tak"), DeliveryState::kDelivered);
  EXPECT_EQ(timeline_types(sample_id(3)).back(), "detection_synced");
  restart();
  EXPECT_THAT(drain(), IsEmpty());
  expect_valid_audit();
}

TEST_P(StoreContract, ADeadLetterInALiveClaimIsTriedAgainOnce) {
  ASSERT_TRUE(store().open_sink("tak"));
  put(1, 5);
  const auto live = claim("tak", 10);
  ASSERT_TRUE(store().mark_dead(live, 3, "refused"));
  ASSERT_EQ(store().retry_dead_letters("tak", "ann"), 1);
  const auto again = claim("tak", 10);
  EXPECT_THAT(sequences(again), ElementsAre(3));
  confirm(again);
  EXPECT_EQ(state(3), DeliveryState::kDelivered);
  EXPECT_EQ(state(2), DeliveryState::kQueued);
  confirm(live);
  EXPECT_EQ(queue("tak").delivered, 5);
  EXPECT_EQ(queue("tak").queued, 0);
  put(6, 8);
  const auto second = claim("tak", 10);
  ASSERT_TRUE(store().mark_dead(second, 7, "refused"));
  ASSERT_EQ(store().retry_dead_letters("tak", "ann"), 1);
  restart();  // 6 and 8 are due again by the log, 7 beside it
  EXPECT_EQ(queue("tak").queued, 3);
  EXPECT_THAT(drain(), ElementsAre(Pair(7, kEvent), Pair(6, kEvent), Pair(8, kEvent)));
  EXPECT_EQ(queue("tak").delivered, 8);
  EXPECT_THAT(drain(), IsEmpty());
  expect_valid_audit();
}

TEST_P(StoreContract, DeadLettersOfDecidedOnesFollowTheDecision) {
  ASSERT_TRUE(store().open_sink("tak"));
  put_held(1, 2);
  const auto kill = [&](std::int64_t sequence) {
    const auto taken = claim("tak", 10);
    ASSERT_TRUE(store().mark_dead(taken, sequence, "refused"));
    confirm(taken);
  };
  release(1);
  kill(1);
  EXPECT_EQ(state(1), DeliveryState::kDeadLetter);
  reject(1);
  EXPECT_EQ(queue("tak").dead_letters, 0) << "nothing is left to deliver";
  EXPECT_EQ(store().retry_dead_letters("tak", "ann"), 0);
  EXPECT_THAT(drain(), ElementsAre(Pair(1, kDelete))) << "an earlier try may have arrived";

  release(2);
  drain();
  reject(2);
  kill(2);  // the delete itself is refused
  EXPECT_EQ(state(2), DeliveryState::kRejected);
  EXPECT_EQ(state_at(2, "tak"), DeliveryState::kDeadLetter);
  restart();
  ASSERT_EQ(store().retry_dead_letters("tak", "ann"), 1);
  EXPECT_THAT(drain(), ElementsAre(Pair(2, kDelete)));
  EXPECT_EQ(state_at(2, "tak"), DeliveryState::kRejected);
}

TEST_P(StoreContract, ManyDeadLettersBecomeDueInPieces) {
  ASSERT_TRUE(store().open_sink("tak"));
  constexpr std::uint64_t kThreads = 16, kEach = 80;
  put(1, kThreads * kEach);
  std::vector<std::thread> couriers;  // many at once, since each dead letter is a commit of its own
  for (std::uint64_t k = 0; k < kThreads; ++k) {
    couriers.emplace_back([this, all = claim("tak", kEach)] {
      for (const auto sequence : sequences(all)) {
        EXPECT_TRUE(store().mark_dead(all, sequence, "refused"));
      }
      confirm(all);
    });
  }
  for (auto& thread : couriers) thread.join();
  constexpr auto kAll = static_cast<std::int64_t>(kThreads * kEach);
  EXPECT_EQ(queue("tak").dead_letters, kAll);
  EXPECT_EQ(store().retry_dead_letters("tak", "ann"), kAll);
  std::set<std::int64_t> again;
  for (auto next = claim("tak", 500); !next.items.empty(); next = claim("tak", 500)) {
    for (const auto sequence : sequences(next)) EXPECT_TRUE(again.insert(sequence).second);
    confirm(next);
  }
  EXPECT_EQ(again.size(), kThreads * kEach);
  EXPECT_EQ(queue("tak").delivered, kAll);
  expect_valid_audit();
}

}  // namespace detection::store::testing
