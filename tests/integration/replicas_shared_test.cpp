// What replicas on one database have in common: ids, reads, the live feed, API keys, rate limits.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <thread>

#include "integration/support/fast_sink.hpp"
#include "integration/support/replicas.hpp"
#include "integration/support/requests.hpp"
#include "integration/support/sse_reader.hpp"

namespace detection::integration {
namespace {

using nlohmann::json;
using std::chrono::seconds;

class SharedTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = PostgresServer::unavailable()) GTEST_SKIP() << "NOT TESTED: " << *why;
    server_ = std::make_unique<PostgresServer>(PostgresOptions{});
  }

  Replicas& start(const Replicas::Plan& plan) {
    replicas_ = std::make_unique<Replicas>(*server_, plan);
    replicas_->start();
    return *replicas_;
  }
  /// The same moment, one request to each replica; the statuses, sorted.
  std::vector<int> at_once(const std::array<std::string, 3>& bodies) {
    std::array<int, 3> statuses{};
    {
      std::vector<std::jthread> threads;
      std::atomic<int> ready{0};
      for (std::size_t i = 0; i < 3; ++i)
        threads.emplace_back([&, i] {
          auto client = (*replicas_)[i].client();
          ++ready;
          while (ready < 3) std::this_thread::yield();
          const auto answer = client.post("/api/v1/detections", bodies[i]);
          statuses[i] = answer ? answer->status : 0;
        });
    }
    std::vector<int> sorted(statuses.begin(), statuses.end());
    std::ranges::sort(sorted);
    return sorted;
  }

  std::unique_ptr<PostgresServer> server_;
  std::unique_ptr<Replicas> replicas_;
};

TEST_F(SharedTest, OneIdIsOneDetectionWhoeverIsAsked) {
  auto& replicas = start({});
  std::mt19937_64 random(1);
  for (int round = 0; round < 20; ++round) {
    const auto id = random_uuid(random);
    const auto same = detection_json(7, id);
    EXPECT_EQ(at_once({same, same, same}), (std::vector{200, 200, 201})) << "round " << round;
    const auto other_id = random_uuid(random);
    const auto a = detection_json(1, other_id), b = detection_json(2, other_id), c = detection_json(3, other_id);
    EXPECT_EQ(at_once({a, b, c}), (std::vector{201, 409, 409})) << "round " << round;
  }
  EXPECT_EQ(list_all(replicas[0]).size(), 40U);
}

TEST_F(SharedTest, WhatOneAcceptedTheOthersReadAndTheirFeedsShow) {
  auto& replicas = start({});
  SseReader feed(replicas[0].api_port(), replicas[0].all_scopes_token());
  ASSERT_EQ(feed.status(), 200);
  auto poster = replicas[1].client(), reader = replicas[0].client();
  std::vector<std::string> ids;
  for (std::uint64_t i = 0; i < 20; ++i) {
    const auto answer = poster.post("/api/v1/detections", detection_json(i));
    ASSERT_TRUE(answer && answer->status == 201) << (answer ? answer->body : "no answer");
    ids.push_back(acknowledged_ids(*answer).front());
    const auto read = reader.get("/api/v1/detections/" + ids.back());
    ASSERT_TRUE(read && read->status == 200) << "a GET on another replica, right after the answer";
  }
  std::vector<std::string> shown;
  std::string last;
  while (shown.size() < ids.size()) {
    const auto event = feed.next(seconds(5));
    ASSERT_TRUE(event) << "the feed of another replica shows only " << shown.size() << " of " << ids.size();
    if (event->event == "detection") shown.push_back(json::parse(event->data).at("detection_id"));
    if (shown.size() == 10) last = event->id;
  }
  EXPECT_EQ(shown, ids) << "in the order of the commits";
  // And goes on at a third one.
  SseReader resumed(replicas[2].api_port(), replicas[2].all_scopes_token(), last);
  ASSERT_EQ(resumed.status(), 200);
  std::vector<std::string> rest;
  while (rest.size() < 10) {
    const auto event = resumed.next(seconds(5));
    ASSERT_TRUE(event) << "the resumed feed shows only " << rest.size() << " of 10";
    if (event->event == "detection") rest.push_back(json::parse(event->data).at("detection_id"));
  }
  EXPECT_EQ(rest, std::vector<std::string>(ids.begin() + 10, ids.end()));
}

TEST_F(SharedTest, AnApiKeyIsGoodEverywhereAndRevokedEverywhere) {
  auto& replicas = start({});
  auto admin = replicas[0].client();
  const auto made = admin.post("/api/v1/api-keys", R"({"name":"camera","scopes":["detections:read"]})");
  ASSERT_TRUE(made && made->status == 201) << (made ? made->body : "no answer");
  const auto key = json::parse(made->body);
  const auto status_at = [&](std::size_t replica) {
    HttpClient client(replicas[replica].api_port(), key.at("key"));
    const auto answer = client.get("/api/v1/detections");
    return answer ? answer->status : 0;
  };
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_TRUE(wait_until(seconds(5), [&] { return status_at(i) == 200; })) << "replica " << i << " does not know it";
  const auto revoked = admin.request("DELETE", "/api/v1/api-keys/" + key.at("id").get<std::string>());
  ASSERT_TRUE(revoked && revoked->status < 300) << (revoked ? revoked->body : "no answer");
  EXPECT_EQ(status_at(0), 401) << "at once where it was revoked";
  for (std::size_t i = 1; i < 3; ++i)
    EXPECT_TRUE(wait_until(seconds(5), [&] { return status_at(i) == 401; })) << "replica " << i << " still takes it";
  // And by a command beside them.
  const auto by_command = replicas.command({"key", "create", "--name", "b", "--scope", "detections:read", "--json"});
  ASSERT_EQ(by_command.exit.code, 0) << by_command.err;
  HttpClient client(replicas[1].api_port(), json::parse(by_command.out).at("key"));
  EXPECT_TRUE(wait_until(seconds(5), [&] {
    const auto answer = client.get("/api/v1/detections");
    return answer && answer->status == 200;
  }));
}

TEST_F(SharedTest, WhatASubjectSpendsAtOneReplicaItHasNotAtTheOthers) {
  // So slow that nothing comes back while the test runs.
  auto& replicas = start({.more = {"--rate-limit", "on", "--rate-limit-subject", "60/h:20"}});
  sleep_ms(500);  // all have exchanged once
  const auto token = replicas[0].token(kAllScopes, "spender");
  HttpClient here(replicas[0].api_port(), token);
  for (int i = 0; i < 20; ++i) {
    const auto answer = here.get("/api/v1/detections");
    ASSERT_TRUE(answer && answer->status == 200) << i;
  }
  const auto over = here.get("/api/v1/detections");
  ASSERT_TRUE(over);
  EXPECT_EQ(over->status, 429);
  for (std::size_t i = 1; i < 3; ++i) {
    // Each look costs one, which is part of what is shared; so not too often.
    sleep_ms(2'500);
    HttpClient there(replicas[i].api_port(), token);
    const auto answer = there.get("/api/v1/detections");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 429) << "replica " << i << " knows nothing of what was spent elsewhere";
  }
  HttpClient other(replicas[1].api_port(), replicas[1].token(kAllScopes, "another"));
  const auto fine = other.get("/api/v1/detections");
  EXPECT_TRUE(fine && fine->status == 200) << "another subject has its own";
}

/// The block of SQL of a document that has this in it.
std::string statements_of(const std::string& document, const std::string& word) {
  const auto page = read_file(std::filesystem::path(DETECTION_SOURCE_ROOT) / document);
  for (auto begin = page.find("```sql\n"); begin != std::string::npos; begin = page.find("```sql\n", begin + 1)) {
    const auto end = page.find("\n```", begin + 1);
    auto block = page.substr(begin + 7, end - begin - 7);
    if (block.find(word) != std::string::npos) return block;
  }
  ADD_FAILURE() << document << " has no such statements";
  return {};
}

TEST_F(SharedTest, ARoleThatOwnsNothingServesAndCannotChangeTheRecord) {
  Replicas::Plan plan;
  plan.count = 1;
  plan.user = "detection_serve";
  FastSink sink;
  sink.start();
  plan.sinks = {{sink.url()}};
  Replicas replicas(*server_, plan);
  (void)server_->run_sql("CREATE ROLE detection_serve LOGIN");
  // As the document says, word for word.
  (void)server_->run_sql(statements_of("docs/replicas.md", "GRANT SELECT"), replicas.database());
  replicas.start();
  auto client = replicas[0].client();
  const auto answer = client.post("/api/v1/detections", detection_json(1));
  ASSERT_TRUE(answer && answer->status == 201) << (answer ? answer->body : "no answer") << replicas.logs();
  EXPECT_TRUE(wait_until(seconds(20), [&] { return sink.distinct() == 1; })) << replicas.logs();
  const auto key = client.post("/api/v1/api-keys", R"({"name":"camera","scopes":["detections:read"]})");
  EXPECT_TRUE(key && key->status == 201) << (key ? key->body : "no answer");
  for (const auto* change :
       {"DELETE FROM detection", "UPDATE detection SET source = 'x'", "TRUNCATE detection", "DELETE FROM audit",
        "UPDATE audit SET actor = 'x'", "DELETE FROM delivery", "ALTER TABLE audit DISABLE TRIGGER ALL"}) {
    try {
      (void)server_->run_sql(std::string("SET ROLE detection_serve; ") + change, replicas.database());
      ADD_FAILURE() << change << " was allowed";
    } catch (const std::runtime_error& refused) {
      const std::string why = refused.what();
      EXPECT_TRUE(why.find("permission denied") != std::string::npos || why.find("must be owner") != std::string::npos)
          << why;
    }
  }
  expect_audit_holds(replicas);
}

TEST_F(SharedTest, CommandsWorkOnTheDatabase) {
  Replicas replicas(*server_, {.count = 1});
  const auto again = replicas.command({"migrate", "--json"});
  ASSERT_EQ(again.exit.code, 0) << again.err;
  const auto versions = json::parse(again.out);
  EXPECT_EQ(versions.at("before"), versions.at("after"));
  EXPECT_GT(versions.at("after").get<int>(), 0);
  EXPECT_EQ(replicas.command({"slot", "get", "--json"}).out, "{\"active_slot\":null}\n");
  set_slot(replicas, "green");
  EXPECT_EQ(replicas.command({"slot", "get"}).out, "green\n");
  EXPECT_EQ(replicas.command({"slot", "set", "purple"}).exit.code, 2);
  expect_audit_holds(replicas);
}

}  // namespace
}  // namespace detection::integration
