// The operator's view of delivery, dead letters, and what a full queue answers.

#include <gmock/gmock.h>

#include "http/api_fixture.hpp"

namespace detection::http {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

/// A sink in the state that the test says.
class StandingCourier final : public pipeline::Courier {
 public:
  void start() override {}
  void stop(std::chrono::milliseconds) override {}
  void wake() noexcept override {}
  void announce(std::shared_ptr<const tak::EventBatch>) override {}
  [[nodiscard]] pipeline::CourierStatus status() const override { return now; }
  pipeline::CourierStatus now{};
};

class DeliveryTest : public ApiTest {
 protected:
  DeliveryTest() { courier_.now.sink = "tak"; }

  void open_sink(const store::QueueLimits& limits = {}) { ASSERT_TRUE(store_->open_sink("tak", limits)); }
  /// The next `count` as dead letters, as if they had been refused.
  void bury(std::size_t count) {
    const auto claim = store_->claim("tak", count);
    ASSERT_TRUE(claim);
    ASSERT_EQ(claim->items.size(), count);
    for (const auto& item : claim->items) ASSERT_TRUE(store_->mark_dead(*claim, item.sequence, "too large"));
    ASSERT_TRUE(store_->confirm(*claim, store::Confirmation::kConfirmed, system_now()));
  }

  StandingCourier courier_;
};

TEST_F(DeliveryTest, SaysOfEachSinkWhatAnOperatorAsks) {
  courier_.now.url = "tls://tak.example:8089";
  courier_.now.confirms = false;
  courier_.now.delivered_per_s = 2.5;
  courier_.now.rate_per_s = 200;
  auto& connection = courier_.now.connection;
  connection.state = tak::SinkState::kWaiting;
  connection.since = {1'790'000'000'000'000};
  connection.protocol = "protobuf";
  connection.certificate_expires = UtcMicros{1'800'000'000'000'000};
  connection.last_error = "Connection refused";
  connection.last_error_at = UtcMicros{1'790'000'001'000'000};
  connection.round_trip = std::chrono::microseconds{3'100};
  connection.server_clock_ahead = std::chrono::microseconds{-400};
  couriers_ = {&courier_};
  reopen();
  open_sink({.items = 1'000});
  for (int i = 0; i < 4; ++i) ASSERT_EQ(post(request().dump()).status, 201);
  bury(1);
  const auto claim = store_->claim("tak", 2);
  ASSERT_TRUE(store_->confirm(*claim, store::Confirmation::kConfirmed, system_now(),
                              {{claim->items[0].sequence, store::OmitReason::kStale}}));
  const auto answer = json::parse(get("/api/v1/delivery").body);
  ASSERT_EQ(answer["sinks"].size(), 1U);
  auto sink = answer["sinks"][0];
  EXPECT_GE(sink["oldest_age_s"], 0);
  EXPECT_GT(sink["queued_bytes"], 500);
  EXPECT_TRUE(sink["oldest_queued"].is_string());
  for (const auto* varies : {"oldest_age_s", "queued_bytes", "oldest_queued"}) sink.erase(varies);
  EXPECT_EQ(sink, json::parse(R"({"sink":"tak","url":"tls://tak.example:8089","delivers":true,
      "delivers_reason":"this process delivers: it has no slot and always delivers","state":"waiting",
      "since":"2026-09-21T14:13:20.000000Z","connected":false,"protocol":"protobuf","last_error":"Connection refused",
      "last_error_at":"2026-09-21T14:13:21.000000Z","certificate_expires":"2027-01-15T08:00:00.000000Z",
      "round_trip_ms":3.1,"server_clock_ahead_ms":-0.4,"connects":0,"attempts":0,"bytes_sent":0,"bytes_received":0,
      "confirms":false,"confirmation":"sent, unconfirmed","queued":1,"capacity_items":1000,"capacity_bytes":null,
      "delivered":1,"omitted":1,"dead_letters":1,"delivered_per_s":2.5,"rate_cap_per_s":200})"));
}

/// Says of the release what it is told to say.
class FencedStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  store::StoreStatus status() override {
    auto status = ForwardingStore::status();
    status.release = {"green", "blue", delivers};
    return status;
  }
  bool delivers = false;
};

TEST_F(DeliveryTest, SaysWhoDelivers) {
  FencedStore* fenced = nullptr;
  wrap_ = [&](std::unique_ptr<store::Store> inner) {
    auto made = std::make_unique<FencedStore>(std::move(inner));
    fenced = made.get();
    return made;
  };
  couriers_ = {&courier_};
  reopen();
  open_sink();
  const auto sink = [&] { return json::parse(get("/api/v1/delivery").body)["sinks"][0]; };
  EXPECT_EQ(sink()["delivers"], false);
  EXPECT_EQ(sink()["delivers_reason"], "slot green is not the active one (blue)");
  fenced->delivers = true;
  EXPECT_EQ(sink()["delivers"], true);
  courier_.now.elsewhere = true;
  EXPECT_EQ(sink()["delivers"], false);
  EXPECT_EQ(sink()["delivers_reason"], "another process delivers");
}

TEST_F(DeliveryTest, WhatIsNotKnownIsNull) {
  couriers_ = {&courier_};
  reopen();
  open_sink();
  const auto sink = json::parse(get("/api/v1/delivery").body)["sinks"][0];
  for (const auto* member :
       {"last_error", "last_error_at", "certificate_expires", "round_trip_ms", "server_clock_ahead_ms", "oldest_queued",
        "oldest_age_s", "capacity_items", "capacity_bytes", "rate_cap_per_s"})
    EXPECT_TRUE(sink.at(member).is_null()) << member;
  EXPECT_EQ(sink["confirmation"], "confirmed");
  EXPECT_EQ(sink["state"], "connecting");
}

TEST_F(DeliveryTest, DeadLettersAreListedPageByPage) {
  open_sink();
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(json::parse(post(request().dump()).body)["detection_id"]);
  bury(5);
  std::vector<std::string> found;
  std::string cursor;
  for (int page = 0; page < 3; ++page) {
    const auto answer = get("/api/v1/delivery/tak/dead-letters?limit=2" + cursor);
    ASSERT_EQ(answer.status, 200) << answer.body;
    const auto body = json::parse(answer.body);
    for (const auto& item : body["items"]) {
      found.push_back(item["detection_id"]);
      EXPECT_EQ(item["cot_uid"], "DET." + found.back());
      EXPECT_EQ(item["reason"], "too large");
      EXPECT_EQ(item["take_back"], false);
      EXPECT_THAT(item["time"].get<std::string>(), HasSubstr("T"));
    }
    EXPECT_EQ(body["next_cursor"].is_null(), page == 2);
    if (page < 2) cursor = "&cursor=" + body["next_cursor"].get<std::string>();
  }
  std::ranges::reverse(found);
  EXPECT_EQ(found, ids);
  expect_problem(get("/api/v1/delivery/other/dead-letters"), 404, "not_found");
  expect_problem(get("/api/v1/delivery/a%20b/dead-letters"), 404, "not_found");
  expect_problem(get("/api/v1/delivery/tak/dead-letters?limit=0"), 422, "validation_failed");
  expect_problem(get("/api/v1/delivery/tak/dead-letters?cursor=x"), 422, "validation_failed");
  expect_problem(as("detections:read", "GET", "/api/v1/delivery/tak/dead-letters"), 403, "insufficient_scope");
}

TEST_F(DeliveryTest, DeadLettersAreTriedAgain) {
  open_sink();
  (void)post(request().dump());
  bury(1);
  const auto answer = as("admin", "POST", "/api/v1/delivery/tak/retry");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(json::parse(answer.body), (json{{"sink", "tak"}, {"retried", 1}}));
  EXPECT_EQ(json::parse(as("admin", "POST", "/api/v1/delivery/tak/retry").body)["retried"], 0);
  for (const auto* sink : {"other", "a%20b", "%ff"})
    expect_problem(as("admin", "POST", "/api/v1/delivery/" + std::string(sink) + "/retry"), 404, "not_found");
}

TEST_F(DeliveryTest, AFullQueueAnswers507UntilItFalls) {
  open_sink({.items = 3});
  const auto kept = request(kId);
  ASSERT_EQ(post(kept.dump()).status, 201);
  ASSERT_EQ(post(request().dump()).status, 201);
  // A batch that does not fit is refused whole.
  const auto batch = json::array({request(), request()});
  auto over = post(batch.dump(), {}, "/api/v1/detections/batch");
  expect_problem(over, 507, "capacity_exceeded");
  EXPECT_THAT(over.body, HasSubstr("queue of sink tak is full: 2 of at most 3 events wait"));
  EXPECT_EQ(json::parse(get("/api/v1/detections").body)["items"].size(), 2U);
  ASSERT_EQ(post(json::array({request()}).dump(), {}, "/api/v1/detections/batch").status, 200);
  expect_problem(post(request().dump()), 507, "capacity_exceeded");
  EXPECT_EQ(post(kept.dump()).status, 200) << "it has been accepted before";
  auto exercise = request();
  exercise["exercise"] = true;
  EXPECT_EQ(post(exercise.dump()).status, 201) << "it needs no room";
  EXPECT_EQ(ask("GET", "/ready", "")->status, 200) << "a full queue is no reason to be unready";
  const auto claim = store_->claim("tak", 2);
  ASSERT_TRUE(store_->confirm(*claim, store::Confirmation::kConfirmed, system_now()));
  EXPECT_EQ(post(batch.dump(), {}, "/api/v1/detections/batch").status, 200);
  expect_problem(post(request().dump()), 507, "capacity_exceeded");
}

}  // namespace
}  // namespace detection::http
