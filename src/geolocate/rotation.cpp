#include "geolocate/rotation.hpp"

#include <cmath>

#include "geolocate/wgs84.hpp"

namespace detection::geolocate {
namespace {

double full_circle_deg(double radians) noexcept {
  const double deg = radians * kDegPerRad;
  const double turned = deg < 0 ? deg + 360 : deg;
  return turned >= 360 ? 0 : turned;
}

Vec3 unit_ned(const Direction& direction) noexcept {
  const double azimuth = direction.azimuth_deg * kRadPerDeg, elevation = direction.elevation_deg * kRadPerDeg;
  return {std::cos(elevation) * std::cos(azimuth), std::cos(elevation) * std::sin(azimuth), -std::sin(elevation)};
}

Direction direction_of(Vec3 ned) noexcept {
  return {.azimuth_deg = full_circle_deg(std::atan2(ned.y, ned.x)),
          .elevation_deg = std::atan2(-ned.z, std::hypot(ned.x, ned.y)) * kDegPerRad};
}

}  // namespace

Orientation orient(const Attitude& attitude) noexcept {
  const double heading = attitude.heading_deg * kRadPerDeg, pitch = attitude.pitch_deg * kRadPerDeg;
  const double roll = attitude.roll_deg * kRadPerDeg;
  const double sh = std::sin(heading), ch = std::cos(heading);
  const double sp = std::sin(pitch), cp = std::cos(pitch);
  const double sr = std::sin(roll), cr = std::cos(roll);
  return {.camera_to_ned = {.x = {ch * cp, sh * cp, -sp},
                            .y = {ch * sp * sr - sh * cr, sh * sp * sr + ch * cr, cp * sr},
                            .z = {ch * sp * cr + sh * sr, sh * sp * cr - ch * sr, cp * cr}},
          .pitch_axis_ned = {-sh, ch, 0}};
}

Mat3 rotation(const Attitude& attitude) noexcept {
  return orient(attitude).camera_to_ned;
}

Attitude attitude_of(const Mat3& m) noexcept {
  const double level = std::hypot(m.x.x, m.x.y);
  Attitude attitude;
  attitude.pitch_deg = std::atan2(-m.x.z, level) * kDegPerRad;
  if (level < 1e-12) {
    attitude.heading_deg = full_circle_deg(std::atan2(-m.y.x, m.y.y));
    return attitude;
  }
  attitude.heading_deg = full_circle_deg(std::atan2(m.x.y, m.x.x));
  attitude.roll_deg = std::atan2(m.y.z, m.z.z) * kDegPerRad;
  return attitude;
}

Attitude compose(const Attitude& platform, const Attitude& sensor) noexcept {
  return attitude_of(rotation(platform) * rotation(sensor));
}

Direction line_of_sight(const Attitude& attitude) noexcept {
  return direction_of(rotation(attitude).x);
}

Look look(const LatLonHae& from, const LatLonHae& to) noexcept {
  const Site site = site_at(from);
  const Vec3 line = to_ecef(to) - site.ecef_m;
  return {.direction = direction_of(transposed_times(site.ned, line)), .range_m = norm(line)};
}

double angle_between_deg(const Direction& a, const Direction& b) noexcept {
  const Vec3 u = unit_ned(a), v = unit_ned(b);
  return std::atan2(norm(cross(u, v)), dot(u, v)) * kDegPerRad;
}

}  // namespace detection::geolocate
