#pragma once
// A detection as an AI detector reports it: validated, not yet located. Field rules: design.md 4.2.

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "detection/camera.hpp"
#include "detection/time.hpp"
#include "detection/uuid.hpp"

namespace detection {

using Sha256 = std::array<std::uint8_t, 32>;

enum class BoxAnchor : std::uint8_t { kBottomCenter, kCenter };

/// How the focal length was stated; kept so that the record says what was sent.
enum class FocalKind : std::uint8_t { kPixels, kMillimetres, kHorizontalFov };

/// sensor_metadata of a request, in its own units and datum.
struct SensorMetadata {
  double location_lat_deg = 0;
  double location_lon_deg = 0;
  double location_elevation_m = 0;
  ElevationReference elevation_reference = ElevationReference::kAgl;
  Attitude attitude{};
  FocalKind focal_kind = FocalKind::kPixels;
  double focal_length_px = 0;                 ///< kPixels
  std::optional<double> focal_length_y_px{};  ///< kPixels, where pixels are not square
  double focal_length_mm = 0;                 ///< kMillimetres
  double sensor_width_mm = 0;                 ///< kMillimetres
  double hfov_deg = 0;                        ///< kHorizontalFov
  std::uint32_t image_width_px = 0;
  std::uint32_t image_height_px = 0;
  std::optional<Pixel> principal_point{};
  Distortion distortion{};
  std::optional<double> slant_range_m{};
  std::optional<double> ground_elevation_m{};  ///< HAE
  AccuracyOverride accuracy{};
};

struct Detection {
  std::optional<Uuid> id{};                     ///< stated by the caller
  Pixel pixel{};                                ///< the point to locate: pixel_x/pixel_y, or the anchor of the box
  std::optional<std::array<double, 4>> bbox{};  ///< x1 y1 x2 y2
  BoxAnchor anchor = BoxAnchor::kBottomCenter;
  std::string object_class;
  double ai_confidence = 0;
  std::string source;
  std::string camera_id;
  UtcMicros timestamp{};
  std::optional<std::string> track_id{};
  bool exercise = false;
  std::optional<Sha256> image_sha256{};
  SensorMetadata sensor{};
};

/// Focal lengths and principal point in pixels. Metadata must be valid (validated at parsing).
[[nodiscard]] Intrinsics intrinsics(const SensorMetadata& sensor) noexcept;

}  // namespace detection
