#include "pipeline/announcer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "cot/reader.hpp"
#include "cot/validate.hpp"
#include "pipeline/test_detection.hpp"

namespace detection::pipeline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr UtcMicros kNow{1'790'000'000'000'000};

class AnnouncerTest : public ::testing::Test {
 protected:
  AnnouncerTest() : classes_(cot::ClassMap::built_in('u')) {
    AcceptorSettings settings;
    settings.classes = &classes_;
    settings.cameras = &registry_;
    acceptor_ = std::make_unique<Acceptor>(std::move(settings), metrics_);
    options_.version = "1.2";
  }

  [[nodiscard]] std::vector<std::string> round(UtcMicros since = {}) const {
    auto events = announcements(options_, *acceptor_, registry_.seen_since(since), kNow);
    for (const auto& event : events) EXPECT_EQ(cot::violations(event), std::vector<std::string>{}) << event;
    return events;
  }
  [[nodiscard]] static std::vector<std::string> types(const std::vector<std::string>& events) {
    std::vector<std::string> found;
    for (const auto& event : events) found.push_back(cot::read_event(event).value().type);
    return found;
  }

  cot::ClassMap classes_;
  telemetry::Metrics metrics_;
  CameraRegistry registry_;
  std::unique_ptr<Acceptor> acceptor_;
  UuidMint mint_{1};
  AnnouncerOptions options_;
};

TEST_F(AnnouncerTest, SaysNothingWhereThereIsNothingToSay) {
  EXPECT_THAT(round(), ElementsAre());
}

TEST_F(AnnouncerTest, TheServiceShowsOnlyWhereItsPositionIsKnown) {
  options_.position = OwnPosition{47.5, 8.25, std::nullopt};
  const auto events = round();
  ASSERT_EQ(types(events), std::vector<std::string>{"a-f-G-E-S"});
  const auto event = cot::read_event(events.front()).value();
  EXPECT_EQ(event.uid, "detection-api");
  EXPECT_EQ(event.lat_deg, 47.5);
  EXPECT_EQ(event.hae_m, std::nullopt);
  EXPECT_THAT(event.detail, HasSubstr("version=\"1.2\""));
  EXPECT_THAT(event.detail, Not(HasSubstr("endpoint")));
}

TEST_F(AnnouncerTest, AnAcceptedDetectionShowsItsCameraAndWhereThatLooks) {
  auto detection = vehicle();
  const auto sensor = detection.sensor;
  ASSERT_TRUE(acceptor_->accept(std::move(detection), {}, mint_));
  const auto events = round();
  ASSERT_EQ(types(events), (std::vector<std::string>{"b-m-p-s-p-loc", "b-m-p-s-p-i"}));
  const auto camera = cot::read_event(events[0]).value();
  EXPECT_NEAR(camera.lat_deg, sensor.location_lat_deg, 1e-8);
  EXPECT_THAT(camera.detail, HasSubstr("<sensor "));
  EXPECT_THAT(camera.detail, HasSubstr(" range="));
  const auto point = cot::read_event(events[1]).value();
  EXPECT_THAT(point.detail, HasSubstr(camera.uid)) << "linked to its camera";
  EXPECT_NE(point.lat_deg, camera.lat_deg);
}

TEST_F(AnnouncerTest, ACameraThatLooksAtTheSkyHasNoPointAndNoRange) {
  auto detection = vehicle();
  detection.sensor.attitude.pitch_deg = 40;
  registry_.saw(detection);
  const auto events = round();
  ASSERT_EQ(types(events), std::vector<std::string>{"b-m-p-s-p-loc"});
  EXPECT_THAT(events.front(), Not(HasSubstr(" range=")));
}

TEST_F(AnnouncerTest, ExercisesOldOnesAndRefusedOnesShowNothing) {
  auto exercise = vehicle();
  exercise.exercise = true;
  ASSERT_TRUE(acceptor_->accept(exercise, {}, mint_));
  auto refused = vehicle();
  refused.sensor.attitude.pitch_deg = 60;
  ASSERT_FALSE(acceptor_->accept(refused, {}, mint_));
  EXPECT_THAT(round(), ElementsAre());
  auto old = vehicle();
  registry_.saw(old);
  EXPECT_THAT(round(old.timestamp + std::chrono::microseconds{1}), ElementsAre());
}

TEST(CameraRegistry, KeepsTheNewestPoseOfEachCameraAndOnlySoMany) {
  CameraRegistry registry(2);
  auto detection = vehicle();
  const auto first = detection.timestamp;
  detection.sensor.attitude.heading_deg = 10;
  registry.saw(detection);
  detection.timestamp = {first.count - 1};
  detection.sensor.attitude.heading_deg = 20;
  registry.saw(detection);
  ASSERT_EQ(registry.seen_since({}).size(), 1U);
  EXPECT_EQ(registry.seen_since({}).front().sensor.attitude.heading_deg, 10);
  for (const char* name : {"b", "c"}) {
    detection.camera_id = name;
    detection.timestamp = {first.count + 10};
    registry.saw(detection);
  }
  const auto seen = registry.seen_since({});
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].camera_id, "b");
  EXPECT_EQ(seen[1].camera_id, "c");
}

}  // namespace
}  // namespace detection::pipeline
