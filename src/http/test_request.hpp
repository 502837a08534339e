#pragma once
// A good request, as tests change it.

#include <nlohmann/json.hpp>

#include "detection/time.hpp"

namespace detection::http {

inline nlohmann::json good_request() {
  return nlohmann::json::parse(R"({
    "pixel_x": 512.5, "pixel_y": 384, "object_class": "vehicle", "ai_confidence": 0.92, "source": "uav-7",
    "camera_id": "cam:1", "timestamp": "2026-11-23T19:04:05.123Z",
    "sensor_metadata": {"location_lat": 48.1, "location_lon": 11.5, "location_elevation": 620.5,
      "elevation_reference": "hae", "ground_elevation_m": 500, "heading": 90, "pitch": -60, "roll": 0.5,
      "focal_length": 2000, "image_width": 1920, "image_height": 1080}})");
}

/// Of the good request's time.
inline constexpr UtcMicros kTestNow{1'795'460'700'000'000};

}  // namespace detection::http
