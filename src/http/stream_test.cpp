// Streams over real sockets, what the head of a request says, and what every answer carries.

#include <gtest/gtest.h>

#include <atomic>
#include <map>

#include "http/test_server.hpp"

namespace detection::http {
namespace {

using std::chrono::milliseconds;
using Text = std::shared_ptr<const std::string>;

/// What the handlers of a test share. Streams are touched on their loop's thread only.
struct Streams {
  struct Open {
    Loop* loop;
    Stream* stream;
    bool refused = false;
  };
  std::mutex mutex;
  std::map<Exchange*, Open> open;
  std::atomic<int> begun{0}, over{0}, answered{0}, drained{0}, cut{0};
  std::atomic<bool> send_failed{false};

  void each(const std::function<void(Stream&)>& task) {
    const std::scoped_lock lock(mutex);
    for (const auto& [exchange, entry] : open)
      entry.loop->post([this, x = exchange, task] {
        const std::scoped_lock inner(mutex);
        if (const auto found = open.find(x); found != open.end()) task(*found->second.stream);
      });
  }
  void send_all(const Text& text) {
    each([this, text](Stream& stream) {
      if (!stream.send(text)) send_failed = true;
    });
  }
};

/// /stream begins a stream, /later after a defer, /head shows the head; everything else is short.
class StreamHandler final : public Handler {
 public:
  StreamHandler(Streams& streams, Loop& loop) : streams_(streams), loop_(loop) {}

  std::expected<std::size_t, Refusal> head(Exchange&) override { return 1'000; }

  void request(Exchange& x) override {
    if (x.head.path == "/stream") return begin(x);
    if (x.head.path == "/later") {
      x.defer();
      return loop_.post([this, &x] { begin(x); });
    }
    Answer answer;
    std::string body;
    for (const auto text : {x.head.api_key, x.head.if_none_match, x.head.last_event_id, x.head.origin,
                            x.head.requested_method, x.head.forwarded_for})
      body.append(text).append("|");
    for (const auto byte : x.peer) body.append(std::to_string(byte)).append(".");
    if (x.head.path == "/page")
      answer.headers = "Content-Security-Policy: default-src 'self'\r\nCache-Control: max-age=60\r\n";
    answer.body = body;
    x.answer(answer);
  }

  void answered(const Exchange&, unsigned status) override {
    if (status == 200) ++streams_.answered;
  }

  void stream_over(Exchange& x) override {
    const std::scoped_lock lock(streams_.mutex);
    const auto found = streams_.open.find(&x);
    if (found->second.stream->cut_off()) ++streams_.cut;
    streams_.open.erase(found);
    ++streams_.over;
  }

 private:
  void begin(Exchange& x) {
    auto& stream = x.begin_stream({.content_type = "text/event-stream"});
    {
      const std::scoped_lock lock(streams_.mutex);
      streams_.open[&x] = {&loop_, &stream};
    }
    ++streams_.begun;
  }

  Streams& streams_;
  Loop& loop_;
};

class StreamTest : public ::testing::Test {
 protected:
  void start(const std::function<void(ServerLimits&)>& change = {}) {
    if (change) change(server_.setup.limits);
    server_.setup.make_handler = [this](Loop& loop, Port) { return std::make_unique<StreamHandler>(streams_, loop); };
    server_.start();
  }

  /// A client with an open stream.
  TestClient reader(std::string_view target = "/stream", std::string_view version = "1.1") {
    const int before = streams_.begun;
    auto client = server_.client();
    client.send("GET " + std::string(target) + " HTTP/" + std::string(version) + "\r\nHost: a\r\n\r\n");
    const auto answer = client.receive();
    EXPECT_TRUE(answer && answer->status == 200);
    EXPECT_TRUE(comes_true([&] { return streams_.begun > before; }));
    return client;
  }

  void send(std::string text) { streams_.send_all(std::make_shared<const std::string>(std::move(text))); }

  Streams streams_;
  TestServer server_;
};

TEST_F(StreamTest, IsChunkedAndEndsInOrder) {
  start();
  auto c = server_.client();
  const auto answer = c.ask("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->header("Transfer-Encoding"), "chunked");
  EXPECT_EQ(answer->header("Content-Type"), "text/event-stream");
  EXPECT_EQ(answer->header("Content-Length"), "");
  EXPECT_EQ(answer->header("Connection"), "close");
  EXPECT_FALSE(answer->header("X-Request-ID").empty());
  ASSERT_TRUE(comes_true([&] { return streams_.begun == 1; }));
  EXPECT_EQ(streams_.answered, 1);
  send("one");
  EXPECT_EQ(c.receive_until("\r\none\r\n"), "3\r\none\r\n");
  send("");  // an empty chunk would end it
  send(std::string(20, 'x'));
  EXPECT_EQ(c.receive_until("x\r\n"), "14\r\n" + std::string(20, 'x') + "\r\n");
  streams_.each([](Stream& stream) { stream.end(); });
  EXPECT_EQ(c.receive_rest(), "0\r\n\r\n");
  EXPECT_TRUE(comes_true([&] { return streams_.over == 1; }));
  EXPECT_EQ(streams_.cut, 0);
}

TEST_F(StreamTest, OldHttpIsEndedByTheConnection) {
  start();
  auto c = reader("/later", "1.0");
  send("one");
  send("two");
  EXPECT_EQ(c.receive_until("two"), "onetwo");
  streams_.each([](Stream& stream) { stream.end(); });
  EXPECT_TRUE(c.closed());
}

TEST_F(StreamTest, HeadHasNoStream) {
  start();
  auto c = server_.client();
  const auto answer = c.ask("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n", true);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->header("Transfer-Encoding"), "chunked");
  EXPECT_TRUE(c.closed());
  EXPECT_TRUE(comes_true([&] { return streams_.over == 1; }));
}

TEST_F(StreamTest, LargeChunksArriveWhole) {
  start();
  auto c = reader();
  std::string expected;
  for (int i = 0; i < 40; ++i) {
    std::string text(25'000, static_cast<char>('a' + i % 26));
    expected += text;
    send(std::move(text));
  }
  streams_.each([](Stream& stream) { stream.end(); });
  const auto all = c.receive_rest();
  ASSERT_TRUE(all);
  bool complete = false;
  EXPECT_EQ(without_chunks(*all, &complete), expected);
  EXPECT_TRUE(complete);
}

TEST_F(StreamTest, LeavingIsSeenAtOnce) {
  start();
  auto closes = std::make_optional(reader());
  auto resets = reader();
  auto half = reader("/later");
  closes.reset();
  resets.reset();
  half.half_close();
  EXPECT_TRUE(comes_true([&] { return streams_.over == 3; }));
  EXPECT_EQ(streams_.cut, 0);
}

TEST_F(StreamTest, ChatterIsIgnoredUpToALimit) {
  start();
  auto c = reader();
  c.send("GET /other HTTP/1.1\r\nHost: a\r\n\r\n");
  send("one");
  EXPECT_EQ(c.receive_until("one\r\n"), "3\r\none\r\n");
  EXPECT_TRUE(c.quiet(milliseconds(50)));
  EXPECT_EQ(streams_.over, 0);
  c.send(std::string(100'000, 'x'));
  EXPECT_TRUE(comes_true([&] { return streams_.over == 1; }));
}

TEST_F(StreamTest, ReaderThatFallsBehindIsCut) {
  start([](ServerLimits& limits) { limits.stream_backlog_most = 100'000; });
  auto stalled = reader();
  auto good = reader();
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> got{0};
  std::thread drain([&] {
    while (!stop) {
      const auto piece = good.receive_until("x\r\n");
      if (!piece) return;
      got += piece->size();
    }
  });
  const auto text = std::make_shared<const std::string>(std::string(9'999, '.') + "x");
  int sent = 0;
  // The kernel takes some megabytes by itself.
  ASSERT_TRUE(comes_true([&] {
    streams_.send_all(text);
    ++sent;
    return streams_.over > 0;
  }));
  EXPECT_EQ(streams_.over, 1);
  EXPECT_EQ(streams_.cut, 1);
  EXPECT_EQ(server_.refused("slow_reader"), 1);
  EXPECT_TRUE(stalled.cut());
  EXPECT_TRUE(comes_true([&] { return got >= static_cast<std::size_t>(sent) * 10'000; }));
  stop = true;
  streams_.send_all(text);
  drain.join();
}

TEST_F(StreamTest, ReaderThatTakesNothingIsCut) {
  start([](ServerLimits& limits) {
    limits.write_timeout = milliseconds(200);
    limits.stream_backlog_most = 1u << 30;
  });
  auto stalled = reader();
  send(std::string(20'000'000, 'x'));
  EXPECT_TRUE(comes_true([&] { return streams_.cut == 1; }));
  EXPECT_EQ(server_.refused("slow_reader"), 1);
}

TEST_F(StreamTest, SilenceIsNotIdleness) {
  start([](ServerLimits& limits) {
    limits.idle_timeout = limits.header_timeout = limits.body_timeout = limits.write_timeout = milliseconds(100);
  });
  auto c = reader();
  std::this_thread::sleep_for(milliseconds(400));
  send("late");
  EXPECT_EQ(c.receive_until("late\r\n"), "4\r\nlate\r\n");
}

TEST_F(StreamTest, SaysWhenAllIsSent) {
  start([](ServerLimits& limits) { limits.stream_backlog_most = 1u << 30; });
  auto c = reader();
  const auto ask = [this](Stream& stream) { stream.when_drained([this] { ++streams_.drained; }); };
  streams_.each(ask);
  ASSERT_TRUE(comes_true([&] { return streams_.drained == 1; }));
  const auto large = std::make_shared<const std::string>(std::string(2'000'000, 'x'));
  streams_.each([=](Stream& stream) {
    for (int i = 0; i < 12; ++i) stream.send(large);
    ask(stream);
  });
  // More than the kernel takes by itself.
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_EQ(streams_.drained, 1);
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(c.receive_until("x\r\n"));
  EXPECT_TRUE(comes_true([&] { return streams_.drained == 2; }));
}

TEST_F(StreamTest, DrainingEndsThem) {
  start();
  auto a = reader(), b = reader("/later", "1.0");
  server_.server->begin_drain();
  EXPECT_EQ(a.receive_rest(), "0\r\n\r\n");
  EXPECT_EQ(b.receive_rest(), "");
  EXPECT_TRUE(comes_true([&] { return streams_.over == 2; }));
  auto late = server_.client();
  EXPECT_EQ(late.ask("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")->status, 200);
  EXPECT_EQ(late.receive_rest(), "0\r\n\r\n");
  send("nobody");
  EXPECT_TRUE(comes_true([&] { return streams_.over == 3; }));
}

TEST_F(StreamTest, StopIsNotHeldUpByThem) {
  start();
  auto good = reader();
  auto stalled = reader();
  send(std::string(900'000, 'x'));
  const auto begin = std::chrono::steady_clock::now();
  server_.server->stop(std::chrono::seconds(20));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(8));
  server_.server.reset();
  EXPECT_EQ(streams_.over, 2);
  EXPECT_TRUE(streams_.open.empty());
}

TEST_F(StreamTest, LoopThatIsCutShortStillTellsThatTheyAreOver) {
  start();
  auto c = reader();
  server_.server->stop(milliseconds(0));
  server_.server.reset();
  EXPECT_EQ(streams_.over, 1);
}

TEST_F(StreamTest, HeadFieldsAreRead) {
  start();
  auto c = server_.client();
  const auto ask = [&](const std::string& fields) {
    return c.ask("GET /head HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n")->body;
  };
  const std::string peer = "0.0.0.0.0.0.0.0.0.0.255.255.127.0.0.1.";
  EXPECT_EQ(ask("x-api-KEY: k\r\nIf-None-Match: \"e\"\r\nLast-Event-ID: 7\r\nOrigin: https://o\r\n"
                "Access-Control-Request-Method: PUT\r\nX-Forwarded-For: 1.2.3.4\r\n"),
            "k|\"e\"|7|https://o|PUT|1.2.3.4|" + peer);
  EXPECT_EQ(ask("If-None-Match: \"e\"\r\nIf-None-Match: \"f\"\r\nX-Forwarded-For: 1.2.3.4\r\nOrigin: a\r\n"
                "X-Forwarded-For: 5.6.7.8, 9.9.9.9\r\nOrigin: b\r\nLast-Event-ID: 1\r\nLast-Event-ID: 2\r\n"),
            "|||||1.2.3.4, 5.6.7.8, 9.9.9.9|" + peer);
  EXPECT_EQ(c.ask("GET /head HTTP/1.1\r\nHost: a\r\nX-API-Key: a\r\nX-API-Key: a\r\n\r\n")->status, 400);
}

TEST_F(StreamTest, AnswersGuardBrowsers) {
  start();
  auto c = server_.client();
  for (const auto* target : {"/head", "/stream"}) {
    const auto answer = c.ask("GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->header("X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(answer->header("Referrer-Policy"), "no-referrer");
    EXPECT_EQ(answer->header("X-Frame-Options"), "DENY");
    EXPECT_EQ(answer->header("Content-Security-Policy"), "default-src 'none'; frame-ancestors 'none'");
    EXPECT_EQ(answer->header("Cache-Control"), "no-store");
    EXPECT_EQ(answer->header("Strict-Transport-Security"), "") << "it means nothing without TLS";
  }
  auto page = server_.client();
  const auto own = page.ask("GET /page HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(own);
  EXPECT_EQ(own->header("Content-Security-Policy"), "default-src 'self'");
  EXPECT_EQ(own->header("Cache-Control"), "max-age=60");
  EXPECT_EQ(own->head.find("no-store"), std::string::npos);
  EXPECT_EQ(own->header("X-Content-Type-Options"), "nosniff");
  TestClient metrics(server_.server->endpoint(Port::kMetrics).port);
  EXPECT_EQ(metrics.ask("GET /head HTTP/1.1\r\nHost: a\r\n\r\n")->header("X-Frame-Options"), "");
}

}  // namespace
}  // namespace detection::http
