#include "tak/ping_ledger.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace detection::tak {
namespace {

using Verdict = PingLedger::Verdict;

Ping ping_at(std::int64_t ms) {
  return {.time = {ms * 1'000}, .end_offset = 0, .covers = 0, .sent_at = {}};
}

std::vector<BatchNumber> confirmed(PingLedger& ledger) {
  std::vector<BatchNumber> all;
  while (const auto batch = ledger.take_confirmed()) all.push_back(*batch);
  return all;
}

using Batches = std::vector<BatchNumber>;

TEST(PingLedger, ConfirmsWhatWasWrittenBeforeThePing) {
  PingLedger ledger;
  ledger.add_batch(7, 100);
  ledger.add_batch(8, 200);
  ledger.add_ping(ping_at(1));
  ledger.add_batch(9, 300);
  EXPECT_TRUE(ledger.awaiting());
  EXPECT_EQ(confirmed(ledger), Batches{});
  const auto answer = ledger.pong("<pong 1>");
  EXPECT_EQ(answer.verdict, Verdict::kCounted);
  EXPECT_TRUE(answer.exact);
  EXPECT_EQ(confirmed(ledger), (Batches{7, 8}));
  EXPECT_FALSE(ledger.awaiting());
  EXPECT_TRUE(ledger.in_flight());
}

TEST(PingLedger, IgnoresRepeatsAndAnswersNobodyAskedFor) {
  PingLedger ledger;
  EXPECT_EQ(ledger.pong("<stray>").verdict, Verdict::kIgnored);
  ledger.add_ping(ping_at(1));
  EXPECT_EQ(ledger.pong("<pong 1>").verdict, Verdict::kCounted);
  EXPECT_EQ(ledger.pong("<pong 1>").verdict, Verdict::kIgnored);
  ledger.add_batch(1, 10);
  ledger.add_ping(ping_at(2));
  EXPECT_EQ(ledger.pong("<pong 1>").verdict, Verdict::kRepeat);
  EXPECT_EQ(confirmed(ledger), Batches{});
  EXPECT_EQ(ledger.pong("<pong 2>").verdict, Verdict::kCounted);
  EXPECT_EQ(confirmed(ledger), Batches{1});
}

TEST(PingLedger, AServerWhoseAnswersAllReadAlikeIsTakenAtItsWord) {
  PingLedger ledger;
  for (std::int64_t i = 1; i <= 5; ++i) {
    ledger.add_batch(static_cast<BatchNumber>(i), static_cast<std::uint64_t>(10 * i));
    ledger.add_ping(ping_at(i));
    EXPECT_EQ(ledger.pong("<pong>").verdict, Verdict::kCounted);
    EXPECT_EQ(confirmed(ledger), Batches{static_cast<BatchNumber>(i)});
    EXPECT_EQ(ledger.spacing(), kPingSpacingCareful);
  }
}

TEST(PingLedger, ARepeatThatNobodyAwaitedEndsThatTrust) {
  PingLedger ledger;
  ledger.add_ping(ping_at(1));
  EXPECT_EQ(ledger.pong("<pong>").verdict, Verdict::kCounted);
  ledger.add_ping(ping_at(2));
  EXPECT_EQ(ledger.pong("<pong>").verdict, Verdict::kCounted);
  EXPECT_EQ(ledger.pong("<pong>").verdict, Verdict::kIgnored);
  ledger.add_batch(1, 10);
  ledger.add_ping(ping_at(3));
  EXPECT_EQ(ledger.pong("<pong>").verdict, Verdict::kRepeat);
  EXPECT_EQ(confirmed(ledger), Batches{});
}

TEST(PingLedger, ManyDifferentTextsInQuickSuccessionShowAFineClock) {
  PingLedger ledger;
  for (std::int64_t i = 1; i <= 20; ++i) {
    ledger.add_ping(ping_at(i));
    EXPECT_EQ(ledger.pong("<pong " + std::to_string(i) + ">").verdict, Verdict::kCounted);
  }
  EXPECT_EQ(ledger.spacing(), kPingSpacing);
  ledger.add_ping(ping_at(21));
  EXPECT_EQ(ledger.pong("<pong 20>").verdict, Verdict::kRepeat);
}

TEST(PingLedger, ALateAnswerCountsForTheOldestPing) {
  PingLedger ledger;
  ledger.add_batch(1, 10);
  ledger.add_ping(ping_at(1));  // believed lost
  ledger.add_batch(2, 20);
  ledger.add_ping(ping_at(2));
  const auto late = ledger.pong("<late pong of the first>");
  EXPECT_EQ(late.verdict, Verdict::kCounted);
  EXPECT_FALSE(late.exact);
  EXPECT_EQ(confirmed(ledger), Batches{1});
  EXPECT_TRUE(ledger.pong("<pong of the second>").exact);
  EXPECT_EQ(confirmed(ledger), Batches{2});
}

TEST(PingLedger, AfterALostAnswerABatchTakesOnePingMore) {
  PingLedger ledger;
  ledger.add_ping(ping_at(1));  // never answered
  ledger.add_batch(1, 10);
  ledger.add_ping(ping_at(2));
  EXPECT_EQ(ledger.pong("<a>").verdict, Verdict::kCounted);
  EXPECT_EQ(confirmed(ledger), Batches{}) << "it may be the answer to the first ping";
  ledger.add_ping(ping_at(3));
  EXPECT_EQ(ledger.pong("<b>").verdict, Verdict::kCounted);
  EXPECT_EQ(confirmed(ledger), Batches{1});
}

TEST(PingLedger, TooManyUnansweredAreOutOfStep) {
  PingLedger ledger;
  ledger.add_batch(1, 10);
  for (std::size_t i = 0; i <= kUnansweredMost; ++i) ledger.add_ping(ping_at(static_cast<std::int64_t>(i)));
  EXPECT_EQ(ledger.pong("<a>").verdict, Verdict::kOutOfStep);
  EXPECT_EQ(confirmed(ledger), Batches{});
}

TEST(PingLedger, AnEchoNamesItsPing) {
  PingLedger ledger;
  ledger.add_batch(1, 10);
  ledger.add_ping(ping_at(1));
  ledger.add_batch(2, 20);
  ledger.add_ping(ping_at(2));
  ledger.add_batch(3, 30);
  ledger.add_ping(ping_at(3));
  EXPECT_EQ(ledger.echo({999'000}).verdict, Verdict::kIgnored) << "no ping of ours";
  const Ping second = ping_at(2);
  EXPECT_EQ(ledger.echo(second.time).verdict, Verdict::kCounted);
  EXPECT_EQ(confirmed(ledger), (Batches{1, 2}));
  EXPECT_TRUE(ledger.awaiting());
  EXPECT_EQ(ledger.echo(second.time).verdict, Verdict::kIgnored);
  const Ping third = ping_at(3);
  EXPECT_EQ(ledger.echo(third.time).verdict, Verdict::kCounted);
  EXPECT_EQ(confirmed(ledger), Batches{3});
  EXPECT_FALSE(ledger.awaiting());
}

TEST(PingLedger, AnEchoBringsBackTheStep) {
  PingLedger ledger;
  ledger.add_batch(1, 10);
  for (std::int64_t i = 0; i < 9; ++i) ledger.add_ping(ping_at(i));
  EXPECT_EQ(ledger.echo(ping_at(8).time).verdict, Verdict::kCounted);
  EXPECT_EQ(confirmed(ledger), Batches{1});
  ledger.add_ping(ping_at(20));
  EXPECT_EQ(ledger.pong("<a>").verdict, Verdict::kCounted);
}

TEST(PingLedger, TakesByOffsetWithoutAnswers) {
  PingLedger ledger;
  ledger.add_batch(1, 10);
  ledger.add_ping(ping_at(1));
  ledger.add_batch(2, 20);
  EXPECT_FALSE(ledger.take_until(9));
  EXPECT_EQ(ledger.take_until(10), 1U);
  EXPECT_FALSE(ledger.take_until(19));
  // The late answer covers what was taken already, and nothing else.
  EXPECT_EQ(ledger.pong("<a>").verdict, Verdict::kCounted);
  EXPECT_EQ(confirmed(ledger), Batches{});
  EXPECT_EQ(ledger.take_until(20), 2U);
}

/// Against a model: a server that reads in order and answers each ping at most once, in order, whenever it likes, and
/// repeats answers. No batch may be confirmed that it had not read when it made some answer.
TEST(PingLedger, NeverConfirmsWhatTheServerHadNotRead) {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    std::minstd_rand random(seed);
    const unsigned loss = random() % 4;
    PingLedger ledger;
    // The model repeats at any moment, sooner than the careful spacing allows for: known as a repeater from the start.
    ledger.add_ping(ping_at(0));
    (void)ledger.pong("<pong>");
    (void)ledger.pong("<pong>");
    std::uint64_t batches = 0, taken = 0, read_when_answered = 0;
    std::int64_t ms = 0;
    std::deque<std::uint64_t> wire;                             // batches before each ping the server has not handled
    std::deque<std::pair<std::string, std::uint64_t>> answers;  // on their way, with what was read
    std::string last;
    for (int step = 0; step < 400; ++step) {
      switch (random() % 6) {
        case 0: ledger.add_batch(batches++, 0); break;
        case 1:
          if (!ledger.awaiting() || random() % 3 == 0) {
            ledger.add_ping(ping_at(++ms));
            wire.push_back(batches);
          }
          break;
        case 2:
        case 3:
          if (!wire.empty()) {
            if (random() % 4 >= loss) answers.emplace_back("<pong " + std::to_string(step) + ">", wire.front());
            wire.pop_front();
          }
          break;
        default:
          if (!answers.empty()) {
            read_when_answered = std::max(read_when_answered, answers.front().second);
            last = answers.front().first;
            answers.pop_front();
            (void)ledger.pong(last);
          }
          if (random() % 3 == 0 && !last.empty()) (void)ledger.pong(last);
          break;
      }
      while (const auto batch = ledger.take_confirmed()) {
        ASSERT_EQ(*batch, taken++);
        ASSERT_LT(*batch, read_when_answered) << "seed " << seed;
      }
    }
  }
}

}  // namespace
}  // namespace detection::tak
