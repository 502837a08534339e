#include "pipeline/normalise.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "pipeline/test_detection.hpp"

namespace detection::pipeline {
namespace {

TEST(Normalise, IsJsonWithWhatWasStatedAndNothingElse) {
  const auto json = nlohmann::json::parse(normalised_request(vehicle()));
  EXPECT_EQ(json["pixel_x"], 512);
  EXPECT_EQ(json["timestamp"], "2026-09-21T14:13:20.123456Z");
  EXPECT_EQ(json["sensor_metadata"]["elevation_reference"], "agl");
  EXPECT_EQ(json["sensor_metadata"]["focal_length"], 1000);
  for (const char* absent : {"detection_id", "track_id", "exercise", "bbox", "image_sha256"})
    EXPECT_FALSE(json.contains(absent)) << absent;
  for (const char* absent : {"accuracy", "distortion", "slant_range_m", "ground_elevation_m", "hfov_deg"})
    EXPECT_FALSE(json["sensor_metadata"].contains(absent)) << absent;
}

TEST(Normalise, TheIdIsNotPartOfTheContent) {
  auto with_id = vehicle();
  with_id.id = parse_uuid("0198a3c1-7f00-7abc-8def-0123456789ab");
  EXPECT_EQ(normalised_request(with_id), normalised_request(vehicle()));
}

TEST(Normalise, EveryFieldIsPartOfTheContent) {
  const std::function<void(Detection&)> changes[] = {
      [](Detection& d) { d.pixel.x_px = 513; },
      [](Detection& d) { d.pixel.y_px = 385; },
      [](Detection& d) { d.bbox = {{1, 2, 3, 4}}; },
      [](Detection& d) { d.bbox = {{1, 2, 3, 4}}, d.anchor = BoxAnchor::kCenter; },
      [](Detection& d) { d.object_class = "person"; },
      [](Detection& d) { d.ai_confidence = 0.93; },
      [](Detection& d) { d.source = "uav-2"; },
      [](Detection& d) { d.camera_id = "ir"; },
      [](Detection& d) { d.timestamp.count += 1; },
      [](Detection& d) { d.track_id = "7"; },
      [](Detection& d) { d.exercise = true; },
      [](Detection& d) { d.image_sha256.emplace(); },
      [](Detection& d) { d.sensor.location_lat_deg += 1e-13; },
      [](Detection& d) { d.sensor.location_lon_deg += 1e-13; },
      [](Detection& d) { d.sensor.location_elevation_m = 101; },
      [](Detection& d) { d.sensor.elevation_reference = ElevationReference::kMsl; },
      [](Detection& d) { d.sensor.elevation_reference = ElevationReference::kHae; },
      [](Detection& d) { d.sensor.attitude.heading_deg = 46; },
      [](Detection& d) { d.sensor.attitude.pitch_deg = -31; },
      [](Detection& d) { d.sensor.attitude.roll_deg = 1; },
      [](Detection& d) { d.sensor.focal_length_px = 1001; },
      [](Detection& d) { d.sensor.focal_length_y_px = 1000; },
      [](Detection& d) { d.sensor.focal_kind = FocalKind::kHorizontalFov, d.sensor.hfov_deg = 60; },
      [](Detection& d) {
        d.sensor.focal_kind = FocalKind::kMillimetres, d.sensor.focal_length_mm = 8, d.sensor.sensor_width_mm = 6;
      },
      [](Detection& d) { d.sensor.image_width_px = 1025; },
      [](Detection& d) { d.sensor.image_height_px = 769; },
      [](Detection& d) { d.sensor.principal_point = Pixel{512, 384}; },
      [](Detection& d) { d.sensor.distortion = {DistortionModel::kBrown, 4, {0.1, 0, 0, 0}}; },
      [](Detection& d) { d.sensor.distortion = {DistortionModel::kFisheye, 4, {0.1, 0, 0, 0}}; },
      [](Detection& d) { d.sensor.slant_range_m = 500; },
      [](Detection& d) { d.sensor.ground_elevation_m = 10; },
      [](Detection& d) { d.sensor.accuracy.horizontal_m = 1; },
      [](Detection& d) { d.sensor.accuracy.vertical_m = 1; },
      [](Detection& d) { d.sensor.accuracy.ground_m = 1; },
      [](Detection& d) { d.sensor.accuracy.heading_deg = 1; },
      [](Detection& d) { d.sensor.accuracy.pitch_deg = 1; },
      [](Detection& d) { d.sensor.accuracy.roll_deg = 1; },
      [](Detection& d) { d.sensor.accuracy.focal_percent = 1; },
      [](Detection& d) { d.sensor.accuracy.pixel_px = 1; },
      [](Detection& d) { d.sensor.accuracy.slant_range_m = 1; },
  };
  std::set<std::string> texts{normalised_request(vehicle())};
  for (std::size_t i = 0; i < std::size(changes); ++i) {
    auto changed = vehicle();
    changes[i](changed);
    EXPECT_TRUE(texts.insert(normalised_request(changed)).second) << "change " << i;
    EXPECT_TRUE(nlohmann::json::accept(normalised_request(changed))) << "change " << i;
  }
}

TEST(Normalise, HashIsSha256) {
  const auto hash = sha256("abc");  // FIPS 180-2, appendix B.1
  EXPECT_EQ(hash[0], 0xba);
  EXPECT_EQ(hash[1], 0x78);
  EXPECT_EQ(hash[31], 0xad);
}

TEST(IdempotencyKey, IsItsUuidOrOneMadeOfItsHash) {
  const auto text = "0198a3c1-7f00-7abc-8def-0123456789ab";
  EXPECT_EQ(to_string(uuid_of_idempotency_key(text)), text);
  const auto made = uuid_of_idempotency_key("order-17");
  EXPECT_EQ(made, uuid_of_idempotency_key("order-17"));
  EXPECT_NE(made, uuid_of_idempotency_key("order-18"));
  EXPECT_EQ(made.bytes[6] >> 4, 8);
}

}  // namespace
}  // namespace detection::pipeline
