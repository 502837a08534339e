#include "pipeline/normalise.hpp"

#include <openssl/sha.h>

namespace detection::pipeline {
namespace {

void optional_number(json::Writer& w, std::string_view key, const std::optional<double>& value) {
  if (!value) return;
  w.key(key);
  w.number(*value);
}

void append_accuracy(json::Writer& w, const AccuracyOverride& accuracy) {
  if (accuracy == AccuracyOverride{}) return;
  w.key("accuracy");
  w.begin_object();
  optional_number(w, "horizontal_m", accuracy.horizontal_m);
  optional_number(w, "vertical_m", accuracy.vertical_m);
  optional_number(w, "ground_m", accuracy.ground_m);
  optional_number(w, "heading_deg", accuracy.heading_deg);
  optional_number(w, "pitch_deg", accuracy.pitch_deg);
  optional_number(w, "roll_deg", accuracy.roll_deg);
  optional_number(w, "focal_percent", accuracy.focal_percent);
  optional_number(w, "pixel_px", accuracy.pixel_px);
  optional_number(w, "slant_range_m", accuracy.slant_range_m);
  w.end_object();
}

std::string_view reference_name(ElevationReference reference) {
  switch (reference) {
    case ElevationReference::kAgl: return "agl";
    case ElevationReference::kMsl: return "msl";
    case ElevationReference::kHae: return "hae";
  }
  return "agl";
}

void append_lens(json::Writer& w, const SensorMetadata& sensor) {
  switch (sensor.focal_kind) {
    case FocalKind::kPixels:
      w.key("focal_length");
      w.number(sensor.focal_length_px);
      optional_number(w, "focal_length_y", sensor.focal_length_y_px);
      break;
    case FocalKind::kMillimetres:
      w.key("focal_length_mm");
      w.number(sensor.focal_length_mm);
      w.key("sensor_width_mm");
      w.number(sensor.sensor_width_mm);
      break;
    case FocalKind::kHorizontalFov:
      w.key("hfov_deg");
      w.number(sensor.hfov_deg);
      break;
  }
  w.key("image_width");
  w.integer(sensor.image_width_px);
  w.key("image_height");
  w.integer(sensor.image_height_px);
  if (sensor.principal_point) {
    w.key("principal_point");
    w.begin_array();
    w.number(sensor.principal_point->x_px);
    w.number(sensor.principal_point->y_px);
    w.end_array();
  }
  if (sensor.distortion.model != DistortionModel::kNone) {
    w.key("distortion");
    w.begin_object();
    w.key("model");
    w.string(sensor.distortion.model == DistortionModel::kBrown ? "brown" : "fisheye");
    w.key("coefficients");
    w.begin_array();
    for (std::size_t i = 0; i < sensor.distortion.count; ++i) w.number(sensor.distortion.coefficients[i]);
    w.end_array();
    w.end_object();
  }
}

void append_hex(std::string& out, const Sha256& hash) {
  for (const auto byte : hash) {
    out.push_back("0123456789abcdef"[byte >> 4]);
    out.push_back("0123456789abcdef"[byte & 15]);
  }
}

}  // namespace

void append_sensor_metadata(json::Writer& w, const SensorMetadata& sensor) {
  w.begin_object();
  w.key("location_lat");
  w.number(sensor.location_lat_deg);
  w.key("location_lon");
  w.number(sensor.location_lon_deg);
  w.key("location_elevation");
  w.number(sensor.location_elevation_m);
  w.key("elevation_reference");
  w.string(reference_name(sensor.elevation_reference));
  w.key("heading");
  w.number(sensor.attitude.heading_deg);
  w.key("pitch");
  w.number(sensor.attitude.pitch_deg);
  w.key("roll");
  w.number(sensor.attitude.roll_deg);
  append_lens(w, sensor);
  optional_number(w, "slant_range_m", sensor.slant_range_m);
  optional_number(w, "ground_elevation_m", sensor.ground_elevation_m);
  append_accuracy(w, sensor.accuracy);
  w.end_object();
}

std::string normalised_request(const Detection& detection) {
  std::string text;
  text.reserve(768);
  json::Writer w(text);
  w.begin_object();
  if (detection.bbox) {
    w.key("bbox");
    w.begin_array();
    for (const double edge : *detection.bbox) w.number(edge);
    w.end_array();
    w.key("anchor");
    w.string(detection.anchor == BoxAnchor::kCenter ? "center" : "bottom_center");
  } else {
    w.key("pixel_x");
    w.number(detection.pixel.x_px);
    w.key("pixel_y");
    w.number(detection.pixel.y_px);
  }
  w.key("object_class");
  w.string(detection.object_class);
  w.key("ai_confidence");
  w.number(detection.ai_confidence);
  w.key("source");
  w.string(detection.source);
  w.key("camera_id");
  w.string(detection.camera_id);
  w.key("timestamp");
  w.string(format_rfc3339_us(detection.timestamp));
  if (detection.track_id) {
    w.key("track_id");
    w.string(*detection.track_id);
  }
  if (detection.exercise) {
    w.key("exercise");
    w.boolean(true);
  }
  if (detection.image_sha256) {
    std::string hex;
    append_hex(hex, *detection.image_sha256);
    w.key("image_sha256");
    w.string(hex);
  }
  w.key("sensor_metadata");
  append_sensor_metadata(w, detection.sensor);
  w.end_object();
  return text;
}

Sha256 sha256(std::string_view bytes) {
  Sha256 hash{};
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), hash.data());
  return hash;
}

Uuid uuid_of_idempotency_key(std::string_view key) {
  if (const auto id = parse_uuid(key)) return *id;
  return uuid_from_hash(sha256(key));
}

}  // namespace detection::pipeline
