// Each fault of the gate, seen by a plain client and a plain server: a storm is only worth as much as its faults are.

#include "integration/support/fault_gate.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "integration/support/process.hpp"
#include "tak/hand_client.hpp"

namespace detection::integration {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using tak::HandClient;

/// A server with one connection at a time, that says and hears bytes as the test wants.
class Peer {
 public:
  Peer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), size) != 0 || ::listen(listener_, 8) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("no port");
    port_ = ntohs(address.sin_port);
  }
  ~Peer() {
    hang_up();
    ::close(listener_);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  void accept() {
    hang_up();
    fd_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  }
  void hang_up() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void say(std::string_view text) const { (void)!::send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }

  enum class End { kNot, kClosed, kReset };
  struct Heard {
    std::string text;
    End end = End::kNot;
  };
  /// Until so many bytes are there, the end, or the time.
  [[nodiscard]] Heard hear(std::size_t bytes, milliseconds most = seconds(10)) const {
    Heard heard;
    const auto until = std::chrono::steady_clock::now() + most;
    while (heard.text.size() < bytes) {
      pollfd wait{.fd = fd_, .events = POLLIN, .revents = 0};
      const auto left = std::chrono::duration_cast<milliseconds>(until - std::chrono::steady_clock::now());
      if (left.count() <= 0 || ::poll(&wait, 1, static_cast<int>(left.count())) <= 0) break;
      char buffer[4096];
      const auto n = ::recv(fd_, buffer, std::min(sizeof buffer, bytes - heard.text.size()), 0);
      if (n <= 0) {
        heard.end = n == 0 ? End::kClosed : End::kReset;
        break;
      }
      heard.text.append(buffer, static_cast<std::size_t>(n));
    }
    return heard;
  }
  [[nodiscard]] End hear_end() const { return hear(1u << 30).end; }

 private:
  int listener_, fd_ = -1;
  std::uint16_t port_ = 0;
};

const milliseconds kAMoment{60};

struct Gate : ::testing::Test {
  Peer peer;
  FaultGate gate{{.peer_port = peer.port()}};
};

TEST_F(Gate, PassesOnWhatComesUnchanged) {
  HandClient client(gate.port());
  peer.accept();
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += static_cast<char>(i * 7);
  std::jthread sender([&] { EXPECT_TRUE(client.send(text)); });
  EXPECT_TRUE(peer.hear(text.size()).text == text) << "other bytes";
  sender.join();
  peer.say("answer");
  EXPECT_EQ(client.read_until("answer"), "answer");
  client.half_close();
  EXPECT_EQ(peer.hear_end(), Peer::End::kClosed);
  peer.say("late");
  EXPECT_EQ(client.read_until("late"), "late") << "one way is still open";
  peer.hang_up();
  EXPECT_TRUE(client.wait_for_end());
  EXPECT_TRUE(wait_until(seconds(5), [&] { return gate.standing() == 0; }));
  EXPECT_EQ(gate.connections(), 1U);
  EXPECT_EQ(gate.bytes_to_peer(), text.size());
  EXPECT_EQ(gate.bytes_to_client(), 10U);
  EXPECT_EQ(gate.ended(), 0U);
}

TEST_F(Gate, RefusesAndListensAgainOnItsPort) {
  HandClient standing(gate.port());
  peer.accept();
  gate.set({.refuse = true});
  ASSERT_TRUE(wait_until(seconds(5), [&] { return !HandClient(gate.port()).connected(); }));
  ASSERT_TRUE(standing.send("still here"));
  EXPECT_EQ(peer.hear(10).text, "still here");
  gate.heal();
  EXPECT_TRUE(wait_until(seconds(5), [&] { return HandClient(gate.port()).connected(); }));
}

TEST_F(Gate, ClosesWhereNobodyListensBehindIt) {
  const FaultGate dead({.peer_port = free_port()});
  HandClient client(dead.port());
  EXPECT_TRUE(client.connected());
  EXPECT_TRUE(client.wait_for_end());
  EXPECT_EQ(dead.connections(), 0U);
}

TEST_F(Gate, Delays) {
  HandClient client(gate.port());
  peer.accept();
  gate.set({.delay = kAMoment});
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(client.send("x"));
  EXPECT_EQ(peer.hear(1).text, "x");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, kAMoment);  // a bound from below holds on any machine
}

TEST_F(Gate, StallsOneWayOrBoth) {
  HandClient client(gate.port());
  peer.accept();
  gate.set({.stall_to_peer = true});
  ASSERT_TRUE(client.send("held"));
  EXPECT_EQ(peer.hear(1, kAMoment).text, "");
  peer.say("passes");
  EXPECT_EQ(client.read_until("passes"), "passes");
  gate.set({.stall_to_client = true});
  EXPECT_EQ(peer.hear(4).text, "held");
  peer.say("held back");
  EXPECT_EQ(client.read_some(kAMoment), "");
  gate.set({.stall_to_peer = true, .stall_to_client = true});
  ASSERT_TRUE(client.send("more"));
  EXPECT_EQ(peer.hear(1, kAMoment).text, "");
  EXPECT_EQ(client.read_some(kAMoment), "");
  gate.heal();
  EXPECT_EQ(peer.hear(4).text, "more");
  EXPECT_EQ(client.read_until("held back"), "held back");
}

TEST_F(Gate, AStalledClientFillsItsWindow) {
  HandClient client(gate.port());
  peer.accept();
  gate.set({.stall_to_peer = true});
  std::atomic<bool> sent{false};
  std::jthread sender([&] {
    (void)client.send(std::string(64u << 20, 'x'));
    sent = true;
  });
  sleep_ms(static_cast<int>(kAMoment.count()));
  EXPECT_FALSE(sent) << "somebody holds 64 MiB";
  gate.end_all(Ending::kReset);
}

TEST_F(Gate, SlowsAndCutsIntoPieces) {
  HandClient client(gate.port());
  peer.accept();
  gate.set({.bytes_per_second = 10'000});
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(client.send(std::string(2'000, 'x')));
  EXPECT_EQ(peer.hear(2'000).text.size(), 2'000U);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(150));
  gate.set({.piece_bytes = 3});
  ASSERT_TRUE(client.send(std::string(1'000, 'y')));
  EXPECT_EQ(peer.hear(1'000).text, std::string(1'000, 'y'));
}

TEST_F(Gate, EndsAllInEachWay) {
  for (const auto how : {Ending::kClose, Ending::kReset, Ending::kHalfClient, Ending::kHalfPeer}) {
    HandClient client(gate.port());
    peer.accept();
    ASSERT_TRUE(client.send("a"));
    ASSERT_EQ(peer.hear(1).text, "a");
    const auto before = gate.ended();
    gate.end_all(how);
    EXPECT_EQ(gate.ended(), before + 1);
    if (how == Ending::kHalfClient) {
      EXPECT_TRUE(client.wait_for_end());
      EXPECT_FALSE(client.was_reset());
      ASSERT_TRUE(client.send("b"));
      EXPECT_EQ(peer.hear(1).text, "b");
    } else if (how == Ending::kHalfPeer) {
      EXPECT_EQ(peer.hear_end(), Peer::End::kClosed);
      peer.say("c");
      EXPECT_EQ(client.read_until("c"), "c");
    } else {
      EXPECT_TRUE(client.wait_for_end());
      EXPECT_EQ(client.was_reset(), how == Ending::kReset);
      EXPECT_EQ(peer.hear_end(), how == Ending::kReset ? Peer::End::kReset : Peer::End::kClosed);
    }
    client.close();
    peer.hang_up();
    EXPECT_TRUE(wait_until(seconds(5), [&] { return gate.standing() == 0; }));
  }
}

TEST_F(Gate, CutsAtAByte) {
  HandClient client(gate.port());
  peer.accept();
  gate.cut_at(10, Ending::kClose);
  ASSERT_TRUE(client.send("0123"));
  ASSERT_TRUE(client.send("456789abcdef"));
  const auto heard = peer.hear(100);
  EXPECT_EQ(heard.text, "0123456789");
  EXPECT_EQ(heard.end, Peer::End::kClosed);
  EXPECT_TRUE(client.wait_for_end());
  HandClient next(gate.port());
  peer.accept();
  ASSERT_TRUE(next.send("0123456789abcdef"));
  EXPECT_EQ(peer.hear(16).text, "0123456789abcdef") << "only one connection is cut";
}

TEST_F(Gate, CutsInsideWhatComes) {
  HandClient client(gate.port());
  peer.accept();
  gate.cut_inside(Ending::kReset);
  ASSERT_TRUE(client.send("<event>0123456789</event>"));
  const auto heard = peer.hear(100);
  EXPECT_LT(heard.text.size(), 25U);
  EXPECT_EQ(heard.end, Peer::End::kReset);
  EXPECT_TRUE(client.wait_for_end());
  EXPECT_EQ(gate.ended(), 1U);
}

TEST_F(Gate, DoublesOneAnswer) {
  HandClient client(gate.port());
  peer.accept();
  ASSERT_TRUE(client.send("x"));
  ASSERT_EQ(peer.hear(1).text, "x");
  gate.duplicate_answer();
  peer.say("no event");
  EXPECT_EQ(client.read_until("no event"), "no event");
  peer.say("<event/></event>");
  EXPECT_EQ(client.read_until("<event/></event><event/></event>"), "<event/></event><event/></event>");
  peer.say("<event/></event>.");
  EXPECT_EQ(client.read_until("."), "<event/></event>.") << "once";
  EXPECT_EQ(gate.duplicated(), 1U);
}

TEST_F(Gate, PassesOnOnlyWholeRecordsWhereAsked) {
  const FaultGate whole({.peer_port = peer.port(), .whole_tls_records = true});
  HandClient client(whole.port());
  peer.accept();
  const std::string first(
      "\x17\x03\x03\x00\x04"
      "abcd",
      9),
      second("\x17\x03\x03\x01\x00", 5);
  ASSERT_TRUE(client.send(first + second + std::string(255, 'e')));
  EXPECT_EQ(peer.hear(100, kAMoment).text, first);
  ASSERT_TRUE(client.send("e"));
  EXPECT_EQ(peer.hear(261).text, second + std::string(256, 'e'));
}

TEST_F(Gate, RecordsTheFirstConnection) {
  const TempDir dir;
  const FaultGate recording({.peer_port = peer.port(), .record = dir.path() / "bytes"});
  for (const char* text : {"first", "other"}) {
    HandClient client(recording.port());
    peer.accept();
    ASSERT_TRUE(client.send(text));
    EXPECT_EQ(peer.hear(5).text, text);
  }
  EXPECT_TRUE(wait_until(seconds(5), [&] { return read_file(dir.path() / "bytes") == "first"; }));
}

TEST_F(Gate, AStormIsTheSameForTheSameSeedAndEndsHealed) {
  const StormOptions options{.seed = 7, .length = milliseconds(1'500), .duplicates = true};
  const auto begin = std::chrono::steady_clock::now();
  const auto first = gate.storm(options);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, options.length);
  ASSERT_GE(first.size(), 1U);
  const auto again = gate.storm(options);
  // How far it comes depends on the machine; in which order does not.
  const auto common = std::min(first.size(), again.size());
  EXPECT_TRUE(std::equal(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(common), again.begin()));
  ASSERT_TRUE(wait_until(seconds(5), [&] { return HandClient(gate.port()).connected(); }));
  peer.accept();  // that one
  HandClient client(gate.port());
  peer.accept();
  ASSERT_TRUE(client.send("whole"));
  EXPECT_EQ(peer.hear(5).text, "whole");
}

}  // namespace
}  // namespace detection::integration
