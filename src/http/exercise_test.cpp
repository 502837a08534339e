// An exercise is marked wherever it shows, and goes to no sink.

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <thread>

#include "http/api_fixture.hpp"
#include "http/feed_text.hpp"
#include "store/spool/spool.hpp"

namespace detection::http {
namespace {

using nlohmann::json;

class ExerciseTest : public ApiTest {
 protected:
  static json exercise(std::string_view id = {}) {
    auto body = request(id);
    body["exercise"] = true;
    return body;
  }
};

TEST_F(ExerciseTest, IsMarkedWhereverItShows) {
  const auto log_file = folder_ / "log";
  {
    std::FILE* const file = std::fopen(log_file.c_str(), "w");
    ASSERT_NE(file, nullptr);
    telemetry::Log log(::fileno(file));
    log_to_ = &log;
    reopen();
    ASSERT_TRUE(store_->open_sink("tak"));
    const auto posted = exercise(kId).dump();
    const auto answer = post(posted);
    ASSERT_EQ(answer.status, 201) << answer.body;
    const auto body = json::parse(answer.body);
    EXPECT_EQ(body["exercise"], true);
    EXPECT_EQ(body["delivery"]["state"], "discarded");
    EXPECT_EQ(post(posted).status, 200);
    const auto batch =
        json::parse(post(json::array({exercise(), request()}).dump(), "", "/api/v1/detections/batch").body)["results"];
    EXPECT_EQ(batch[0]["exercise"], true);
    EXPECT_FALSE(batch[1].contains("exercise"));
    close();
    log_to_ = &log_;
    std::fclose(file);
  }
  open();
  std::ifstream lines(log_file);
  int logged = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto entry = json::parse(line);
    if (entry["event"] != "detection_accepted" || !entry.contains("exercise")) continue;
    ++logged;
    EXPECT_EQ(entry["exercise"], true);
  }
  EXPECT_EQ(logged, 2) << "one for each request that made one";

  const std::string path = "/api/v1/detections/" + std::string(kId);
  EXPECT_EQ(json::parse(get(path).body)["exercise"], true);
  EXPECT_EQ(json::parse(get(path + "/audit").body)["exercise"], true);
  EXPECT_EQ(json::parse(get(path + "/audit").body)["items"][4]["detail"]["state"], "discarded");
  const auto cot = get(path + "/cot").body;
  EXPECT_NE(cot.find("opex=\"e-"), std::string::npos) << cot;
  EXPECT_NE(cot.find("EXERCISE"), std::string::npos) << cot;
  const auto list = json::parse(get("/api/v1/detections?state=discarded").body)["items"];
  ASSERT_EQ(list.size(), 2U);
  for (const auto& item : list) EXPECT_EQ(item["exercise"], true);
  const auto features =
      json::parse(get("/api/v1/detections?state=discarded", "Accept: application/geo+json\r\n").body)["features"];
  ASSERT_EQ(features.size(), 2U);
  for (const auto& feature : features) EXPECT_EQ(feature["properties"]["exercise"], true);

  store::FeedEvent event;
  event.detection = *store_->find(*parse_uuid(kId)).value();
  std::string text;
  append_feed_event(text, event);
  EXPECT_NE(text.find("\"exercise\":true"), std::string::npos) << text;
  EXPECT_NE(text.find("\"state\":\"discarded\""), std::string::npos) << text;
}

TEST_F(ExerciseTest, GoesToNoSink) {
  ASSERT_TRUE(store_->open_sink("tak"));
  ASSERT_EQ(post(exercise().dump()).status, 201);
  auto red = exercise();
  red["ai_confidence"] = 0.1;
  const auto held = post(red.dump());
  ASSERT_EQ(held.status, 201);
  const auto id = json::parse(held.body)["detection_id"].get<std::string>();
  EXPECT_EQ(as("detections:verify", "PUT", "/api/v1/detections/" + id + "/verify", R"({"verified":true})").status, 409)
      << "it was never held";
  EXPECT_TRUE(store_->claim("tak", 10)->items.empty());
  ASSERT_EQ(post(request().dump()).status, 201);
  EXPECT_EQ(store_->claim("tak", 10)->items.size(), 1U);
}

/// Takes no job while `away`.
class TakesNone final : public ForwardingStore {
 public:
  TakesNone(std::unique_ptr<store::Store> inner, const std::atomic<bool>& away)
      : ForwardingStore(std::move(inner)), away_(away) {}
  bool submit(std::unique_ptr<store::CommitJob>& job) override { return !away_ && ForwardingStore::submit(job); }

 private:
  const std::atomic<bool>& away_;
};

TEST_F(ExerciseTest, NorDoesOneThatWasSpooled) {
  std::atomic<bool> away{true};
  wrap_ = [&](std::unique_ptr<store::Store> inner) {
    return *store::spool::open(std::make_unique<TakesNone>(std::move(inner), away), {.directory = folder_ / "spool"});
  };
  reopen();
  ASSERT_TRUE(store_->open_sink("tak"));
  const auto answer = post(exercise(kId).dump());
  ASSERT_EQ(answer.status, 202) << answer.body;
  const auto body = json::parse(answer.body);
  EXPECT_EQ(body["exercise"], true);
  EXPECT_EQ(body["durability"], "spooled");
  EXPECT_TRUE(body["delivery"]["sinks"].empty());
  EXPECT_EQ(json::parse(get("/api/v1/detections/" + std::string(kId) + "/audit").body)["exercise"], true);
  away = false;
  for (int i = 0; i < 3'000 && store_->status().spool->items != 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ASSERT_EQ(store_->status().spool->items, 0);
  EXPECT_EQ(json::parse(get("/api/v1/detections/" + std::string(kId)).body)["delivery"]["state"], "discarded");
  EXPECT_TRUE(store_->claim("tak", 10)->items.empty());
}

}  // namespace
}  // namespace detection::http
