// TAK away, cut, silent: nothing is lost, and what is held goes out as soon as TAK is back. DETECTION_HELD sets how
// many are held.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "integration/support/fast_sink.hpp"
#include "integration/support/records.hpp"
#include "integration/support/requests.hpp"

namespace detection::integration {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Posts so many in batches; their CoT uids.
std::unordered_set<std::string> post(const Service& service, std::size_t count) {
  std::unordered_set<std::string> uids;
  auto client = service.client();
  static std::uint64_t number = 0;
  while (uids.size() < count) {
    const auto now = std::min<std::size_t>(1'000, count - uids.size());
    const auto answer = client.post("/api/v1/detections/batch", batch_json(number += now, now, {}));
    if (!answer || answer->status != 200) {
      ADD_FAILURE() << (answer ? answer->body : "no answer");
      return uids;
    }
    for (const auto& id : accepted_ids(*answer)) uids.insert("DET." + id);
  }
  return uids;
}

void expect_all_received(const FastSink& sink, const std::unordered_set<std::string>& uids) {
  const auto seen = sink.uids();
  std::size_t missing = 0;
  for (const auto& uid : uids) missing += seen.contains(uid) ? 0 : 1;
  EXPECT_EQ(missing, 0U);
  EXPECT_EQ(seen.size(), uids.size() - missing) << "events that nobody posted";
  EXPECT_EQ(sink.malformed(), 0U);
}

TEST(Outage, WhatIsHeldGoesOutWithinTwoSecondsOfTheReturn) {
  const auto held = env_number("DETECTION_HELD", 2'000);
  FastSink sink;
  Service service({binary(), {sink.url()}});
  service.start();
  auto uids = post(service, held);
  EXPECT_EQ(service.metric(R"(offline_queue_size{sink="tak"})"), static_cast<double>(held));
  EXPECT_EQ(service.metric(R"(tak_sink_connected{sink="tak"})"), 0);
  EXPECT_EQ(service.ready_status(), 200) << "TAK away must not make it unready";
  if (held <= 10'000) {
    EXPECT_EQ(list_all(service, "state=queued").size(), held);
  }

  // Three returns, so that one pause of a busy machine does not decide.
  std::array<double, 3> first_s{};
  for (auto& after_s : first_s) {
    sleep_ms(2'500);  // past the first, short steps of the backoff
    const auto begin = std::chrono::steady_clock::now();
    sink.start();
    ASSERT_TRUE(wait_until(seconds(20), [&] { return sink.first_event_ns() != 0; })) << service.log();
    after_s = static_cast<double>(sink.first_event_ns() - begin.time_since_epoch().count()) / 1e9;
    ASSERT_TRUE(drained(service, seconds(120)));
    expect_all_received(sink, uids);
    sink.stop();
    uids.merge(post(service, 10));
  }
  std::ranges::sort(first_s);
  std::printf("first event after %.3f, %.3f, %.3f s\n", first_s[0], first_s[1], first_s[2]);
  EXPECT_LT(first_s[1], 2.0);
  EXPECT_EQ(list_all(service, "state=queued").size(), 10U);
  if (held <= 10'000) {
    EXPECT_EQ(list_all(service, "state=delivered").size(), uids.size() - 10);
  }
}

TEST(Outage, EachArrivesOnceWhenNothingIsCut) {
  FastSink sink;
  Service service({binary(), {sink.url()}});
  service.start();
  const auto uids = post(service, 5'000);
  sink.start();
  ASSERT_TRUE(drained(service, seconds(60)));
  expect_all_received(sink, uids);
  EXPECT_EQ(sink.events(), uids.size()) << "repeats without a cut";
}

TEST(Outage, CutsInTheMiddleLoseNothing) {
  FastSink sink;
  Service service({binary(), {sink.url()}});
  service.start();
  const auto uids = post(service, 10'000);
  for (int round = 1; round <= 4; ++round) {
    sink.start();
    const auto goal = static_cast<std::uint64_t>(round) * 2'000;
    EXPECT_TRUE(wait_until(seconds(30), [&] { return sink.events_read() >= goal; }));
    if (round % 2 == 0)
      sink.stop();
    else
      sink.cut_connections();
  }
  sink.start();
  ASSERT_TRUE(drained(service, seconds(60))) << service.log();
  expect_all_received(sink, uids);
  EXPECT_GT(sink.connections(), 2U);
}

TEST(Outage, ServerThatClosesInsideAnEvent) {
  FastSink sink;
  Service service({binary(), {sink.url()}});
  service.start();
  const auto uids = post(service, 3'000);
  for (const std::uint64_t bytes : {1ULL, 333ULL, 50'001ULL, 400'003ULL}) {
    const auto before = sink.cuts();
    sink.cut_after_bytes(bytes);
    sink.start();
    ASSERT_TRUE(wait_until(seconds(30), [&] { return sink.cuts() > before; })) << bytes;
  }
  ASSERT_TRUE(drained(service, seconds(60))) << service.log();
  expect_all_received(sink, uids);
}

TEST(Outage, ServerThatEchoesPingsConfirms) {
  FastSink sink({.reply = PingReply::kEcho});
  sink.start();
  Service service({binary(), {sink.url()}});
  service.start();
  const auto uids = post(service, 1'000);
  ASSERT_TRUE(drained(service, seconds(30))) << service.log();
  expect_all_received(sink, uids);
}

TEST(Outage, ServerThatNeverAnswersPingsIsSaidSo) {
  FastSink sink({.reply = PingReply::kSilent});
  sink.start();
  Service service({binary(), {sink.url()}});
  service.start();
  const auto uids = post(service, 2'000);
  // Two pings of 10 s unanswered, then what its TCP acknowledged counts.
  ASSERT_TRUE(drained(service, seconds(90)))
      << (service.child().running() ? "it runs\n" : "it has ended\n") << service.metrics() << service.log();
  const auto seen = sink.uids();
  for (const auto& uid : uids) ASSERT_TRUE(seen.contains(uid)) << uid;
  auto client = service.client();
  const auto answer = client.get("/api/v1/delivery");
  ASSERT_TRUE(answer && answer->status == 200);
  const auto sinks = nlohmann::json::parse(answer->body).at("sinks");
  ASSERT_EQ(sinks.size(), 1U);
  EXPECT_EQ(sinks[0].at("connected"), true) << answer->body;
  EXPECT_EQ(sinks[0].at("confirms"), false) << answer->body;
  EXPECT_EQ(service.metric(R"(tak_push_total{sink="tak",status="unconfirmed"})"), 2'000);
  EXPECT_FALSE(service.metric(R"(tak_push_total{sink="tak",status="success"})").value_or(0) > 0);
}

}  // namespace
}  // namespace detection::integration
