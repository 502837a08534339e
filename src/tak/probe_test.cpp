// The probe against servers of each kind of fault: what it says is what matters.

#include "tak/probe.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cot/event_splitter.hpp"
#include "cot/reader.hpp"
#include "tak/test_tls_server.hpp"

namespace detection::tak {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::TemporaryFolder;
using testing::TestAuthority;
using testing::TestPeer;
using testing::TestTlsOptions;
using testing::TestTlsServer;

constexpr const char* kOffer =
    "<event version='2.0' uid='protouid' type='t-x-takp-v' how='m-g' time='2026-11-26T00:00:00Z' "
    "start='2026-11-26T00:00:00Z' stale='2026-11-26T00:01:00Z'><point lat='0' lon='0' hae='0' ce='0' le='0'/><detail>"
    "<TakControl><TakProtocolSupport version=\"1\"/></TakControl></detail></event>";

std::string pong(std::chrono::seconds ahead) {
  return "<event version='2.0' uid='takPong' type='t-x-c-t-r' how='h-g-i-g-o' time='" +
         format_rfc3339_ms(system_now() + ahead) + "'></event>";
}

/// Each line as "good tls: text".
std::string text_of(const ProbeReport& report) {
  std::string out;
  for (const auto& step : report.steps)
    out += (step.state == StepState::kGood   ? "good "
            : step.state == StepState::kNote ? "note "
                                             : "bad ") +
           step.name + ": " + step.text + "\n";
  return out + (report.would_deliver ? "yes: " : "no: ") + report.conclusion;
}

/// Until the ping has come.
void read_ping(const TestPeer& peer, std::string* all = nullptr) {
  std::string text;
  while (text.find("</event>") == std::string::npos) {
    const auto more = peer.read();
    if (more.empty()) return;
    text += more;
  }
  if (all != nullptr) *all = text;
}

class Probe : public ::testing::Test {
 protected:
  [[nodiscard]] ProbeOptions options(Scheme scheme, std::uint16_t port, const std::string& host = "127.0.0.1") const {
    ProbeOptions out;
    out.address = {.scheme = scheme, .host = host, .port = port};
    out.offer_wait = milliseconds{50};
    out.timeout = milliseconds{5'000};
    const auto credentials = load_credentials(folder_.path(), system_now());
    EXPECT_TRUE(credentials) << credentials.error().detail;
    if (credentials) out.credentials = *credentials;
    return out;
  }
  [[nodiscard]] std::string tls(TestTlsOptions server, TestTlsServer::Serve serve = [](const TestPeer&) {}) const {
    const TestTlsServer listening(std::move(server), std::move(serve));
    return text_of(probe(options(Scheme::kTls, listening.port())));
  }
  void trust() const { folder_.write("ca.crt", authority_.certificate()); }

  TestAuthority authority_{"Site CA"};
  TemporaryFolder folder_;
};

TEST_F(Probe, GoodServerOverTls) {
  trust();
  const auto client = authority_.client("feeder");
  folder_.write("tls.crt", client.certificate);
  folder_.write("tls.key", client.key);
  const auto text =
      tls({.identity = authority_.server(), .client_authorities = authority_.certificate()}, [](const TestPeer& peer) {
        peer.write(kOffer);
        read_ping(peer);
        peer.write(pong(std::chrono::seconds{0}));
        (void)peer.read();
      });
  EXPECT_THAT(text, AllOf(HasSubstr("good address: tls://127.0.0.1:"), HasSubstr("good tcp: connected"),
                          HasSubstr("good tls: TLS 1.3, the server is CN=localhost"), HasSubstr("issued by CN=Site CA"),
                          HasSubstr("client certificate: CN=feeder, issued by CN=Site CA, good until"),
                          HasSubstr("the server asked for it"), HasSubstr("offers TAK Protocol version 1"),
                          HasSubstr("good ping: answered with a pong after"), HasSubstr("good clock: "),
                          HasSubstr("yes: A feeder would work")));
}

TEST_F(Probe, ServerThatEchoesAndOffersNothing) {
  std::string seen;
  const TestTlsServer server({}, [&](const TestPeer& peer) {
    read_ping(peer, &seen);
    peer.write("<event uid='x' type='a-u-G' time='y'></event>" + seen);
    (void)peer.read();
  });
  const auto report = probe(options(Scheme::kTcp, server.port()));
  EXPECT_EQ(report.ping, PingAnswer::kEcho);
  EXPECT_FALSE(report.offers_protobuf);
  EXPECT_THAT(text_of(report), AllOf(HasSubstr("an echo"), HasSubstr("a feeder speaks XML"),
                                     HasSubstr("1 other events"), HasSubstr("yes: ")));
  cot::EventSplitter splitter;
  std::string_view bytes = seen;
  const auto sent = splitter.next(bytes);
  ASSERT_TRUE(sent);
  EXPECT_EQ(cot::read_event_name(*sent)->type, "t-x-c-t") << "nothing but a ping may be sent";
  EXPECT_TRUE(bytes.empty());
}

TEST_F(Probe, ServerThatNeverAnswersPingsIsUnconfirmed) {
  const TestTlsServer server({}, [](const TestPeer& peer) {
    read_ping(peer);
    (void)peer.read();
  });
  auto asked = options(Scheme::kTcp, server.port());
  asked.timeout = milliseconds{100};
  EXPECT_THAT(text_of(probe(asked)),
              AllOf(HasSubstr("note ping: not answered"), HasSubstr("yes: "), HasSubstr("'sent, unconfirmed'")));
}

TEST_F(Probe, ClockThatIsOffIsNoted) {
  const TestTlsServer server({}, [](const TestPeer& peer) {
    read_ping(peer);
    peer.write(pong(std::chrono::minutes{10}));
    (void)peer.read();
  });
  EXPECT_THAT(text_of(probe(options(Scheme::kTcp, server.port()))),
              AllOf(HasSubstr("note clock: the server's clock is"), HasSubstr("minutes ahead of ours")));
}

TEST_F(Probe, UserIsSentFirstAndARefusalIsSaid) {
  folder_.write("username", "o'neil");
  folder_.write("password", "s<cret");
  std::string seen;
  const TestTlsServer server({}, [&](const TestPeer& peer) { read_ping(peer, &seen); });
  const auto text = text_of(probe(options(Scheme::kTcp, server.port())));
  EXPECT_TRUE(seen.starts_with("<auth><cot username=\"")) << seen;
  EXPECT_THAT(seen, HasSubstr("password=\"s&lt;cret\""));
  EXPECT_THAT(text, AllOf(HasSubstr("bad auth: "), HasSubstr("probably wrong"),
                          HasSubstr("no: A feeder would not work"), Not(HasSubstr("s<cret"))));
}

TEST_F(Probe, NothingListens) {
  std::uint16_t port = 0;
  {
    const TestTlsServer gone({}, [](const TestPeer&) {});
    port = gone.port();
  }
  EXPECT_THAT(text_of(probe(options(Scheme::kTcp, port))),
              AllOf(HasSubstr("bad tcp: "), HasSubstr("nothing listens on that port"), HasSubstr("no: ")));
}

TEST_F(Probe, NameThatDoesNotExist) {
  auto asked = options(Scheme::kTls, 8089, "no-such-host.invalid");
  asked.timeout = milliseconds{3'000};
  EXPECT_THAT(text_of(probe(asked)),
              AllOf(HasSubstr("bad name: 'no-such-host.invalid' cannot be resolved"), HasSubstr("no: ")));
}

TEST_F(Probe, TlsFaultsAreExplained) {
  EXPECT_THAT(tls({.identity = authority_.server()}),
              AllOf(HasSubstr("bad tls: "), HasSubstr("the authorities of this system"), HasSubstr("no: ")));
  trust();
  EXPECT_THAT(tls({.identity = TestAuthority("Other").server()}),
              AllOf(HasSubstr("bad tls: "), HasSubstr("CN=Other"), HasSubstr("ca.crt (CN=Site CA)")));
  EXPECT_THAT(tls({.identity = authority_.issue({.common_name = "tak"})}),
              AllOf(HasSubstr("bad tls: "), HasSubstr("expected_name=tak")));
  EXPECT_THAT(tls({.identity = authority_.issue({.common_name = "127.0.0.1", .ends = std::chrono::minutes{-30}})}),
              HasSubstr("expired 30 minutes ago"));
  EXPECT_THAT(tls({.identity = authority_.server(), .only_tls11 = true}), HasSubstr("must offer TLS 1.2 or 1.3"));
  EXPECT_THAT(tls({}, [](const TestPeer& peer) { peer.write("<event/>"); }),
              HasSubstr("does not speak TLS on this port"));
}

TEST_F(Probe, DemandedCertificateIsSaidAfterTheHandshake) {
  trust();
  const auto text = tls({.identity = authority_.server(), .client_authorities = authority_.certificate()});
  EXPECT_THAT(text, AllOf(HasSubstr("good tls: TLS 1.3"), HasSubstr("note client certificate: the server asks for one"),
                          HasSubstr("bad connection: the server demands a client certificate"), HasSubstr("no: ")));
}

TEST_F(Probe, PinIsNamed) {
  const TestAuthority other("Other");
  const auto identity = other.issue({.common_name = "x"});
  const TestTlsServer server({.identity = identity}, [](const TestPeer& peer) {
    read_ping(peer);
    peer.write(pong(std::chrono::seconds{0}));
    (void)peer.read();
  });
  auto asked = options(Scheme::kTls, server.port());
  asked.tls.pin_sha256 = std::string(64, 'a');
  EXPECT_THAT(text_of(probe(asked)),
              AllOf(HasSubstr("not the pinned one"), HasSubstr(testing::pin_of(identity.certificate))));
  asked.tls.pin_sha256 = testing::pin_of(identity.certificate);
  EXPECT_THAT(text_of(probe(asked)), AllOf(HasSubstr("it is the pinned one"), HasSubstr("yes: ")));
}

TEST_F(Probe, TlsPortSpokenToInPlainText) {
  const TestTlsServer server({.identity = authority_.server()}, [](const TestPeer&) {});
  EXPECT_THAT(text_of(probe(options(Scheme::kTcp, server.port()))), AllOf(HasSubstr("use tls://"), HasSubstr("no: ")));
}

TEST_F(Probe, DatagramsSayWhatCanBeKnown) {
  const int receiver = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(receiver, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::getsockname(receiver, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const auto port = ntohs(address.sin_port);
  EXPECT_THAT(text_of(probe(options(Scheme::kUdp, port))),
              AllOf(HasSubstr("good route: "), HasSubstr("yes: "), HasSubstr("'sent, unconfirmed'")));
  ::close(receiver);
  EXPECT_THAT(text_of(probe(options(Scheme::kUdp, port))),
              AllOf(HasSubstr("nothing listens there"), HasSubstr("no: ")));
  auto group = options(Scheme::kUdp, 6969, "239.2.3.1");
  group.interface = "no-such-interface";
  EXPECT_THAT(text_of(probe(group)), AllOf(HasSubstr("bad interface: 'no-such-interface'"), HasSubstr("no: ")));
  group.interface = "127.0.0.1";
  EXPECT_THAT(text_of(probe(group)), AllOf(HasSubstr("multicast group"), HasSubstr("yes: ")));
}

TEST_F(Probe, FileIsLookedAtAndNotMade) {
  ProbeOptions asked;
  asked.address.scheme = Scheme::kFile;
  asked.address.path = (folder_.path() / "events.cot").string();
  EXPECT_THAT(text_of(probe(asked)), HasSubstr("yes: "));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "events.cot"));
  asked.address.path = "/no/such/folder/events.cot";
  EXPECT_THAT(text_of(probe(asked)), HasSubstr("no: "));
}

}  // namespace
}  // namespace detection::tak
