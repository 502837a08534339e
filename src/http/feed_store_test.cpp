// The live feed through the API, from the real store.

#include <gtest/gtest.h>

#include "http/api_fixture.hpp"

namespace detection::http {
namespace {

class FeedStoreTest : public ApiTest {
 protected:
  /// A reader whose stream has begun.
  TestClient reader(std::string_view last_event_id = {}) {
    auto c = client();
    std::string lines = "GET /api/v1/events HTTP/1.1\r\nHost: a\r\n" + bearer("detections:read");
    if (!last_event_id.empty()) lines.append("Last-Event-ID: ").append(last_event_id).append("\r\n");
    c.send(lines + "\r\n");
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

TEST_F(FeedStoreTest, RefusesWhatIsNoCursor) {
  const auto answer = get("/api/v1/events", "Last-Event-ID: ' OR 1=1 --\r\n");
  expect_problem(answer, 422, "validation_failed");
  EXPECT_NE(answer.body.find("Last-Event-ID"), std::string::npos);
  EXPECT_EQ(get("/api/v1/events", "Last-Event-ID: " + std::string(8'000, '1') + "\r\n").status, 422);
}

}  // namespace
}  // namespace detection::http
