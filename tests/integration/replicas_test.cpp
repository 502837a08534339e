// Three replicas on one PostgreSQL, in a storm and with the database away: nothing that was acknowledged is lost.
// DETECTION_REPLICA_SECONDS (30; 1,800 in ./test soak) is the length of the storm, DETECTION_AWAY_SECONDS (30; 600)
// that of the outage, DETECTION_SEED repeats a run.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>

#include "integration/support/fast_sink.hpp"
#include "integration/support/replicas.hpp"
#include "integration/support/requests.hpp"

namespace detection::integration {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr std::size_t kReplicas = 3, kClientsOfEach = 2;
/// Says how long each part of a test took.
class Parts {
 public:
  void done(const char* what) {
    const auto now = steady_clock::now();
    std::printf("%s: %.1f s\n", what, std::chrono::duration<double>(now - since_).count());
    since_ = now;
  }

 private:
  steady_clock::time_point since_ = steady_clock::now();
};

constexpr const char* kQueue = R"(offline_queue_size{sink="tak"})";

class ReplicasTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = PostgresServer::unavailable()) GTEST_SKIP() << "NOT TESTED: " << *why;
    std::printf("DETECTION_SEED=%llu\n", static_cast<unsigned long long>(seed_));
  }

  const std::uint64_t seed_ = env_number("DETECTION_SEED", std::random_device{}() | 1U);
  std::mt19937_64 random_{seed_};
};

/// What the storm did, for its report.
struct Deeds {
  std::size_t killed = 0, servers_killed = 0, servers_stopped = 0, cut = 0, stalled = 0, suspended = 0;
};

/// One fault at random; children are started by this thread. False: a replica did not come back.
bool strike(Replicas& replicas, PostgresServer& server, std::mt19937_64& random, Deeds& deeds) {
  const auto which = random() % replicas.size();
  const auto dice = random() % 100;
  if (dice < 35) {
    replicas[which].kill();
    sleep_ms(static_cast<int>(random() % 400));
    replicas[which].launch();
    ++deeds.killed;
    if (random() % 3 == 0) return true;  // the next fault may come while it starts
    return replicas[which].wait_ready(seconds(30));
  }
  if (dice < 45) {
    server.kill9();
    sleep_ms(static_cast<int>(random() % 1'500));
    server.start();
    ++deeds.servers_killed;
  } else if (dice < 50) {
    server.stop(PostgresServer::Stop::kImmediate);
    sleep_ms(static_cast<int>(random() % 500));
    server.start();
    ++deeds.servers_stopped;
  } else if (dice < 55) {
    server.suspend();
    sleep_ms(static_cast<int>(500 + random() % 2'000));
    server.resume();
    ++deeds.suspended;
  } else if (dice < 85) {
    replicas.gate(which).end_all(random() % 2 == 0 ? Ending::kReset : Ending::kClose);
    ++deeds.cut;
  } else {
    Faults faults;
    (random() % 2 == 0 ? faults.stall_to_client : faults.stall_to_peer) = true;
    faults.refuse = random() % 3 == 0;
    replicas.gate(which).set(faults);
    sleep_ms(static_cast<int>(200 + random() % 2'500));
    if (random() % 2 == 0) replicas.gate(which).end_all(Ending::kReset);
    replicas.gate(which).heal();
    ++deeds.stalled;
  }
  return true;
}

/// What has no answer is asked again, of another replica: it is there or comes now, once. 202 where PostgreSQL does not
/// take it in time: it may still be at what the last fault left it.
void settle(Replicas& replicas, Told& told) {
  auto client = replicas[0].client();
  for (const auto& request : told.unanswered()) {
    const auto answer = client.post(request.target, request.body);
    ASSERT_TRUE(answer && answer->status >= 200 && answer->status <= 202) << (answer ? answer->body : "no answer");
    ASSERT_EQ(acknowledged_ids(*answer), request.ids);
  }
}

TEST_F(ReplicasTest, AStormLosesNothingAndConfirmsNothingTwice) {
  const seconds length(env_number("DETECTION_REPLICA_SECONDS", 30));
  PostgresServer server({.fsync = true});
  FastSink sink;
  sink.start();
  Replicas replicas(server, {.count = kReplicas, .sinks = {kReplicas, {sink.url()}}});
  replicas.start();

  // The load is bounded by the disk of a long run: about 1,500 detections a second, 300 where it is longer.
  const milliseconds pause = length <= seconds(300) ? milliseconds(20) : milliseconds(100);
  Told told;
  Deeds deeds;
  {
    std::atomic<bool> stop{false};
    std::vector<std::jthread> clients;
    for (std::size_t i = 0; i < kReplicas * kClientsOfEach; ++i)
      clients.emplace_back(
          [&, i, client_seed = random_()] { post_until(stop, replicas[i % kReplicas], client_seed, told, pause); });
    const auto until = steady_clock::now() + length;
    bool back = true;
    while (back && steady_clock::now() < until) {
      sleep_ms(static_cast<int>(random_() % 1'200));
      back = strike(replicas, server, random_, deeds);
    }
    for (std::size_t i = 0; i < kReplicas; ++i)
      if (back) back = replicas[i].wait_ready(seconds(30));
    stop.store(true);
    clients.clear();
    ASSERT_TRUE(back) << "a replica did not come back\n" << replicas.logs();
  }
  std::printf("%zu kills of replicas, %zu of PostgreSQL, %zu immediate stops, %zu suspended, %zu cuts, %zu stalls\n",
              deeds.killed, deeds.servers_killed, deeds.servers_stopped, deeds.suspended, deeds.cut, deeds.stalled);
  Parts parts;
  ASSERT_TRUE(replicas.spools_empty(minutes(5))) << "a spool does not drain\n" << replicas.logs();
  parts.done("spools drained");
  settle(replicas, told);
  if (HasFatalFailure()) return;
  ASSERT_TRUE(replicas.spools_empty(minutes(1))) << replicas.logs();
  ASSERT_TRUE(wait_until(minutes(5),
                         [&] {
                           sleep_ms(100);
                           return replicas[0].metric(kQueue) == 0.0;
                         }))
      << "not all is delivered; the TAK server has " << sink.distinct() << "\n"
      << replicas.deliveries() << replicas.logs();

  parts.done("delivered");
  const auto records = list_all(replicas[1]);
  const auto uids = sink.uids();
  std::size_t lost = 0, undelivered = 0, unconfirmed = 0, sent_again = 0;
  std::string first_lost;
  for (const auto& id : told.acknowledged()) {
    const auto found = records.find(id);
    if (found == records.end()) {
      if (lost++ == 0) first_lost = id;
      continue;
    }
    undelivered += found->second.state == "delivered" ? 0 : 1;
    unconfirmed += uids.contains(found->second.uid) ? 0 : 1;
  }
  for (const auto& [uid, times] : uids) sent_again += times - 1;
  EXPECT_EQ(lost, 0U) << "acknowledged and not in the database; the first is " << first_lost;
  EXPECT_EQ(undelivered, 0U) << "in the database and not delivered";
  EXPECT_EQ(unconfirmed, 0U) << "called delivered, and the TAK server never confirmed them";
  EXPECT_EQ(sink.malformed(), 0U);
  parts.done("read");
  const auto confirmed = confirmed_once(replicas);
  ASSERT_TRUE(confirmed.contains("tak"));
  EXPECT_EQ(confirmed.at("tak"), records.size()) << "confirmed in the audit, of all in the database";
  expect_audit_holds(replicas);
  parts.done("checked");
  std::printf("acknowledged %zu (%s), without an answer %zu, recorded %zu, sent again %zu\n",
              told.acknowledged().size(), told.counts().c_str(), told.unanswered().size(), records.size(), sent_again);
  EXPECT_GT(told.acknowledged().size(), 10 * static_cast<std::size_t>(length.count())) << "there was no load";
}

/// Posts one by one, so many a second, each answer before the next request; all of one source.
class SteadySource {
 public:
  SteadySource(const Service& service, std::string name, double per_s)
      : service_(service), name_(std::move(name)), period_(static_cast<std::int64_t>(1e9 / per_s)) {}

  struct Post {
    std::string id;
    int status = 0;
    steady_clock::time_point at{};
    std::chrono::nanoseconds took{};
  };

  void run(const std::atomic<bool>& stop, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    auto client = service_.client();
    auto next = steady_clock::now();
    for (std::uint64_t number = 0; !stop.load(); ++number) {
      next = std::max(next + period_, steady_clock::now() - seconds(1));  // late is caught up with, not for ever
      std::this_thread::sleep_until(next);
      Post post{random_uuid(random), 0, steady_clock::now(), {}};
      auto body = detection_json(number, post.id);
      static constexpr std::string_view kSource = R"("source":"integration")";
      body.replace(body.find(kSource), kSource.size(), R"("source":")" + name_ + R"(")");
      const auto answer = client.post("/api/v1/detections", body);
      post.took = steady_clock::now() - post.at;
      post.status = answer ? answer->status : 0;
      posts_.push_back(std::move(post));
    }
  }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::vector<Post>& posts() const { return posts_; }

 private:
  const Service& service_;
  const std::string name_;
  const std::chrono::nanoseconds period_;
  std::vector<Post> posts_;
};

/// Of one source, oldest first.
std::vector<std::string> stored_in_order(const Service& service, const std::string& source) {
  std::vector<std::string> ids;
  auto client = service.client();
  std::string cursor;
  do {
    const auto page = client.get("/api/v1/detections?limit=1000&source=" + source + cursor);
    if (!page || page->status != 200) {
      ADD_FAILURE() << (page ? page->body : "no answer");
      break;
    }
    const auto json = nlohmann::json::parse(page->body);
    for (const auto& item : json.at("items")) ids.push_back(item.at("detection_id").get<std::string>());
    cursor = json.at("next_cursor").is_null() ? "" : "&cursor=" + json.at("next_cursor").get<std::string>();
  } while (!cursor.empty());
  std::ranges::reverse(ids);
  return ids;
}

TEST_F(ReplicasTest, WithTheDatabaseAwayEveryPostIsAnsweredAndAllIsThereInOrderAfterwards) {
  const seconds away(env_number("DETECTION_AWAY_SECONDS", 30));
  constexpr std::size_t kPods = 2, kSources = 4;
  PostgresServer server({.fsync = true});
  FastSink sink;
  sink.start();
  Replicas replicas(server, {.count = kPods, .sinks = {kPods, {sink.url()}}});
  replicas.start();
  std::vector<std::unique_ptr<SteadySource>> sources;
  for (std::size_t i = 0; i < kSources; ++i)
    sources.push_back(
        std::make_unique<SteadySource>(replicas[i % kPods], "source-" + std::to_string(i), 500.0 / kSources));
  steady_clock::time_point lost, back;
  {
    std::atomic<bool> stop{false};
    std::vector<std::jthread> threads;
    for (auto& source : sources)
      threads.emplace_back([&stop, &one = *source, its_seed = random_()] { one.run(stop, its_seed); });
    sleep_ms(3'000);
    lost = steady_clock::now();
    server.stop(PostgresServer::Stop::kImmediate);
    std::this_thread::sleep_until(lost + away);
    for (std::size_t i = 0; i < kPods; ++i) {
      EXPECT_EQ(replicas[i].ready_status(), 200) << "the spool takes detections, so it is ready";
      EXPECT_GT(replicas[i].metric("spool_size").value_or(0), 0);
      EXPECT_GT(replicas[i].metric("spool_oldest_item_age_seconds").value_or(0), 0);
    }
    back = steady_clock::now();
    server.start();
    sleep_ms(2'000);
    stop.store(true);
  }
  std::vector<double> took_ms;
  std::size_t wrong = 0;
  std::string first_wrong;
  for (const auto& source : sources)
    for (const auto& post : source->posts()) {
      const bool in_outage = post.at >= lost + seconds(1) && post.at < back;
      if (in_outage) took_ms.push_back(std::chrono::duration<double, std::milli>(post.took).count());
      if (post.status == 202 || (post.status == 201 && !in_outage)) continue;
      if (wrong++ == 0)
        first_wrong = source->name() + " was answered " + std::to_string(post.status) + " " +
                      std::to_string(std::chrono::duration_cast<milliseconds>(post.at - lost).count()) +
                      " ms after the loss";
    }
  EXPECT_EQ(wrong, 0U) << first_wrong << "\n" << replicas.logs();
  ASSERT_GT(took_ms.size(), static_cast<std::size_t>(450 * (away.count() - 1))) << "that was not 500 a second";
  std::ranges::sort(took_ms);
  const auto p99_ms = took_ms[took_ms.size() * 99 / 100];
  std::printf("away: %zu posts, p50 %.2f ms, p99 %.2f ms, most %.2f ms\n", took_ms.size(), took_ms[took_ms.size() / 2],
              p99_ms, took_ms.back());
  EXPECT_LT(p99_ms, 20);

  ASSERT_TRUE(replicas.spools_empty(minutes(2) + away)) << replicas.logs();
  std::size_t stored = 0;
  for (const auto& source : sources) {
    std::vector<std::string> posted;
    for (const auto& post : source->posts()) posted.push_back(post.id);
    const auto ids = stored_in_order(replicas[0], source->name());
    stored += ids.size();
    EXPECT_EQ(ids.size(), posted.size()) << source->name();
    const auto [here, there] = std::ranges::mismatch(posted, ids);
    EXPECT_TRUE(here == posted.end() && there == ids.end())
        << source->name() << ": from number " << here - posted.begin() << " on they are not in the order of acceptance";
  }
  ASSERT_TRUE(wait_until(minutes(2), [&] { return sink.distinct() >= stored; })) << replicas.logs();
  EXPECT_EQ(sink.distinct(), stored);
  expect_audit_holds(replicas);
}

}  // namespace
}  // namespace detection::integration
