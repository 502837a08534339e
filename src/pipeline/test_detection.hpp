#pragma once
// A good detection, for the tests of this room to change.

#include "detection/detection.hpp"

namespace detection::pipeline {

inline Detection vehicle() {
  Detection detection;
  detection.pixel = {512, 384};
  detection.object_class = "vehicle";
  detection.ai_confidence = 0.92;
  detection.source = "uav-1";
  detection.camera_id = "eo";
  detection.timestamp = {1'790'000'000'123'456};
  detection.sensor.location_lat_deg = 40.7128;
  detection.sensor.location_lon_deg = -74.006;
  detection.sensor.location_elevation_m = 100;
  detection.sensor.attitude = {45, -60, 0};
  detection.sensor.focal_length_px = 1000;
  detection.sensor.image_width_px = 1024;
  detection.sensor.image_height_px = 768;
  return detection;
}

}  // namespace detection::pipeline
