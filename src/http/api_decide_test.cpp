// Held detections and what people decide about them; dead letters; the audit's search and check; reads from the cache
// and their tags.

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "http/api_fixture.hpp"

namespace detection::http {
namespace {

using nlohmann::json;

constexpr std::string_view kEverything = "detections:read detections:write detections:verify audit:read admin";

class DecideTest : public ApiTest {
 protected:
  std::string held() {
    auto red = request();
    red["ai_confidence"] = 0.1;
    return json::parse(post(red.dump()).body)["detection_id"];
  }
  TestAnswer decide(const std::string& id, const json& body) {
    return as("detections:verify", "PUT", "/api/v1/detections/" + id + "/verify", body.dump());
  }
  json record(const std::string& id) { return json::parse(get("/api/v1/detections/" + id).body, nullptr, false); }
};

TEST_F(DecideTest, ReleasedRejectedAndReleasedAgain) {
  const auto id = held();
  EXPECT_TRUE(record(id)["verification"].is_null());
  EXPECT_EQ(record(id)["delivery"]["state"], "held");
  const auto notes = std::string("seen twice; \"quoted\" <b>'; DROP TABLE detection;-- \xc3\xa9");
  const auto answer = decide(id, {{"verified", true}, {"notes", notes}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  const auto released = json::parse(answer.body);
  EXPECT_EQ(released["detection_id"], id);
  EXPECT_EQ(released["verification"]["verified"], true);
  EXPECT_EQ(released["verification"]["notes"], notes);
  EXPECT_EQ(released["verification"]["actor"], "tester");
  EXPECT_TRUE(released["verification"]["time"].is_string());
  EXPECT_NE(released["delivery"]["state"], "held");
  EXPECT_EQ(record(id), released);
  EXPECT_EQ(json::parse(get("/api/v1/detections").body)["items"][0]["verification"], released["verification"]);

  const auto again = json::parse(decide(id, {{"verified", true}, {"notes", "once more"}}).body);
  EXPECT_EQ(again["verification"], released["verification"]) << "the same decision changes nothing";
  const auto rejected = json::parse(decide(id, {{"verified", false}}).body);
  EXPECT_EQ(rejected["verification"]["verified"], false);
  EXPECT_EQ(rejected["verification"]["notes"], "");
  EXPECT_EQ(rejected["delivery"]["state"], "rejected");
  EXPECT_EQ(record(id), rejected);
  EXPECT_EQ(json::parse(decide(id, {{"verified", true}}).body)["verification"]["verified"], true);
  EXPECT_EQ(record(id)["verification"]["verified"], true);
}

TEST_F(DecideTest, WhatCannotBeDecided) {
  const auto green = json::parse(post(request().dump()).body)["detection_id"].get<std::string>();
  expect_problem(decide(green, {{"verified", true}}), 409, "conflict");
  expect_problem(decide(std::string(kId), {{"verified", true}}), 404, "not_found");
  expect_problem(decide("no-uuid", {{"verified", true}}), 404, "not_found");
  const auto id = held();
  for (const auto& body : {json::object(), json{{"verified", "yes"}}, json{{"verified", nullptr}},
                           json{{"verified", true}, {"notes", std::string(2'001, 'n')}},
                           json{{"verified", true}, {"note", "?"}}, json{{"verified", true}, {"notes", 5}}})
    expect_problem(decide(id, body), 422, "validation_failed");
  const auto path = "/api/v1/detections/" + id + "/verify";
  expect_problem(as(kEverything, "PUT", path, "{\"verified\":true"), 400, "malformed_json");
  expect_problem(*ask("PUT", path, bearer(kEverything), "{}"), 415, "unsupported_media_type");
  expect_problem(as(kEverything, "PUT", path, std::string(70'000, ' ')), 413, "payload_too_large");
  const auto answer = as(kEverything, "POST", path, "{}");
  expect_problem(answer, 405, "method_not_allowed");
  EXPECT_EQ(answer.header("Allow"), "PUT");
  EXPECT_TRUE(record(id)["verification"].is_null());
}

TEST_F(DecideTest, AuditIsSearched) {
  const auto id = held();
  (void)decide(id, {{"verified", true}, {"notes", "why"}});
  const auto found = [&](const std::string& query) {
    return json::parse(get("/api/v1/audit?" + query).body, nullptr, false)["items"];
  };
  const auto verified = found("type=detection_verified");
  ASSERT_EQ(verified.size(), 1U);
  EXPECT_EQ(verified[0]["actor"], "tester");
  EXPECT_EQ(verified[0]["subject"], id);
  EXPECT_EQ(verified[0]["severity"], "INFO");
  EXPECT_TRUE(verified[0]["detail"].is_object());
  EXPECT_GE(found("subject=" + id).size(), 5U);
  EXPECT_EQ(found("subject=" + std::string(kId)).size(), 0U);
  EXPECT_EQ(found("actor=nobody").size(), 0U);
  EXPECT_EQ(found("severity=ERROR").size(), 0U);

  std::size_t items = 0;
  std::string cursor;
  for (int pages = 0; pages < 100; ++pages) {
    const auto page = json::parse(get("/api/v1/audit?limit=2" + (cursor.empty() ? "" : "&cursor=" + cursor)).body);
    items += page["items"].size();
    if (page["next_cursor"].is_null()) break;
    cursor = page["next_cursor"];
  }
  EXPECT_EQ(items, found("limit=1000").size());

  const auto lines = get("/api/v1/audit?limit=2", "Accept: application/x-ndjson\r\n");
  EXPECT_EQ(lines.header("Content-Type"), "application/x-ndjson");
  EXPECT_EQ(std::ranges::count(lines.body, '\n'), 2);
  EXPECT_EQ(json::parse(lines.body.substr(0, lines.body.find('\n'))), found("limit=1")[0]);
  EXPECT_EQ(json::parse(get("/api/v1/audit?limit=2").body)["next_cursor"], lines.header("X-Next-Cursor"));
  for (const auto* query : {"limit=0", "limit=1001", "type=%00", "severity=LOUD", "subject=5", "since=now", "until=x",
                            "cursor=%20", "unknown=1", "limit=1&limit=2"})
    expect_problem(get("/api/v1/audit?" + std::string(query)), 422, "validation_failed");
  expect_problem(get("/api/v1/audit", "Accept: text/html\r\n"), 406, "not_acceptable");
}

TEST_F(DecideTest, AuditIsChecked) {
  (void)post(request().dump());
  const auto answer = get("/api/v1/audit/verify");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const auto verdict = json::parse(answer.body);
  EXPECT_EQ(verdict["valid"], true);
  EXPECT_TRUE(verdict["first_bad"].is_null());
  EXPECT_GE(verdict["records"], 1);
  ASSERT_GE(verdict["chains"].size(), 1U);
  EXPECT_EQ(verdict["chains"][0]["head_sha256"].get<std::string>().size(), 64U);
  EXPECT_EQ(verdict["chains"][0]["pruned_up_to"], 0);
}

/// A store whose check of the audit waits to be let go.
class SlowCheck final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Result<store::AuditVerdict> verify_audit() override {
    ++checks;
    gate.wait();
    store::AuditVerdict verdict;
    verdict.valid = false;
    verdict.first_bad = "record 7: its hash is another";
    return verdict;
  }
  std::atomic<int> checks{0};
  std::promise<void> open;
  std::shared_future<void> gate = open.get_future().share();
};

class SlowCheckTest : public ApiTest {
 protected:
  SlowCheck& slow() {
    SlowCheck* made = nullptr;
    wrap_ = [&](std::unique_ptr<store::Store> inner) {
      auto around = std::make_unique<SlowCheck>(std::move(inner));
      made = around.get();
      return around;
    };
    reopen();
    return *made;
  }
  void wait_until_checking(const SlowCheck& store) {
    for (int i = 0; i < 1'000 && store.checks == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
};

TEST_F(SlowCheckTest, WhoeverAsksMeanwhileSharesTheAnswer) {
  auto& store = slow();
  const auto line = "GET /api/v1/audit/verify HTTP/1.1\r\nHost: a\r\n" + bearer() + "\r\n";
  std::vector<TestClient> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(client());
  for (auto& c : clients) c.send(line);
  wait_until_checking(store);
  EXPECT_EQ(get("/api/v1/detections").status, 200) << "others are served";
  for (auto& c : clients) EXPECT_TRUE(c.quiet(std::chrono::milliseconds{20}));
  store.open.set_value();
  for (auto& c : clients) {
    const auto answer = c.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(json::parse(answer->body)["valid"], false);
    EXPECT_EQ(json::parse(answer->body)["first_bad"], "record 7: its hash is another");
  }
  EXPECT_LE(store.checks, 5);
  EXPECT_GE(store.checks, 1);
  EXPECT_NE(metrics().find("audit_chain_valid 0"), std::string::npos);
}

TEST_F(SlowCheckTest, AStopDoesNotWaitForIt) {
  auto& store = slow();
  auto c = client();
  c.send("GET /api/v1/audit/verify HTTP/1.1\r\nHost: a\r\n" + bearer() + "\r\n");
  wait_until_checking(store);
  const auto began = std::chrono::steady_clock::now();
  service_->stop(std::chrono::seconds{30});
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds{20});
  const auto answer = c.receive();
  ASSERT_TRUE(answer);
  expect_problem(*answer, 503, "store_unavailable");
  store.open.set_value();
}

TEST_F(DecideTest, RecordsAreTaggedAndCached) {
  ASSERT_TRUE(store_->open_sink("tak"));
  const auto id = json::parse(post(request().dump()).body)["detection_id"].get<std::string>();
  const auto path = "/api/v1/detections/" + id;
  const auto first = get(path);
  const auto tag = first.header("ETag");
  ASSERT_EQ(tag.size(), 34U);
  EXPECT_EQ(first.header("Vary"), "Accept");
  const auto same = get(path, "If-None-Match: \"x\", W/" + tag + "\r\n");
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.header("ETag"), tag);
  EXPECT_EQ(same.body, "");
  EXPECT_EQ(get(path, "If-None-Match: *\r\n").status, 304);
  EXPECT_EQ(get(path, "If-None-Match: \"x\"\r\n").body, first.body);
  EXPECT_EQ(get(path, "Accept: application/xml\r\nIf-None-Match: *\r\n").status, 200) << "CoT changes all the time";
  EXPECT_EQ(get(path + "/cot").header("ETag"), "");
  EXPECT_NE(metrics().find("cache_misses_total{cache=\"detections\"} 1\n"), std::string::npos);
  EXPECT_NE(metrics().find("cache_hits_total{cache=\"detections\"} 5\n"), std::string::npos) << metrics();

  // Its delivery goes on behind the cache's back.
  const auto claim = store_->claim("tak", 10);
  ASSERT_TRUE(claim);
  ASSERT_TRUE(store_->confirm(*claim, store::Confirmation::kConfirmed, system_now()));
  const auto delivered = get(path, "If-None-Match: " + tag + "\r\n");
  EXPECT_EQ(delivered.status, 200);
  EXPECT_EQ(json::parse(delivered.body)["delivery"]["state"], "delivered");
  EXPECT_NE(delivered.header("ETag"), tag);
}

TEST_F(DecideTest, DecisionsOfOthersAreSeenThroughTheCache) {
  const auto id = held();
  EXPECT_TRUE(record(id)["verification"].is_null());
  EXPECT_TRUE(record(id)["verification"].is_null());
  // As another process would, not through this service.
  store::Store::Verification verification{*parse_uuid(id), {true, "elsewhere", "someone", system_now()}, "r"};
  ASSERT_TRUE(store_->verify(verification));
  EXPECT_EQ(record(id)["verification"]["actor"], "someone");
  verification.decision = {false, "on second thought", "someone else", system_now()};
  ASSERT_TRUE(store_->verify(verification));
  EXPECT_EQ(record(id)["verification"]["verified"], false);
  EXPECT_EQ(record(id)["verification"]["notes"], "on second thought");
}

TEST_F(ApiTest, DescriptionsAreTagged) {
  for (const auto* path : {"/openapi.json", "/docs"}) {
    const auto answer = *ask("GET", path, "");
    ASSERT_EQ(answer.status, 200) << path;
    const auto again = *ask("GET", path, "If-None-Match: " + answer.header("ETag") + "\r\n");
    EXPECT_EQ(again.status, 304) << path;
    EXPECT_EQ(again.body, "");
    EXPECT_EQ(ask("HEAD", path, "If-None-Match: " + answer.header("ETag") + "\r\n")->status, 304);
  }
}

}  // namespace
}  // namespace detection::http
