#include "pipeline/acceptor.hpp"

#include <gtest/gtest.h>

#include "pipeline/normalise.hpp"
#include "pipeline/test_detection.hpp"

namespace detection::pipeline {
namespace {

const cot::ClassMap& classes() {
  static const auto map = cot::ClassMap::built_in('u');
  return map;
}

class AcceptorTest : public ::testing::Test {
 protected:
  AcceptorTest() { settings_.classes = &classes(); }
  Result<store::Acceptance> accept(Detection detection) {
    const Acceptor acceptor(settings_, metrics_);
    return acceptor.accept(std::move(detection), {"camera-1", "request-1", {1'790'000'001'000'000}}, mint_);
  }

  AcceptorSettings settings_;
  telemetry::Metrics metrics_;
  UuidMint mint_{1};
};

TEST_F(AcceptorTest, AGoodOneIsLocatedFlaggedTypedAndQueued) {
  const auto accepted = accept(vehicle());
  ASSERT_TRUE(accepted) << accepted.error().detail;
  const auto& located = accepted->located;
  EXPECT_EQ(located.verdict.flag, Flag::kGreen);
  EXPECT_EQ(accepted->disposition, store::Disposition::kQueue);
  EXPECT_TRUE(located.cot_type.starts_with("a-u-G-E-V")) << located.cot_type;
  EXPECT_EQ(located.cot_uid, "DET." + to_string(located.id));
  EXPECT_EQ(located.received.count, 1'790'000'001'000'000);
  EXPECT_EQ(accepted->content_sha256, sha256(accepted->request_json));
  EXPECT_LE(accepted->times.validated, accepted->times.located);
  EXPECT_LE(accepted->times.located, accepted->times.cot_made);
  EXPECT_EQ(accepted->actor, "camera-1");
  EXPECT_EQ(accepted->request_id, "request-1");
}

TEST_F(AcceptorTest, TheCallersIdStands) {
  auto detection = vehicle();
  detection.id = parse_uuid("0198a3c1-7f00-7abc-8def-0123456789ab");
  EXPECT_EQ(accept(detection)->located.id, *detection.id);
}

TEST_F(AcceptorTest, ATrackGivesTheUid) {
  auto detection = vehicle();
  detection.track_id = "17";
  EXPECT_EQ(accept(detection)->located.cot_uid, "DET.uav-1.17");
}

TEST_F(AcceptorTest, RedIsHeldUnlessThePolicySendsIt) {
  auto detection = vehicle();
  detection.ai_confidence = 0.1;
  EXPECT_EQ(accept(detection)->disposition, store::Disposition::kHold);
  settings_.red = RedPolicy::kSend;
  EXPECT_EQ(accept(detection)->disposition, store::Disposition::kQueue);
}

TEST_F(AcceptorTest, AnExerciseIsDiscardedEvenWhenItIsRed) {
  auto detection = vehicle();
  detection.exercise = true;
  EXPECT_EQ(accept(detection)->disposition, store::Disposition::kDiscard);
  detection.ai_confidence = 0.1;
  EXPECT_EQ(accept(detection)->disposition, store::Disposition::kDiscard);
}

TEST_F(AcceptorTest, GeometryErrorsComeThrough) {
  auto detection = vehicle();
  detection.sensor.attitude.pitch_deg = 30;
  const auto refused = accept(detection);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kAboveHorizon);
}

TEST_F(AcceptorTest, ACamerasAccuracyLiesBetweenTheRequestsAndTheDefaults) {
  const double by_default = *accept(vehicle())->located.fix.ce90_m;
  settings_.camera_accuracy["eo"].heading_deg = 10;
  const double by_camera = *accept(vehicle())->located.fix.ce90_m;
  EXPECT_GT(by_camera, by_default);
  auto other = vehicle();
  other.camera_id = "ir";
  EXPECT_EQ(*accept(other)->located.fix.ce90_m, by_default);
  auto stated = vehicle();
  stated.sensor.accuracy.heading_deg = 2;  // the built-in default, stated by the request
  EXPECT_EQ(*accept(stated)->located.fix.ce90_m, by_default);
}

}  // namespace
}  // namespace detection::pipeline
