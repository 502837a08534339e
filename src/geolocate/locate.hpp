#pragma once
// Pixel + camera -> where on Earth, and how well that is known. Pure functions, no allocation, no I/O, no exception on
// the core path; any number of threads.

#include <cstdint>
#include <expected>

#include "detection/camera.hpp"
#include "detection/detection.hpp"
#include "detection/error.hpp"
#include "detection/fix.hpp"

namespace detection::geolocate {

class Geoid;

/// Why there is no point. Never an invented one.
enum class GeometryError : std::uint8_t {
  kAboveHorizon = 1,    ///< the ray never comes down to the ground
  kNoIntersection,      ///< no point could be computed
  kCameraBelowTerrain,  ///< the camera is under the ground it is said to look at
  kOutsideTerrain,      ///< the ray leaves the terrain model before it meets it
  kTerrainVoid,         ///< the ray meets a hole of the terrain model
  kBehindCamera,        ///< no ray belongs to the pixel: the lens model has no inverse there
  kOutOfRange,          ///< the point is farther away than the stated maximum
  kInvalidInput,        ///< not finite, or outside its range: a pose, a lens or an accuracy that cannot exist
};
[[nodiscard]] ErrorCode error_code(GeometryError error) noexcept;  ///< kInvalidInput is kValidationFailed
[[nodiscard]] Error to_error(GeometryError error);                 ///< with a plain English sentence

/// A camera in the core's own terms: ellipsoidal height, pixels.
struct Camera {
  LatLonHae position{};  ///< lat -90..90, any finite lon, height -12 km..2,000 km
  Attitude attitude{};
  Intrinsics lens{};
};

/// What ends the ray.
struct Target {
  PositionSource source = PositionSource::kGroundElevation;  ///< kSlantRange reads slant_range_m, else ground_hae_m
  double ground_hae_m = 0;
  double slant_range_m = 0;  ///< > 0
  bool hae_known = true;     ///< false: heights are only relative to each other

  [[nodiscard]] static constexpr Target at_height(double hae_m) noexcept { return {.ground_hae_m = hae_m}; }
  /// Flat ground below a camera whose height above the ellipsoid nobody knows.
  [[nodiscard]] static constexpr Target above_ground(double hae_m) noexcept {
    return {.source = PositionSource::kAboveGround, .ground_hae_m = hae_m, .hae_known = false};
  }
  [[nodiscard]] static constexpr Target at_range(double range_m, bool hae_known = true) noexcept {
    return {.source = PositionSource::kSlantRange, .slant_range_m = range_m, .hae_known = hae_known};
  }
};

/// The core. First-order covariance with the lens, attitude, position, ground and range errors of `accuracy`, all
/// independent; close to the horizon (Fix::grazing: within 3 sigma of it, or grazing below 0.5 degrees) by sampling.
/// A camera on the ground (within 1e-6 m) that looks down hits at range 0. At a pole longitude 0 is reported.
[[nodiscard]] std::expected<Fix, GeometryError> locate(const Camera& camera, Pixel pixel, const Target& target,
                                                       const Accuracy& accuracy, double max_range_m) noexcept;

/// What a deployment knows beside the request.
struct Settings {
  Accuracy accuracy{};  ///< where the request states none
  double max_range_m = 1'000'000;
  const Geoid* geoid = nullptr;  ///< for elevation_reference msl; not owned
};

/// The service's form: a request's pixel and sensor_metadata (validated at parsing). Resolves agl, msl and hae as
/// datum.hpp says. Errors: the geometry codes; kValidationFailed with its field for a height that is missing or cannot
/// be used, a pixel over 1 px outside the image, and values outside the core's ranges.
[[nodiscard]] Result<Fix> locate(const Pixel& pixel, const SensorMetadata& sensor, const Settings& settings);

}  // namespace detection::geolocate
