// The sink over TLS, against a server that shares no code with it.

#include <gmock/gmock.h>

#include <thread>

#include "tak/sink_test_support.hpp"
#include "tak/test_certificates.hpp"

namespace detection::tak {
namespace {

using tak::testing::CertificateWishes;
using tak::testing::Identity;
using tak::testing::TemporaryFolder;
using tak::testing::TestAuthority;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// A server's files and a feeder's credentials folder, both of one authority.
class TlsPlace {
 public:
  explicit TlsPlace(const std::optional<Identity>& server = {}) {
    const Identity identity = server ? *server : authority.server();
    tls.certificate = files.write("server.crt", identity.certificate).string();
    tls.key = files.write("server.key", identity.key).string();
    tls.client_ca = files.write("ca.crt", authority.certificate()).string();
    folder.write("ca.crt", authority.certificate());
    use(authority.client("feeder"));
  }
  void use(const Identity& client) const {
    folder.write("tls.key", client.key);
    folder.write("tls.crt", client.certificate);
  }

  TestAuthority authority{"Test CA"};
  TemporaryFolder files, folder;
  ServerTls tls;
};

struct TlsBench {
  TlsBench(const TlsPlace& place, ServerScript script, TestFeeder::Plan plan,
           const std::function<void(SinkOptions&)>& change = {})
      : server(std::move(script), place.tls), feeder(std::move(plan)) {
    SinkOptions options = quick_options(server.port());
    options.address.scheme = Scheme::kTls;
    options.address.host = "localhost";
    options.tls.credentials = place.folder.path().string();
    if (change) change(options);
    sink = make_sink(options, feeder);
    feeder.attach(*sink);
    sink->start();
  }
  ~TlsBench() {
    sink->stop(milliseconds{0});
    feeder.stopped();
    EXPECT_EQ(feeder.faults, std::vector<std::string>{});
    EXPECT_EQ(server.torn(), 0U);
  }
  /// Tries, and is refused for a reason with these words; the server has got nothing.
  void expect_refused(const std::string& words) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (sink->status().last_error.find(words) == std::string::npos && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(milliseconds{1});
    EXPECT_THAT(sink->status().last_error, HasSubstr(words));
    EXPECT_EQ(feeder.confirmed + feeder.unconfirmed, 0U);
    EXPECT_EQ(server.events(), 0U);
  }

  ScriptedServer server;
  TestFeeder feeder;
  std::unique_ptr<Sink> sink;
};

TEST(TlsSink, DeliversOverMutualTlsInWholeRecords) {
  const TlsPlace place;
  TlsBench bench(place, {}, {.batches = 40, .events_per_batch = 50, .event_bytes = 900});
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  EXPECT_EQ(bench.feeder.confirmed, 40U);
  EXPECT_EQ(bench.feeder.lost, 0U);
  EXPECT_THAT(bench.server.seen().client_names, Contains(HasSubstr("feeder")));
  EXPECT_EQ(bench.server.seen().split_records, 0U);
  EXPECT_TRUE(bench.sink->status().certificate_expires.has_value());
}

TEST(TlsSink, NegotiatesProtobufInsideTls) {
  const TlsPlace place;
  TlsBench bench(place, {.offer = ServerScript::Offer::kAtConnect}, {.batches = 0});
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (bench.server.seen().switched == 0 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(milliseconds{1});
  EXPECT_EQ(bench.server.seen().early_bytes, 0U);
  EXPECT_EQ(bench.server.seen().unasked, 0U);
  while (bench.server.seen().frame_pings == 0 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(milliseconds{1});
  EXPECT_EQ(bench.server.seen().broken_frames, 0U);
  EXPECT_EQ(bench.sink->status().protocol, "protobuf");
}

TEST(TlsSink, AServerOfAnotherAuthorityGetsNotOneEvent) {
  const TestAuthority other("Somebody Else's CA");
  const TlsPlace place(other.server());
  TlsBench bench(place, {}, {.batches = 3});
  bench.expect_refused("Somebody Else's CA");
  EXPECT_EQ(bench.feeder.ready, 0U);
}

TEST(TlsSink, AnotherNameIsRefusedUnlessItIsExpectedOrPinned) {
  const TestAuthority unknown("CA of a stranger");
  const Identity elsewhere = unknown.server("tak.example.org");
  {
    const TlsPlace trusted;
    const Identity wrong = trusted.authority.issue({.common_name = "tak.example.org", .dns = {"tak.example.org"}});
    trusted.files.write("server.crt", wrong.certificate);
    trusted.files.write("server.key", wrong.key);
    {
      TlsBench bench(trusted, {}, {.batches = 2});
      bench.expect_refused("tak.example.org");
    }
    TlsBench bench(trusted, {}, {.batches = 2}, [](SinkOptions& o) { o.tls.expected_name = "tak.example.org"; });
    EXPECT_TRUE(bench.feeder.wait_done(kPatience));
  }
  const TlsPlace place(elsewhere);
  TlsBench bench(place, {}, {.batches = 2},
                 [&](SinkOptions& o) { o.tls.pin_sha256 = tak::testing::pin_of(elsewhere.certificate); });
  EXPECT_TRUE(bench.feeder.wait_done(kPatience));
}

TEST(TlsSink, WithoutOurCertificateItSaysThatOneIsWanted) {
  const TlsPlace place;
  std::filesystem::remove(place.folder.path() / "tls.crt");
  std::filesystem::remove(place.folder.path() / "tls.key");
  TlsBench bench(place, {}, {.batches = 2});
  bench.expect_refused("client certificate");
}

TEST(TlsSink, AServerThatRefusesOurCertificateSaysWhyAlsoWhileWeWrite) {
  const TlsPlace place;
  const TestAuthority other("Somebody Else's CA");
  place.use(other.client("feeder"));
  TlsBench bench(place, {}, {.batches = 50, .events_per_batch = 50, .event_bytes = 900});
  ASSERT_TRUE(bench.feeder.wait_for([](const TestFeeder& f) { return f.lost >= 10; }, kPatience));
  for (const auto& reason : bench.feeder.reasons) EXPECT_THAT(reason, HasSubstr("certificate"));
  EXPECT_EQ(bench.server.events(), 0U);
}

TEST(TlsSink, APlainServerOnThePortIsSaid) {
  const TlsPlace place;
  ScriptedServer plain({.junk = "<event version='2.0'/>"});
  TlsBench bench(place, {}, {.batches = 2}, [&](SinkOptions& o) { o.address.port = plain.port(); });
  bench.expect_refused("TLS");
  EXPECT_EQ(plain.events(), 0U);
}

TEST(TlsSink, BrokenCredentialsAreSaidWithTheirFile) {
  const TlsPlace place;
  place.folder.write("tls.crt", "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n");
  TlsBench bench(place, {}, {.batches = 2});
  bench.expect_refused("tls.crt");
}

TEST(TlsSink, RenewedCredentialsAreUsedWithoutALossAndBadOnesAreNot) {
  const TlsPlace place;
  TlsBench bench(place, {}, {.batches = 5, .attempt_in_uid = false});
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  place.folder.write("tls.crt", "half a fi");
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (bench.sink->status().last_error.empty() && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(milliseconds{5});
  EXPECT_THAT(bench.sink->status().last_error, HasSubstr("tls.crt"));
  EXPECT_TRUE(bench.sink->status().connected) << "the good ones go on";
  bench.feeder.add(5);
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));

  place.use(place.authority.client("renewed"));
  while (bench.server.seen().client_names.size() < 2 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(milliseconds{5});
  EXPECT_THAT(bench.server.seen().client_names, Contains(HasSubstr("renewed")));
  bench.feeder.add(5);
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  EXPECT_EQ(bench.feeder.confirmed, 15U);
}

TEST(TlsSink, CutAnywhereNothingIsLost) {
  const TlsPlace place;
  TlsBench bench(place, {}, {.batches = 10, .event_bytes = 700, .attempt_in_uid = false});
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  std::uint64_t connections = 1;
  for (const std::uint64_t bytes : {5'000ULL, 12'345ULL, 30'011ULL}) {
    bench.server.set({.reset_after = bytes});
    bench.feeder.add(20);
    ASSERT_TRUE(bench.feeder.wait_for([&](const TestFeeder& f) { return f.ready > connections; }, kPatience));
    bench.server.set({});
    ASSERT_TRUE(bench.feeder.wait_done(kPatience));
    connections = bench.feeder.ready;
  }
  EXPECT_EQ(bench.feeder.confirmed, 70U);
}

TEST(TlsSink, UserAndPasswordOfTheFolderAreTheFirstMessage) {
  const TlsPlace place;
  place.folder.write("username", "camera-1\n");
  place.folder.write("password", "words of 9 letters\n");
  TlsBench bench(place,
                 {.auth = ServerScript::Auth::kDemanded, .username = "camera-1", .password = "words of 9 letters"},
                 {.batches = 2});
  ASSERT_TRUE(bench.feeder.wait_done(kPatience));
  EXPECT_EQ(bench.server.seen().auths_refused, 0U);
}

}  // namespace
}  // namespace detection::tak
