// The server over real sockets, with a trivial handler.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "http/server.hpp"
#include "http/test_client.hpp"

namespace detection::http {
namespace {

using std::chrono::milliseconds;

/// /echo gives the body back; /later does so from another thread; /large a big body; /refused is refused at its head.
class EchoHandler final : public Handler {
 public:
  explicit EchoHandler(Loop& loop) : loop_(loop) {}
  ~EchoHandler() override {
    for (auto& thread : threads_) thread.join();
  }

  std::expected<std::size_t, Refusal> head(Exchange& x) override {
    if (x.head.path == "/refused")
      return std::unexpected(Refusal{{ErrorCode::kUnauthorized, "no"}, "WWW-Authenticate: Bearer\r\n"});
    return 1'000;
  }

  void request(Exchange& x) override {
    if (x.head.path == "/later") {
      x.defer();
      threads_.emplace_back([this, &x] {
        std::this_thread::sleep_for(milliseconds(30));
        loop_.post([&x] { echo(x); });
      });
      return;
    }
    if (x.head.path == "/large") return x.answer_large({}, std::string(5'000'000, 'l'));
    echo(x);
  }

  void answered(const Exchange&, unsigned) override {}

 private:
  static void echo(Exchange& x) {
    const std::string body = std::string(x.head.target) + "|" + x.body;
    Answer answer;
    answer.body = body;
    x.answer(answer);
  }

  Loop& loop_;
  std::vector<std::thread> threads_;
};

class ServerTest : public ::testing::Test {
 protected:
  void start(const std::function<void(ServerSetup&)>& change = {}) {
    ServerSetup setup;
    setup.threads = 2;
    setup.limits = {.connections_most = 100,
                    .metrics_connections_most = 4,
                    .header_bytes_most = 16u << 10,
                    .target_bytes_most = 8u << 10,
                    .large_bodies_most = 1u << 20,
                    .header_timeout = milliseconds(5'000),
                    .body_timeout = milliseconds(5'000),
                    .idle_timeout = milliseconds(5'000),
                    .write_timeout = milliseconds(5'000)};
    setup.make_handler = [](Loop& loop, Port) { return std::make_unique<EchoHandler>(loop); };
    setup.refused = [this](std::string_view reason) {
      const std::scoped_lock lock(mutex_);
      reasons_.emplace_back(reason);
    };
    if (change) change(setup);
    server_ = make_server(std::move(setup));
    const auto started = server_->start();
    ASSERT_TRUE(started) << started.error().detail;
  }

  [[nodiscard]] TestClient client() const { return TestClient(server_->endpoint(Port::kApi).port); }
  [[nodiscard]] std::vector<std::string> reasons() {
    const std::scoped_lock lock(mutex_);
    return reasons_;
  }

  static void expect_problem(const std::optional<TestAnswer>& answer, int status, std::string_view code) {
    ASSERT_TRUE(answer) << "closed without an answer";
    EXPECT_EQ(answer->status, status) << answer->body;
    EXPECT_EQ(answer->header("Content-Type"), "application/problem+json");
    const auto problem = nlohmann::json::parse(answer->body, nullptr, false);
    ASSERT_TRUE(problem.is_object()) << answer->body;
    EXPECT_EQ(problem["code"], code);
    EXPECT_EQ(problem["status"], status);
    EXPECT_FALSE(answer->header("X-Request-ID").empty());
  }

  std::mutex mutex_;
  std::vector<std::string> reasons_;
  std::unique_ptr<Server> server_;
};

constexpr std::string_view kHost = "Host: a\r\n";

std::string get(std::string_view target, std::string_view headers = {}) {
  return "GET " + std::string(target) + " HTTP/1.1\r\n" + std::string(kHost) + std::string(headers) + "\r\n";
}
std::string post(std::string_view target, std::string_view body, std::string_view headers = {}) {
  return "POST " + std::string(target) + " HTTP/1.1\r\n" + std::string(kHost) + std::string(headers) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

TEST_F(ServerTest, AnswersAndKeepsTheConnection) {
  start();
  auto c = client();
  for (int i = 0; i < 3; ++i) {
    const auto answer = c.ask(post("/echo?q=1", "body"));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, "/echo?q=1|body");
    EXPECT_EQ(answer->header("Server"), "detection-api");
    EXPECT_EQ(answer->header("Connection"), "");
    EXPECT_EQ(answer->header("Date").size(), 29U);
  }
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  start();
  auto c = client();
  std::string requests;
  for (const auto* target : {"/later?1", "/echo?2", "/later?3", "/refused", "/echo?5"}) requests += post(target, "b");
  ASSERT_TRUE(c.send(requests));
  for (const auto* expected : {"/later?1|b", "/echo?2|b", "/later?3|b", "", "/echo?5|b"}) {
    const auto answer = c.receive();
    ASSERT_TRUE(answer);
    if (*expected == '\0')
      EXPECT_EQ(answer->status, 401);
    else
      EXPECT_EQ(answer->body, expected);
  }
}

TEST_F(ServerTest, ManyPipelinedRequestsDoNotRecurse) {
  start();
  auto c = client();
  std::string requests;
  for (int i = 0; i < 5'000; ++i) requests += get("/echo");
  std::thread sender([&] { c.send(requests); });
  int answers = 0;
  while (answers < 5'000 && c.receive()) ++answers;
  sender.join();
  EXPECT_EQ(answers, 5'000);
}

TEST_F(ServerTest, BytesMayComeOneByOne) {
  start();
  auto c = client();
  for (const char byte : "\r\n" + post("/echo", "abc", "Transfer-Encodin: x\r\n")) {
    ASSERT_TRUE(c.send({&byte, 1}));
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  EXPECT_EQ(c.receive()->body, "/echo|abc");
}

TEST_F(ServerTest, ChunkedBodies) {
  start();
  auto c = client();
  const std::string head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(c.ask(head + "3\r\nabc\r\n2;x=\"y\"\r\nde\r\n0\r\nTrailer: t\r\n\r\n")->body, "/echo|abcde");
  EXPECT_EQ(c.ask(head + "0\r\n\r\n")->body, "/echo|");
  ASSERT_TRUE(c.send(head + "3\r\na"));
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(c.ask("bc\r\n0\r\n\r\n" + get("/echo?next"))->body, "/echo|abc");
  EXPECT_EQ(c.receive()->body, "/echo?next|");
  for (const auto* bad :
       {"x\r\nabc\r\n", "3\r\nabcd\r\n0\r\n\r\n", "-1\r\n", "fffffffffffffffff\r\n", "3\r\nabc0\r\n\r\n"}) {
    auto b = client();
    expect_problem(b.ask(head + bad), 400, "malformed_request");
    EXPECT_TRUE(b.closed()) << bad;
  }
  auto large = client();
  expect_problem(large.ask(head + "3e9\r\n" + std::string(1'001, 'x')), 413, "payload_too_large");
  EXPECT_TRUE(large.closed());
  auto extension = client();
  expect_problem(extension.ask(head + "1;" + std::string(100'000, 'e')), 400, "malformed_request");
}

TEST_F(ServerTest, HeadOfAnswerSaysClose) {
  start();
  auto c = client();
  const auto answer = c.ask(get("/echo", "Connection: close\r\n"));
  EXPECT_EQ(answer->header("Connection"), "close");
  EXPECT_TRUE(c.closed());
}

TEST_F(ServerTest, HeadRequestsHaveNoBody) {
  start();
  auto c = client();
  const auto answer = c.ask("HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n" + get("/echo?2"), true);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->header("Content-Length"), "6");
  EXPECT_EQ(c.receive()->body, "/echo?2|");
}

TEST_F(ServerTest, OldHttpIsSpoken) {
  start();
  auto c = client();
  EXPECT_EQ(c.ask("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")->header("Connection"), "keep-alive");
  EXPECT_EQ(c.ask("GET /echo HTTP/1.0\r\n\r\n")->body, "/echo|");
  EXPECT_TRUE(c.closed());
  for (const auto* request : {"GET /echo\r\n\r\n", "GET /echo HTTP/2.0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}) {
    auto bad = client();
    expect_problem(bad.ask(request), 400, "malformed_request");
    EXPECT_TRUE(bad.closed());
  }
}

TEST_F(ServerTest, ContinueIsSaidOnlyWhenTheBodyIsWanted) {
  start();
  auto c = client();
  const auto head = [](const char* target) {
    return "POST " + std::string(target) + " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
  };
  EXPECT_EQ(c.ask(head("/echo"))->status, 100);
  EXPECT_EQ(c.ask("abc")->body, "/echo|abc");
  const auto refused = c.ask(head("/refused"));
  EXPECT_EQ(refused->status, 401);
  EXPECT_EQ(refused->header("Connection"), "close");
  EXPECT_TRUE(c.closed());
}

TEST_F(ServerTest, RefusedBodyIsReadOff) {
  start();
  auto c = client();
  ASSERT_TRUE(c.send(post("/refused", std::string(60'000, 'x')) + get("/echo")));
  EXPECT_EQ(c.receive()->status, 401);
  EXPECT_EQ(c.receive()->body, "/echo|");
  auto large = client();
  expect_problem(large.ask(post("/refused", std::string(600'000, 'x'))), 401, "unauthorized");
  EXPECT_TRUE(large.closed());
  auto chunked = client();
  ASSERT_TRUE(chunked.send("POST /refused HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n30000\r\n" +
                           std::string(0x30000, 'x')));
  expect_problem(chunked.receive(), 401, "unauthorized");
}

TEST_F(ServerTest, FramingThatCouldSmuggleIsRefused) {
  start();
  for (const auto* headers : {"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
                              "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
                              "Transfer-Encoding: gzip\r\n",
                              "Transfer-Encoding: gzip, chunked\r\n",
                              "Transfer-Encoding: chunked, gzip\r\n",
                              "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                              "Transfer-Encoding: \vchunked\r\n",
                              "Content-Length: 3\r\nContent-Length: 4\r\n",
                              "Content-Length: +3\r\n",
                              "Content-Length: -1\r\n",
                              "Content-Length: 99999999999999999999999\r\n",
                              "Content-Length: 3 3\r\n",
                              "Content-Length : 3\r\n",
                              " Content-Length: 3\r\n",
                              "Bad Name: x\r\n",
                              "No-Colon\r\n",
                              "X: a\x01"
                              "b\r\n",
                              "Host: b\r\n",
                              "Authorization: a\r\nAuthorization: b\r\n",
                              "Expect: tea\r\n"}) {
    auto c = client();
    const auto request = "POST /echo HTTP/1.1\r\n" +
                         std::string(std::string_view(headers).starts_with(" ") ? "" : "Host: a\r\n") + headers +
                         "\r\nabc";
    expect_problem(c.ask(request), 400, "malformed_request");
    EXPECT_TRUE(c.closed()) << headers;
  }
  auto none = client();
  expect_problem(none.ask("GET /echo HTTP/1.1\r\n\r\n"), 400, "malformed_request");
  auto old = client();
  expect_problem(old.ask("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400,
                 "malformed_request");
}

TEST_F(ServerTest, RequestLinesThatAreNone) {
  start();
  for (const auto* request : {"\x16\x03\x01\x02\r\n\r\n", "GET  /echo HTTP/1.1\r\n\r\n", "GET /echo HTTP/1.1 \r\n\r\n",
                              "G@T /echo HTTP/1.1\r\n\r\n", "GET echo HTTP/1.1\r\nHost: a\r\n\r\n",
                              "GET /a b HTTP/1.1\r\n\r\n", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
                              "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"}) {
    auto c = client();
    expect_problem(c.ask(request), 400, "malformed_request");
    EXPECT_TRUE(c.closed()) << request;
  }
  auto absolute = client();
  EXPECT_EQ(absolute.ask(get("http://other/echo?x"))->body, "http://other/echo?x|");
}

TEST_F(ServerTest, HeadersAndTargetsAreLimited) {
  start();
  auto c = client();
  expect_problem(c.ask(get("/echo", "X: " + std::string(20'000, 'x') + "\r\n")), 431, "headers_too_large");
  EXPECT_TRUE(c.closed());
  auto endless = client();
  std::string fields = "GET /echo HTTP/1.1\r\n";
  for (int i = 0; i < 3'000; ++i) fields += "X: yyyyyyyy\r\n";
  expect_problem(endless.ask(fields), 431, "headers_too_large");
  auto target = client();
  expect_problem(target.ask(get("/" + std::string(9'000, 'x'))), 414, "uri_too_long");
  EXPECT_TRUE(target.closed());
  auto unfinished = client();
  expect_problem(unfinished.ask("GET /" + std::string(30'000, 'x')), 414, "uri_too_long");
  auto fits = client();
  EXPECT_EQ(fits.ask(get("/" + std::string(8'000, 'x'), "X: " + std::string(8'000, 'x') + "\r\n"))->status, 200);
}

TEST_F(ServerTest, LargeBodyIsRefusedBeforeItIsRead) {
  start();
  auto c = client();
  expect_problem(c.ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n"), 413, "payload_too_large");
  EXPECT_TRUE(c.closed());
  // The answer is not lost while the client is still sending.
  auto eager = client();
  std::thread sender([&] {
    eager.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" + std::string(3'000'000, 'x'));
  });
  expect_problem(eager.receive(), 413, "payload_too_large");
  sender.join();
}

TEST_F(ServerTest, SlowSendersAreEnded) {
  start([](ServerSetup& setup) {
    setup.limits.header_timeout = milliseconds(200);
    setup.limits.body_timeout = milliseconds(200);
    setup.limits.idle_timeout = milliseconds(200);
  });
  auto header = client(), body = client(), idle = client(), silent = client();
  ASSERT_TRUE(idle.ask(get("/echo")));
  body.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n");
  const auto begin = std::chrono::steady_clock::now();
  // One byte at a time does not move the deadline.
  while (header.quiet(milliseconds(20)) || body.quiet(milliseconds(1))) {
    if (header.quiet(milliseconds(0)) && !header.send("X")) break;
    if (body.quiet(milliseconds(0)) && !body.send("x")) break;
    ASSERT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(8));
  }
  expect_problem(header.receive(), 408, "timeout");
  EXPECT_TRUE(header.closed());
  expect_problem(body.receive(), 408, "timeout");
  EXPECT_TRUE(body.closed());
  EXPECT_TRUE(idle.closed());
  EXPECT_TRUE(silent.closed());
}

TEST_F(ServerTest, PeerThatDoesNotReadIsEnded) {
  start([](ServerSetup& setup) { setup.limits.write_timeout = milliseconds(200); });
  auto c = client();
  for (int i = 0; i < 20; ++i) c.send(get("/large"));
  const auto begin = std::chrono::steady_clock::now();
  while (std::ranges::count(reasons(), "write_timeout") == 0) {
    ASSERT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(8));
    std::this_thread::sleep_for(milliseconds(10));
  }
}

TEST_F(ServerTest, LargeAnswersArriveWhole) {
  start();
  auto c = client();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(c.ask(get("/large"))->body, std::string(5'000'000, 'l'));
}

TEST_F(ServerTest, HalfClosedClientsAreAnswered) {
  start();
  auto c = client();
  c.send(post("/later", "b") + post("/echo", "c"));
  c.half_close();
  EXPECT_EQ(c.receive()->body, "/later|b");
  EXPECT_EQ(c.receive()->body, "/echo|c");
  EXPECT_TRUE(c.closed());
  auto cut = client();
  cut.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  cut.half_close();
  expect_problem(cut.receive(), 400, "malformed_request");
  auto nothing = client();
  nothing.half_close();
  EXPECT_TRUE(nothing.closed());
}

TEST_F(ServerTest, ConnectionsAreCapped) {
  start([](ServerSetup& setup) { setup.limits.connections_most = 4; });
  std::vector<TestClient> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(client());
    ASSERT_TRUE(clients.back().ask(get("/echo")));
  }
  auto over = client();
  const auto answer = over.receive();
  expect_problem(answer, 503, "store_unavailable");
  EXPECT_FALSE(answer->header("Retry-After").empty());
  EXPECT_TRUE(over.closed());
  // The other port has its own places.
  TestClient metrics(server_->endpoint(Port::kMetrics).port);
  EXPECT_EQ(metrics.ask(get("/echo"))->status, 200);
  clients.pop_back();
  const auto begin = std::chrono::steady_clock::now();
  while (true) {
    auto again = client();
    const auto served = again.ask(get("/echo"));
    if (served && served->status == 200) break;
    ASSERT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(8));
  }
  EXPECT_GT(std::ranges::count(reasons(), "connections"), 0);
}

TEST_F(ServerTest, ResetsDoNoHarm) {
  start();
  for (int i = 0; i < 50; ++i) {
    auto a = client(), b = client(), c = client(), d = client();
    a.send("GET /ec");
    b.send(post("/later", "b"));
    c.send(get("/large"));
    a.reset();
    b.reset();
    c.reset();
    d.reset();
  }
  auto last = client();
  EXPECT_EQ(last.ask(get("/echo"))->body, "/echo|");
}

TEST_F(ServerTest, RequestIdsAreKeptWhereSane) {
  start();
  auto c = client();
  EXPECT_EQ(c.ask(get("/echo", "X-Request-ID: abc-1.2:3_Z\r\n"))->header("X-Request-ID"), "abc-1.2:3_Z");
  for (const auto& bad : {std::string("a b"), std::string("a\"b"), std::string(200, 'a'), std::string("")}) {
    const auto minted = c.ask(get("/echo", "X-Request-ID: " + bad + "\r\n"))->header("X-Request-ID");
    EXPECT_EQ(minted.size(), 36U);
  }
}

TEST_F(ServerTest, StopFinishesWhatIsInFlight) {
  start();
  auto busy = client(), slow = client(), idle = client(), partial = client();
  ASSERT_TRUE(idle.ask(get("/echo")));
  slow.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
  partial.send("GET /ec");
  std::this_thread::sleep_for(milliseconds(50));
  busy.send(post("/later", "b"));
  std::thread stopper([&] {
    std::this_thread::sleep_for(milliseconds(10));
    server_->stop(std::chrono::seconds(8));
  });
  const auto answer = busy.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "/later|b");
  EXPECT_TRUE(idle.closed());
  std::this_thread::sleep_for(milliseconds(50));
  const auto late = slow.ask("bc");
  ASSERT_TRUE(late);
  EXPECT_EQ(late->body, "/echo|abc");
  EXPECT_EQ(late->header("Connection"), "close");
  expect_problem(partial.receive(), 408, "timeout");
  stopper.join();
  EXPECT_FALSE(client().connected());
}

TEST_F(ServerTest, StopGivesUpAfterItsGrace) {
  start();
  auto slow = client();
  slow.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
  std::this_thread::sleep_for(milliseconds(50));
  server_->stop(milliseconds(100));
  EXPECT_FALSE(client().connected());
}

TEST_F(ServerTest, AnswersSayCloseWhileDraining) {
  start();
  auto c = client();
  ASSERT_TRUE(c.ask(get("/echo")));
  server_->begin_drain();
  EXPECT_EQ(c.ask(get("/echo"))->header("Connection"), "close");
  EXPECT_TRUE(c.closed());
  auto fresh = client();
  EXPECT_EQ(fresh.ask(get("/echo"))->status, 200);
}

TEST_F(ServerTest, KeptConnectionsAreAnsweredOnceMoreWhileItStops) {
  start();
  std::vector<decltype(client())> kept;
  for (int n = 0; n < 20; ++n) {
    kept.push_back(client());
    ASSERT_TRUE(kept.back().ask(get("/echo")));
  }
  std::thread stop([&] { server_->stop(milliseconds(10'000)); });
  // One after another: some ask before it has begun, the others after.
  for (auto& c : kept) {
    std::this_thread::sleep_for(milliseconds(10));
    const auto answer = c.ask(get("/echo"));
    EXPECT_EQ(answer ? answer->status : 0, 200);
  }
  const auto last = kept.back().closed();
  stop.join();
  EXPECT_TRUE(last);
}

TEST_F(ServerTest, ConnectionsEndWithTheirNextAnswerWhileTheyAreNotKept) {
  start();
  auto c = client();
  ASSERT_TRUE(c.ask(get("/echo")));
  server_->keep_connections(false);
  EXPECT_EQ(c.ask(get("/echo"))->header("Connection"), "close");
  EXPECT_TRUE(c.closed());
  server_->keep_connections(true);
  auto fresh = client();
  EXPECT_EQ(fresh.ask(get("/echo"))->header("Connection"), "");
  EXPECT_EQ(fresh.ask(get("/echo"))->status, 200);
}

TEST_F(ServerTest, PortInUseIsNamed) {
  start();
  const auto taken = server_->endpoint(Port::kApi);
  ServerSetup setup;
  setup.api = taken;
  setup.limits = {1, 1, 1, 1, 1, milliseconds(1), milliseconds(1), milliseconds(1), milliseconds(1)};
  const auto second = make_server(std::move(setup));
  const auto started = second->start();
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().detail.find(std::to_string(taken.port)), std::string::npos);
}

TEST(Endpoints, AreRead) {
  EXPECT_EQ(parse_endpoint("127.0.0.1:8000")->port, 8000);
  EXPECT_EQ(parse_endpoint("[::1]:9")->address, "::1");
  EXPECT_EQ(parse_endpoint("localhost:9")->address, "127.0.0.1");
  EXPECT_TRUE(parse_endpoint(":8000"));
  for (const auto* bad : {"", "8000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:8x",
                          "::1:80", "[::1:80", "[127.0.0.1]:80", "host.example:80"})
    EXPECT_FALSE(parse_endpoint(bad)) << bad;
}

}  // namespace
}  // namespace detection::http
