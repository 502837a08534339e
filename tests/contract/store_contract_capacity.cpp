// Limits of queues, and the list of dead letters.

#include <gmock/gmock.h>

#include "contract/store_contract.hpp"

namespace detection::store::testing {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace {

std::vector<Acceptance> samples(std::uint64_t first, std::uint64_t last) {
  std::vector<Acceptance> items;
  for (auto i = first; i <= last; ++i) items.push_back(sample(i));
  return items;
}

}  // namespace

TEST_P(StoreContract, AFullQueueRefusesWhatIsNewAndLosesNothing) {
  ASSERT_TRUE(store().open_sink("small", {.items = 5}));
  ASSERT_TRUE(store().open_sink("large", {.items = 100}));
  put(1, 4);
  EXPECT_EQ(queue("small").limits.items, 5);
  const auto whole = commit(store(), samples(5, 6));
  ASSERT_TRUE(whole->error) << "two, and room for one";
  EXPECT_EQ(whole->error->code, ErrorCode::kCapacityExceeded);
  EXPECT_THAT(whole->error->detail, HasSubstr("sink small is full: 4 of at most 5 events"));
  EXPECT_TRUE(whole->results.empty());
  EXPECT_FALSE(store().find(sample_id(5))->has_value()) << "half of it was stored";
  put(5, 5);
  const auto over = commit(store(), samples(6, 6));
  ASSERT_TRUE(over->error);
  EXPECT_THAT(over->error->detail, HasSubstr("5 of at most 5"));
  EXPECT_TRUE(store().status().writable) << "a full queue is no failure of the store";

  // What needs no room has it: a repeat, what waits for a person, exercises.
  const auto repeat = commit(store(), samples(4, 5));
  ASSERT_FALSE(repeat->error) << repeat->error->detail;
  EXPECT_EQ(repeat->results[1].outcome, CommitOutcome::kRepeated);
  put_held(7, 7);
  put(8, Disposition::kDiscard);
  release(7);
  EXPECT_EQ(queue("small").queued, 6) << "what a person released is queued all the same";
  EXPECT_EQ(queue("large").queued, 6);

  // It takes again when it falls below.
  const auto some = claim("small", 3);
  store().give_back(some);
  ASSERT_TRUE(commit(store(), samples(6, 6))->error);
  const auto again = claim("small", 3);
  ASSERT_TRUE(store().confirm(again, Confirmation::kConfirmed, system_now(),
                              {{again.items[1].sequence, OmitReason::kFiltered}}));
  EXPECT_EQ(queue("small").queued, 3);
  put(6, 6);
  put(9, 9);
  ASSERT_TRUE(commit(store(), samples(10, 10))->error);
  EXPECT_EQ(store().status().detections, 9) << "numbers of what was refused are not used up";
  restart("small");  // and the other is no longer configured; the limits are of this process
  put(10, 20);
  expect_valid_audit();
}

TEST_P(StoreContract, ManyCommittersNeverBringAQueueOverItsLimit) {
  constexpr std::int64_t kLimit = 40;
  ASSERT_TRUE(store().open_sink("tak", {.items = kLimit}));
  Inbox inbox;
  for (std::uint64_t i = 1; i <= 100; ++i) {
    auto job = job_of({sample(i)}, inbox);
    ASSERT_TRUE(store().submit(job));
  }
  std::size_t accepted = 0, back = 0;
  while (back < 100) {
    for (const auto& job : inbox.wait_for(1)) {
      ++back;
      accepted += job->error ? 0 : 1;
    }
  }
  EXPECT_EQ(accepted, static_cast<std::size_t>(kLimit));
  EXPECT_EQ(queue("tak").queued, kLimit);
  EXPECT_EQ(store().status().detections, kLimit);
}

TEST_P(StoreContract, ALimitOfBytesCountsWhatWaits) {
  const auto with_text = [](std::uint64_t i, std::size_t bytes) {
    auto item = sample(i);
    item.request_json = "\"" + std::string(bytes, 'x') + "\"";
    return item;
  };
  ASSERT_TRUE(store().open_sink("tak", {.bytes = 100'000}));
  for (std::uint64_t i = 1; i <= 4; ++i) ASSERT_FALSE(commit(store(), {with_text(i, 20'000)})->error);
  EXPECT_GT(queue("tak").bytes, 80'000);
  EXPECT_LT(queue("tak").bytes, 90'000);
  const auto over = commit(store(), {with_text(5, 20'000)});
  ASSERT_TRUE(over->error);
  EXPECT_THAT(over->error->detail, HasSubstr("of at most 100000 bytes"));
  put(6, 6);
  confirm(claim("tak", 10));
  EXPECT_EQ(queue("tak").bytes, 0);
  ASSERT_FALSE(commit(store(), {with_text(5, 20'000)})->error);
  const auto before = queue("tak").bytes;
  restart();
  EXPECT_NEAR(static_cast<double>(queue("tak").bytes), static_cast<double>(before), 0.05 * static_cast<double>(before));
}

TEST_P(StoreContract, DeadLettersAreListedPageByPage) {
  ASSERT_TRUE(store().open_sink("tak"));
  ASSERT_TRUE(store().open_sink("other"));
  put_held(1, 1);
  release(1);
  put(2, 6);
  const auto first = claim("tak", 10);
  const auto before = system_now();
  for (const std::int64_t sequence : {1, 3, 5, 6}) {
    ASSERT_TRUE(store().mark_dead(first, sequence, "too large by " + std::to_string(sequence)));
  }
  auto page = store().dead_letters("tak", std::nullopt, 3);
  ASSERT_TRUE(page) << page.error().detail;
  ASSERT_EQ(page->items.size(), 3U);
  EXPECT_EQ(page->items[0].sequence, 6);
  EXPECT_EQ(page->items[0].id, sample_id(6));
  EXPECT_EQ(page->items[0].cot_uid, sample(6).located.cot_uid);
  EXPECT_EQ(page->items[0].reason, "too large by 6");
  EXPECT_GE(page->items[0].at, before);
  EXPECT_FALSE(page->items[0].take_back);
  ASSERT_TRUE(page->next_before);
  page = store().dead_letters("tak", page->next_before, 3);
  ASSERT_EQ(page->items.size(), 1U);
  EXPECT_EQ(page->items[0].sequence, 1);
  EXPECT_FALSE(page->next_before);
  EXPECT_THAT(store().dead_letters("other", std::nullopt, 3)->items, IsEmpty());
  EXPECT_EQ(store().dead_letters("none", std::nullopt, 3).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(queue("tak").dead_letters, 4);
  EXPECT_EQ(queue("tak").queued, 2);
  ASSERT_EQ(store().retry_dead_letters("tak", "ann"), 4);
  EXPECT_THAT(store().dead_letters("tak", std::nullopt, 3)->items, IsEmpty());
  EXPECT_EQ(queue("tak").queued, 6);
}

}  // namespace detection::store::testing
