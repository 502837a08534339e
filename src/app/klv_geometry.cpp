#include "app/klv_geometry.hpp"

#include <cmath>
#include <numbers>
#include <string>

#include "geolocate/locate.hpp"
#include "geolocate/rotation.hpp"

namespace detection::app {
namespace {

constexpr double kFrameHeightDoubt_m = 50;

/// Metres on the ellipsoid between two near points, by the radii of curvature at the first (WGS 84).
double horizontal_distance_m(const LatLonHae& from, double lat_deg, double lon_deg) {
  constexpr double kA = 6378137.0, kE2 = 0.00669437999014131699614;
  constexpr double kRadians = std::numbers::pi / 180;
  const double sine = std::sin(from.lat_deg * kRadians), root = std::sqrt(1 - kE2 * sine * sine);
  const double meridian = kA * (1 - kE2) / (root * root * root) + from.hae_m, prime = kA / root + from.hae_m;
  const double north = (lat_deg - from.lat_deg) * kRadians * meridian;
  const double east =
      std::remainder(lon_deg - from.lon_deg, 360.0) * kRadians * prime * std::cos(from.lat_deg * kRadians);
  return std::hypot(north, east);
}

double signed_degrees(double angle_deg) {
  return std::remainder(angle_deg, 360.0);
}
double compass_degrees(double angle_deg) {
  const double wrapped = std::fmod(angle_deg, 360.0);
  return wrapped < 0 ? wrapped + 360.0 : wrapped;
}

std::unexpected<Error> missing(std::string_view tags) {
  return fail(ErrorCode::kValidationFailed, "the packet does not state " + std::string(tags));
}

std::optional<LocatedCentre> locate_centre(const klv::UasDatalink& set, SensorMetadata camera) {
  // In one datum: the heights are taken as they stand.
  camera.elevation_reference = ElevationReference::kHae;
  const auto fix = geolocate::locate({kPictureWidth_px / 2.0, kPictureHeight_px / 2.0}, camera, geolocate::Settings{});
  if (!fix) return std::nullopt;
  LocatedCentre centre{fix->position, fix->slant_range_m, std::nullopt};
  if (set.frame_center_lat_deg && set.frame_center_lon_deg)
    centre.residual_m = horizontal_distance_m(fix->position, *set.frame_center_lat_deg, *set.frame_center_lon_deg);
  return centre;
}

PacketGeometry geometry_of(const klv::UasDatalink& set, AngleConvention convention, const Attitude& attitude,
                           const SensorMetadata& camera, std::optional<double> ground_elevation_m) {
  PacketGeometry geometry;
  geometry.convention = convention;
  geometry.attitude = attitude;
  geometry.sensor_height_m = camera.location_elevation_m;
  geometry.sensor_height_is_hae = camera.elevation_reference == ElevationReference::kHae;
  if (camera.slant_range_m) geometry.by_range = locate_centre(set, camera);
  if (ground_elevation_m) {
    auto by_ground = camera;
    by_ground.slant_range_m.reset();
    by_ground.ground_elevation_m = ground_elevation_m;
    geometry.by_ground = locate_centre(set, by_ground);
  }
  if (geometry.by_range && set.frame_center_msl_m)
    geometry.frame_height_contradicts =
        std::abs(*set.frame_center_msl_m - geometry.by_range->position.hae_m) > kFrameHeightDoubt_m;
  return geometry;
}

/// How far off the stated centre a reading is; without anything to hold it against, infinitely.
double misfit_m(const PacketGeometry& geometry) {
  for (const auto* centre : {&geometry.by_range, &geometry.by_ground})
    if (*centre && (*centre)->residual_m) return *(*centre)->residual_m;
  return INFINITY;
}

}  // namespace

std::string_view angle_convention_name(AngleConvention convention) noexcept {
  return convention == AngleConvention::kAbsolute ? "absolute" : "relative";
}

Result<SensorMetadata> camera_of(const klv::UasDatalink& set, const Attitude& attitude) {
  SensorMetadata camera;
  if (!set.sensor_lat_deg || !set.sensor_lon_deg) return missing("the sensor's position (tags 13, 14)");
  camera.location_lat_deg = *set.sensor_lat_deg;
  camera.location_lon_deg = *set.sensor_lon_deg;
  if (set.sensor_hae_m) {
    camera.location_elevation_m = *set.sensor_hae_m;
    camera.elevation_reference = ElevationReference::kHae;
  } else if (set.sensor_altitude_msl_m) {
    camera.location_elevation_m = *set.sensor_altitude_msl_m;
    camera.elevation_reference = ElevationReference::kMsl;
  } else {
    return missing("the sensor's height (tags 15, 75 or 104)");
  }
  if (!set.horizontal_fov_deg || *set.horizontal_fov_deg < 0.01 || *set.horizontal_fov_deg > 179)
    return missing("a horizontal field of view of 0.01 to 179 degrees (tag 16)");
  camera.focal_kind = FocalKind::kHorizontalFov;
  camera.hfov_deg = *set.horizontal_fov_deg;
  camera.image_width_px = kPictureWidth_px;
  camera.image_height_px = kPictureHeight_px;
  camera.attitude = attitude;
  // 0 is what encoders without a range finder write.
  if (set.slant_range_m && *set.slant_range_m >= 0.1) camera.slant_range_m = set.slant_range_m;
  return camera;
}

Result<PacketGeometry> packet_geometry(const klv::UasDatalink& set, std::optional<double> ground_elevation_m) {
  if (!set.sensor_azimuth_deg || !set.sensor_elevation_deg) return missing("where the sensor looks (tags 18, 19)");
  const Attitude sensor{*set.sensor_azimuth_deg, *set.sensor_elevation_deg, set.sensor_roll_deg.value_or(0)};
  const Attitude absolute{compass_degrees(sensor.heading_deg), sensor.pitch_deg, signed_degrees(sensor.roll_deg)};
  auto camera = camera_of(set, absolute);
  if (!camera) return std::unexpected(camera.error());
  const auto as_absolute = geometry_of(set, AngleConvention::kAbsolute, absolute, *camera, ground_elevation_m);

  if (!set.platform_heading_deg || !set.platform_pitch_deg || !set.platform_roll_deg) {
    // Without the platform only the absolute reading is possible, and only a stated centre can speak for it.
    if (misfit_m(as_absolute) > 0.1 * as_absolute.by_range.value_or(LocatedCentre{}).slant_range_m)
      return missing("the platform's attitude (tags 5, 6, 7)");
    return as_absolute;
  }
  auto relative =
      geolocate::compose({*set.platform_heading_deg, *set.platform_pitch_deg, *set.platform_roll_deg}, sensor);
  relative.heading_deg = compass_degrees(relative.heading_deg);
  relative.roll_deg = signed_degrees(relative.roll_deg);
  camera->attitude = relative;
  const auto as_relative = geometry_of(set, AngleConvention::kRelative, relative, *camera, ground_elevation_m);
  return misfit_m(as_absolute) < misfit_m(as_relative) ? as_absolute : as_relative;
}

}  // namespace detection::app
