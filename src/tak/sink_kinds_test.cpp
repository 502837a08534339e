// Sinks that are no stream: datagrams and files.

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tak/sink_test_support.hpp"

namespace detection::tak {
namespace {

using testing::HasSubstr;

/// A UDP socket on the loopback that reads whole datagrams.
class Receiver {
 public:
  explicit Receiver(std::uint16_t port = 0, const char* group = nullptr) : socket_(::socket(AF_INET, SOCK_DGRAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(group == nullptr ? INADDR_LOOPBACK : INADDR_ANY);
    const int on = 1, bytes = 4 << 20;
    ::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    socklen_t size = sizeof address;
    ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    if (group != nullptr) {
      ip_mreqn request{};
      ::inet_pton(AF_INET, group, &request.imr_multiaddr);
      request.imr_ifindex = 1;  // the loopback
      joined_ = ::setsockopt(socket_, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) == 0;
    }
    const timeval patience{20, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~Receiver() { ::close(socket_); }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] bool joined() const { return joined_; }
  [[nodiscard]] std::string next() {
    std::string datagram(70'000, '\0');
    const auto got = ::recv(socket_, datagram.data(), datagram.size(), 0);
    datagram.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return datagram;
  }

 private:
  int socket_;
  std::uint16_t port_ = 0;
  bool joined_ = false;
};

SinkOptions datagrams_to(const std::string& host, std::uint16_t port) {
  SinkOptions options = quick_options(port);
  options.address.scheme = Scheme::kUdp;
  options.address.host = host;
  return options;
}

SinkOptions file_at(const std::filesystem::path& path) {
  SinkOptions options = quick_options(0);
  options.address = {.scheme = Scheme::kFile, .host = {}, .port = 0, .path = path.string()};
  return options;
}

struct Feed {
  explicit Feed(const SinkOptions& options, TestFeeder::Plan plan) : feeder(std::move(plan)) {
    sink = make_sink(options, feeder);
    feeder.attach(*sink);
    sink->start();
  }
  ~Feed() {
    sink->stop(milliseconds{0});
    feeder.stopped();
    EXPECT_EQ(feeder.faults, std::vector<std::string>{});
  }
  TestFeeder feeder;
  std::unique_ptr<Sink> sink;
};

class Folder {
 public:
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "file_sink.XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("<event")) lines.push_back(line);
  return lines;
}

TEST(DatagramSink, EachEventIsOneDatagramAndCountsAsSentUnconfirmed) {
  Receiver receiver;
  Feed feed(datagrams_to("127.0.0.1", receiver.port()), {.batches = 5, .events_per_batch = 4});
  for (int batch = 0; batch < 5; ++batch)
    for (int i = 0; i < 4; ++i) {
      const auto datagram = receiver.next();
      EXPECT_THAT(datagram, HasSubstr(" uid=\"b" + std::to_string(batch) + "-" + std::to_string(i) + ".a1\""));
      EXPECT_TRUE(datagram.starts_with("<?xml")) << datagram;
      EXPECT_TRUE(datagram.ends_with("</event>")) << datagram;
    }
  ASSERT_TRUE(feed.feeder.wait_done(kPatience));
  EXPECT_EQ(feed.feeder.unconfirmed, 5U);
  EXPECT_EQ(feed.feeder.confirmed, 0U);
}

TEST(DatagramSink, NobodyThereIsNoticedAndTheEventsArriveLater) {
  std::uint16_t port = 0;
  {
    const Receiver gone;
    port = gone.port();
  }
  Feed feed(datagrams_to("127.0.0.1", port), {.batches = 3, .events_per_batch = 3, .attempt_in_uid = false});
  // The first datagram is refused by the host; the next send learns of it.
  ASSERT_TRUE(feed.feeder.wait_for([](const TestFeeder& f) { return f.lost > 0; }, kPatience));
  EXPECT_THAT(feed.sink->status().last_error, HasSubstr("refused"));
  Receiver back(port);
  EXPECT_THAT(back.next(), HasSubstr("uid=\"b"));
  ASSERT_TRUE(feed.feeder.wait_done(kPatience));
}

TEST(DatagramSink, AnEventLongerThanADatagramIsRefusedAndTheRestGoesOn) {
  Receiver receiver;
  Feed feed(datagrams_to("127.0.0.1", receiver.port()), {.batches = 0});
  ASSERT_TRUE(feed.feeder.wait_for([](const TestFeeder& f) { return f.ready == 1; }, kPatience));
  feed.sink->announce(text_batch({test_event("small"), test_event("huge", 66'000), test_event("last")}));
  EXPECT_THAT(receiver.next(), HasSubstr("uid=\"small\""));
  EXPECT_THAT(receiver.next(), HasSubstr("uid=\"last\""));

  TestFeeder::Plan plan{.batches = 1, .events_per_batch = 2, .event_bytes = 66'000};
  Feed long_ones(datagrams_to("127.0.0.1", receiver.port()), plan);
  ASSERT_TRUE(long_ones.feeder.wait_done(kPatience));
  EXPECT_EQ(long_ones.feeder.refusals.size(), 2U);
  EXPECT_THAT(long_ones.feeder.refusals.front(), HasSubstr("longer than a datagram"));
}

TEST(DatagramSink, AGroupIsReachedOnTheChosenInterface) {
  constexpr const char* kGroup = "239.255.77.1";
  Receiver receiver(0, kGroup);
  if (!receiver.joined()) GTEST_SKIP() << "SKIPPED, NOT TESTED: the loopback takes no multicast here";
  auto options = datagrams_to(kGroup, receiver.port());
  options.interface = "lo";
  options.multicast_ttl = 0;  // not beyond this host
  Feed feed(options, {.batches = 1, .events_per_batch = 1});
  EXPECT_THAT(receiver.next(), HasSubstr("uid=\"b0-0.a1\""));
}

TEST(DatagramSink, AnInterfaceThatIsNotThereIsSaid) {
  auto options = datagrams_to("239.255.77.1", 6969);
  options.interface = "nosuch0";
  Feed feed(options, {.batches = 1});
  while (feed.sink->status().last_error.empty()) std::this_thread::sleep_for(milliseconds{1});
  EXPECT_THAT(feed.sink->status().last_error, HasSubstr("there is no interface 'nosuch0'"));
}

TEST(FileSink, AppendsWholeEventsAndGoesOnAfterTheFileWasMovedAway) {
  const Folder folder;
  const auto file = folder / "events.cot";
  std::ofstream(file) << "<event uid=\"from before\"/>\n";
  Feed feed(file_at(file), {.batches = 3, .events_per_batch = 5});
  ASSERT_TRUE(feed.feeder.wait_done(kPatience));
  EXPECT_EQ(feed.feeder.confirmed, 3U);
  EXPECT_EQ(lines_of(file).size(), 16U);
  EXPECT_EQ(feed.sink->status().state, SinkState::kConnected);

  std::filesystem::rename(file, folder / "events.cot.1");
  feed.feeder.add(1);
  ASSERT_TRUE(feed.feeder.wait_done(kPatience));
  EXPECT_EQ(lines_of(file).size(), 5U);
  EXPECT_EQ(lines_of(folder / "events.cot.1").size(), 16U);
}

TEST(FileSink, WhatCannotBeWrittenIsSaidAndTriedAgain) {
  const Folder folder;
  const auto file = folder / "later/events.cot";
  Feed feed(file_at(file), {.batches = 2, .events_per_batch = 2});
  while (feed.sink->status().attempts < 3) std::this_thread::sleep_for(milliseconds{1});
  EXPECT_THAT(feed.sink->status().last_error, HasSubstr("No such file"));
  std::filesystem::create_directory(folder / "later");
  ASSERT_TRUE(feed.feeder.wait_done(kPatience));
  EXPECT_EQ(lines_of(file).size(), 4U);
}

TEST(FileSink, APipeWithoutAReaderHoldsNobodyUp) {
  const Folder folder;
  const auto pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  Feed feed(file_at(pipe), {.batches = 1});
  while (feed.sink->status().attempts < 2) std::this_thread::sleep_for(milliseconds{1});
  EXPECT_FALSE(feed.sink->status().last_error.empty());
}

}  // namespace
}  // namespace detection::tak
