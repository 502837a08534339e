#pragma once
// First-order propagation of the inputs' errors to the target, and sampling where first order does not hold.
// With g the ground's normal, D the ray, t the distance: a constant height gives
// dX = P(dC + t dD) + D dH / (g.D), P = 1 - D g'/(g.D); a measured distance gives dX = dC + r dD + D dr.

#include <array>
#include <optional>

#include "detection/camera.hpp"
#include "geolocate/lens.hpp"
#include "geolocate/rotation.hpp"
#include "geolocate/wgs84.hpp"

namespace detection::geolocate {

/// East-north-up at the target, m^2, in Fix's order: ee, nn, uu, en, eu, nu.
using Covariance = std::array<double, 6>;

/// How one sigma of each independent source moves the unit ray, in the camera's north-east-down axes:
/// heading, pitch, roll, pixel x, pixel y, focal length.
using RayErrors = std::array<Vec3, 6>;
[[nodiscard]] RayErrors ray_errors(const Orientation& orientation, const CameraRay& ray, Vec3 ray_ned,
                                   const Intrinsics& lens, const Accuracy& accuracy) noexcept;

/// East, north and up at the target, written in the camera's north-east-down axes.
struct TargetFrame {
  Vec3 east, north, up;
};
[[nodiscard]] TargetFrame target_frame(const Site& camera, const Vertical& target) noexcept;

[[nodiscard]] Covariance ground_covariance(const TargetFrame& frame, Vec3 ray_ned, double range_m,
                                           const RayErrors& errors, const Accuracy& accuracy) noexcept;
[[nodiscard]] Covariance range_covariance(const TargetFrame& frame, Vec3 ray_ned, double range_m,
                                          const RayErrors& errors, const Accuracy& accuracy) noexcept;

/// One sigma of the ray's depression angle, radians.
[[nodiscard]] double depression_sigma(Vec3 ray_ned, const RayErrors& errors) noexcept;

/// How far, in radians, the ray lies below the horizon of the surface it hits. Both arguments are sines of the angle
/// under the local level: at the camera and at the target.
[[nodiscard]] double horizon_margin(double sin_depression, double sin_grazing) noexcept;

/// The error near the horizon, where the distance is a steep and bent function of the angle: 64 fixed, stratified draws
/// of all sources through the exact intersection. Draws that miss count as infinitely far for ce90_m and as the closest
/// approach for the covariance (second moments about the stated point).
struct SampledError {
  Covariance covariance{};
  std::optional<double> ce90_m{};  ///< none: over 5 % of the rays would miss the ground
};
struct GrazingRay {
  const Site& camera;
  double camera_hae_m;
  double ground_hae_m;
  Vec3 ray_ned;
  double range_m;
};
[[nodiscard]] SampledError sample_error(const GrazingRay& ray, const TargetFrame& frame, const RayErrors& errors,
                                        const Accuracy& accuracy, double margin) noexcept;

}  // namespace detection::geolocate
