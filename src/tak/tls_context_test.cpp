// TLS to servers of every kind of fault, and the words for it.

#include "tak/tls_context.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "tak/test_tls_server.hpp"

namespace detection::tak {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::Identity;
using ::testing::Not;
using testing::pin_of;
using testing::TemporaryFolder;
using testing::TestAuthority;
using testing::TestPeer;
using testing::TestTlsOptions;
using testing::TestTlsServer;

struct Outcome {
  bool handshake = false;
  bool answered = false;  ///< "hello" came
  std::string words;      ///< of explain(), when it was not
  std::optional<ServerCertificate> server;
  bool asked = false;
  std::string version;
};

TlsOptions named(const std::string& name) {
  TlsOptions options;
  options.expected_name = name;
  return options;
}

TlsOptions pinned(const std::string& pin) {
  TlsOptions options;
  options.pin_sha256 = pin;
  return options;
}

class Tls : public ::testing::Test {
 protected:
  Tls() { folder_.write("ca.crt", authority_.certificate()); }

  void use_client(const Identity& identity) const {
    folder_.write("tls.crt", identity.certificate);
    folder_.write("tls.key", identity.key);
  }

  [[nodiscard]] std::shared_ptr<const TlsContext> context(const TlsOptions& options, const std::string& host) const {
    const auto credentials = load_credentials(folder_.path(), system_now());
    EXPECT_TRUE(credentials) << credentials.error().detail;
    auto made = TlsContext::make(options, host, *credentials);
    EXPECT_TRUE(made) << made.error().detail;
    return *made;
  }

  /// Connects to 127.0.0.1 as if `host` had been the address.
  [[nodiscard]] Outcome connect(std::uint16_t port, const TlsOptions& options = {},
                                const std::string& host = "localhost") const {
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    Outcome out;
    {
      auto made = context(options, host);
      SSL* const ssl = SSL_new(made->native().get());
      EXPECT_TRUE(made->configure(ssl));
      made.reset();  // the connection needs it no more
      SSL_set_fd(ssl, descriptor);
      ERR_clear_error();
      out.handshake = SSL_connect(ssl) == 1;
      unsigned long error = ERR_peek_error();
      if (out.handshake) {
        out.version = TlsContext::version(ssl);
        std::array<char, 64> bytes{};
        ERR_clear_error();
        SSL_write(ssl, "ping", 4);
        const int count = SSL_read(ssl, bytes.data(), bytes.size());
        out.answered = count == 5;
        error = ERR_peek_error();
      }
      if (!out.answered) out.words = TlsContext::explain(ssl, error);
      out.server = TlsContext::server(ssl);
      out.asked = TlsContext::asked_for_certificate(ssl);
      SSL_free(ssl);
    }
    ERR_clear_error();
    ::close(descriptor);
    return out;
  }

  [[nodiscard]] Outcome connect_to(TestTlsOptions server, const TlsOptions& options = {},
                                   const std::string& host = "localhost") const {
    const TestTlsServer listening(std::move(server), [](const TestPeer& peer) {
      if (!peer.read().empty()) peer.write("hello");
    });
    return connect(listening.port(), options, host);
  }

  TestAuthority authority_{"Site CA"};
  TemporaryFolder folder_;
};

TEST_F(Tls, GoodServerIsTaken) {
  const TestTlsServer server({.identity = authority_.server()}, [](const TestPeer& peer) {
    if (!peer.read().empty()) peer.write("hello");
  });
  const auto outcome = connect(server.port());
  EXPECT_TRUE(outcome.answered) << outcome.words;
  EXPECT_EQ(outcome.version, "TLS 1.3");
  EXPECT_EQ(server.server_name(), "localhost");
  ASSERT_TRUE(outcome.server);
  EXPECT_EQ(outcome.server->subject, "CN=localhost");
  EXPECT_EQ(outcome.server->issuer, "CN=Site CA");
  EXPECT_FALSE(outcome.asked);
}

TEST_F(Tls, VersionTwoOfOneIsEnough) {
  const auto outcome = connect_to({.identity = authority_.server(), .only_tls12 = true});
  EXPECT_TRUE(outcome.answered) << outcome.words;
  EXPECT_EQ(outcome.version, "TLS 1.2");
}

TEST_F(Tls, AddressInTheSanIsTaken) {
  EXPECT_TRUE(connect_to({.identity = authority_.server("x.example")}, {}, "127.0.0.1").answered);
  EXPECT_THAT(connect_to({.identity = authority_.server("x.example")}, {}, "127.0.0.2").words,
              AllOf(HasSubstr("another name"), HasSubstr("'127.0.0.1'"), HasSubstr("not '127.0.0.2'")));
}

TEST_F(Tls, NameIsLookedForInTheCnOnlyWithoutASan) {
  const auto no_san = authority_.issue({.common_name = "TAKServer"});
  EXPECT_TRUE(connect_to({.identity = no_san}, {}, "takserver").answered);
  EXPECT_TRUE(connect_to({.identity = no_san}, named("TAKServer"), "127.0.0.1").answered);
  const auto words = connect_to({.identity = no_san}, {}, "127.0.0.1").words;
  EXPECT_THAT(words, AllOf(HasSubstr("no SAN, and 'TAKServer' as its CN"), HasSubstr("expected_name=TAKServer"),
                           HasSubstr("pin_sha256=" + pin_of(no_san.certificate))));
  const auto other_san = authority_.issue({.common_name = "right", .dns = {"other"}});
  EXPECT_FALSE(connect_to({.identity = other_san}, {}, "right").handshake);
  const auto only_address = authority_.issue({.common_name = "right", .addresses = {"10.0.0.1"}});
  EXPECT_FALSE(connect_to({.identity = only_address}, {}, "right").handshake) << "a SAN without DNS names is a SAN";
}

TEST_F(Tls, WrongNameSaysWhichNamesThereAre) {
  const auto outcome = connect_to({.identity = authority_.server("tak.example.org")});
  EXPECT_FALSE(outcome.handshake);
  EXPECT_THAT(outcome.words, AllOf(HasSubstr("another name"), HasSubstr("'tak.example.org'"),
                                   HasSubstr("not 'localhost'"), HasSubstr("expected_name=tak.example.org")));
  EXPECT_TRUE(connect_to({.identity = authority_.server("tak.example.org")}, named("tak.example.org")).answered);
  EXPECT_THAT(connect_to({.identity = authority_.server()}, named("else")).words, HasSubstr("from expected_name"));
}

TEST_F(Tls, UnknownAuthorityNamesBothSides) {
  const TestAuthority other("Other CA");
  const auto outcome = connect_to({.identity = other.server()});
  EXPECT_FALSE(outcome.handshake);
  EXPECT_THAT(outcome.words, AllOf(HasSubstr("unknown authority"), HasSubstr("CN=Other CA"),
                                   HasSubstr("ca.crt (CN=Site CA)"), HasSubstr("pin_sha256=")));
}

TEST_F(Tls, AuthorityOfTheSameNameIsNotTheSame) {
  const TestAuthority impostor("Site CA");
  const auto outcome = connect_to({.identity = impostor.server()});
  EXPECT_FALSE(outcome.handshake);
  EXPECT_THAT(outcome.words, HasSubstr("ca.crt"));
}

TEST_F(Tls, WithoutAuthoritiesTheSystemsCount) {
  std::filesystem::remove(folder_.path() / "ca.crt");
  folder_.write("username", "u");
  const auto outcome = connect_to({.identity = authority_.server()});
  EXPECT_FALSE(outcome.handshake);
  EXPECT_THAT(outcome.words, AllOf(HasSubstr("the authorities of this system"), HasSubstr("--tak-credentials")));
}

TEST_F(Tls, IntermediateAuthorityAloneIsEnough) {
  const TestAuthority middle("Middle CA", authority_);
  folder_.write("ca.crt", middle.certificate());
  EXPECT_TRUE(connect_to({.identity = middle.server()}).answered);
}

TEST_F(Tls, ChainWithAHoleSaysWhereItEnds) {
  const TestAuthority middle("Middle CA", authority_);
  EXPECT_THAT(connect_to({.identity = middle.server()}).words,
              AllOf(HasSubstr("CN=Middle CA"), HasSubstr("unknown authority"), HasSubstr("ca.crt")));
  auto whole = middle.server();
  whole.certificate += middle.certificate();
  EXPECT_TRUE(connect_to({.identity = whole}).answered);
}

TEST_F(Tls, ExpiredCertificateSaysSinceWhen) {
  const auto old = authority_.issue({.common_name = "localhost",
                                     .dns = {"localhost"},
                                     .starts = std::chrono::hours{-99},
                                     .ends = std::chrono::hours{-49}});
  const auto outcome = connect_to({.identity = old});
  EXPECT_FALSE(outcome.handshake);
  EXPECT_THAT(outcome.words, AllOf(HasSubstr("expired 2 days ago"), HasSubstr("clock")));
}

TEST_F(Tls, CertificateOfTomorrowPointsAtTheClock) {
  const auto early =
      authority_.issue({.common_name = "localhost", .dns = {"localhost"}, .starts = std::chrono::minutes{150}});
  EXPECT_THAT(connect_to({.identity = early}).words,
              AllOf(HasSubstr("not yet valid, only in 2 hours"), HasSubstr("is the clock of this machine right?")));
}

TEST_F(Tls, PinTakesExactlyThatCertificate) {
  const TestAuthority other("Other CA");
  const auto odd = other.issue({.common_name = "whatever", .ends = std::chrono::minutes{-30}});
  const auto pin = pin_of(odd.certificate);
  EXPECT_TRUE(connect_to({.identity = odd}, pinned(pin)).answered);
  const auto outcome = connect_to({.identity = authority_.server()}, pinned(pin));
  EXPECT_FALSE(outcome.handshake) << "a good name and authority do not stand in for the pin";
  ASSERT_TRUE(outcome.server);
  EXPECT_THAT(outcome.words, AllOf(HasSubstr("not the pinned one"), HasSubstr("pin_sha256=" + outcome.server->sha256),
                                   HasSubstr(pin)));
}

TEST_F(Tls, PinIsReadInEveryForm) {
  std::string colons;
  for (int i = 0; i < 32; ++i) colons += i == 0 ? "AB" : ":AB";
  EXPECT_TRUE(TlsContext::make(pinned(colons), "h", nullptr));
  const auto bad = TlsContext::make(pinned("abcd"), "h", nullptr);
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().detail, HasSubstr("64 hex digits"));
}

TEST_F(Tls, ClientCertificateIsShown) {
  use_client(authority_.client("feeder"));
  const auto outcome = connect_to({.identity = authority_.server(), .client_authorities = authority_.certificate()});
  EXPECT_TRUE(outcome.answered) << outcome.words;
  EXPECT_TRUE(outcome.asked);
}

TEST_F(Tls, DemandForAClientCertificateIsSaidUnderBothVersions) {
  for (const bool old : {false, true}) {
    const auto outcome = connect_to(
        {.identity = authority_.server(), .client_authorities = authority_.certificate(), .only_tls12 = old});
    EXPECT_EQ(outcome.handshake, !old) << "under TLS 1.3 the refusal comes with the first read";
    EXPECT_FALSE(outcome.answered);
    EXPECT_THAT(outcome.words, AllOf(HasSubstr("demands a client certificate"), HasSubstr("tls.crt")));
  }
}

TEST_F(Tls, RefusedClientCertificateIsSaidUnderBothVersions) {
  const TestAuthority other("Other CA");
  use_client(other.client("stranger"));
  for (const bool old : {false, true}) {
    const auto outcome = connect_to(
        {.identity = authority_.server(), .client_authorities = authority_.certificate(), .only_tls12 = old});
    EXPECT_FALSE(outcome.answered);
    EXPECT_THAT(outcome.words,
                AllOf(HasSubstr("refused our client certificate (alert unknown_ca)"), HasSubstr("CN=stranger"),
                      HasSubstr("CN=Other CA"), HasSubstr("accepts those issued by CN=Site CA")));
  }
}

TEST_F(Tls, ExpiredClientCertificateIsSaid) {
  use_client(authority_.issue({.common_name = "old", .ends = std::chrono::minutes{-30}}));
  const auto outcome = connect_to({.identity = authority_.server(), .client_authorities = authority_.certificate()});
  EXPECT_THAT(outcome.words, AllOf(HasSubstr("certificate_expired"), HasSubstr("enrol again")));
}

TEST_F(Tls, PlainServerIsRecognised) {
  const TestTlsServer talking({}, [](const TestPeer& peer) { peer.write("<?xml version='1.0'?><event/>"); });
  EXPECT_THAT(connect(talking.port()).words, AllOf(HasSubstr("does not speak TLS on this port"), HasSubstr("tcp://")));
  const TestTlsServer silent({}, [](const TestPeer& peer) { EXPECT_FALSE(peer.read().empty()); });
  EXPECT_THAT(connect(silent.port()).words, AllOf(HasSubstr("closed the connection"), HasSubstr("plain text")));
}

TEST_F(Tls, OldVersionsAreRefusedInWords) {
  const auto outcome = connect_to({.identity = authority_.server(), .only_tls11 = true});
  EXPECT_FALSE(outcome.handshake);
  EXPECT_THAT(outcome.words, HasSubstr("must offer TLS 1.2 or 1.3"));
}

TEST_F(Tls, ConnectionThatWasNotConfiguredTakesNoServer) {
  const TestTlsServer server({.identity = authority_.server()}, [](const TestPeer&) {});
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server.port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  SSL* const ssl = SSL_new(context({}, "localhost")->native().get());
  SSL_set_fd(ssl, descriptor);
  EXPECT_NE(SSL_connect(ssl), 1);
  SSL_free(ssl);
  ERR_clear_error();
  ::close(descriptor);
}

}  // namespace
}  // namespace detection::tak
