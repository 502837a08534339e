// The scripted server, held to its word by a client made by hand: what the sink is tested against must be right itself.

#include "tak/scripted_server.hpp"

#include <gtest/gtest.h>

#include <regex>

#include "tak/hand_client.hpp"
#include "tak/test_feeder.hpp"
#include "tak/wire_frames.hpp"

namespace detection::tak {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Offer = ServerScript::Offer;
using Reply = ServerScript::Reply;
using Auth = ServerScript::Auth;

constexpr milliseconds kPatience{10'000};

std::string request(const std::string& uid, const std::string& version = "1") {
  return "<event version=\"2.0\" uid=\"" + uid +
         "\" type=\"t-x-takp-q\" how=\"m-g\"><point lat=\"0\" lon=\"0\"/><detail><TakControl><TakRequest version=\"" +
         version + "\"/></TakControl></detail></event>";
}

std::string ping() {
  return "<event version=\"2.0\" uid=\"x-ping\" type=\"t-x-c-t\" how=\"m-g\"/></event>";
}

TEST(WireFrames, ReadWhatTheyWrite) {
  const UtcMicros now = system_now();
  for (const std::size_t bytes : {0U, 120U, 400U, 70'000U}) {
    const std::string frame = hand_made_frame({.uid = "u", .type = "a-u-G"}, now, bytes);
    EXPECT_GE(frame.size(), bytes);
    const std::string stream = frame + "\xbf";
    const FrameCut cut = cut_frame(stream);
    ASSERT_EQ(cut.what, FrameCut::What::kWhole);
    EXPECT_EQ(cut.size, frame.size());
    const auto event = read_message(cut.message);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->uid, "u");
    EXPECT_EQ(event->type, "a-u-G");
    EXPECT_EQ(cut_frame(std::string_view(frame).substr(0, frame.size() - 1)).what, FrameCut::What::kIncomplete);
  }
  EXPECT_EQ(cut_frame("<event").what, FrameCut::What::kBroken);
  EXPECT_EQ(cut_frame("\xbf" + std::string(12, '\xff')).what, FrameCut::What::kBroken);
  EXPECT_FALSE(read_message("\x12\x7f"));
  EXPECT_FALSE(read_message(""));
}

/// One frame as reference/tak.md 1.6 describes it, byte for byte: uid "u", type "a".
TEST(WireFrames, AreTheBytesOfTheReference) {
  const std::string frame = hand_made_frame({.uid = "u", .type = "a"}, {1'000'000});
  EXPECT_EQ(frame.substr(0, 1), "\xbf");
  EXPECT_EQ(frame.substr(2, 1), "\x12");
  EXPECT_EQ(frame.substr(4, 6), std::string("\x0a\x01"
                                            "a\x2a\x01u"));
  EXPECT_EQ(frame.substr(10, 3), std::string("\x30\xe8\x07")) << "sendTime: 1000 ms";
}

TEST(ScriptedServer, OffersAnswersAndSpeaksFrames) {
  const ScriptedServer server({.offer = Offer::kAtConnect, .xml_before_reply = 2, .frame_with_reply = true});
  HandClient client(server.port());
  ASSERT_TRUE(client.connected());
  const std::string offer = client.read_until("</event>");
  EXPECT_NE(offer.find("type='t-x-takp-v'"), std::string::npos) << offer;
  EXPECT_NE(offer.find("<TakProtocolSupport version=\"1\"/>"), std::string::npos) << offer;
  ASSERT_TRUE(client.send(test_event("before") + request("protouid")));
  const std::string reply = client.read_until("<TakResponse status=\"true\"/></TakControl></detail></event>");
  EXPECT_NE(reply.find("between-1"), std::string::npos) << reply;
  ASSERT_TRUE(client.send(hand_made_frame({.uid = "after", .type = "a-u-G"}, system_now()) +
                          hand_made_frame({.uid = "p-ping", .type = "t-x-c-t"}, system_now())));
  std::string answers;
  while (answers.find("takPong") == std::string::npos) {
    answers += client.read_some(kPatience);
    ASSERT_FALSE(client.ended());
  }
  const FrameCut first = cut_frame(answers);
  ASSERT_EQ(first.what, FrameCut::What::kWhole);
  EXPECT_EQ(read_message(first.message)->uid, "first");
  EXPECT_EQ(server.uids(), (std::set<std::string>{"before", "after"}));
  const auto seen = server.seen();
  EXPECT_EQ(seen.requests, 1U);
  EXPECT_EQ(seen.last_version, "1");
  EXPECT_EQ(seen.unasked, 0U);
  EXPECT_EQ(seen.early_bytes, 0U);
  EXPECT_EQ(seen.switched, 1U);
  EXPECT_EQ(seen.frame_events, 1U);
  EXPECT_EQ(seen.frame_pings, 1U);
  EXPECT_EQ(seen.broken_frames, 0U);
  ASSERT_TRUE(client.send(test_event("xml again")));
  EXPECT_TRUE(client.wait_for_end()) << "XML after the switch ends the connection";
  EXPECT_EQ(server.seen().broken_frames, 1U);
}

TEST(ScriptedServer, SeesBytesBetweenRequestAndAnswerAndRequestsWithoutOffer) {
  ScriptedServer server({.offer = Offer::kAtConnect, .reply_delay = seconds{30}});
  {
    HandClient client(server.port());
    (void)client.read_until("</event>");
    ASSERT_TRUE(client.send(request("protouid") + "1234567"));
    ASSERT_TRUE(client.send("89"));
    while (server.seen().early_bytes < 9) (void)client.read_some(milliseconds{5});
    EXPECT_EQ(server.seen().early_bytes, 9U);
    EXPECT_EQ(server.seen().unasked, 0U);
  }
  server.set({.offer = Offer::kNever});
  HandClient client(server.port());
  ASSERT_TRUE(client.send(request("any")));
  EXPECT_NE(client.read_until("</event>").find("t-x-takp-r"), std::string::npos);
  EXPECT_EQ(server.seen().unasked, 1U);
}

TEST(ScriptedServer, RefusesStaysSilentClosesAndNamesAnother) {
  ScriptedServer server({.offer = Offer::kTwice, .versions = {"1", "7"}, .reply = Reply::kFalse});
  const auto offered = [&](HandClient& client) {
    return client.read_until("</event>").find("<TakProtocolSupport version=\"7\"/>") != std::string::npos;
  };
  {
    HandClient client(server.port());
    EXPECT_TRUE(offered(client));
    EXPECT_TRUE(offered(client)) << "twice";
    ASSERT_TRUE(client.send(request("protouid")));
    EXPECT_NE(client.read_until("</event>").find("status=\"false\""), std::string::npos);
    server.set({.offer = Offer::kAtConnect, .refuse_first = 1});
    ASSERT_TRUE(client.send(request("protouid")));
    EXPECT_NE(client.read_until("</event>").find("status=\"true\""), std::string::npos);
  }
  {
    HandClient client(server.port());
    (void)client.read_until("</event>");
    ASSERT_TRUE(client.send(request("protouid")));
    EXPECT_NE(client.read_until("</event>").find("status=\"false\""), std::string::npos) << "the first of a connection";
    ASSERT_TRUE(client.send(request("protouid", "7")));
    EXPECT_NE(client.read_until("</event>").find("status=\"false\""), std::string::npos) << "an unknown version";
  }
  server.set({.offer = Offer::kAtConnect, .reply = Reply::kSilent});
  {
    HandClient client(server.port());
    (void)client.read_until("</event>");
    ASSERT_TRUE(client.send(request("protouid")));
    EXPECT_EQ(client.read_until("</event>", milliseconds{50}), "");
    EXPECT_FALSE(client.ended());
  }
  server.set({.offer = Offer::kAtConnect, .reply = Reply::kClose});
  {
    HandClient client(server.port());
    (void)client.read_until("</event>");
    ASSERT_TRUE(client.send(request("protouid")));
    EXPECT_TRUE(client.wait_for_end());
  }
  server.set({.offer = Offer::kAtConnect, .reply = Reply::kWrongUidThenTrue});
  {
    HandClient client(server.port());
    (void)client.read_until("</event>");
    ASSERT_TRUE(client.send(request("protouid")));
    EXPECT_NE(client.read_until("</event>").find("protouid-of-another"), std::string::npos);
    EXPECT_NE(client.read_until("</event>").find("uid='protouid'"), std::string::npos);
  }
}

TEST(ScriptedServer, RefusesAtOnce) {
  ScriptedServer server;
  for (int round = 0; round < 100; ++round) {
    ASSERT_TRUE(HandClient(server.port()).connected()) << "round " << round;
    server.refuse(true);
    ASSERT_FALSE(HandClient(server.port()).connected()) << "round " << round;
    server.refuse(false);
  }
}

TEST(ScriptedServer, ClosesOnALongElement) {
  const ScriptedServer server({.element_most = 2'048});
  HandClient client(server.port());
  ASSERT_TRUE(client.send(test_event("short", 2'048)));
  ASSERT_TRUE(server.wait_for_events(1, kPatience));
  ASSERT_TRUE(client.send(test_event("long", 2'049)));
  EXPECT_TRUE(client.wait_for_end());
  EXPECT_EQ(server.seen().oversized, 1U);
  EXPECT_FALSE(server.has_read("long"));
}

TEST(ScriptedServer, DecodesEachReadByItself) {
  const ScriptedServer server({.recv_bytes = 7, .decode_utf8 = true});
  HandClient ascii(server.port());
  ASSERT_TRUE(ascii.send(test_event("a", 600)));
  ASSERT_TRUE(server.wait_for_events(1, kPatience));
  EXPECT_EQ(server.seen().non_ascii, 0U);
  HandClient split(server.port());
  ASSERT_TRUE(split.send("<!--  \xc3\xa9 -->"));  // the character lies over the border of two reads of 7
  EXPECT_TRUE(split.wait_for_end());
  EXPECT_EQ(server.seen().utf8_errors, 1U);
  EXPECT_GE(server.seen().non_ascii, 1U);
}

TEST(ScriptedServer, DropsATailOnlyBehindAWholeEvent) {
  const ScriptedServer server({.recv_bytes = 1'000, .drop_tail = true});
  HandClient client(server.port());
  ASSERT_TRUE(client.send(test_event("half", 1'400)));  // over two reads, nothing whole before it: kept
  ASSERT_TRUE(server.wait_for_events(1, kPatience));
  ASSERT_TRUE(client.send(test_event("whole", 600) + test_event("lost", 600)));
  ASSERT_TRUE(client.send(test_event("next", 600) + ping()));
  EXPECT_NE(client.read_until("takPong"), "");
  EXPECT_TRUE(server.has_read("whole"));
  EXPECT_FALSE(server.has_read("lost"));
}

TEST(ScriptedServer, ReadsInSmallPieces) {
  for (const std::size_t piece : {1U, 7U, 1'024U}) {
    const ScriptedServer server({.recv_bytes = piece});
    HandClient client(server.port());
    ASSERT_TRUE(client.send(test_event("a", 1'500) + test_event("b", 1'500)));
    EXPECT_TRUE(server.wait_for_events(2, kPatience)) << piece;
    EXPECT_EQ(server.torn(), 0U);
  }
}

TEST(ScriptedServer, DemandsAnIntroduction) {
  ScriptedServer server({.auth = Auth::kDemanded, .username = "me", .password = "secret"});
  const auto auth = [](const std::string& password) {
    return "<?xml version=\"1.0\"?>\n<auth><cot username=\"me\" password=\"" + password + "\" uid=\"u\"/></auth>";
  };
  {
    HandClient client(server.port());
    ASSERT_TRUE(client.send(auth("secret") + test_event("a")));
    ASSERT_TRUE(server.wait_for_events(1, kPatience));
    EXPECT_EQ(server.torn(), 0U);
  }
  HandClient without(server.port());
  ASSERT_TRUE(without.send(test_event("b")));
  EXPECT_TRUE(without.wait_for_end());
  HandClient wrong(server.port());
  ASSERT_TRUE(wrong.send(auth("guess") + test_event("c")));
  EXPECT_TRUE(wrong.wait_for_end());
  server.set({.auth = Auth::kRefused, .username = "me", .password = "secret"});
  HandClient refused(server.port());
  ASSERT_TRUE(refused.send(auth("secret") + test_event("d")));
  EXPECT_TRUE(refused.wait_for_end());
  EXPECT_EQ(server.uids(), std::set<std::string>{"a"});
  EXPECT_EQ(server.seen().auths, 3U);
  EXPECT_EQ(server.seen().auths_refused, 2U);
  EXPECT_TRUE(server.seen().first_bytes[0].starts_with("<?xml version=\"1.0\"?>\n<auth>"));
}

}  // namespace
}  // namespace detection::tak
