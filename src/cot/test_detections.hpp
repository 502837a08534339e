#pragma once
// Located detections for the tests of this room.

#include "detection/record.hpp"

namespace detection::cot {

inline constexpr UtcMicros kTestNow{1'795'460'705'987'654};  // 2026-11-23T19:05:05.987654Z

/// A vehicle in Manhattan, GREEN, seen a minute before kTestNow.
inline LocatedDetection vehicle() {
  LocatedDetection detection;
  detection.id = *parse_uuid("0198a3c1-7f00-7abc-8def-0123456789ab");
  detection.observed = {1'795'460'645'123'456};
  detection.received = {1'795'460'645'200'000};
  detection.object_class = "vehicle";
  detection.ai_confidence = 0.92;
  detection.source = "uav-7";
  detection.camera_id = "eo_1";
  detection.pixel = {512.25, 384};
  detection.fix.position = {40.712834561, -74.006015245, 12.3456};
  detection.fix.covariance_enu_m2 = {9, 16, 4, -1.5, 0, 0};
  detection.fix.ce90_m = 7.5432;
  detection.fix.le90_m = 3.2897;
  detection.fix.ellipse = {8.7, 6.1, 172.5, 0.9};
  detection.fix.slant_range_m = 231.456;
  detection.fix.grazing_deg = 29.98;
  detection.verdict = {Flag::kGreen, 0};
  detection.cot_uid = "DET.0198a3c1-7f00-7abc-8def-0123456789ab";
  detection.cot_type = "a-u-G-E-V";
  return detection;
}

}  // namespace detection::cot
