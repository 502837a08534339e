// The API while the store is away and the spool stands in for it.

#include <atomic>
#include <thread>

#include "http/api_fixture.hpp"
#include "store/spool/spool.hpp"

namespace detection::http {
namespace {

using nlohmann::json;

/// Is there, or is not.
class ComesAndGoes final : public ForwardingStore {
 public:
  ComesAndGoes(std::unique_ptr<store::Store> inner, const std::atomic<bool>& away)
      : ForwardingStore(std::move(inner)), away_(away) {}

 protected:
  [[nodiscard]] store::Store* target() const noexcept override {
    return away_.load() ? nullptr : ForwardingStore::target();
  }

 private:
  const std::atomic<bool>& away_;
};

class SpooledApiTest : public ApiTest {
 protected:
  SpooledApiTest() {
    wrap_ = [this](std::unique_ptr<store::Store> inner) {
      spool_options_.directory = folder_ / "spool";
      spool_options_.slot = "blue";
      auto kept = std::make_shared<std::unique_ptr<store::Store>>(std::move(inner));
      auto spool = store::spool::open(
          [this, kept]() -> Result<std::unique_ptr<store::Store>> {
            if (away_.load()) return fail(ErrorCode::kStoreUnavailable, "no route to host");
            return std::make_unique<ComesAndGoes>(std::move(*kept), away_);
          },
          spool_options_);
      if (!spool) throw std::runtime_error(spool.error().detail);
      return std::move(*spool);
    };
    reopen();
  }

  static bool eventually(const std::function<bool()>& condition) {
    for (int i = 0; i < 3'000; ++i, std::this_thread::sleep_for(std::chrono::milliseconds(10)))
      if (condition()) return true;
    return false;
  }
  json ready() {
    const auto answer = ask("GET", "/ready", "");
    auto body = json::parse(answer->body);
    body["http"] = answer->status;
    return body;
  }
  bool comes_back() {
    away_ = false;
    return eventually([this] { return ready()["spool"]["items"] == 0; });
  }

  std::atomic<bool> away_{false};
  store::spool::Options spool_options_;
};

TEST_F(SpooledApiTest, APostIsAnswered202AndFoundWhileTheStoreIsAway) {
  away_ = true;
  const auto body = request(kId);
  const auto first = post(body.dump());
  ASSERT_EQ(first.status, 202) << first.body;
  EXPECT_EQ(first.header("Location"), "/api/v1/detections/" + std::string(kId));
  EXPECT_EQ(first.header("X-Detection-ID"), kId);
  EXPECT_EQ(first.header("X-Confidence-Flag"), "GREEN");
  const auto answer = json::parse(first.body);
  EXPECT_EQ(answer["durability"], "spooled");
  EXPECT_EQ(answer["delivery"]["state"], "spooled");

  const auto again = post(body.dump());
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body, first.body) << "the first answer, with its durability as it is";
  auto other = body;
  other["pixel_x"] = 1;
  expect_problem(post(other.dump()), 409, "conflict");
  const auto xml = post(request().dump(), "Accept: application/xml\r\n");
  EXPECT_EQ(xml.status, 202);
  EXPECT_NE(xml.body.find("<event"), std::string::npos);

  const std::string path = "/api/v1/detections/" + std::string(kId);
  const auto read = get(path);
  ASSERT_EQ(read.status, 200) << read.body;
  EXPECT_EQ(json::parse(read.body)["delivery"]["state"], "spooled");
  EXPECT_EQ(get(path + "/cot").status, 200);
  const auto timeline = json::parse(get(path + "/audit").body);
  ASSERT_EQ(timeline["items"].size(), 5U);
  EXPECT_EQ(timeline["items"][4]["detail"]["state"], "spooled");
  EXPECT_EQ(json::parse(get("/api/v1/detections?state=spooled").body)["items"].size(), 2U);

  // What needs the store says so, and when to ask again.
  for (const auto* target : {"/api/v1/detections", "/api/v1/delivery", "/api/v1/audit", "/api/v1/audit/verify",
                             "/api/v1/detections/0198a3c1-7f00-7abc-8def-00000000ffff"}) {
    const auto refused = get(target);
    expect_problem(refused, 503, "store_unavailable");
    EXPECT_NE(refused.header("Retry-After"), "") << target;
  }

  ASSERT_TRUE(comes_back());
  const auto stored = json::parse(get(path).body);
  EXPECT_EQ(stored["delivery"]["state"], "queued");
  const auto repeated = post(body.dump());
  EXPECT_EQ(repeated.status, 200);
  EXPECT_FALSE(json::parse(repeated.body).contains("durability")) << "it is durable in the store by now";
  EXPECT_EQ(json::parse(get("/api/v1/detections").body)["items"].size(), 2U);
  EXPECT_TRUE(eventually([this] { return post(request().dump()).status == 201; }));
}

TEST_F(SpooledApiTest, EachItemOfABatchIs202) {
  away_ = true;
  auto wrong = request();
  wrong["ai_confidence"] = 2;
  const auto same = request(kId);
  const auto answer = post(json::array({request(), wrong, same, same}).dump(), "", "/api/v1/detections/batch");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const auto results = json::parse(answer.body)["results"];
  ASSERT_EQ(results.size(), 4U);
  EXPECT_EQ(results[0]["status"], 202);
  EXPECT_EQ(results[0]["durability"], "spooled");
  EXPECT_EQ(results[1]["status"], 422);
  EXPECT_EQ(results[2]["status"], 202);
  EXPECT_EQ(results[3]["status"], 200);
  EXPECT_EQ(results[3]["durability"], "spooled");
  ASSERT_TRUE(comes_back());
  EXPECT_EQ(json::parse(get("/api/v1/detections").body)["items"].size(), 2U);
}

TEST_F(SpooledApiTest, ReadyWhileTheStoreOrTheSpoolCanTakeOne) {
  auto body = ready();
  EXPECT_EQ(body["http"], 200);
  EXPECT_EQ(body["store"]["writable"], true);
  EXPECT_TRUE(body["store"]["reason"].is_null());
  EXPECT_EQ(body["spool"]["items"], 0);
  EXPECT_TRUE(body["spool"]["oldest_age_s"].is_null());

  spool_options_.items_most = 2;
  reopen();
  away_ = true;
  EXPECT_EQ(post(request().dump()).status, 202);
  body = ready();
  EXPECT_EQ(body["http"], 200) << body;
  EXPECT_EQ(body["store"]["writable"], false);
  EXPECT_EQ(body["store"]["reason"], "the database cannot be reached");
  EXPECT_EQ(body["spool"]["items"], 1);
  EXPECT_EQ(body["spool"]["capacity_items"], 2);
  EXPECT_GE(body["spool"]["oldest_age_s"], 0.0);
  EXPECT_TRUE(body["release"].contains("active_slot"));

  EXPECT_EQ(post(request().dump()).status, 202);
  const auto over = post(request().dump());
  expect_problem(over, 507, "capacity_exceeded");
  EXPECT_NE(json::parse(over.body)["detail"].get<std::string>().find("the spool is full"), std::string::npos);
  body = ready();
  EXPECT_EQ(body["http"], 503);
  EXPECT_EQ(body["reason"], "neither the store nor its spool can take a detection");

  ASSERT_TRUE(comes_back());
  EXPECT_EQ(ready()["http"], 200);
}

TEST_F(SpooledApiTest, CredentialsThatAreKnownStayGoodWhileTheStoreIsAway) {
  const auto made = as("admin", "POST", "/api/v1/api-keys", R"({"name":"k","scopes":["detections:write"]})");
  ASSERT_EQ(made.status, 201) << made.body;
  const auto key = "X-API-Key: " + json::parse(made.body)["key"].get<std::string>() + "\r\n";
  const auto post_by_key = [&] {
    return ask("POST", "/api/v1/detections", key + "Content-Type: application/json\r\n", request().dump())->status;
  };
  EXPECT_EQ(post_by_key(), 201);
  away_ = true;
  // Over at least one renewal that fails.
  std::this_thread::sleep_for(std::chrono::milliseconds(1'500));
  EXPECT_EQ(post_by_key(), 202);
  EXPECT_EQ(post(request().dump()).status, 202);
  const auto refused = as("admin", "POST", "/api/v1/api-keys", R"({"name":"m","scopes":["detections:write"]})");
  expect_problem(refused, 503, "store_unavailable");

  // A start while it is away: tokens are good, keys as soon as it comes.
  reopen();
  EXPECT_EQ(post(request().dump()).status, 202);
  EXPECT_EQ(post_by_key(), 401);
  EXPECT_EQ(ready()["release"]["slot"], "blue");
  EXPECT_EQ(ready()["release"]["delivers"], false);
  ASSERT_TRUE(comes_back());
  EXPECT_TRUE(eventually([&] { return post_by_key() == 201; }));
}

}  // namespace
}  // namespace detection::http
