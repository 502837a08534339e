// The live feed: what happened, in order, to be resumed anywhere.

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "contract/store_contract.hpp"

namespace detection::store::testing {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

namespace {

using Kind = FeedEvent::Kind;

/// Everything behind a cursor, page by page; the cursor ends behind it.
std::vector<FeedEvent> follow(Store& store, std::string& cursor, std::size_t limit = 100) {
  std::vector<FeedEvent> all;
  for (int pages = 0; pages < 100'000; ++pages) {
    auto page = store.feed(cursor, limit);
    EXPECT_TRUE(page) << page.error().detail;
    if (!page) return all;
    EXPECT_LE(page->events.size(), limit);
    cursor = page->cursor;
    for (auto& event : page->events) all.push_back(std::move(event));
    if (!page->more) return all;
  }
  ADD_FAILURE() << "a feed without end";
  return all;
}

std::string head_of(Store& store) {
  const auto head = store.feed_head();
  EXPECT_TRUE(head) << head.error().detail;
  return head.value_or("");
}

/// In short: "d1" a detection, "v1+" a decision, "tak delivered 1 2", "tak queued 3", "tak delivered back 1".
std::string told(const FeedEvent& event) {
  const auto number = [](const Uuid& id) { return std::to_string(id.bytes[15] + 256 * id.bytes[14]); };
  if (event.kind == Kind::kDetection) return "d" + number(event.detection->located.id);
  if (event.kind == Kind::kVerification)
    return "v" + number(event.detection->located.id) + (event.detection->decision->verified ? "+" : "-");
  std::string out =
      event.sink + " " + std::string(delivery_state_name(event.state)) + (event.taken_back ? " back" : "");
  for (const auto& id : event.ids) out += " " + number(id);
  return out;
}

std::vector<std::string> told(const std::vector<FeedEvent>& events) {
  std::vector<std::string> out;
  for (const auto& event : events) out.push_back(told(event));
  return out;
}

}  // namespace

TEST_P(StoreContract, TheFeedTellsWhatHappenedInOrder) {
  const auto start = head_of(store());
  auto cursor = start;
  EXPECT_THAT(follow(store(), cursor), IsEmpty());
  ASSERT_TRUE(store().open_sink("tak"));
  put(1, Disposition::kHold);
  put(2, 4);
  put(5, Disposition::kDiscard);
  ASSERT_TRUE(store().record({.type = "auth_failure", .severity = "WARNING"}));
  const auto first = claim("tak", 10);
  ASSERT_TRUE(store().mark_dead(first, 3, "refused"));
  confirm(first);
  release(1);
  ASSERT_EQ(store().retry_dead_letters("tak", "ann"), 1);
  confirm(claim("tak", 10));
  reject(1);
  const auto last = claim("tak", 10);
  ASSERT_TRUE(store().record({.type = "tak_push_failed",
                              .severity = "WARNING",
                              .actor = "courier",
                              .detail_json = R"({"sink":"tak","reason":"lost","events":1})"}));
  confirm(last);
  ASSERT_TRUE(store().record({.type = "detection_verified", .subject = sample_id(1)}));  // not by a decision
  ASSERT_TRUE(store().record({.type = "config_loaded"}));
  const std::vector<std::string> expected = {"d1",
                                             "d2",
                                             "d3",
                                             "d4",
                                             "d5",
                                             "tak dead_letter 3",
                                             "tak delivered 2 4",
                                             "v1+",
                                             "tak queued 3",
                                             "tak delivered 3",
                                             "tak delivered 1",
                                             "v1-",
                                             "tak delivered back 1"};
  for (int round = 0; round < 2; ++round) {
    for (const std::size_t limit : {1U, 2U, 100U}) {
      cursor = start;
      EXPECT_EQ(told(follow(store(), cursor, limit)), expected);
      EXPECT_EQ(cursor, head_of(store()));
    }
    restart();
  }
  cursor = start;
  const auto events = follow(store(), cursor);
  ASSERT_THAT(events, SizeIs(expected.size()));
  // It can be resumed behind each.
  for (std::size_t i = 0; i < events.size(); ++i) {
    auto from = events[i].cursor;
    EXPECT_THAT(from, ::testing::Not(::testing::ContainsRegex("[^!-~]"))) << "goes into a header";
    EXPECT_EQ(told(follow(store(), from)),
              std::vector(expected.begin() + static_cast<std::ptrdiff_t>(i) + 1, expected.end()));
  }
  const auto& held = *events[0].detection;
  expect_same(held.located, sample(1).located);
  EXPECT_EQ(held.disposition, Disposition::kHold);
  EXPECT_EQ(held.sequence, 1);
  EXPECT_EQ(held.request_json, sample(1).request_json);
  EXPECT_FALSE(held.decision) << "as it was then";
  EXPECT_EQ(events[4].detection->disposition, Disposition::kDiscard);
  EXPECT_EQ(events[7].detection->decision->actor, "ann");
  EXPECT_EQ(events[7].detection->decision->notes, "a note");
  EXPECT_TRUE(events[7].detection->decision->verified) << "that decision, not the newest";
  for (std::size_t i = 1; i < events.size(); ++i) EXPECT_GE(events[i].at, events[i - 1].at);
  EXPECT_GT(events[0].at.count, 0);
}

TEST_P(StoreContract, ABatchIsOneEventOfTheFeed) {
  ASSERT_TRUE(store().open_sink("tak"));
  put(1, 511);
  put(512, Disposition::kHold);
  put(513, 513);
  auto cursor = head_of(store());
  confirm(claim("tak", 512));
  const auto events = follow(store(), cursor);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].kind, Kind::kDelivery);
  ASSERT_THAT(events[0].ids, SizeIs(512));
  EXPECT_EQ(events[0].ids.front(), sample_id(1));
  EXPECT_EQ(events[0].ids.back(), sample_id(513)) << "held ones within its range are not its";
}

TEST_P(StoreContract, ADeleteThatIsNotSentAnyMoreIsInTheFeed) {
  ASSERT_TRUE(store().open_sink("tak"));
  put_track(1, Disposition::kHold);
  release(1);
  drain();
  reject(1);
  auto cursor = head_of(store());
  put_track(2, Disposition::kQueue);
  drain();
  EXPECT_THAT(told(follow(store(), cursor)), ElementsAre("d2", "tak rejected 1", "tak delivered 2"));
}

TEST_P(StoreContract, WhatMakesNoEventMovesTheCursorOn) {
  const auto start = head_of(store());
  for (int k = 0; k < 30; ++k) ASSERT_TRUE(store().record({.type = "auth_failure", .severity = "WARNING"}));
  const auto page = store().feed(start, 10);
  ASSERT_TRUE(page);
  EXPECT_THAT(page->events, IsEmpty());
  EXPECT_NE(page->cursor, start);
  EXPECT_EQ(page->cursor, head_of(store()));
  EXPECT_FALSE(page->more);
}

TEST_P(StoreContract, ACursorOfTheFutureIsNotTakenForAPrunedOne) {
  put(1, 1);
  auto cursor = head_of(store());
  const auto digit = cursor.find_last_of("012345678");
  ASSERT_NE(digit, std::string::npos);
  cursor[digit] = '9';
  const auto page = store().feed(cursor, 10);
  ASSERT_FALSE(page) << cursor;
  EXPECT_EQ(page.error().code, ErrorCode::kConflict) << page.error().detail;
}

TEST_P(StoreContract, WhatIsNoCursorIsRefused) {
  put(1, 1);
  for (const std::string text : {"", " ", "nonsense", "12", "-1", "\n"}) {
    const auto page = store().feed(text, 10);
    ASSERT_FALSE(page) << text;
    EXPECT_EQ(page.error().code, ErrorCode::kValidationFailed) << text;
  }
}

TEST_P(StoreContract, AReaderOfTheFeedMissesNothingWhileOthersWrite) {
  constexpr std::uint64_t kWriters = 3, kEach = 120;
  ASSERT_TRUE(store().open_sink("tak"));
  auto cursor = head_of(store());
  std::atomic<bool> done = false;
  std::vector<FeedEvent> events;
  std::thread reader([&] {
    while (true) {
      const bool last = done;
      for (auto& event : follow(store(), cursor, 7)) events.push_back(std::move(event));
      if (last) return;
      std::this_thread::yield();
    }
  });
  std::thread courier([&] {
    while (!done) {
      const auto taken = claim("tak", 20);
      confirm(taken);
    }
  });
  std::vector<std::thread> writers;
  for (std::uint64_t w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      for (std::uint64_t i = 0; i < kEach; ++i) {
        auto item = sample(i, w + 1);
        if (i % 10 == 0) item.disposition = Disposition::kHold;
        ASSERT_FALSE(commit(store(), {item})->error);
        if (i % 10 == 0) {
          ASSERT_TRUE(store().verify({item.located.id, {true, "", "ann", {}}, ""}));
        }
      }
    });
  }
  for (auto& thread : writers) thread.join();
  while (queue("tak").queued != 0) std::this_thread::yield();
  done = true;
  courier.join();
  reader.join();
  std::vector<std::int64_t> sequences, expected;
  std::size_t decisions = 0, delivered = 0;
  for (const auto& event : events) {
    if (event.kind == Kind::kDetection) sequences.push_back(event.detection->sequence);
    decisions += event.kind == Kind::kVerification;
    delivered += event.ids.size();
  }
  for (std::int64_t i = 1; i <= static_cast<std::int64_t>(kWriters * kEach); ++i) expected.push_back(i);
  EXPECT_EQ(sequences, expected) << "each once, in the order of the log";
  EXPECT_EQ(decisions, kWriters * kEach / 10);
  EXPECT_EQ(delivered, kWriters * kEach);
}

}  // namespace detection::store::testing
