// The tools of these tests, tried on each other: what they find is only worth as much as they are.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "integration/support/fast_sink.hpp"
#include "integration/support/http_client.hpp"
#include "integration/support/process.hpp"
#include "integration/support/requests.hpp"

namespace detection::integration {
namespace {

using std::chrono::seconds;

std::string event(const std::string& uid, const std::string& type = "a-u-G-E-V") {
  return "<?xml version=\"1.0\"?>\n<event version=\"2.0\" uid=\"" + uid + "\" type=\"" + type +
         "\"><point lat=\"1\" lon=\"2\"/><detail/></event>\n";
}

/// A bare TCP client.
class Feeder {
 public:
  explicit Feeder(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~Feeder() { ::close(fd_); }
  Feeder(const Feeder&) = delete;
  Feeder& operator=(const Feeder&) = delete;
  [[nodiscard]] bool connected() const { return connected_; }
  void send(std::string_view text) const { (void)!::send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }
  /// What comes until the text is there, or the end.
  [[nodiscard]] std::string read_until(std::string_view text) const {
    std::string all;
    char buffer[4096];
    while (all.find(text) == std::string::npos) {
      const auto count = ::recv(fd_, buffer, sizeof buffer, 0);
      if (count <= 0) break;
      all.append(buffer, static_cast<std::size_t>(count));
    }
    return all;
  }

 private:
  int fd_;
  bool connected_ = false;
};

TEST(FastSink, CountsWhatItAnsweredForAndNoMore) {
  FastSink sink;
  sink.start();
  const Feeder feeder(sink.port());
  const auto text = event("a") + event("b") + event("a") + event("x-ping", "t-x-c-t") + event("late");
  feeder.send(text.substr(0, 100));  // an event in two pieces
  sleep_ms(20);
  feeder.send(text.substr(100));
  EXPECT_NE(feeder.read_until("</event>").find("takPong"), std::string::npos);
  ASSERT_TRUE(wait_until(seconds(5), [&] { return sink.events_read() == 4; }));
  EXPECT_EQ(sink.events(), 3U);
  EXPECT_EQ(sink.pings(), 1U);
  EXPECT_EQ(sink.malformed(), 0U);
  EXPECT_EQ(sink.uids(), (std::unordered_map<std::string, std::uint32_t>{{"a", 2}, {"b", 1}}));
}

TEST(FastSink, CutsAndComesBackOnItsPort) {
  FastSink sink;
  sink.start();
  {
    sink.cut_after_bytes(150);
    const Feeder feeder(sink.port());
    feeder.send(event("a") + event("b"));
    EXPECT_EQ(feeder.read_until("never"), "");
    EXPECT_EQ(sink.cuts(), 1U);
  }
  sink.stop();
  EXPECT_FALSE(Feeder(sink.port()).connected());
  sink.start();
  const Feeder feeder(sink.port());
  feeder.send(event("c") + event("x-ping", "t-x-c-t"));
  EXPECT_NE(feeder.read_until("</event>"), "");
  EXPECT_EQ(sink.uids(), (std::unordered_map<std::string, std::uint32_t>{{"c", 1}}));
}

TEST(FastSink, SeesTextThatIsNoEvent) {
  FastSink sink({.reply = PingReply::kEcho});
  sink.start();
  const Feeder feeder(sink.port());
  // A beginning of an event that never ended, run into by a whole one: what a careless sender makes of a cut.
  feeder.send(event("half").substr(0, 60) + event("whole") + event("x-ping", "t-x-c-t"));
  EXPECT_NE(feeder.read_until("</event>").find("x-ping"), std::string::npos);
  EXPECT_EQ(sink.malformed(), 1U);
}

TEST(Child, TellsHowItEndedAndDiesWhenTold) {
  const auto done = run({"/bin/sh", "-c", "echo out; echo err >&2; exit 3"});
  EXPECT_FALSE(done.exit.signalled);
  EXPECT_EQ(done.exit.code, 3);
  EXPECT_EQ(done.out, "out\n");
  EXPECT_EQ(done.err, "err\n");
  const auto late = run({"/bin/sleep", "30"}, std::chrono::milliseconds(50));
  EXPECT_TRUE(late.exit.signalled);
}

TEST(Requests, AreJsonWithTheirIds) {
  std::mt19937_64 random(1);
  const std::vector<std::string> ids{random_uuid(random), random_uuid(random)};
  const auto batch = nlohmann::json::parse(batch_json(5, 3, ids));
  ASSERT_EQ(batch.size(), 3U);
  EXPECT_EQ(batch[0].at("detection_id"), ids[0]);
  EXPECT_EQ(batch[1].at("detection_id"), ids[1]);
  EXPECT_FALSE(batch[2].contains("detection_id"));
  EXPECT_EQ(ids[0].size(), 36U);
  EXPECT_EQ(ids[0][14], '4');
}

TEST(HttpClient, KnowsAnAnswerFromACutOne) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  const auto port = free_port();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener, 4), 0);
  std::jthread server([&] {
    for (const std::string_view answer : {"HTTP/1.1 201 Created\r\nCONTENT-length: 5\r\nX-A:  b \r\n\r\nhello",
                                          "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel"}) {
      const int fd = ::accept(listener, nullptr, nullptr);
      char buffer[4096];
      (void)!::recv(fd, buffer, sizeof buffer, 0);
      for (const char c : answer) (void)!::send(fd, &c, 1, MSG_NOSIGNAL);
      ::close(fd);
    }
  });
  HttpClient client(port);
  const auto whole = client.post("/a", "{}");
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->status, 201);
  EXPECT_EQ(whole->header("x-a"), "b");
  EXPECT_EQ(whole->body, "hello");
  client.disconnect();
  EXPECT_FALSE(client.get("/b"));
  EXPECT_TRUE(client.reached());
  server.join();
  ::close(listener);
  EXPECT_FALSE(client.get("/c"));
  EXPECT_FALSE(client.reached());
}

}  // namespace
}  // namespace detection::integration
