// Foreign TAK servers behind a gate that makes a storm of faults, with and without TLS: every detection that is posted
// meanwhile arrives, none twice beyond what was in flight when a connection ended, read by the servers themselves, by a
// witness of ours, by pytak and by node-CoT.
// DETECTION_STORM_SECONDS (20; 300 in ./test full), DETECTION_COTTAK (5,000 events; 100,000), DETECTION_TAKY_STORM
// (2,000; 10,000: taky is quadratic), DETECTION_SEED.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>

#include "integration/support/fault_gate.hpp"
#include "integration/support/posting.hpp"
#include "integration/support/records.hpp"

namespace detection::integration {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

/// Of the courier: batches in flight times their events; so much may be sent again after a lost connection.
constexpr std::size_t kInFlightMost = 4 * 512;
/// node-CoT reads some thousand a second.
constexpr std::size_t kNodeCotMost = 20'000;

bool long_version() {
  return std::getenv("DETECTION_LONG") != nullptr;  // NOLINT(concurrency-mt-unsafe): nobody sets it
}

std::size_t storm_seconds() {
  return env_number("DETECTION_STORM_SECONDS", long_version() ? 300 : 20);
}

std::uint64_t seed() {
  static const std::uint64_t value = env_number("DETECTION_SEED", std::random_device{}() | 1U);
  return value;
}

/// Storms of one length at once on all gates, while so many are posted.
Uids post_in_the_storm(const Service& service, std::size_t count, const std::vector<FaultGate*>& gates,
                       const std::vector<StormOptions>& storms) {
  const seconds length(storm_seconds());
  Uids uids;
  std::vector<std::jthread> threads;
  threads.emplace_back([&] { uids = post_over(service, count, length); });
  for (std::size_t i = 0; i < gates.size(); ++i)
    threads.emplace_back([&, i] {
      StormOptions options = storms[i];
      options.length = length;
      options.seed = seed() + i;
      const auto said = gates[i]->storm(options);
      std::printf("gate %zu: %zu faults, %llu connections, %llu ended, %llu answers doubled\n", i, said.size(),
                  static_cast<unsigned long long>(gates[i]->connections()),
                  static_cast<unsigned long long>(gates[i]->ended()),
                  static_cast<unsigned long long>(gates[i]->duplicated()));
    });
  threads.clear();
  EXPECT_EQ(uids.size(), count);
  return uids;
}

void expect_all(const Uids& uids, const UidCounts& received, const FaultGate& gate, const char* who) {
  const auto found = compare(uids, received);
  EXPECT_EQ(found.missing, 0U) << who;
  EXPECT_EQ(found.strange, 0U) << who << ": events that nobody posted";
  EXPECT_LE(found.repeated, kInFlightMost * gate.connections()) << who;
  std::printf("%s: %zu events, %zu again\n", who, received.size(), found.repeated);
}

class Storm : public ::testing::Test {
 protected:
  static void need(const std::vector<std::vector<std::string>>& peers, std::string& why) {
    for (const auto& peer : peers)
      if (const auto missing = peer_missing(peer)) why += "no " + peer.back() + ": " + *missing;
  }
};

#define NEED_PEERS(...)                                      \
  do {                                                       \
    std::string why;                                         \
    need(__VA_ARGS__, why);                                  \
    if (!why.empty()) GTEST_SKIP() << "NOT TESTED: " << why; \
  } while (false)

TEST_F(Storm, CottakPlainAndMutualTls) {
  NEED_PEERS({{"build_cottak.sh"}, {"setup_venv.sh", "pytak"}, {"setup_node.sh", "node-cot"}});
  const std::size_t count = env_number("DETECTION_COTTAK", long_version() ? 100'000 : 5'000);
  const Certificates certificates;
  // One server for each sink: else each would be seen with the other's events.
  Cottak plain, secure(&certificates);
  plain.start();
  secure.start();
  const TempDir dir;
  FaultGate plain_gate({.peer_port = plain.tcp_port(), .record = dir.path() / "sent"});
  FaultGate secure_gate({.peer_port = secure.tls_port()});
  // The witness of the TLS server listens on its plain port: cottak passes on from the one to the other.
  const Witness plain_witness(plain.tcp_port()), secure_witness(secure.tcp_port());
  ASSERT_TRUE(plain_witness.connected() && secure_witness.connected());
  PytakSubscriber pytak(secure.tcp_port(), {});

  Service service({binary(),
                   {"plain=tcp://" + plain_gate.authority(), "secure=tls://" + secure_gate.authority("localhost") +
                                                                 "?credentials=" + certificates.credentials()},
                   {"--cot-stale", "1h"}});
  service.start();
  // What goes over before the storm: the first connection is negotiated, and its bytes are read by node-CoT.
  Uids uids = post_batches(service, 200);
  ASSERT_TRUE(wait_until(seconds(60), [&] { return plain.said().switched > 0 && secure.said().switched > 0; }))
      << service.log();
  uids.merge(post_batches(service, 200));
  ASSERT_TRUE(drained(service, {"plain", "secure"}, seconds(60))) << service.log();

  uids.merge(post_in_the_storm(service, count - uids.size(), {&plain_gate, &secure_gate},
                               {{.duplicates = true}, {.duplicates = false}}));
  ASSERT_EQ(uids.size(), count);
  ASSERT_TRUE(drained(service, {"plain", "secure"}, minutes(5)))
      << delivery_of(service, "plain") << delivery_of(service, "secure") << service.log();

  struct Lane {
    const char* name;
    Cottak& server;
    const Witness& witness;
    const FaultGate& gate;
  };
  for (const auto& [name, server, witness, gate] :
       {Lane{"plain", plain, plain_witness, plain_gate}, Lane{"secure", secure, secure_witness, secure_gate}}) {
    SCOPED_TRACE(name);
    EXPECT_TRUE(witness.wait_for(count, minutes(2)));
    EXPECT_TRUE(witness.connected()) << "its connection ended: what it saw is not all";
    EXPECT_TRUE(wait_until(minutes(2), [&, &one = server, &other = witness] {
      return one.said().uids == other.uids();
    })) << "what cottak says that it received is not what it passed on";
    const auto& said = server.said();
    EXPECT_EQ(said.lagged, 0U);
    expect_all(uids, said.uids, gate, "cottak");
    expect_all(uids, witness.uids(), gate, "witness");
    EXPECT_GT(gate.connections(), 1U);
    EXPECT_GT(said.switched, 1U) << "it negotiates again at each connection";
    EXPECT_EQ(delivery_of(service, name).value("protocol", ""), "protobuf");
  }
  EXPECT_GT(secure.said().tls_connects, 1U);

  EXPECT_TRUE(pytak.wait_for(count, minutes(2)));
  expect_all(uids, pytak.uids(), secure_gate, "pytak");
  EXPECT_EQ(pytak.finish(), "");

  if (count <= kNodeCotMost) {
    // Its count of what the server sent on, and of what we sent: XML first, then frames.
    UidCounts passed_on;
    for (const auto& event : read_with_node_cot(secure_witness.events_file())) ++passed_on[event.at("uid")];
    EXPECT_EQ(passed_on, secure_witness.uids());
  }
  std::size_t frames = 0;
  for (const auto& event : read_with_node_cot(dir.path() / "sent")) {
    if (event.contains("tail") || event.at("type").get<std::string>().starts_with("t-x-")) continue;
    frames += event.at("form") == "frame" ? 1 : 0;
    EXPECT_TRUE(uids.contains(event.at("uid"))) << event;
    EXPECT_EQ(event.at("type"), "a-u-G-E-V") << event;
    EXPECT_NEAR(event.at("lat").get<double>(), 48.05, 0.06) << event;
    EXPECT_NEAR(event.at("lon").get<double>(), 11.05, 0.06) << event;
    EXPECT_NEAR(event.at("hae").get<double>(), 500, 1) << event;
    EXPECT_GT(event.at("ce").get<double>(), 0) << event;
    EXPECT_LT(event.at("ce").get<double>(), 25) << event;
  }
  EXPECT_GE(frames, 200U);
}

TEST_F(Storm, TakyPlainAndMutualTls) {
  NEED_PEERS({{"setup_venv.sh", "taky"}, {"setup_venv.sh", "pytak"}});
  const std::size_t count = env_number("DETECTION_TAKY_STORM", long_version() ? 10'000 : 2'000);
  Taky plain, secure(true);
  plain.start();
  secure.start();
  FaultGate plain_gate({.peer_port = plain.port()});
  // No record comes to taky in two pieces: it would take that for the end of the connection.
  FaultGate secure_gate({.peer_port = secure.port(), .whole_tls_records = true});
  PytakSubscriber pytak(secure.port(), secure.credentials());
  const Witness witness(plain.port());
  ASSERT_TRUE(witness.connected());

  Service service({binary(),
                   {"plain=tcp://" + plain_gate.authority(),
                    "secure=tls://" + secure_gate.authority("localhost") + "?credentials=" + secure.credentials()},
                   {"--cot-stale", "1h"}});
  service.start();
  const Uids uids = post_in_the_storm(service, count, {&plain_gate, &secure_gate},
                                      {{.duplicates = true}, {.duplicates = false, .slow = false}});
  ASSERT_TRUE(drained(service, {"plain", "secure"}, minutes(5)))
      << delivery_of(service, "plain") << delivery_of(service, "secure") << service.log();
  expect_all(uids, plain.received(), plain_gate, "taky");
  expect_all(uids, secure.received(), secure_gate, "taky over TLS");
  EXPECT_TRUE(witness.wait_for(count, minutes(2)));
  EXPECT_TRUE(witness.connected());
  expect_all(uids, witness.uids(), plain_gate, "witness");
  EXPECT_TRUE(pytak.wait_for(count, minutes(2)));
  expect_all(uids, pytak.uids(), secure_gate, "pytak over TLS");
  EXPECT_EQ(pytak.finish(), "");
  for (const char* name : {"plain", "secure"})
    EXPECT_EQ(delivery_of(service, name).value("protocol", ""), "xml") << "taky offers nothing";
}

TEST_F(Storm, CottakKilledAndStartedAgainIsNegotiatedWithAgain) {
  NEED_PEERS({{"build_cottak.sh"}});
  const Certificates certificates;
  Cottak server(&certificates);
  server.start();
  // It accepts before it observes: what came in between would be received and not be said. So its port is behind ours.
  FaultGate gate({.peer_port = server.tls_port()});
  Service service({binary(),
                   {"secure=tls://" + gate.authority("localhost") + "?credentials=" + certificates.credentials()},
                   {"--cot-stale", "1h"}});
  service.start();
  Uids uids = post_batches(service, 500);
  ASSERT_TRUE(drained(service, {"secure"}, seconds(60))) << service.log();
  ASSERT_TRUE(wait_until(seconds(20), [&] { return server.said().uids.size() == 500; }));
  gate.set({.refuse = true});
  server.kill();
  uids.merge(post_batches(service, 500));  // they are accepted with the server away
  EXPECT_EQ(service.ready_status(), 200);
  server.start();
  gate.heal();
  ASSERT_TRUE(drained(service, {"secure"}, seconds(60))) << service.log();
  ASSERT_TRUE(wait_until(seconds(20), [&] { return server.said().uids.size() == 1'000; }));
  const auto found = compare(uids, server.said().uids);
  EXPECT_EQ(found.missing, 0U);
  EXPECT_EQ(found.strange, 0U);
  EXPECT_EQ(found.repeated, 0U) << "nothing was in flight when it was killed";
  EXPECT_EQ(server.said().switched, 2U);
}

}  // namespace
}  // namespace detection::integration
