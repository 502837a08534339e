// Versions of the program beside each other during a release: on a schema that is not their own, and both at once.
// The schema of the next version is made up here; the other program is DETECTION_OTHER_BINARY, which `./test full`
// builds from the newest tag (tests/tools/skew.sh), once for the tests of this tree and once, the other way round, for
// those of the tag. Services have the role that docs/replicas.md describes: it may not change the schema.

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <thread>

#include "integration/support/fast_sink.hpp"
#include "integration/support/forge.hpp"
#include "integration/support/peers.hpp"
#include "integration/support/replicas.hpp"
#include "integration/support/requests.hpp"
#include "integration/support/sse_reader.hpp"

namespace detection::integration {
namespace {

using nlohmann::json;
using std::chrono::seconds;

constexpr auto kServingRole = "detection_serve";

/// What the docs say to do after each `migrate`.
constexpr auto kGrants =
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO detection_serve;"
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO detection_serve;"
    "REVOKE UPDATE, DELETE ON detection, audit, audit_chain, audit_tombstone, delivery, decision, omission"
    " FROM detection_serve";

/// As the steps of a next version may be.
constexpr auto kNextStep =
    "ALTER TABLE detection ADD COLUMN squadron_id text;"
    "ALTER TABLE audit ADD COLUMN of_the_next_version smallint NOT NULL DEFAULT 0;"
    "CREATE INDEX detection_by_squadron ON detection (squadron_id) WHERE squadron_id IS NOT NULL;"
    "CREATE TABLE squadron (id text PRIMARY KEY, since_ns bigint NOT NULL);"
    "UPDATE schema_version SET version = version + 1";

std::optional<std::filesystem::path> other_binary() {
  const char* path = std::getenv("DETECTION_OTHER_BINARY");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  if (path == nullptr || *path == '\0') return std::nullopt;
  return path;
}

enum class Schema : std::uint8_t { kNext, kOfTheOther };

std::vector<Schema> schemas() {
  if (!other_binary()) return {Schema::kNext};
  return {Schema::kNext, Schema::kOfTheOther};
}

class SkewTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = PostgresServer::unavailable()) GTEST_SKIP() << "NOT TESTED: " << *why;
    server_ = std::make_unique<PostgresServer>(PostgresOptions{});
    server_->run_sql(std::string("CREATE ROLE ") + kServingRole + " LOGIN");
    for (auto& sink : sinks_) sink.start();
  }

  void make(Replicas::Plan plan) {
    plan.count = 2;
    plan.user = kServingRole;
    for (const auto& sink : sinks_) plan.sinks.push_back({sink.url()});
    replicas_ = std::make_unique<Replicas>(*server_, plan);
    server_->run_sql(kGrants, replicas_->database());
  }
  void make(Schema schema) {
    make(Replicas::Plan{.migrated_by = schema == Schema::kOfTheOther ? *other_binary() : binary()});
    if (schema == Schema::kNext) server_->run_sql(kNextStep, replicas_->database());
    before_ = version();
    replicas_->start();
  }
  std::string version() {
    return server_->run_sql("SELECT version FROM schema_version", replicas_->database()).at(0).at(0);
  }
  /// The body of an answer that must have this status, from one replica.
  json call(std::size_t replica, std::string_view method, const std::string& target, int status,
            const std::string& body = {}) {
    auto client = (*replicas_)[replica].client();
    const auto answer = client.request(method, target, body);
    EXPECT_TRUE(answer && answer->status == status)
        << method << " " << target << ": " << (answer ? std::to_string(answer->status) + answer->body : "no answer");
    return answer ? json::parse(answer->body, nullptr, false) : json{};
  }
  bool becomes(const std::string& id, const std::string& state) {
    return wait_until(seconds(20), [&] {
      sleep_ms(20);
      return call(1, "GET", "/api/v1/detections/" + id, 200).at("delivery").at("state") == state;
    });
  }
  [[nodiscard]] std::uint32_t times(const std::string& uid) const {
    std::uint32_t all = 0;
    for (const auto& sink : sinks_) {
      const auto uids = sink.uids();
      if (const auto found = uids.find(uid); found != uids.end()) all += found->second;
    }
    return all;
  }

  std::unique_ptr<PostgresServer> server_;
  std::array<FastSink, 2> sinks_;
  std::unique_ptr<Replicas> replicas_;
  std::string before_;
};

class OnASchemaNotItsOwn : public SkewTest, public ::testing::WithParamInterface<Schema> {};

INSTANTIATE_TEST_SUITE_P(, OnASchemaNotItsOwn, ::testing::ValuesIn(schemas()), [](const auto& made) {
  return made.param == Schema::kNext ? "OfTheNextVersion" : "OfTheOtherBinary";
});

TEST_P(OnASchemaNotItsOwn, TheWholeApiWorks) {
  make(GetParam());
  const std::string posts = "/api/v1/detections", keys = "/api/v1/api-keys";
  std::mt19937_64 random(7);

  // Acceptance: new, repeated, contradicted, in batches, wrong.
  const auto green = random_uuid(random);
  const auto first = detection_json(1, green);  // made once: it holds the time
  (void)call(0, "POST", posts, 201, first);
  (void)call(1, "POST", posts, 200, first);
  (void)call(1, "POST", posts, 409, detection_json(2, green));
  (void)call(0, "POST", posts, 422, R"({"class":"vehicle"})");
  EXPECT_EQ(call(1, "POST", posts + "/batch", 200, batch_json(10, 50, {})).at("results").size(), 50U);
  EXPECT_TRUE(becomes(green, "delivered")) << replicas_->deliveries();
  EXPECT_EQ(times("DET." + green), 1U);
  EXPECT_EQ(list_all((*replicas_)[0], "flag=GREEN").size(), 51U);

  // A person's decisions, and what TAK gets of them.
  auto unsure = json::parse(detection_json(3));
  unsure["ai_confidence"] = 0.1;
  const auto red = call(0, "POST", posts, 201, unsure.dump()).at("detection_id").get<std::string>();
  EXPECT_TRUE(becomes(red, "held"));
  (void)call(1, "PUT", posts + "/" + red + "/verify", 200, R"({"verified":true,"notes":"seen"})");
  EXPECT_TRUE(becomes(red, "delivered")) << replicas_->deliveries();
  (void)call(0, "PUT", posts + "/" + red + "/verify", 200, R"({"verified":false,"notes":"a tree"})");
  EXPECT_TRUE(becomes(red, "rejected"));
  EXPECT_TRUE(wait_until(seconds(10), [&] { return times("DET." + red + "-delete") == 1; }));
  (void)call(0, "PUT", posts + "/" + green + "/verify", 409, R"({"verified":true})");

  // What is read of it: timeline, delivery, feed.
  EXPECT_GE(call(1, "GET", posts + "/" + red + "/audit", 200).at("items").size(), 4U);
  EXPECT_GE(call(0, "GET", "/api/v1/audit?limit=1000", 200).at("items").size(), 52U);
  EXPECT_EQ(call(0, "GET", "/api/v1/audit/verify", 200).at("valid"), true);
  EXPECT_EQ(call(0, "GET", "/api/v1/delivery", 200).at("sinks").size(), 1U);
  (void)call(0, "GET", "/api/v1/delivery/tak/dead-letters", 200);
  SseReader feed((*replicas_)[1].api_port(), (*replicas_)[1].all_scopes_token());
  ASSERT_EQ(feed.status(), 200);
  const auto shown = call(0, "POST", posts, 201, detection_json(4)).at("detection_id");
  for (std::optional<SseEvent> event = feed.next(seconds(5));; event = feed.next(seconds(5))) {
    ASSERT_TRUE(event) << "the feed does not show " << shown;
    if (event->event == "detection" && json::parse(event->data).at("detection_id") == shown) break;
  }

  // Keys, and tokens that were revoked.
  const auto made = call(0, "POST", keys, 201, R"({"name":"camera","scopes":["detections:read"]})");
  const auto key = keys + "/" + made.at("id").get<std::string>();
  const auto turned = call(0, "POST", key + "/rotate", 200);
  const auto status_with = [&](const std::string& credential) {
    HttpClient client((*replicas_)[1].api_port(), credential);
    const auto answer = client.get("/api/v1/detections");
    return answer ? answer->status : 0;
  };
  EXPECT_TRUE(wait_until(seconds(5), [&] { return status_with(turned.at("key")) == 200; }));
  (void)call(0, "DELETE", key, 204);
  EXPECT_TRUE(wait_until(seconds(5), [&] { return status_with(turned.at("key")) == 401; }));
  const auto now_s = std::chrono::system_clock::now().time_since_epoch() / seconds(1);
  const json claims{{"iss", "detection-api"}, {"sub", "guest"},     {"scope", "detections:read"},
                    {"iat", now_s},           {"exp", now_s + 600}, {"jti", "guest-1"}};
  const auto token = hmac_token(R"({"alg":"HS256"})", claims.dump(), kServiceKey);
  EXPECT_EQ(status_with(token), 200);
  (void)call(0, "POST", "/api/v1/auth/revoke", 200, R"({"jti":"guest-1"})");
  EXPECT_TRUE(wait_until(seconds(5), [&] { return status_with(token) == 401; }));

  // The commands beside it; and nobody has moved the schema.
  for (const auto& command :
       {std::vector<std::string>{"audit", "verify"}, {"key", "list"}, {"slot", "set", "blue"}, {"slot", "get"}}) {
    const auto done = replicas_->command(command);
    EXPECT_EQ(done.exit.code, 0) << command[0] << ": " << done.out << done.err;
  }
  EXPECT_EQ(version(), before_);
}

TEST_P(OnASchemaNotItsOwn, AndSoSaysSchemathesis) {
  if (const auto why = peer_missing({"setup_venv.sh", "schemathesis"})) GTEST_SKIP() << *why;
  make(GetParam());
  expect_schemathesis_finds_nothing((*replicas_)[0]);
}

class BesideTheOther : public SkewTest, public ::testing::WithParamInterface<std::filesystem::path> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BesideTheOther);

INSTANTIATE_TEST_SUITE_P(, BesideTheOther,
                         ::testing::ValuesIn(other_binary() ? std::vector{*other_binary()}
                                                            : std::vector<std::filesystem::path>{}),
                         [](const auto&) { return "OnOneDatabase"; });

// Blue is one version, green the other: whoever accepts, the active one delivers.
TEST_P(BesideTheOther, WhatEitherAcceptsTheActiveOneDelivers) {
  make(Replicas::Plan{.slots = {"blue", "green"}, .binaries = {binary(), GetParam()}});
  const auto migrated = replicas_->command({"migrate"}, GetParam());  // to the newest of the two
  EXPECT_EQ(migrated.exit.code, 0) << migrated.out << migrated.err;
  server_->run_sql(kGrants, replicas_->database());
  set_slot(*replicas_, "blue");
  replicas_->start();
  Told told;
  std::atomic<bool> stop{false};
  {
    std::vector<std::jthread> clients;
    for (std::size_t i = 0; i < 2; ++i)
      clients.emplace_back([&, i] { post_until(stop, (*replicas_)[i], 11 + i, told); });
    for (int round = 0; round < 4; ++round) {
      const std::size_t active = round % 2 == 0 ? 0 : 1;
      const auto before = sinks_[active].events_read();
      set_slot(*replicas_, active == 0 ? "blue" : "green");
      EXPECT_TRUE(wait_until(seconds(20), [&] { return sinks_[active].events_read() > before; }))
          << replicas_->deliveries();
      sleep_ms(1'000);
    }
    stop.store(true);
  }
  ASSERT_TRUE(replicas_->spools_empty(seconds(30)));
  EXPECT_GT(told.acknowledged().size(), 300U) << "there was no load";
  EXPECT_TRUE(wait_until(seconds(60), [&] {
    sleep_ms(100);
    return (*replicas_)[1].metric(R"(offline_queue_size{sink="tak"})") == 0.0;
  })) << replicas_->deliveries();
  std::size_t lost = 0, twice = 0;
  for (const auto& id : told.acknowledged()) {
    const auto count = times("DET." + id);
    lost += count == 0;
    twice += count > 1;
  }
  EXPECT_EQ(lost, 0U);
  EXPECT_EQ(twice, 0U);
  const auto here = list_all((*replicas_)[0]), there = list_all((*replicas_)[1]);
  EXPECT_EQ(here.size(), there.size());
  (void)confirmed_once(*replicas_);
  expect_audit_holds(*replicas_);
  const auto verdict = replicas_->command({"audit", "verify"}, GetParam());
  EXPECT_EQ(verdict.exit.code, 0) << "the other program's view: " << verdict.out << verdict.err;
}

}  // namespace
}  // namespace detection::integration
