// The live feed through the API, from the real store.

#include <gtest/gtest.h>

#include "http/api_fixture.hpp"

namespace detection::http {
namespace {

class FeedStoreTest : public ApiTest {
 protected:
  /// A reader whose stream has begun.
  TestClient reader(std::string_view last_event_id = {}) {
    return reader_with(bearer("detections:read") +
                       (last_event_id.empty() ? "" : "Last-Event-ID: " + std::string(last_event_id) + "\r\n"));
  }
  TestClient reader_with(const std::string& headers) {
    auto c = client();
    c.send("GET /api/v1/events HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n");
    const auto answer = c.receive();
    EXPECT_TRUE(answer && answer->status == 200);
    EXPECT_TRUE(c.receive_until("live feed of detection-api\n\n\r\n"));
    return c;
  }

  struct Event {
    std::string id, name;
    nlohmann::json data;
  };
  /// The next one; nameless when none comes.
  static Event next(TestClient& c) {
    if (!c.receive_until("id: ")) return {};
    Event event;
    const auto line = [&] {
      auto text = c.receive_until("\n").value_or("\n");
      text.pop_back();
      return text;
    };
    event.id = line();
    event.name = line().substr(7);
    event.data = nlohmann::json::parse(line().substr(6), nullptr, false);
    return event;
  }

  std::string post_red() {
    auto red = request();
    red["ai_confidence"] = 0.1;
    return nlohmann::json::parse(post(red.dump()).body)["detection_id"];
  }
};

TEST_F(FeedStoreTest, GivesDetectionsAndDecisions) {
  post_red();
  auto c = reader();
  const auto id = post_red();
  const auto detection = next(c);
  EXPECT_EQ(detection.name, "detection");
  EXPECT_EQ(detection.data["detection_id"], id);
  EXPECT_EQ(detection.data["delivery"]["state"], "held");

  const auto verified =
      as("detections:verify", "PUT", "/api/v1/detections/" + id + "/verify", R"({"verified":false,"notes":"a cow"})");
  ASSERT_EQ(verified.status, 200) << verified.body;
  const auto verification = next(c);
  EXPECT_EQ(verification.name, "verification");
  EXPECT_EQ(verification.data["detection_id"], id);
  EXPECT_EQ(verification.data["notes"], "a cow");
  EXPECT_EQ(verification.data["state"], "rejected");

  // Behind the detection there is the decision, also for another process.
  auto again = reader(detection.id);
  EXPECT_EQ(next(again).id, verification.id);
  reopen();
  EXPECT_FALSE(c.receive_until("id: ")) << "the end of the service is the end of its streams";
  auto later = reader(detection.id);
  EXPECT_EQ(next(later).data["notes"], "a cow");
  const auto third = post_red();
  EXPECT_EQ(next(later).data["detection_id"], third);
}

TEST_F(FeedStoreTest, GivesEachOnceUnderLoad) {
  auto first = reader();
  constexpr int kDetections = 300;
  std::vector<std::string> posted;
  std::thread poster([&] {
    for (int i = 0; i < kDetections; ++i) posted.push_back(post_red());
  });
  std::vector<std::string> got;
  const auto take = [&](TestClient& from, std::size_t until) {
    std::string last;
    while (got.size() < until) {
      const auto event = next(from);
      if (event.name != "detection") break;
      got.push_back(event.data["detection_id"]);
      last = event.id;
    }
    return last;
  };
  auto last = take(first, 20);
  for (std::size_t until = 60; until <= kDetections; until += 60) {
    auto c = reader(last);
    last = take(c, until);
  }
  poster.join();
  EXPECT_EQ(got, posted);
}

/// The stream ends in good order, saying why.
void expect_ended(TestClient& c, std::string_view why) {
  const auto rest = c.receive_until("event: end\ndata: {\"reason\":\"" + std::string(why) + "\"}\n\n");
  EXPECT_TRUE(rest) << why;
  EXPECT_TRUE(c.receive_until("0\r\n\r\n")) << "the stream goes on";
}

TEST_F(FeedStoreTest, EndsWithTheApiKeyThatItWasOpenedWith) {
  const auto now = system_now();
  const auto soon = UtcMicros{now.count + 2'000'000};
  const security::ScopeSet scopes{security::Scope::kDetectionsRead};
  const auto revoked = authority_->create_api_key({"revoked", scopes, {}}, "a", now).value();
  const auto expiring = authority_->create_api_key({"expiring", scopes, soon}, "a", now).value();
  const auto rotated = authority_->create_api_key({"rotated", scopes, {}}, "a", now).value();
  const auto granted = authority_->grant(revoked.info.id, revoked.secret_text, "", now).value().access_token;
  auto by_key = reader_with("X-API-Key: " + revoked.secret_text + "\r\n");
  auto by_its_token = reader_with("Authorization: Bearer " + granted + "\r\n");
  auto by_expiring = reader_with("X-API-Key: " + expiring.secret_text + "\r\n");
  auto by_rotated = reader_with("X-API-Key: " + rotated.secret_text + "\r\n");
  auto other = reader();
  ASSERT_TRUE(authority_->rotate_api_key(rotated.info.id, "a", now));
  ASSERT_TRUE(authority_->revoke_api_key(revoked.info.id, "a", now));
  expect_ended(by_key, "the API key has been revoked");
  expect_ended(by_its_token, "the API key has been revoked");
  expect_ended(by_expiring, "the API key has expired");
  const auto id = post_red();
  EXPECT_EQ(next(other).data["detection_id"], id) << "others go on";
  EXPECT_EQ(next(by_rotated).data["detection_id"], id) << "also by a secret that is in its grace";
}

TEST_F(FeedStoreTest, EndsWithTheTokenThatItWasOpenedWith) {
  const auto mint = [&](UtcMicros now) {
    return "Authorization: Bearer " +
           *security::mint_token(*key_, {"tester", "detections:read", std::chrono::seconds(1)}, now) + "\r\n";
  };
  // The skew of 60 s is part of its life.
  auto expiring = reader_with(mint(UtcMicros{system_now().count - 59'000'000}));
  expect_ended(expiring, "the token has expired");

  const auto revoked = token("detections:read");
  auto by_revoked = reader_with("Authorization: Bearer " + revoked + "\r\n");
  const auto jti = authority_->authenticate(revoked, system_now()).value()->jti;
  ASSERT_TRUE(authority_->revoke_token(jti, "a", system_now()));
  expect_ended(by_revoked, "the token has been revoked");

  auto by_old_key = reader();
  const auto path = std::filesystem::path(folder_) / "jwt.key";
  std::ofstream(path.string() + ".new") << "unit-tests-only-771b05ee92ac4d38-0815";
  std::filesystem::rename(path.string() + ".new", path);
  expect_ended(by_old_key, "the token's key has been withdrawn");
}

TEST_F(FeedStoreTest, OneSubjectCannotTakeAllPlaces) {
  std::vector<TestClient> readers;
  for (int i = 0; i < 32; ++i) readers.push_back(reader());
  const auto refused = get("/api/v1/events");
  expect_problem(refused, 429, "rate_limited");
  EXPECT_FALSE(refused.header("Retry-After").empty());
  const security::TokenRequest another{"another", "detections:read"};
  auto other = reader_with("Authorization: Bearer " + *security::mint_token(*key_, another, system_now()) + "\r\n");
  const auto id = post_red();
  EXPECT_EQ(next(other).data["detection_id"], id);
  EXPECT_EQ(next(readers.back()).data["detection_id"], id);
}

TEST_F(FeedStoreTest, RefusesWhatIsNoCursor) {
  const auto answer = get("/api/v1/events", "Last-Event-ID: ' OR 1=1 --\r\n");
  expect_problem(answer, 422, "validation_failed");
  EXPECT_NE(answer.body.find("Last-Event-ID"), std::string::npos);
  EXPECT_EQ(get("/api/v1/events", "Last-Event-ID: " + std::string(8'000, '1') + "\r\n").status, 422);
}

}  // namespace
}  // namespace detection::http
