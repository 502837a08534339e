// The foreign peers and the tools around them, tried with a feeder made by hand: what a storm finds is only worth as
// much as its witnesses are.

#include <gtest/gtest.h>

#include "detection/time.hpp"
#include "integration/support/fault_gate.hpp"
#include "integration/support/peers.hpp"
#include "tak/scripted_server.hpp"
#include "tak/test_feeder.hpp"
#include "tak/wire_frames.hpp"

namespace detection::integration {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using tak::HandClient;
using tak::ScriptedServer;
using tak::test_event;

#define NEED_PEER(...)                                                                                                \
  do {                                                                                                                \
    if (const auto why = peer_missing(std::vector<std::string>{__VA_ARGS__})) GTEST_SKIP() << "NOT TESTED: " << *why; \
  } while (false)

std::string ping() {
  const std::string time = format_rfc3339_ms(system_now());
  return "<event version=\"2.0\" uid=\"hand-ping\" type=\"t-x-c-t\" how=\"m-g\" time=\"" + time + "\" start=\"" + time +
         "\" stale=\"" + format_rfc3339_ms(system_now() + std::chrono::hours(1)) +
         "\"><point lat=\"0\" lon=\"0\" hae=\"0\" ce=\"9999999\" le=\"9999999\"/><detail/></event>";
}

/// Answers the server's offer and waits for its yes.
void negotiate(HandClient& client) {
  const std::string offer = client.read_until("</event>");
  ASSERT_NE(offer.find("t-x-takp-v"), std::string::npos) << offer;
  const auto at = offer.find(" uid=\"") + 6;
  const std::string time = format_rfc3339_ms(system_now());
  ASSERT_TRUE(client.send("<event version=\"2.0\" uid=\"" + offer.substr(at, offer.find('"', at) - at) +
                          "\" type=\"t-x-takp-q\" how=\"m-g\" time=\"" + time + "\" start=\"" + time + "\" stale=\"" +
                          format_rfc3339_ms(system_now() + seconds(60)) +
                          "\"><point lat=\"0\" lon=\"0\" hae=\"0\" ce=\"999999\" le=\"999999\"/><detail><TakControl>"
                          "<TakRequest version=\"1\"/></TakControl></detail></event>"));
  const std::string answer = client.read_until("</TakControl></detail></event>");
  ASSERT_NE(answer.find("status=\"true\""), std::string::npos) << answer;
}

TEST(ScriptedServerTls, LetsInWhoHasACertificateOfItsAuthority) {
  const Certificates own, other;
  ScriptedServer server(
      {}, tak::ServerTls{
              .certificate = own.file("server.crt"), .key = own.file("server.key"), .client_ca = own.file("ca.crt")});
  {
    HandClient client(server.port(), own.client());
    ASSERT_TRUE(client.connected());
    ASSERT_TRUE(client.send(test_event("a", 3'000) + test_event("b", 40'000) + ping()));
    EXPECT_NE(client.read_until("takPong").find("takPong"), std::string::npos);
    EXPECT_EQ(server.uids(), (std::set<std::string>{"a", "b"}));
    EXPECT_EQ(server.seen().client_names, std::set<std::string>{"/O=Test/CN=feeder"});
    EXPECT_GT(server.seen().split_records, 0U) << "an event of 40 kB fits into no record";
    server.set({.answer = tak::ServerScript::Answer::kNever});
    server.drop_connections(false);
    EXPECT_TRUE(client.wait_for_end());
  }
  const auto whole = server.seen().split_records;
  HandClient tidy(server.port(), own.client());
  ASSERT_TRUE(tidy.send(test_event("c", 3'000) + test_event("d", 3'000)));
  ASSERT_TRUE(server.wait_for_events(4, seconds(10)));
  EXPECT_EQ(server.seen().split_records, whole);
  const auto handshakes = server.seen().handshakes;
  EXPECT_EQ(handshakes, 2U);

  // One without a certificate, one with that of another authority, one that trusts another authority.
  tak::ClientTls nameless{.ca = own.file("ca.crt")}, foreign = own.client(), wary = own.client();
  foreign.certificate = other.client().certificate;
  foreign.key = other.client().key;
  wary.ca = other.file("ca.crt");
  for (const auto& tls : {nameless, foreign}) {
    HandClient client(server.port(), tls);  // TLS 1.3: refused only after the client's part of the handshake
    (void)client.send(test_event("refused"));
    EXPECT_TRUE(client.wait_for_end());
  }
  EXPECT_FALSE(HandClient(server.port(), wary).connected());
  EXPECT_EQ(server.seen().handshakes, handshakes);
  EXPECT_FALSE(server.has_read("refused"));
  EXPECT_THROW(ScriptedServer({}, tak::ServerTls{.certificate = own.file("server.key"), .key = own.file("server.key")}),
               std::runtime_error);
}

TEST(CottakPeer, NegotiatesWithAHandOverMutualTlsAndTheGate) {
  NEED_PEER("build_cottak.sh");
  const Certificates own, other;
  Cottak server(&own);
  server.start();
  const Witness witness(server.tcp_port());
  ASSERT_TRUE(witness.connected());
  const FaultGate gate({.peer_port = server.tls_port()});
  {
    HandClient client(gate.port(), own.client());
    ASSERT_TRUE(client.connected());
    negotiate(client);
    std::string frames;
    for (int i = 0; i < 3'000; ++i)
      frames += tak::hand_made_frame({.uid = "DET." + std::to_string(i), .type = "a-u-G-E-V"}, system_now(), 300);
    ASSERT_TRUE(client.send(frames));
    EXPECT_TRUE(witness.wait_for(3'000, seconds(30)));
    EXPECT_TRUE(wait_until(seconds(20), [&] { return server.said().uids == witness.uids(); }));
    EXPECT_EQ(server.said().uids.size(), 3'000U);
    EXPECT_EQ(server.said().switched, 1U);
    EXPECT_EQ(server.said().tls_connects, 1U);
    EXPECT_EQ(server.said().lagged, 0U);
  }
  tak::ClientTls foreign = own.client();
  foreign.certificate = other.client().certificate;
  foreign.key = other.client().key;
  HandClient refused(server.tls_port(), foreign);
  EXPECT_TRUE(refused.wait_for_end());
  server.kill();
  EXPECT_TRUE(wait_until(seconds(10), [&] { return !witness.connected(); })) << "a witness that is cut off says so";
  const auto port = server.tls_port();
  server.start();
  EXPECT_EQ(server.tls_port(), port);
  HandClient again(port, own.client());
  negotiate(again);
  EXPECT_TRUE(wait_until(seconds(10), [&] { return server.said().switched == 2; }));
}

TEST(TakyPeer, IsFedByAHandOverMutualTlsAndPytakReadsIt) {
  NEED_PEER("setup_venv.sh", "taky");
  NEED_PEER("setup_venv.sh", "pytak");
  Taky server(true);
  server.start();
  PytakSubscriber pytak(server.port(), server.credentials());
  const std::string folder = server.credentials();
  const tak::ClientTls tls{.ca = folder + "/ca.crt", .certificate = folder + "/tls.crt", .key = folder + "/tls.key"};
  const FaultGate gate({.peer_port = server.port(), .whole_tls_records = true});
  HandClient client(gate.port(), tls);
  ASSERT_TRUE(client.connected());
  std::string events;
  for (int i = 0; i < 500; ++i) {
    events = test_event("DET." + std::to_string(i), 900);
    ASSERT_TRUE(client.send(events));
  }
  ASSERT_TRUE(client.send(ping()));
  EXPECT_NE(client.read_until("takPong").find("takPong"), std::string::npos);
  EXPECT_EQ(server.received().size(), 500U);
  EXPECT_TRUE(pytak.wait_for(500, seconds(30)));
  EXPECT_EQ(pytak.finish(), "");
  server.kill();
  EXPECT_TRUE(client.wait_for_end());
  server.start();
  HandClient again(server.port(), tls);
  ASSERT_TRUE(again.connected());
  ASSERT_TRUE(again.send(test_event("DET.again", 900) + ping()));
  EXPECT_NE(again.read_until("takPong").find("takPong"), std::string::npos);
  EXPECT_EQ(server.received().size(), 501U);
}

TEST(NodeCotPeer, ReadsXmlAndFramesOfOneStream) {
  NEED_PEER("setup_node.sh", "node-cot");
  const TempDir dir;
  const auto file = dir.path() / "stream";
  const auto now = system_now();
  write_file(file, "<auth><cot username=\"u\" password=\"p\" uid=\"x\"/></auth>" + test_event("xml-1") +
                       test_event("xml-2", 3'000) + tak::hand_made_frame({.uid = "frame-1", .type = "a-u-G"}, now) +
                       tak::hand_made_frame({.uid = "frame-2", .type = "a-f-G"}, now, 20'000) +
                       "\xbf\x7f"
                       "cut");
  const auto events = read_with_node_cot(file);
  ASSERT_EQ(events.size(), 5U);
  EXPECT_EQ(events[0].at("uid"), "xml-1");
  EXPECT_EQ(events[0].at("form"), "xml");
  EXPECT_EQ(events[1].at("uid"), "xml-2");
  EXPECT_EQ(events[2].at("uid"), "frame-1");
  EXPECT_EQ(events[3].at("form"), "frame");
  EXPECT_EQ(events[3].at("type"), "a-f-G");
  EXPECT_EQ(events[3].at("how"), "m-i");
  EXPECT_EQ(events[3].at("time"), format_rfc3339_ms(now));
  EXPECT_EQ(events[4].at("tail"), 5);
  for (int i = 0; i < 4; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    EXPECT_NEAR(event.at("lat").get<double>(), 40.7128, 1e-9) << event;
    EXPECT_NEAR(event.at("lon").get<double>(), -74.006, 1e-9) << event;
    EXPECT_EQ(event.at("hae"), 10) << event;
    EXPECT_EQ(event.at("ce"), 5) << event;
    EXPECT_EQ(event.at("le"), 9999999) << event;
  }
}

}  // namespace
}  // namespace detection::integration
