// The scripted server's faults, one by one. Bench checks for each that nothing is confirmed that was not read.

#include <gmock/gmock.h>

#include <thread>

#include "tak/sink_test_support.hpp"

namespace detection::tak {
namespace {

using Answer = ServerScript::Answer;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

SinkOptions patient(SinkOptions options) {
  // Nothing times out: what happens must come from the answers alone.
  options.write_timeout = options.silence_timeout = options.pong_timeout = milliseconds{1'000'000};
  return options;
}

TEST(SinkFaults, APeerThatNeverAnswersIsSaidSo) {
  Bench bench({.answer = Answer::kNever}, {.batches = 20});
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  EXPECT_THAT(bench.feeder.never_answers, ElementsAre(true));
  EXPECT_FALSE(bench.sink->status().answers_pings);
  EXPECT_EQ(bench.server.uids().size(), 160U);
  bench.finish(kPatience);
  EXPECT_EQ(bench.feeder.unconfirmed, 20U);
  EXPECT_EQ(bench.feeder.confirmed, 0U);
  EXPECT_EQ(bench.feeder.ready, 1U);
}

TEST(SinkFaults, UnconfirmedMeansAcknowledgedByItsTcpNotOnlyWritten) {
  Bench bench({.answer = Answer::kNever, .receive_buffer = 8'192},
              {.batches = 1, .events_per_batch = 100, .event_bytes = 2'000, .attempt_in_uid = false});
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  EXPECT_THAT(bench.feeder.never_answers, ElementsAre(true));
  // 200 kB each: the kernel here takes them all, the peer's acknowledges a few kB.
  bench.server.set({.answer = Answer::kNever, .receive_buffer = 8'192, .paused = true});
  bench.feeder.add(4);
  ASSERT_TRUE(bench.feeder.wait_for([](const TestFeeder& f) { return f.lost == 1 || f.open() == 0; }, kPatience));
  EXPECT_EQ(bench.feeder.lost, 1U);
  EXPECT_EQ(bench.feeder.unconfirmed, 1U);
  bench.server.set({.answer = Answer::kNever});
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.finish(kPatience);
  EXPECT_EQ(bench.server.uids().size(), 500U);
}

TEST(SinkFaults, ALaterAnswerBringsConfirmationBack) {
  Bench bench({.answer = Answer::kNever}, {.batches = 5});
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.server.set({.answer = Answer::kPong});
  ASSERT_TRUE(bench.feeder.wait_for([](const TestFeeder& f) { return f.never_answers.size() == 2; }, kPatience));
  bench.feeder.add(20);
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.finish(kPatience);
  EXPECT_THAT(bench.feeder.never_answers, ElementsAre(true, false));
  EXPECT_EQ(bench.feeder.confirmed, 20U);
}

TEST(SinkFaults, AfterALongSilenceItGetsBackInStep) {
  // So many unanswered pings that no answer can be told: a new connection is made, once.
  Bench bench({.answer = Answer::kNever}, {.batches = 5}, [](SinkOptions o) {
    o.ping_interval = milliseconds{10};
    return o;
  });
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  while (bench.server.pings() < 12) std::this_thread::sleep_for(milliseconds{1});
  bench.server.set({.answer = Answer::kPong});
  ASSERT_TRUE(bench.feeder.wait_for([](const TestFeeder& f) { return f.never_answers.size() == 2; }, kPatience));
  bench.feeder.add(20);
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.finish(kPatience);
  EXPECT_THAT(bench.feeder.reasons, Contains(HasSubstr("out of step")));
  EXPECT_EQ(bench.feeder.ready, 2U);
  EXPECT_EQ(bench.feeder.confirmed, 20U);
}

TEST(SinkFaults, RepeatedPongsConfirmNothingMore) {
  Bench bench({.pong_repeats = 3, .repeat_delay = milliseconds{3}}, {.batches = 100}, patient);
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.finish(kPatience);
  EXPECT_EQ(bench.feeder.confirmed, 100U);
  EXPECT_EQ(bench.feeder.ready, 1U);
}

TEST(SinkFaults, ARepeatedPongDoesNotConfirmTheNextBatch) {
  // The server stops reading after the first answer; a copy of that answer arrives while the next ping is awaited.
  Bench bench({}, {.batches = 1}, [](SinkOptions o) {
    o = patient(o);
    o.ping_interval = milliseconds{1'000'000};
    return o;
  });
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  const std::string pong =
      "<event version='2.0' uid='takPong' type='t-x-c-t-r' how='h-g-i-g-o' time='2026-11-23T00:00:00.000Z' "
      "start='2026-11-23T00:00:00.000Z' stale='2026-11-23T00:00:20.000Z'><point lat='0' lon='0' hae='0' ce='0' "
      "le='0'/></event>";
  const auto before = bench.sink->status();
  bench.server.send_to_all(pong);  // nothing is awaited: counts for nothing, but its text is known now
  while (bench.sink->status().events_received == before.events_received) std::this_thread::sleep_for(milliseconds{1});
  bench.server.set({.paused = true});
  bench.feeder.add(1);
  while (bench.sink->status().bytes_sent == before.bytes_sent) std::this_thread::sleep_for(milliseconds{1});
  for (int i = 0; i < 5; ++i) bench.server.send_to_all(pong);
  std::this_thread::sleep_for(milliseconds{50});
  EXPECT_TRUE(bench.feeder.wait_for([](const TestFeeder& f) { return f.confirmed == 1; }, milliseconds{0}));
  bench.server.set({});
  EXPECT_TRUE(bench.feeder.wait_done(kPatience));
}

TEST(SinkFaults, LatePongsAreWaitedFor) {
  // Each answer comes after its ping was believed lost.
  Bench bench({.pong_delay = milliseconds{150}}, {.batches = 8}, [](SinkOptions o) {
    o.pong_timeout = milliseconds{60};
    o.silence_timeout = milliseconds{5'000};
    o.pongs_lost_until_unconfirmed = 100;
    return o;
  });
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.finish(kPatience);
  EXPECT_EQ(bench.feeder.confirmed, 8U);
  EXPECT_EQ(bench.feeder.ready, 1U);
}

TEST(SinkFaults, LostPongsCostPingsNotEvents) {
  Bench bench({.lose_every = 3}, {.batches = 10}, [](SinkOptions o) {
    o.pong_timeout = milliseconds{20};
    return o;
  });
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.finish(kPatience);
  EXPECT_EQ(bench.feeder.confirmed, 10U);
}

TEST(SinkFaults, FirstPongsLost) {
  Bench bench({.lose_first = 1}, {.batches = 10}, [](SinkOptions o) {
    o.pong_timeout = milliseconds{20};
    return o;
  });
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.finish(kPatience);
  EXPECT_EQ(bench.feeder.confirmed, 10U);
  EXPECT_EQ(bench.feeder.ready, 1U);
}

TEST(SinkFaults, AServerThatTellsWholeSecondsIsSlowButRight) {
  Bench bench({.pong_resolution = milliseconds{1'000}}, {.batches = 2}, patient);
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.finish(kPatience);
  EXPECT_EQ(bench.feeder.confirmed, 2U);
  EXPECT_EQ(bench.feeder.ready, 1U);
}

TEST(SinkFaults, DrainsTheWholePictureAndSkipsAGiant) {
  constexpr std::size_t kReplay = 5'000;
  Bench bench(
      {.replay_events = kReplay, .giant_event_bytes = 9u << 20, .junk = std::string("\x00\xff<event</event>\n]]>", 20)},
      {.batches = 20}, patient);
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  EXPECT_EQ(bench.sink->status().bytes_received, bench.server.bytes_sent());
  EXPECT_GE(bench.sink->status().events_received, kReplay);
  EXPECT_EQ(bench.sink->status().events_skipped, 1U) << "the giant";
  bench.finish(kPatience);
  EXPECT_EQ(bench.feeder.confirmed, 20U);
}

TEST(SinkFaults, DrainsWhileTheWindowIsFull) {
  Bench bench({.answer = Answer::kNever}, {.batches = 8}, patient);
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_for([](const TestFeeder& f) { return f.in_flight() == 4; }, kPatience));
  const std::string event = "<event uid='x' type='a-f-G'>" + std::string(1'000, 'x') + "</event>";
  std::string many;
  for (int i = 0; i < 20'000; ++i) many += event;  // more than the kernel's buffers hold
  bench.server.send_to_all(many);
  while (bench.sink->status().events_received < 20'000) std::this_thread::sleep_for(milliseconds{1});
  bench.finish();
}

TEST(SinkFaults, ASlowReaderIsLeftAlone) {
  // 1.5 MB at 2 MB/s through small buffers: longer than every time-out but the silence's, and always moving.
  Bench bench({.read_bytes_per_second = 2'000'000, .receive_buffer = 8'192},
              {.batches = 6, .events_per_batch = 50, .event_bytes = 5'000}, [](SinkOptions o) {
                o.write_timeout = milliseconds{150};
                o.pong_timeout = milliseconds{150};
                o.silence_timeout = milliseconds{3'000};
                return o;
              });
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.finish(kPatience);
  EXPECT_EQ(bench.feeder.ready, 1U);
  EXPECT_EQ(bench.feeder.confirmed, 6U);
}

TEST(SinkFaults, AStuckReaderIsDropped) {
  Bench bench({.receive_buffer = 8'192, .pause_after = 30'000},
              {.batches = 4, .events_per_batch = 1'000, .event_bytes = 5'000});
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_for([](const TestFeeder& f) { return f.lost == 1; }, kPatience));
  bench.server.set({});
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  EXPECT_THAT(bench.feeder.reasons.front(), HasSubstr("takes no bytes"));
  bench.finish(kPatience);
  EXPECT_EQ(bench.feeder.confirmed, 4U);
}

TEST(SinkFaults, APeerThatFallsSilentIsLeft) {
  Bench bench({}, {.batches = 3});
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.server.set({.paused = true});
  bench.feeder.add(3);
  ASSERT_TRUE(bench.feeder.wait_for([](const TestFeeder& f) { return f.lost == 1; }, kPatience));
  bench.server.set({});
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  EXPECT_THAT(bench.feeder.reasons.front(), HasSubstr("answers no more"));
  bench.finish(kPatience);
  EXPECT_EQ(bench.feeder.confirmed, 6U);
  EXPECT_EQ(bench.feeder.unconfirmed, 0U);
}

TEST(SinkFaults, AHungServerIsNotTakenForOneThatNeverAnswers) {
  // It used to answer; now its kernel accepts and acknowledges, and nobody reads. For a while that is no delivery.
  Bench bench({}, {.batches = 3});
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.server.set({.paused = true});
  bench.server.drop_connections(true);
  bench.feeder.add(3);
  ASSERT_TRUE(bench.feeder.wait_for([](const TestFeeder& f) { return f.lost >= 2; }, kPatience));
  bench.server.set({});
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.finish(kPatience);
  EXPECT_EQ(bench.feeder.confirmed, 6U);
  EXPECT_EQ(bench.feeder.unconfirmed, 0U);
}

TEST(SinkFaults, AServerReplacedByOneThatNeverAnswersIsAcceptedInTheEnd) {
  Bench bench({}, {.batches = 1});
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.server.set({.answer = Answer::kNever});
  bench.server.drop_connections(false);
  bench.feeder.add(3);
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.finish(kPatience);
  EXPECT_THAT(bench.feeder.never_answers, ElementsAre(true));
  EXPECT_EQ(bench.feeder.unconfirmed, 3U);
}

TEST(SinkFaults, ClosedResetOrHalfClosedInMidEvent) {
  for (const int kind : {0, 1, 2}) {
    ServerScript script;
    (kind == 0 ? script.close_after : kind == 1 ? script.reset_after : script.half_close_after) = 20'123;
    Bench bench(script, {.batches = 30});
    bench.sink->start();
    // Each connection gets some way; all get there in the end or the fault is taken away.
    ASSERT_TRUE(bench.feeder.wait_for([](const TestFeeder& f) { return f.lost >= 3 || f.open() == 0; }, kPatience));
    bench.server.set({});
    ASSERT_TRUE(bench.feeder.wait_done(kPatience)) << kind;
    bench.finish(kPatience);
    EXPECT_EQ(bench.feeder.confirmed, 30U) << kind;
    EXPECT_GE(bench.feeder.lost, 2U) << kind;
  }
}

}  // namespace
}  // namespace detection::tak
