#include "geolocate/locate.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "geolocate/circular_error.hpp"
#include "geolocate/datum.hpp"
#include "geolocate/error_model.hpp"
#include "geolocate/grazing.hpp"
#include "geolocate/intersect.hpp"
#include "geolocate/lens.hpp"
#include "geolocate/limits.hpp"
#include "geolocate/rotation.hpp"
#include "geolocate/wgs84.hpp"

namespace detection::geolocate {
namespace {

// Closer to the centre of the Earth "up" and "height" lose their meaning.
constexpr double kDeepestM = 1e6;

// Comparisons are written so that a NaN fails them.
bool within(double value, double low, double high) noexcept {
  return value >= low && value <= high;
}

bool valid(const Accuracy& a) noexcept {
  return within(a.horizontal_m, 0, kWorstSigma) && within(a.vertical_m, 0, kWorstSigma) &&
         within(a.ground_m, 0, kWorstSigma) && within(a.heading_deg, 0, kWorstSigma) &&
         within(a.pitch_deg, 0, kWorstSigma) && within(a.roll_deg, 0, kWorstSigma) &&
         within(a.focal_percent, 0, kWorstSigma) && within(a.pixel_px, 0, kWorstSigma) &&
         within(a.slant_range_m, 0, kWorstSigma);
}

bool valid(const Camera& camera, const Pixel& pixel, const Target& target, double max_range_m) noexcept {
  const Intrinsics& lens = camera.lens;
  // 0 times a finite number is 0, times anything else NaN.
  double finite = (camera.position.lon_deg + camera.attitude.heading_deg + camera.attitude.pitch_deg +
                   camera.attitude.roll_deg + lens.cx_px + lens.cy_px + pixel.x_px + pixel.y_px) *
                  0;
  for (const double coefficient : lens.distortion.coefficients) finite += coefficient * 0;
  return finite == 0 && within(camera.position.lat_deg, -90, 90) &&
         within(camera.position.hae_m, kLowestHaeM, kHighestHaeM) && lens.fx_px > 0 && lens.fx_px <= kLongestFocalPx &&
         lens.fy_px > 0 && lens.fy_px <= kLongestFocalPx && max_range_m > 0 &&
         (target.source == PositionSource::kSlantRange ? target.slant_range_m > 0 && std::isfinite(target.slant_range_m)
                                                       : within(target.ground_hae_m, kLowestHaeM, kHighestHaeM));
}

std::optional<GeometryError> failure(Meeting meeting) noexcept {
  switch (meeting) {
    case Meeting::kHit: return std::nullopt;
    case Meeting::kMiss: return GeometryError::kAboveHorizon;
    case Meeting::kBelow: return GeometryError::kCameraBelowTerrain;
  }
  return GeometryError::kNoIntersection;
}

}  // namespace

std::expected<Fix, GeometryError> locate(const Camera& camera, Pixel pixel, const Target& target,
                                         const Accuracy& accuracy, double max_range_m) noexcept {
  if (!valid(camera, pixel, target, max_range_m) || !valid(accuracy)) {
    return std::unexpected(GeometryError::kInvalidInput);
  }
  const auto ray = camera_ray(camera.lens, pixel);
  if (!ray) return std::unexpected(GeometryError::kBehindCamera);

  const Site site = site_at(camera.position);
  const Orientation orientation = orient(camera.attitude);
  const Vec3 ray_ned = orientation.camera_to_ned * ray->direction;
  const Vec3 ray_ecef = site.ned * ray_ned;
  const bool by_range = target.source == PositionSource::kSlantRange;
  double range_m = target.slant_range_m;
  if (!by_range) {
    const Crossing crossing = cross_height(site, camera.position.hae_m, ray_ecef, target.ground_hae_m);
    if (const auto error = failure(crossing.meeting)) return std::unexpected(*error);
    range_m = crossing.range_m;
  }
  if (!(range_m <= max_range_m)) return std::unexpected(GeometryError::kOutOfRange);

  const Vec3 point_m = site.ecef_m + ray_ecef * range_m;
  if (dot(point_m, point_m) < kDeepestM * kDeepestM) return std::unexpected(GeometryError::kOutOfRange);
  const Vertical vertical = vertical_at(point_m);
  const TargetFrame frame = target_frame(site, vertical);
  const RayErrors errors = ray_errors(orientation, *ray, ray_ned, camera.lens, accuracy);
  const double sin_grazing = std::min(1.0, std::abs(dot(frame.up, ray_ned)));

  Fix fix;
  fix.position = to_geodetic(vertical);
  fix.hae_known = target.hae_known;
  fix.source = target.source;
  fix.slant_range_m = range_m;
  fix.grazing_deg = std::asin(sin_grazing) * kDegPerRad;
  bool bounded = true;
  if (by_range) {
    fix.covariance_enu_m2 = range_covariance(frame, ray_ned, range_m, errors, accuracy);
  } else {
    fix.position.hae_m = target.ground_hae_m;  // free of the rounding on the way through ECEF
    const double sigma = depression_sigma(ray_ned, errors);
    if (may_graze(ray_ned.z, sin_grazing, sigma)) {
      const double margin = horizon_margin(ray_ned.z, sin_grazing);
      fix.grazing = sin_grazing < kSinGrazing || margin < kGrazingSigmas * sigma;
      if (fix.grazing) {
        const SampledError sampled = sample_error({site, camera.position.hae_m, target.ground_hae_m, ray_ned, range_m},
                                                  frame, errors, accuracy, margin);
        fix.covariance_enu_m2 = sampled.covariance;
        fix.ce90_m = sampled.ce90_m;
        bounded = sampled.ce90_m.has_value();
      }
    }
    if (!fix.grazing) fix.covariance_enu_m2 = ground_covariance(frame, ray_ned, range_m, errors, accuracy);
  }
  const auto& [ee, nn, uu, en, eu, nu] = fix.covariance_enu_m2;
  if (!std::isfinite(ee + nn + uu)) return std::unexpected(GeometryError::kInvalidInput);
  if (bounded && !fix.ce90_m) fix.ce90_m = ce90_of(principal_sigmas(ee, nn, en));
  fix.ellipse = ellipse90_of(fix.covariance_enu_m2);
  if (fix.hae_known) fix.le90_m = kLe90PerSigma * std::sqrt(uu);
  return fix;
}

Result<Fix> locate(const Pixel& pixel, const SensorMetadata& sensor, const Settings& settings) {
  const double width = sensor.image_width_px, height = sensor.image_height_px;
  if (!within(pixel.x_px, -1, width + 1) || !within(pixel.y_px, -1, height + 1)) {
    const bool across = !within(pixel.x_px, -1, width + 1);
    const char* message = "must lie in the image, at most 1 px outside";
    return fail(ErrorCode::kValidationFailed, "the pixel must lie in the image, at most 1 px outside",
                {{across ? "pixel_x" : "pixel_y", message}});
  }
  const auto resolved = resolve_datum(sensor, settings);
  if (!resolved) return std::unexpected(resolved.error());
  const Camera camera{.position = resolved->camera, .attitude = sensor.attitude, .lens = intrinsics(sensor)};
  auto fix = locate(camera, pixel, resolved->target, resolved->accuracy, settings.max_range_m);
  if (!fix) return std::unexpected(to_error(fix.error()));
  fix->outside_image = !within(pixel.x_px, 0, width) || !within(pixel.y_px, 0, height);
  return *fix;
}

ErrorCode error_code(GeometryError error) noexcept {
  switch (error) {
    case GeometryError::kAboveHorizon: return ErrorCode::kAboveHorizon;
    case GeometryError::kNoIntersection: return ErrorCode::kNoIntersection;
    case GeometryError::kCameraBelowTerrain: return ErrorCode::kCameraBelowTerrain;
    case GeometryError::kOutsideTerrain: return ErrorCode::kOutsideTerrain;
    case GeometryError::kTerrainVoid: return ErrorCode::kTerrainVoid;
    case GeometryError::kBehindCamera: return ErrorCode::kBehindCamera;
    case GeometryError::kOutOfRange: return ErrorCode::kOutOfRange;
    case GeometryError::kInvalidInput: return ErrorCode::kValidationFailed;
  }
  return ErrorCode::kInternal;
}

Error to_error(GeometryError error) {
  const auto sentence = [error]() -> const char* {
    switch (error) {
      case GeometryError::kAboveHorizon:
        return "the line of sight through this pixel stays above the horizon and never meets the ground";
      case GeometryError::kNoIntersection: return "the line of sight through this pixel does not meet the ground";
      case GeometryError::kCameraBelowTerrain: return "the camera lies below the ground; check the height references";
      case GeometryError::kOutsideTerrain:
        return "the line of sight leaves the terrain model before it meets the ground";
      case GeometryError::kTerrainVoid: return "the terrain model has no height where the line of sight meets it";
      case GeometryError::kBehindCamera:
        return "no line of sight belongs to this pixel: the lens distortion cannot be inverted there";
      case GeometryError::kOutOfRange: return "the point is farther from the camera than the maximum range";
      case GeometryError::kInvalidInput:
        return "a value of the camera's pose, lens, accuracy or ground is not a number or out of its range";
    }
    return "unknown";
  };
  return {.code = error_code(error), .detail = sentence(), .fields = {}};
}

}  // namespace detection::geolocate
