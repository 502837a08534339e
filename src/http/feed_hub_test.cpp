// The live feed over real sockets, from a store whose feed is a list in memory.

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <map>
#include <nlohmann/json.hpp>

#include "http/feed_hub.hpp"
#include "http/forwarding_store.hpp"
#include "http/test_server.hpp"

namespace detection::http {
namespace {

using std::chrono::milliseconds;

/// Event n has the cursor n; page cursors may lie behind records that make no event.
class ListStore final : public ForwardingStore {
 public:
  ListStore() : ForwardingStore(nullptr) {}

  Result<std::string> feed_head() override {
    const std::scoped_lock lock(mutex_);
    ++reads_;
    if (failing_) return fail(ErrorCode::kStoreUnavailable, "down");
    return std::to_string(events_.size());
  }
  Result<store::FeedPage> feed(std::string_view cursor, std::size_t limit) override {
    const std::scoped_lock lock(mutex_);
    ++reads_;
    if (failing_) return fail(ErrorCode::kStoreUnavailable, "down");
    std::size_t from = 0;
    if (cursor.empty() || cursor.find_first_not_of("0123456789") != std::string_view::npos)
      return fail(ErrorCode::kValidationFailed, "no cursor");
    from = std::stoul(std::string(cursor));
    if (from < pruned_) return fail(ErrorCode::kNotFound, "pruned");
    if (from > events_.size()) return fail(ErrorCode::kConflict, "of the future");
    store::FeedPage page;
    const auto to = std::min(events_.size(), from + limit);
    for (auto i = from; i < to; ++i) page.events.push_back(events_[i]);
    page.cursor = std::to_string(std::max(from, to));
    page.more = to < events_.size();
    return page;
  }
  void on_commit(std::function<void()> listener) override {
    const std::scoped_lock lock(mutex_);
    listener_ = std::move(listener);
  }

  /// A delivery event whose sink is its number and a filling.
  void add(std::size_t filling = 0) {
    store::FeedEvent event;
    event.kind = store::FeedEvent::Kind::kDelivery;
    event.state = store::DeliveryState::kDelivered;
    add(std::move(event), filling);
  }
  void add(store::FeedEvent event, std::size_t filling = 0) {
    std::function<void()> listener;
    {
      const std::scoped_lock lock(mutex_);
      event.cursor = std::to_string(events_.size() + 1);
      if (event.kind == store::FeedEvent::Kind::kDelivery) event.sink = event.cursor + std::string(filling, '.');
      events_.push_back(std::move(event));
      listener = listener_;
    }
    if (listener) listener();
  }
  void prune_up_to(std::size_t event) {
    const std::scoped_lock lock(mutex_);
    pruned_ = event;
  }
  void fail_from_now_on(bool failing) {
    const std::scoped_lock lock(mutex_);
    failing_ = failing;
  }
  [[nodiscard]] std::size_t size() {
    const std::scoped_lock lock(mutex_);
    return events_.size();
  }
  [[nodiscard]] int reads() {
    const std::scoped_lock lock(mutex_);
    return reads_;
  }

 private:
  std::mutex mutex_;
  std::vector<store::FeedEvent> events_;
  std::function<void()> listener_;
  std::size_t pruned_ = 0;
  bool failing_ = false;
  int reads_ = 0;
};

class FeedHandler final : public Handler {
 public:
  FeedHandler(FeedHub& hub, Loop& loop) : hub_(hub), loop_(loop) {}
  std::expected<std::size_t, Refusal> head(Exchange&) override { return 0; }
  void request(Exchange& x) override { hub_.subscribe(x, loop_); }
  void answered(const Exchange&, unsigned) override {}
  void stream_over(Exchange& x) override { hub_.over(x); }

 private:
  FeedHub& hub_;
  Loop& loop_;
};

struct Event {
  std::string id, name;
  nlohmann::json data;
};

/// Reads a feed, and takes it apart.
class FeedClient {
 public:
  FeedClient(std::uint16_t port, std::string_view last_event_id = {}) : client_(port) {
    std::string fields = "GET / HTTP/1.1\r\nHost: a\r\n";
    if (!last_event_id.empty()) fields.append("Last-Event-ID: ").append(last_event_id).append("\r\n");
    client_.send(fields + "\r\n");
  }
  std::optional<TestAnswer> answer() { return client_.receive(); }
  /// The next block of lines.
  std::optional<std::string> block() {
    while (text_.find("\n\n") == std::string::npos) {
      const auto line = client_.receive_until("\r\n");
      if (!line) return std::nullopt;
      const auto size = std::strtoul(line->c_str(), nullptr, 16);
      if (size == 0) return std::nullopt;
      std::string piece;
      while (piece.size() < size + 2) {
        auto more = client_.receive_until("\r\n");
        if (!more) return std::nullopt;
        piece += *more;
      }
      text_.append(piece, 0, size);
    }
    const auto end = text_.find("\n\n") + 2;
    auto block = text_.substr(0, end);
    text_.erase(0, end);
    return block;
  }
  /// The next event.
  std::optional<Event> event() {
    while (const auto lines = block()) {
      if (!lines->starts_with("id: ")) continue;
      const auto part = [&](std::string_view name) {
        const auto at = lines->find(name) + name.size();
        return lines->substr(at, lines->find('\n', at) - at);
      };
      return Event{part("id: "), part("event: "), nlohmann::json::parse(part("data: "))};
    }
    return std::nullopt;
  }
  TestClient& client() { return client_; }

 private:
  TestClient client_;
  std::string text_;
};

class FeedTest : public ::testing::Test {
 protected:
  void start(FeedSettings settings = {}) {
    hub_ = std::make_unique<FeedHub>(store_, metrics_, settings);
    server_.setup.make_handler = [this](Loop& loop, Port) { return std::make_unique<FeedHandler>(*hub_, loop); };
    server_.start();
    hub_->start();
  }
  void TearDown() override {
    if (hub_) hub_->stop();
    if (server_.server) server_.server->stop(std::chrono::seconds(5));
    server_.server.reset();
  }

  [[nodiscard]] FeedClient client(std::string_view last_event_id = {}) { return {server_.port(), last_event_id}; }
  /// One whose stream has begun.
  [[nodiscard]] FeedClient reader(std::string_view last_event_id = {}) {
    auto made = client(last_event_id);
    const auto answer = made.answer();
    EXPECT_TRUE(answer && answer->status == 200);
    const auto greeting = made.block();
    EXPECT_TRUE(greeting && greeting->starts_with("retry: 2000\n"));
    EXPECT_TRUE(greeting && greeting->ends_with(": the live feed of detection-api\n\n"));
    return made;
  }
  [[nodiscard]] double metric(std::string_view name) {
    const auto text = metrics_.expose();
    const auto at = text.find("\n" + std::string(name) + " ");
    return at == std::string::npos ? -1 : std::strtod(text.c_str() + at + name.size() + 2, nullptr);
  }
  static void expect_events(FeedClient& from, std::size_t first, std::size_t last) {
    for (auto n = first; n <= last; ++n) {
      const auto event = from.event();
      ASSERT_TRUE(event) << "ended before " << n;
      ASSERT_EQ(event->id, std::to_string(n));
    }
  }

  ListStore store_;
  telemetry::Metrics metrics_;
  TestServer server_;
  std::unique_ptr<FeedHub> hub_;
};

TEST_F(FeedTest, GivesWhatHappens) {
  start();
  store_.add();
  auto c = client();
  const auto answer = c.answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->header("Content-Type"), "text/event-stream");
  EXPECT_EQ(answer->header("Cache-Control"), "no-store");
  EXPECT_EQ(answer->header("X-Accel-Buffering"), "no");
  EXPECT_EQ(c.block(), "retry: 2000\nid: 1\n: the live feed of detection-api\n\n");
  EXPECT_EQ(metric("feed_readers"), 1);

  store::FeedEvent delivery;
  delivery.kind = store::FeedEvent::Kind::kDelivery;
  delivery.state = store::DeliveryState::kDelivered;
  delivery.taken_back = true;
  delivery.at = {1'795'460'700'000'000};
  delivery.ids = {Uuid{}};
  store_.add(delivery);
  auto event = c.event();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->id, "2") << "what happened before is not told";
  EXPECT_EQ(event->name, "delivery");
  EXPECT_EQ(event->data, nlohmann::json::parse(R"({"sink":"2","state":"delivered","taken_back":true,
    "detection_ids":["00000000-0000-0000-0000-000000000000"],"time":"2026-11-23T19:05:00.000000Z"})"));

  store::FeedEvent detection;
  detection.detection.emplace();
  detection.detection->disposition = store::Disposition::kHold;
  detection.detection->located.object_class = "line\nbreak";
  store_.add(detection);
  event = c.event();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->name, "detection");
  EXPECT_EQ(event->data["object_class"], "line\nbreak");
  EXPECT_EQ(event->data["delivery"]["state"], "held");

  auto verification = detection;
  verification.kind = store::FeedEvent::Kind::kVerification;
  verification.detection->decision = store::Decision{false, "no \"tank\"", "ann", {}};
  store_.add(verification);
  event = c.event();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->name, "verification");
  EXPECT_EQ(event->data["verified"], false);
  EXPECT_EQ(event->data["notes"], "no \"tank\"");
  EXPECT_EQ(event->data["actor"], "ann");
  EXPECT_EQ(event->data["state"], "rejected");
  EXPECT_TRUE(comes_true([&] { return metric("feed_events_total") == 3; }));
}

TEST_F(FeedTest, ABreakBeforeTheFirstEventLeavesNoGap) {
  start();
  store_.add();
  std::string id;
  {
    auto c = client();
    ASSERT_TRUE(c.answer());
    const auto greeting = c.block().value_or("");
    const auto at = greeting.find("id: ") + 4;
    id = greeting.substr(at, greeting.find('\n', at) - at);
  }
  store_.add();
  store_.add();
  auto c = client(id);
  ASSERT_TRUE(c.answer());
  expect_events(c, 2, 3);
}

TEST_F(FeedTest, NobodyReadsNothing) {
  start();
  for (int i = 0; i < 100; ++i) store_.add();
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(store_.reads(), 0);
  {
    auto c = reader();
    store_.add();
    expect_events(c, 101, 101);
    EXPECT_GT(store_.reads(), 0);
  }
  ASSERT_TRUE(comes_true([&] { return metric("feed_readers") == 0; }));
  std::this_thread::sleep_for(milliseconds(50));
  const auto reads = store_.reads();
  for (int i = 0; i < 100; ++i) store_.add();
  std::this_thread::sleep_for(milliseconds(700));
  EXPECT_EQ(store_.reads(), reads);
}

TEST_F(FeedTest, CommitsAreReadTogether) {
  start();
  auto c = reader();
  const auto before = store_.reads();
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 300; ++i) {
    store_.add();
    std::this_thread::sleep_for(milliseconds(1));
  }
  expect_events(c, 1, 300);
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_LE(store_.reads() - before, 3 + took / milliseconds(100));
}

TEST_F(FeedTest, ResumesFromTheStoreAndThenLives) {
  for (int i = 0; i < 1'234; ++i) store_.add(300);
  start();
  auto c = reader("7");
  expect_events(c, 8, 1'234);
  store_.add();
  expect_events(c, 1'235, 1'235);
  auto end = reader("1235");
  store_.add();
  expect_events(end, 1'236, 1'236);
  auto all = reader("0");
  expect_events(all, 1, 1'236);
}

TEST_F(FeedTest, ResumesFromWhatWasWrittenLast) {
  start();
  auto keeps_it_going = reader();
  for (int i = 0; i < 600; ++i) store_.add(100);
  expect_events(keeps_it_going, 1, 600);
  const auto before = store_.reads();
  auto c = reader("123");
  expect_events(c, 124, 600);
  store_.add();
  expect_events(c, 601, 601);
  EXPECT_LE(store_.reads() - before, 12) << "477 events were not read again";
}

TEST_F(FeedTest, LargeEventsComeInPieces) {
  for (int i = 0; i < 300; ++i) store_.add(60'000);
  start();
  auto c = reader("0");
  expect_events(c, 1, 300);
  for (int i = 0; i < 100; ++i) store_.add(60'000);
  expect_events(c, 301, 400);
}

TEST_F(FeedTest, GapIsTold) {
  for (int i = 0; i < 50; ++i) store_.add();
  store_.prune_up_to(20);
  start();
  auto c = reader("7");
  const auto event = c.event();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->name, "gap");
  EXPECT_EQ(event->data["reason"], "pruned");
  EXPECT_EQ(event->id, "50");
  store_.add();
  expect_events(c, 51, 51);
  auto again = reader("50");
  expect_events(again, 51, 51);
}

TEST_F(FeedTest, AnIdOfTheFutureIsUnknownAndNotPruned) {
  for (int i = 0; i < 5; ++i) store_.add();
  start();
  auto c = reader("700");
  const auto event = c.event();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->name, "gap");
  EXPECT_EQ(event->data["reason"], "unknown");
  EXPECT_EQ(event->id, "5");
  store_.add();
  expect_events(c, 6, 6);
}

TEST_F(FeedTest, RefusalsAreAnswers) {
  start({.readers_most = 2});
  auto wrong = client("x'; DROP TABLE");
  const auto answer = wrong.answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 422);
  const auto problem = nlohmann::json::parse(answer->body);
  EXPECT_EQ(problem["code"], "validation_failed");
  EXPECT_EQ(problem["errors"][0]["field"], "Last-Event-ID");
  // That connection is still good, and took no place.
  ASSERT_TRUE(wrong.client().send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_EQ(wrong.answer()->status, 200);
  auto second = reader();
  auto third = client();
  const auto full = third.answer();
  ASSERT_TRUE(full);
  EXPECT_EQ(full->status, 503);
  EXPECT_FALSE(full->header("Retry-After").empty());
  TestClient head(server_.port());
  EXPECT_EQ(head.ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", true)->status, 200);
  EXPECT_TRUE(head.closed());
}

TEST_F(FeedTest, StoreThatFailsIsWaitedFor) {
  store_.add();
  start();
  auto c = reader();
  store_.fail_from_now_on(true);
  store_.add();
  auto unlucky = client("0");
  const auto answer = unlucky.answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 503);
  store_.fail_from_now_on(false);
  expect_events(c, 2, 2);
}

TEST_F(FeedTest, Heartbeats) {
  start({.heartbeat = milliseconds(50)});
  auto c = reader();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(c.block(), ": heartbeat\n\n");
}

TEST_F(FeedTest, StopEndsTheStreams) {
  start();
  auto c = reader();
  store_.add();
  expect_events(c, 1, 1);
  hub_->stop();
  hub_->stop();
  EXPECT_FALSE(c.event());
  store_.add();
  EXPECT_EQ(client().answer()->status, 503);
}

TEST_F(FeedTest, StoreMayOutliveTheHub) {
  start();
  TearDown();
  hub_.reset();
  store_.add();
}

TEST_F(FeedTest, ComesBackWithoutAGapUnderLoad) {
  start();
  auto keeps_it_going = reader();
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    while (!stop) {
      for (int i = 0; i < 5; ++i) store_.add(200);
      std::this_thread::sleep_for(milliseconds(2));
    }
  });
  std::thread other([&] {
    while (!stop && keeps_it_going.event()) {
    }
  });
  std::string last = "0";
  std::size_t next = 1;
  bool in_order = true;
  for (int visit = 0; visit < 25 && in_order; ++visit) {
    auto c = reader(last);
    for (int i = 0; i < 20 + visit * 7; ++i) {
      const auto event = c.event();
      in_order = in_order && event && event->id == std::to_string(next);
      if (!in_order) {
        ADD_FAILURE() << "expected " << next << ", got " << (event ? event->id : "the end") << " at visit " << visit;
        break;
      }
      ++next;
      last = event->id;
    }
    if (visit % 5 == 0) std::this_thread::sleep_for(milliseconds(30));
  }
  stop = true;
  writer.join();
  store_.add();
  other.join();
}

/// Many connections on one thread; counts the events of each and holds their order.
class Crowd {
 public:
  Crowd(std::uint16_t port, int readers, int stalled) {
    for (int i = 0; i < readers; ++i) {
      members_.push_back({TestClient(port), {}, 0, i < stalled, false});
      members_.back().client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
  }
  /// Reads whatever is there, except for those that stall.
  void read_for(milliseconds time) {
    std::vector<pollfd> ready;
    for (const auto& member : members_)
      ready.push_back({member.stalls || member.ended ? -1 : member.client.descriptor(), POLLIN, 0});
    if (::poll(ready.data(), ready.size(), static_cast<int>(time.count())) <= 0) return;
    for (std::size_t i = 0; i < ready.size(); ++i)
      if (ready[i].revents != 0) read(members_[i]);
  }
  [[nodiscard]] std::size_t least() const {
    std::size_t least = SIZE_MAX;
    for (const auto& member : members_)
      if (!member.stalls) least = std::min(least, member.events);
    return least;
  }
  [[nodiscard]] bool in_order() const { return in_order_; }
  [[nodiscard]] long ended() const { return std::ranges::count_if(members_, &Member::ended); }

 private:
  struct Member {
    TestClient client;
    std::string text;
    std::size_t events;
    bool stalls, ended;
  };
  void read(Member& member) {
    char buffer[65'536];
    const auto count = ::recv(member.client.descriptor(), buffer, sizeof buffer, 0);
    if (count <= 0) {
      member.ended = true;
      return;
    }
    member.text.append(buffer, static_cast<std::size_t>(count));
    std::size_t done = 0;
    for (auto at = member.text.find("\nid: "); at != std::string::npos; at = member.text.find("\nid: ", done)) {
      const auto end = member.text.find('\n', at + 5);
      if (end == std::string::npos || end + 1 == member.text.size()) break;
      done = end;
      if (member.text[end + 1] == ':') continue;  // the greeting's
      in_order_ = in_order_ && member.text.substr(at + 5, end - at - 5) == std::to_string(++member.events);
    }
    member.text.erase(0, done);
  }

  std::vector<Member> members_;
  bool in_order_ = true;
};

/// Bytes of this process in memory.
std::size_t resident_bytes() {
  std::size_t pages = 0, resident = 0;
  if (FILE* const file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%zu %zu", &pages, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST_F(FeedTest, TwoHundredReadersAndSomeStall) {
  constexpr int kReaders = 200, kStalled = 10;
  constexpr std::size_t kFilling = 4'000;
  start();
  Crowd crowd(server_.port(), kReaders, kStalled);
  ASSERT_TRUE(comes_true([&] { return metric("feed_readers") == kReaders; }));
  const auto before = resident_bytes();
  std::size_t most = 0;
  // Until the kernel takes no more for those who stall, and what they are behind by is too much.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (metric("feed_readers_cut_total") < kStalled && std::chrono::steady_clock::now() < end) {
    for (int i = 0; i < 25; ++i) store_.add(kFilling);
    while (crowd.least() < store_.size() && std::chrono::steady_clock::now() < end) crowd.read_for(milliseconds(10));
    most = std::max(most, resident_bytes());
    ASSERT_TRUE(crowd.in_order());
  }
  EXPECT_EQ(metric("feed_readers_cut_total"), kStalled);
  EXPECT_EQ(crowd.least(), store_.size());
  EXPECT_EQ(crowd.ended(), 0);
  EXPECT_EQ(metric("feed_readers"), kReaders - kStalled);
  EXPECT_EQ(server_.refused("slow_reader"), kStalled);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
  // What waits is shared; with the events of the test's own store.
  EXPECT_LT(most - before, (64u << 20) + store_.size() * 2 * kFilling);
#else
  static_cast<void>(before);
#endif
}

}  // namespace
}  // namespace detection::http
