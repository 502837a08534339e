// The sink against servers that negotiate TAK Protocol v1, well and badly: the rows of reference/tak.md section 4 that
// no real peer shows. Each test also holds what Bench checks: nothing is confirmed that the server had not read, and
// nothing but whole events came.

#include <gmock/gmock.h>

#include <thread>

#include "tak/sink_test_support.hpp"
#include "tak/wire_frames.hpp"

namespace detection::tak {
namespace {

using Answer = ServerScript::Answer;
using Auth = ServerScript::Auth;
using Offer = ServerScript::Offer;
using Reply = ServerScript::Reply;
using testing::Each;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::size_t kPerBatch = 8;

SinkOptions hasty(SinkOptions options) {
  options.negotiation_timeout = milliseconds{300};
  return options;
}

SinkOptions unhurried(SinkOptions options) {
  // Nothing of it runs out: the answer must come from the server alone.
  options.write_timeout = options.silence_timeout = options.pong_timeout = milliseconds{1'000'000};
  options.negotiation_timeout = milliseconds{1'000'000};
  return options;
}

/// Waits for something that only the server knows.
template <class Condition>
bool server_shows(const ScriptedServer& server, Condition condition) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!condition(server.seen())) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(milliseconds{2});
  }
  return true;
}

bool has_switched(const ScriptedServer::Seen& seen) {
  return seen.switched > 0;
}

/// What must hold however the server behaves.
void expect_by_the_rules(const ScriptedServer& server) {
  const auto seen = server.seen();
  EXPECT_EQ(seen.unasked, 0U) << "a request without an offer, or with a uid that is not the offer's";
  EXPECT_EQ(seen.early_bytes, 0U) << "bytes between the request and its answer";
  EXPECT_EQ(seen.broken_frames, 0U);
  EXPECT_EQ(seen.non_ascii, 0U);
}

/// Sends some, waits for the switch, sends more: those must come as frames, and all be confirmed.
void expect_frames(Bench& bench, std::uint64_t connections = 1) {
  bench.sink->start();
  ASSERT_TRUE(server_shows(bench.server, has_switched)) << "it never switched";
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  const auto before = bench.server.seen().frame_events;
  bench.feeder.add(10);
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  EXPECT_EQ(bench.sink->status().protocol, "protobuf");
  EXPECT_EQ(bench.server.seen().frame_events, before + 10 * kPerBatch);
  EXPECT_GT(bench.server.seen().frame_pings, 0U);
  EXPECT_EQ(bench.sink->status().events_skipped, 0U);
  bench.finish(kPatience);
  EXPECT_EQ(bench.server.uids().size(), 20 * kPerBatch);
  EXPECT_EQ(bench.feeder.confirmed, 20U);
  EXPECT_EQ(bench.feeder.ready, connections);
  expect_by_the_rules(bench.server);
}

/// All goes as XML, on one connection.
void expect_xml(Bench& bench) {
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.feeder.add(10);
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  EXPECT_EQ(bench.sink->status().protocol, "xml");
  bench.finish(kPatience);
  EXPECT_EQ(bench.server.uids().size(), 20 * kPerBatch);
  EXPECT_EQ(bench.server.seen().frame_events, 0U);
  EXPECT_EQ(bench.feeder.confirmed, 20U);
  EXPECT_EQ(bench.feeder.ready, 1U);
  expect_by_the_rules(bench.server);
}

TEST(Negotiation, OfferAtConnect) {
  Bench bench({.offer = Offer::kAtConnect}, {}, unhurried);
  expect_frames(bench);
  EXPECT_EQ(bench.server.seen().requests, 1U);
  EXPECT_EQ(bench.server.seen().last_version, "1");
}

TEST(Negotiation, OfferNever) {
  Bench bench({}, {}, unhurried);
  expect_xml(bench);
  EXPECT_EQ(bench.server.seen().requests, 0U);
}

TEST(Negotiation, OfferLateInTheMiddleOfTraffic) {
  Bench bench({.offer = Offer::kAtConnect, .offer_delay = milliseconds{60}}, {}, unhurried);
  expect_frames(bench);
  EXPECT_EQ(bench.server.seen().requests, 1U);
}

TEST(Negotiation, OfferTwice) {
  Bench bench({.offer = Offer::kTwice}, {}, unhurried);
  expect_frames(bench);
  EXPECT_EQ(bench.server.seen().requests, 1U);
}

TEST(Negotiation, OfferOfSeveralVersions) {
  for (const auto& versions : std::vector<std::vector<std::string>>{{"1", "2"}, {"3", "2", "1"}}) {
    Bench bench({.offer = Offer::kAtConnect, .versions = versions}, {}, unhurried);
    expect_frames(bench);
    EXPECT_EQ(bench.server.seen().last_version, "1");
  }
}

TEST(Negotiation, OfferOfUnknownVersionsOnly) {
  for (const auto& versions : std::vector<std::vector<std::string>>{{"2", "9"}, {}, {"11"}, {"one"}, {"-1"}}) {
    Bench bench({.offer = Offer::kAtConnect, .versions = versions}, {}, unhurried);
    expect_xml(bench);
    EXPECT_EQ(bench.server.seen().requests, 0U);
  }
}

TEST(Negotiation, OfferUnderAnotherUid) {
  Bench bench({.offer = Offer::kAtConnect, .offer_uid = "cottak-server"}, {}, unhurried);
  expect_frames(bench);
}

TEST(Negotiation, OffersAreLeftAloneWhereXmlIsChosen) {
  Bench bench({.offer = Offer::kTwice}, {}, [](SinkOptions o) {
    o = unhurried(o);
    o.protocol = ProtocolChoice::kXml;
    return o;
  });
  expect_xml(bench);
  EXPECT_EQ(bench.server.seen().requests, 0U);
}

TEST(Negotiation, AnswerFalseXmlGoesOn) {
  Bench bench({.offer = Offer::kAtConnect, .reply = Reply::kFalse}, {}, unhurried);
  expect_xml(bench);
  EXPECT_GE(bench.server.seen().requests, 1U);
}

TEST(Negotiation, AnswerFalseAndAnotherOfferLater) {
  Bench bench({.offer = Offer::kAtConnect, .refuse_first = 1}, {}, unhurried);
  bench.sink->start();
  ASSERT_TRUE(server_shows(bench.server, [](const auto& seen) { return seen.requests == 1; }));
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  const std::string time = format_rfc3339_ms(system_now());
  bench.server.send_to_all(
      "<event version='2.0' uid='protouid' type='t-x-takp-v' how='m-g' time='" + time + "' start='" + time +
      "' stale='" + time +
      "'><point lat='0' lon='0' hae='0' ce='999999' le='999999'/><detail><TakControl><TakProtocolSupport "
      "version='1'/></TakControl></detail></event>");
  ASSERT_TRUE(server_shows(bench.server, has_switched));
  bench.feeder.add(10);
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  EXPECT_EQ(bench.sink->status().protocol, "protobuf");
  bench.finish(kPatience);
  EXPECT_EQ(bench.server.uids().size(), 20 * kPerBatch);
  EXPECT_EQ(bench.feeder.ready, 1U);
  EXPECT_EQ(bench.server.seen().requests, 2U);
  expect_by_the_rules(bench.server);
}

TEST(Negotiation, AnswerLateNothingIsSentMeanwhile) {
  Bench bench({.offer = Offer::kAtConnect, .reply_delay = milliseconds{250}}, {}, unhurried);
  bench.sink->start();
  ASSERT_TRUE(server_shows(bench.server, [](const auto& seen) { return seen.requests == 1; }));
  bench.feeder.add(10);  // they wait for the answer
  ASSERT_TRUE(server_shows(bench.server, has_switched));
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.finish(kPatience);
  EXPECT_EQ(bench.server.uids().size(), 20 * kPerBatch);
  EXPECT_EQ(bench.feeder.ready, 1U);
  EXPECT_GE(bench.server.seen().frame_events, 10 * kPerBatch);
  expect_by_the_rules(bench.server);
}

/// A server that leaves the first request without a good answer, and is a good one from then on.
void expect_a_new_connection_after(Reply bad) {
  Bench bench({.offer = Offer::kAtConnect, .reply = bad}, {.batches = 20}, hasty);
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_for([](const TestFeeder& f) { return f.lost >= 1; }, kPatience));
  EXPECT_GE(bench.server.seen().requests, 1U);
  EXPECT_EQ(bench.server.seen().switched, 0U);
  bench.server.set({.offer = Offer::kAtConnect});
  // Now and then a connection to such a server stays with XML.
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (bench.server.seen().switched == 0 && std::chrono::steady_clock::now() < until) {
    bench.server.drop_connections(false);
    std::this_thread::sleep_for(milliseconds{50});
  }
  ASSERT_TRUE(server_shows(bench.server, has_switched));
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.finish(kPatience);
  EXPECT_EQ(bench.feeder.confirmed, 20U) << "no event is lost";
  EXPECT_GE(bench.feeder.ready, 2U);
  expect_by_the_rules(bench.server);
}

TEST(Negotiation, AnswerNeverMeansANewConnection) {
  expect_a_new_connection_after(Reply::kSilent);
}
TEST(Negotiation, CloseAfterTheRequestMeansANewConnection) {
  expect_a_new_connection_after(Reply::kClose);
}
TEST(Negotiation, AnswerToAnotherUidIsNoAnswer) {
  expect_a_new_connection_after(Reply::kWrongUid);
}

TEST(Negotiation, AServerThatNeverAnswersRequestsGetsItsEventsAsXml) {
  for (const Reply bad : {Reply::kSilent, Reply::kClose}) {
    Bench bench({.offer = Offer::kAtConnect, .reply = bad}, {.batches = 20}, hasty);
    bench.sink->start();
    ASSERT_TRUE(bench.feeder.wait_done(kPatience));
    EXPECT_EQ(bench.sink->status().protocol, "xml");
    bench.finish(kPatience);
    EXPECT_EQ(bench.feeder.confirmed, 20U);
    expect_by_the_rules(bench.server);
  }
}

TEST(Negotiation, AnswerToAnotherUidBeforeOurOwn) {
  Bench bench({.offer = Offer::kAtConnect, .reply = Reply::kWrongUidThenTrue}, {}, unhurried);
  expect_frames(bench);
}

TEST(Negotiation, XmlStillComingBetweenRequestAndAnswer) {
  Bench bench({.offer = Offer::kAtConnect, .reply_delay = milliseconds{30}, .xml_before_reply = 200}, {}, unhurried);
  expect_frames(bench);
  EXPECT_GE(bench.sink->status().events_received, 202U);
}

TEST(Negotiation, FirstFrameInTheSegmentOfTheAnswer) {
  Bench bench({.offer = Offer::kAtConnect, .xml_before_reply = 3, .frame_with_reply = true}, {}, unhurried);
  expect_frames(bench);
}

TEST(Negotiation, PingsThatComeBackAsFramesConfirm) {
  Bench bench({.answer = Answer::kEcho, .offer = Offer::kAtConnect}, {}, unhurried);
  expect_frames(bench);
}

TEST(Negotiation, AnewAtEachConnection) {
  Bench bench({.offer = Offer::kAtConnect}, {}, unhurried);
  bench.sink->start();
  ASSERT_TRUE(server_shows(bench.server, has_switched));
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.server.drop_connections(true);
  ASSERT_TRUE(server_shows(bench.server, [](const auto& seen) { return seen.switched == 2; }));
  bench.feeder.add(5);
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  EXPECT_EQ(bench.sink->status().protocol, "protobuf");
  // The same server, without protobuf: as after a change of its settings.
  bench.server.set({});
  bench.server.drop_connections(false);
  ASSERT_TRUE(bench.feeder.wait_for([](const TestFeeder& f) { return f.ready == 3; }, kPatience));
  bench.feeder.add(5);
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  EXPECT_EQ(bench.sink->status().protocol, "xml");
  bench.finish(kPatience);
  EXPECT_EQ(bench.feeder.confirmed, 20U);
  EXPECT_EQ(bench.server.seen().requests, 2U);
  expect_by_the_rules(bench.server);
}

TEST(Negotiation, ClosedResetOrHalfClosedInMidFrameLosesNothing) {
  for (int kind = 0; kind < 3; ++kind) {
    Bench bench({.offer = Offer::kAtConnect}, {.batches = 30, .event_bytes = 700}, hasty);
    bench.sink->start();
    ASSERT_TRUE(server_shows(bench.server, has_switched));
    for (const std::uint64_t bytes : {9'001ULL, 20'003ULL, 33'333ULL}) {
      ServerScript script{.offer = Offer::kAtConnect};
      (kind == 0 ? script.close_after : kind == 1 ? script.reset_after : script.half_close_after) = bytes;
      const auto lost = bench.feeder.lost;
      bench.server.set(script);
      bench.feeder.add(10);
      ASSERT_TRUE(bench.feeder.wait_for([&](const TestFeeder& f) { return f.lost > lost; }, kPatience)) << kind;
    }
    bench.server.set({.offer = Offer::kAtConnect});
    ASSERT_TRUE(bench.feeder.wait_done(kPatience));
    bench.finish(kPatience);
    EXPECT_EQ(bench.feeder.confirmed, 60U);
    expect_by_the_rules(bench.server);
  }
}

TEST(Negotiation, NonsenseAfterTheSwitchEndsTheConnection) {
  const std::string frame = hand_made_frame({.uid = "x", .type = "a-f-G"}, system_now());
  for (const std::string& nonsense :
       {test_event("xml"), std::string("\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "\xbf\x04junk" + frame}) {
    Bench bench({.offer = Offer::kAtConnect}, {}, unhurried);
    bench.sink->start();
    ASSERT_TRUE(server_shows(bench.server, has_switched));
    ASSERT_TRUE(bench.feeder.wait_done(kPatience));
    const auto skipped = bench.sink->status().events_skipped;
    bench.server.send_to_all(nonsense);
    // Either the connection ends, or what is unreadable is passed over by its length: never is it taken for an event.
    ASSERT_TRUE(bench.feeder.wait_for([&](const TestFeeder& f) { return f.lost == 1; }, milliseconds{500}) ||
                bench.sink->status().events_skipped > skipped);
    bench.feeder.add(10);
    ASSERT_TRUE(bench.feeder.wait_done(kPatience));
    bench.finish(kPatience);
    EXPECT_EQ(bench.feeder.confirmed, 20U);
    expect_by_the_rules(bench.server);
  }
}

TEST(Negotiation, ServersThatReadInSmallPieces) {
  for (const std::size_t piece : {1U, 7U, 1'024U}) {
    Bench bench({.recv_bytes = piece, .offer = Offer::kAtConnect}, {.batches = 4}, unhurried);
    bench.sink->start();
    ASSERT_TRUE(server_shows(bench.server, has_switched));
    bench.feeder.add(4);
    ASSERT_TRUE(bench.feeder.wait_done(kPatience));
    bench.finish(kPatience);
    EXPECT_EQ(bench.feeder.confirmed, 8U) << piece;
    expect_by_the_rules(bench.server);
  }
}

TEST(ServerTraps, DecodesEachReadByItself) {
  Bench bench({.recv_bytes = 7, .decode_utf8 = true}, {.batches = 4});
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.finish(kPatience);
  EXPECT_EQ(bench.server.seen().utf8_errors, 0U);
  EXPECT_EQ(bench.server.seen().non_ascii, 0U);
}

TEST(ServerTraps, DropsTheTailBehindAWholeEvent) {
  // Each batch is one write, small enough for one read of the server; the ping goes by itself or with it.
  Bench bench({.drop_tail = true}, {.batches = 50, .events_per_batch = 3}, [](SinkOptions o) {
    o.window_batches = 1;
    return o;
  });
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  bench.finish(kPatience);
  EXPECT_EQ(bench.server.uids().size(), 150U);
  EXPECT_EQ(bench.feeder.ready, 1U);
}

SinkOptions introduced(SinkOptions options) {
  options.username = "feeder";
  options.password = "s<e>&\"cret";
  // One refusal, then not again for half an hour: whoever comes again sooner makes a storm.
  options.backoff_first = options.backoff_most = std::chrono::hours{1};
  return options;
}

TEST(ServerTraps, AuthenticationIsTheFirstMessage) {
  Bench bench({.auth = Auth::kDemanded,
               .username = "feeder",
               .password = "s&lt;e&gt;&amp;&quot;cret",
               .offer = Offer::kAtConnect},
              {}, introduced);
  bench.sink->start();
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  ASSERT_TRUE(server_shows(bench.server, has_switched));
  bench.finish(kPatience);
  const auto seen = bench.server.seen();
  EXPECT_EQ(seen.auths, 1U);
  EXPECT_EQ(seen.auths_refused, 0U);
  for (const std::string& first : seen.first_bytes) {
    EXPECT_TRUE(first.starts_with("<auth>") || first.starts_with("<?xml")) << first;
    EXPECT_THAT(first, HasSubstr("<auth>"));
  }
  EXPECT_EQ(bench.feeder.confirmed, 10U);
  expect_by_the_rules(bench.server);
}

TEST(ServerTraps, ARefusedAuthenticationMakesNoStorm) {
  Bench bench({.auth = Auth::kRefused}, {}, introduced);
  bench.sink->start();
  ASSERT_TRUE(server_shows(bench.server, [](const auto& seen) { return seen.auths_refused == 1; }));
  while (bench.sink->status().state != SinkState::kWaiting) std::this_thread::sleep_for(milliseconds{2});
  EXPECT_NE(bench.sink->status().last_error, "");
  bench.finish();
  EXPECT_EQ(bench.server.connections(), 1U);
  EXPECT_EQ(bench.server.events(), 0U);
  EXPECT_EQ(bench.feeder.confirmed + bench.feeder.unconfirmed, 0U);
}

}  // namespace
}  // namespace detection::tak
