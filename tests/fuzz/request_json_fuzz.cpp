// Request bodies: whatever is accepted keeps every limit of design.md 4.2, is JSON to another parser too, and reads
// back from its normalised form.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "http/detection_json.hpp"
#include "pipeline/normalise.hpp"

namespace {

using namespace detection;

constexpr http::ParseRules kRules{.now = {1'795'460'700'000'000}};

void require(bool holds) {
  if (!holds) std::abort();
}
bool within(double value, double least, double most) {
  return value >= least && value <= most;
}
bool is_name(std::string_view text, std::size_t most) {
  return !text.empty() && text.size() <= most &&
         text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-") ==
             std::string_view::npos;
}

void check_sensor(const SensorMetadata& s) {
  require(within(s.location_lat_deg, -90, 90) && within(s.location_lon_deg, -180, 180));
  require(within(s.location_elevation_m, -1'000, 1'000'000));
  require(within(s.attitude.heading_deg, 0, 360) && within(s.attitude.pitch_deg, -90, 90) &&
          within(s.attitude.roll_deg, -180, 180));
  require(s.image_width_px >= 1 && s.image_width_px <= 100'000 && s.image_height_px >= 1 &&
          s.image_height_px <= 100'000);
  switch (s.focal_kind) {
    case FocalKind::kPixels: require(s.focal_length_px > 0 && std::isfinite(s.focal_length_px)); break;
    case FocalKind::kMillimetres: require(s.focal_length_mm > 0 && s.sensor_width_mm > 0); break;
    case FocalKind::kHorizontalFov: require(within(s.hfov_deg, 0.01, 179)); break;
  }
  require(!s.focal_length_y_px || (*s.focal_length_y_px > 0 && s.focal_kind == FocalKind::kPixels));
  require(!s.slant_range_m || within(*s.slant_range_m, 0.1, 2'000'000));
  require(!s.ground_elevation_m || within(*s.ground_elevation_m, -1'000, 10'000));
  require(!s.principal_point || (std::isfinite(s.principal_point->x_px) && std::isfinite(s.principal_point->y_px)));
  const auto& d = s.distortion;
  require(d.model == DistortionModel::kNone      ? d.count == 0
          : d.model == DistortionModel::kFisheye ? d.count == 4
                                                 : d.count == 4 || d.count == 5 || d.count == 8);
  for (const double c : d.coefficients) require(std::isfinite(c));
  const auto& a = s.accuracy;
  for (const auto& sigma : {a.horizontal_m, a.vertical_m, a.ground_m, a.heading_deg, a.pitch_deg, a.roll_deg,
                            a.focal_percent, a.pixel_px, a.slant_range_m})
    require(!sigma || within(*sigma, 0, 1e6));
}

void check(const Detection& d) {
  require(is_name(d.object_class, 64) && d.object_class.find(':') == std::string::npos);
  require(is_name(d.source, 128) && is_name(d.camera_id, 128) && (!d.track_id || is_name(*d.track_id, 128)));
  require(within(d.ai_confidence, 0, 1));
  require(d.timestamp.count >= 0 && d.timestamp.count <= kRules.now.count + 300'000'000);
  check_sensor(d.sensor);
  require(within(d.pixel.x_px, -1, d.sensor.image_width_px + 1.0) &&
          within(d.pixel.y_px, -1, d.sensor.image_height_px + 1.0));
  if (!d.bbox) require(d.pixel.x_px >= 0 && d.pixel.y_px >= 0);
}

void check(const Result<Detection>& result, http::DetectionParser& parser) {
  if (!result) {
    require(!result.error().detail.empty());
    require((result.error().code == ErrorCode::kValidationFailed) == !result.error().fields.empty());
    return;
  }
  check(*result);
  if (result->image_sha256) return;  // its text is not kept
  const auto text = pipeline::normalised_request(*result);
  const auto again = parser.parse(text, kRules);
  require(again.has_value());
  require(pipeline::normalised_request(*again) == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static http::DetectionParser parser, second;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto one = parser.parse(text, kRules);
  check(one, second);
  if (one) require(nlohmann::json::accept(text));
  if (const auto array = parser.parse_array(text, kRules, 8)) {
    // A number out of range is a rule to us and no JSON to them.
    bool all = true;
    for (const auto& item : *array) {
      check(item, second);
      all = all && item.has_value();
    }
    if (all) require(nlohmann::json::accept(text));
  }
  if (const auto lines = parser.parse_lines(text, kRules, 8))
    for (const auto& item : *lines) check(item, second);
  return 0;
}
