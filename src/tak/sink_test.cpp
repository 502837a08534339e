#include <gmock/gmock.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "tak/sink_test_support.hpp"

namespace detection::tak {
namespace {

using Answer = ServerScript::Answer;

TEST(TcpSink, DeliversInOrderAndConfirmed) {
  Bench bench({}, {.batches = 50, .events_per_batch = 20});
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  EXPECT_EQ(bench.server.uids().size(), 1'000U);
  EXPECT_EQ(bench.server.events(), 1'000U) << "nothing is sent twice without a reason";
  const SinkStatus status = bench.sink->status();
  EXPECT_TRUE(status.connected);
  EXPECT_TRUE(status.answers_pings);
  EXPECT_EQ(status.connects, 1U);
  EXPECT_EQ(status.attempts, 1U);
  EXPECT_GT(status.bytes_sent, 1'000U * 300U);
  EXPECT_GT(status.bytes_received, 0U);
  EXPECT_TRUE(status.round_trip);
  ASSERT_TRUE(status.server_clock_ahead);
  EXPECT_LT(std::chrono::abs(*status.server_clock_ahead), std::chrono::seconds{5});
  bench.finish(kPatience);
  EXPECT_EQ(bench.feeder.confirmed, 50U);
  EXPECT_EQ(bench.feeder.reasons, std::vector<std::string>{"stopped"});
  EXPECT_FALSE(bench.sink->status().connected);
}

TEST(TcpSink, TakesItsOwnPingSentBackAsTheAnswer) {
  Bench bench({.answer = Answer::kEcho}, {.batches = 30});
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.finish(kPatience);
  EXPECT_EQ(bench.feeder.confirmed, 30U);
  EXPECT_EQ(bench.feeder.lost, 1U);
}

TEST(TcpSink, AnotherProgramsPingIsNoAnswer) {
  // A server that sends everybody's pings to everybody, and two replicas with one uid.
  Bench bench({.answer = Answer::kNever}, {.batches = 1}, [](SinkOptions o) {
    o.pong_timeout = milliseconds{1'000'000};
    return o;
  });
  bench.sink->start();
  ASSERT_TRUE(bench.server.wait_for_events(8, kPatience));
  std::string foreign;
  for (const char* uid : {"detection-api-ping", "other-ping"}) {
    foreign += "<event version='2.0' uid='" + std::string(uid) +
               "' type='t-x-c-t' how='m-g' time='2026-11-23T00:00:00.000Z' start='2026-11-23T00:00:00.000Z' "
               "stale='2026-11-23T00:00:10.000Z'><point lat='0' lon='0' hae='0' ce='0' le='0'/></event>";
  }
  bench.server.send_to_all(foreign);
  while (bench.sink->status().events_received < 2) std::this_thread::sleep_for(milliseconds{1});
  bench.finish();
  EXPECT_EQ(bench.feeder.confirmed, 0U);
}

TEST(TcpSink, StopWaitsForWhatIsInFlight) {
  Bench bench({.pong_delay = milliseconds{50}}, {.batches = 4});
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_for([](const TestFeeder& f) { return f.in_flight() == 4; }, kPatience));
  bench.finish(kPatience);
  EXPECT_EQ(bench.feeder.confirmed, 4U);
}

TEST(TcpSink, StopDoesNotWaitLongerThanItsGrace) {
  Bench bench({.answer = Answer::kNever}, {.batches = 4}, [](SinkOptions o) {
    o.pong_timeout = milliseconds{1'000'000};
    return o;
  });
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_for([](const TestFeeder& f) { return f.in_flight() == 4; }, kPatience));
  bench.finish(milliseconds{20});
  EXPECT_EQ(bench.feeder.confirmed, 0U);
  EXPECT_EQ(bench.feeder.lost, 1U);
  bench.sink->stop(kPatience);  // again: nothing happens
  EXPECT_FALSE(bench.sink->send(99, text_batch({"x"})));
}

TEST(TcpSink, SendsNothingWithoutAConnectionOrRoom) {
  TestFeeder feeder({.batches = 0});
  ScriptedServer server({.answer = Answer::kNever});
  const auto sink = make_sink(quick_options(server.port()), feeder);
  feeder.attach(*sink);
  EXPECT_FALSE(sink->send(0, text_batch({test_event("a")})));
  sink->start();
  ASSERT_TRUE(feeder.wait_for([](const TestFeeder& f) { return f.ready == 1; }, kPatience));
  int taken = 0;
  while (taken < 100 && sink->send(static_cast<BatchNumber>(taken), text_batch({test_event("a")}))) ++taken;
  EXPECT_EQ(taken, 4) << "window_batches";
  sink->stop(milliseconds{0});
  sink->start();  // a sink that was stopped stays so
  EXPECT_FALSE(sink->status().connected);
}

TEST(TcpSink, StopsWhileItIsStillTrying) {
  TestFeeder feeder({.batches = 1});
  ScriptedServer server;
  server.refuse(true);
  const auto sink = make_sink(quick_options(server.port()), feeder);
  feeder.attach(*sink);
  sink->start();
  while (sink->status().attempts < 5) std::this_thread::sleep_for(milliseconds{1});
  EXPECT_THAT(sink->status().last_error, testing::HasSubstr("cannot connect"));
  sink->stop(kPatience);
  EXPECT_EQ(feeder.ready, 0U);
  EXPECT_EQ(feeder.lost, 0U);
}

TEST(TcpSink, FindsTheServerWhenItComesBack) {
  Bench bench({}, {.batches = 200, .events_per_batch = 4});
  bench.server.refuse(true);
  bench.sink->start();
  while (bench.sink->status().attempts < 5) std::this_thread::sleep_for(milliseconds{1});
  bench.server.refuse(false);
  ASSERT_TRUE(bench.server.wait_for_events(40, kPatience));
  bench.server.refuse(true);
  bench.server.drop_connections(true);
  const auto before = bench.sink->status().attempts;
  while (bench.sink->status().attempts < before + 5) std::this_thread::sleep_for(milliseconds{1});
  bench.server.refuse(false);
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  EXPECT_GE(bench.sink->status().connects, 2U);
  bench.finish(kPatience);
  EXPECT_EQ(bench.feeder.confirmed, 200U);
}

TEST(TcpSink, ResolvesNamesAndSaysWhenItCannot) {
  {
    Bench bench({}, {.batches = 1}, [](SinkOptions o) {
      o.address.host = "localhost";
      return o;
    });
    bench.sink->start();
    EXPECT_TRUE(bench.feeder.wait_done(kPatience));
  }
  TestFeeder feeder({.batches = 0});
  SinkOptions options = quick_options(1);
  options.address.host = "no-such-host.invalid";
  const auto sink = make_sink(options, feeder);
  feeder.attach(*sink);
  sink->start();
  // Whether the look-up has ended or not, stop() does not wait for it.
  sink->stop(milliseconds{0});
}

/// Puts the calling thread, and those it makes, into a network of its own whose sockets have no choice of a port.
bool enter_network_with_one_port(std::uint16_t port) {
  if (::unshare(CLONE_NEWNET) != 0) return false;
  const int any = ::socket(AF_INET, SOCK_DGRAM, 0);
  ifreq loopback{};
  loopback.ifr_name[0] = 'l';
  loopback.ifr_name[1] = 'o';
  loopback.ifr_flags = IFF_UP;
  const bool up = ::ioctl(any, SIOCSIFFLAGS, &loopback) == 0;
  ::close(any);
  std::ofstream range("/proc/sys/net/ipv4/ip_local_port_range");
  range << port << ' ' << port << std::flush;
  return up && range.good();
}

TEST(TcpSink, NeverTalksToItself) {
  // With nobody listening on a port of the ephemeral range, a socket may be given that very port and meet itself.
  bool entered = false;
  std::uint64_t ready = 1;
  std::string last_error;
  std::thread([&] {
    entered = enter_network_with_one_port(40'001);
    if (!entered) return;
    TestFeeder feeder({.batches = 1});
    const auto sink = make_sink(quick_options(40'001), feeder);
    feeder.attach(*sink);
    sink->start();
    while (sink->status().attempts < 5 && sink->status().connects == 0) std::this_thread::sleep_for(milliseconds{1});
    sink->stop(milliseconds{0});
    ready = feeder.ready;
    last_error = sink->status().last_error;
  }).join();
  if (!entered) GTEST_SKIP() << "SKIPPED, NOT TESTED: needs the right to make a network namespace (root)";
  EXPECT_EQ(ready, 0U);
  EXPECT_THAT(last_error, testing::HasSubstr("cannot connect"));
}

TEST(TcpSink, PingsWhenItIsQuiet) {
  Bench bench({}, {.batches = 0}, [](SinkOptions o) {
    o.ping_interval = milliseconds{10};
    return o;
  });
  bench.sink->start();
  while (bench.server.pings() < 5) std::this_thread::sleep_for(milliseconds{1});
  EXPECT_TRUE(bench.sink->status().answers_pings);
  bench.finish();
  EXPECT_EQ(bench.feeder.ready, 1U);
}

TEST(TcpSink, IsUsedByManyThreads) {
  Bench bench({}, {.batches = 0, .events_per_batch = 2});
  bench.sink->start();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 50; ++n) {
        bench.feeder.add(1);
        (void)bench.sink->status();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.finish(kPatience);
  EXPECT_EQ(bench.feeder.confirmed, 200U);
}

}  // namespace
}  // namespace detection::tak
