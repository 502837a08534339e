// What somebody who means ill does to the server with many or slow or large connections.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <iostream>

#include "http/test_server.hpp"

namespace detection::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

class ShortHandler final : public Handler {
 public:
  std::expected<std::size_t, Refusal> head(Exchange&) override { return 1u << 20; }
  void request(Exchange& x) override { x.answer({.body = "{}"}); }
  void answered(const Exchange&, unsigned) override {}
};

std::size_t resident_bytes() {
  std::size_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

constexpr bool kSanitized =
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    true;
#else
    false;
#endif
#else
    false;
#endif

/// Gives the limit of open files back.
struct FileLimit {
  rlimit before{};
  ~FileLimit() { ::setrlimit(RLIMIT_NOFILE, &before); }
};

class AbuseTest : public ::testing::Test {
 protected:
  void start(const std::function<void(ServerLimits&)>& change = {}) {
    if (change) change(server_.setup.limits);
    server_.setup.make_handler = [](Loop&, Port) { return std::make_unique<ShortHandler>(); };
    server_.start();
  }
  void expect_served() {
    auto c = server_.client();
    const auto answer = c.ask(kGet);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
  }

  TestServer server_;
};

TEST_F(AbuseTest, SlowlorisIsEndedInTimeWhileOthersAreServed) {
  start([](ServerLimits& limits) { limits.header_timeout = milliseconds(300); });
  std::vector<TestClient> slow;
  for (int i = 0; i < 200; ++i) {
    slow.push_back(server_.client());
    ASSERT_TRUE(slow.back().send("GET / HTTP/1.1\r\nHost: a\r\n"));
  }
  const auto begin = steady_clock::now();
  while (server_.refused("header_timeout") < 200) {
    for (auto& c : slow) c.send("X-a: b\r\n");
    expect_served();
    ASSERT_LT(steady_clock::now() - begin, std::chrono::seconds(8));
    std::this_thread::sleep_for(milliseconds(10));
  }
  int told = 0;
  for (auto& c : slow)
    if (const auto answer = c.receive(); answer && answer->status == 408) ++told;
  // Who sent on after it was told may find its connection reset.
  EXPECT_GT(told, 0);
}

TEST_F(AbuseTest, LargeBodiesAreNotKept) {
  constexpr std::size_t kBody = 64u << 20;
  start([](ServerLimits& limits) { limits.large_bodies_most = 16u << 20; });
  const auto before = resident_bytes();
  std::vector<std::thread> senders;
  std::atomic<int> refused{0};
  for (int i = 0; i < 4; ++i)
    senders.emplace_back([&, i] {
      auto c = server_.client();
      const bool chunked = i % 2 == 1;
      c.send("POST / HTTP/1.1\r\nHost: a\r\n" + (chunked ? std::string("Transfer-Encoding: chunked\r\n\r\n4000000\r\n")
                                                         : "Content-Length: " + std::to_string(kBody) + "\r\n\r\n"));
      const std::string piece(64u << 10, 'x');
      for (std::size_t sent = 0; sent < kBody && c.send(piece); sent += piece.size()) {
      }
      // The answer came before the sending was cut short.
      if (const auto answer = c.receive(); answer && answer->status == 413) ++refused;
    });
  for (auto& sender : senders) sender.join();
  EXPECT_GT(refused, 0);
  EXPECT_EQ(server_.refused("body"), 4);
  if (!kSanitized) {
    EXPECT_LT(resident_bytes(), before + (24u << 20));
  }
  expect_served();
}

TEST_F(AbuseTest, FiveThousandIdleConnections) {
  constexpr std::size_t kConnections = 5'000, kPlaces = 4'096;
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  const FileLimit guard{files};
  const rlim_t wanted = 2 * kConnections + 500;
  if (files.rlim_cur < wanted) {
    rlimit more = files;
    more.rlim_cur = wanted;
    if (files.rlim_max < wanted || ::setrlimit(RLIMIT_NOFILE, &more) != 0) {
      std::cerr << "SKIPPED: 5,000 connections need " << wanted << " descriptors, " << files.rlim_max
                << " are allowed\n";
      GTEST_SKIP() << "the limit of open files (" << files.rlim_max << ") cannot be raised to " << wanted;
    }
  }
  start([](ServerLimits& limits) {
    limits.connections_most = kPlaces;
    limits.idle_timeout = limits.header_timeout = milliseconds(60'000);
  });
  auto working = server_.client();
  ASSERT_TRUE(working.ask(kGet));
  const auto before = resident_bytes();
  std::vector<TestClient> idle;
  idle.reserve(kConnections);
  for (std::size_t i = 0; i < kConnections; ++i) {
    idle.push_back(server_.client());
    ASSERT_TRUE(idle.back().connected()) << i;
    if (i % 500 == 0) {
      ASSERT_TRUE(working.ask(kGet));
    }
  }
  ASSERT_TRUE(comes_true([&] { return server_.refused("connections") >= long{kConnections - kPlaces}; }));
  if (!kSanitized) {
    EXPECT_LT(resident_bytes(), before + (64u << 20));
    std::cerr << "5,000 connections: " << (resident_bytes() - before) / 1024 << " KiB\n";
  }
  const auto answer = working.ask(kGet);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  // Who came too late is told or closed, and finds a place when others leave.
  const auto late = idle.back().receive();
  if (late) {
    EXPECT_EQ(late->status, 503);
  }
  idle.clear();
  EXPECT_TRUE(comes_true([&] {
    auto c = server_.client();
    const auto served = c.ask(kGet);
    return served && served->status == 200;
  }));
}

}  // namespace
}  // namespace detection::http
