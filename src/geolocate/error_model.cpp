#include "geolocate/error_model.hpp"

#include <algorithm>
#include <cmath>

namespace detection::geolocate {
namespace {

constexpr double square(double v) noexcept {
  return v * v;
}

}  // namespace

RayErrors ray_errors(const Orientation& orientation, const CameraRay& ray, Vec3 ray_ned, const Intrinsics& lens,
                     const Accuracy& accuracy) noexcept {
  const Mat3& turn = orientation.camera_to_ned;
  const Vec3 per_x = turn * ray.per_x, per_y = turn * ray.per_y;
  return {cross(Vec3{0, 0, 1}, ray_ned) * (accuracy.heading_deg * kRadPerDeg),
          cross(orientation.pitch_axis_ned, ray_ned) * (accuracy.pitch_deg * kRadPerDeg),
          cross(turn.x, ray_ned) * (accuracy.roll_deg * kRadPerDeg),
          per_x * (accuracy.pixel_px / lens.fx_px),
          per_y * (accuracy.pixel_px / lens.fy_px),
          (per_x * ray.x + per_y * ray.y) * (-accuracy.focal_percent / 100)};
}

TargetFrame target_frame(const Site& camera, const Vertical& target) noexcept {
  const Vec3 east{-target.sin_lon, target.cos_lon, 0};
  const Vec3 north{-target.sin_lat * target.cos_lon, -target.sin_lat * target.sin_lon, target.cos_lat};
  return {.east = transposed_times(camera.ned, east),
          .north = transposed_times(camera.ned, north),
          .up = transposed_times(camera.ned, target.up())};
}

Covariance ground_covariance(const TargetFrame& frame, Vec3 ray_ned, double range_m, const RayErrors& errors,
                             const Accuracy& accuracy) noexcept {
  // Slides every error along the ray back onto the ground; a ground that is wrong by 1 m moves the point by `run`.
  const double rise = dot(frame.up, ray_ned);
  const double run_e = dot(frame.east, ray_ned) / rise, run_n = dot(frame.north, ray_ned) / rise;
  const Vec3 to_e = frame.east - frame.up * run_e, to_n = frame.north - frame.up * run_n;
  const double level = square(accuracy.horizontal_m), vertical = square(accuracy.vertical_m);
  const double ground = square(accuracy.ground_m);
  double ee = 0, nn = 0, en = 0;
  for (const Vec3& error : errors) {
    const double e = dot(to_e, error), n = dot(to_n, error);
    ee += e * e;
    nn += n * n;
    en += e * n;
  }
  const double r2 = range_m * range_m;
  ee = ee * r2 + level * (square(to_e.x) + square(to_e.y)) + vertical * square(to_e.z) + ground * square(run_e);
  nn = nn * r2 + level * (square(to_n.x) + square(to_n.y)) + vertical * square(to_n.z) + ground * square(run_n);
  en = en * r2 + level * (to_e.x * to_n.x + to_e.y * to_n.y) + vertical * to_e.z * to_n.z + ground * run_e * run_n;
  return {ee, nn, ground, en, ground * run_e, ground * run_n};
}

Covariance range_covariance(const TargetFrame& frame, Vec3 ray_ned, double range_m, const RayErrors& errors,
                            const Accuracy& accuracy) noexcept {
  const double level = square(accuracy.horizontal_m), vertical = square(accuracy.vertical_m);
  const Vec3 axes[3] = {frame.east, frame.north, frame.up};
  double sum[3][3] = {};
  for (int i = 0; i < 3; ++i) {
    for (int j = i; j < 3; ++j) {
      double angular = 0;
      for (const Vec3& error : errors) angular += dot(axes[i], error) * dot(axes[j], error);
      sum[i][j] = angular * range_m * range_m + level * (axes[i].x * axes[j].x + axes[i].y * axes[j].y) +
                  vertical * axes[i].z * axes[j].z +
                  square(accuracy.slant_range_m) * dot(axes[i], ray_ned) * dot(axes[j], ray_ned);
    }
  }
  return {sum[0][0], sum[1][1], sum[2][2], sum[0][1], sum[0][2], sum[1][2]};
}

double depression_sigma(Vec3 ray_ned, const RayErrors& errors) noexcept {
  double variance = 0;
  for (const Vec3& error : errors) variance += square(error.z);
  // At nadir the depression has no derivative; the horizon is 90 degrees away there.
  return std::sqrt(variance / std::max(1e-4, square(ray_ned.x) + square(ray_ned.y)));
}

double horizon_margin(double sin_depression, double sin_grazing) noexcept {
  const double cos_depression = std::sqrt(std::max(0.0, 1 - square(sin_depression)));
  // On a sphere the horizon's dip a0 obeys cos(a0) = cos(depression) / cos(grazing).
  const double dip = std::atan2(std::sqrt(std::max(0.0, square(sin_depression) - square(sin_grazing))), cos_depression);
  return std::max(0.0, std::atan2(sin_depression, cos_depression) - dip);
}

}  // namespace detection::geolocate
