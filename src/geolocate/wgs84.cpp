#include "geolocate/wgs84.hpp"

#include <cmath>

namespace detection::geolocate {
namespace {

constexpr double kAxisM = 1e-9;

}  // namespace

Site site_at(const LatLonHae& place) noexcept {
  const double lat = place.lat_deg * kRadPerDeg, lon = place.lon_deg * kRadPerDeg;
  const double sin_lat = std::sin(lat), cos_lat = std::cos(lat);
  const double sin_lon = std::sin(lon), cos_lon = std::cos(lon);
  const double normal = kSemiMajorM / std::sqrt(1 - kEccentricity2 * sin_lat * sin_lat);
  const double across = (normal + place.hae_m) * cos_lat;
  return {.ecef_m = {across * cos_lon, across * sin_lon, (normal * (1 - kEccentricity2) + place.hae_m) * sin_lat},
          .ned = {.x = {-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat},
                  .y = {-sin_lon, cos_lon, 0},
                  .z = {-cos_lat * cos_lon, -cos_lat * sin_lon, -sin_lat}}};
}

Vec3 to_ecef(const LatLonHae& place) noexcept {
  return site_at(place).ecef_m;
}

Vertical vertical_at(Vec3 ecef_m) noexcept {
  const double r = std::sqrt(ecef_m.x * ecef_m.x + ecef_m.y * ecef_m.y);
  // (c, s) is the direction of the reduced latitude; three evaluations hold 4e-9 m up to 2,000 km.
  double c = r * kSemiMinorM, s = ecef_m.z * kSemiMajorM;
  double along = 0, across = 0;
  for (int step = 0; step < 3; ++step) {
    const double length = std::sqrt(c * c + s * s);
    c /= length;
    s /= length;
    along = ecef_m.z + kSecondEccentricity2 * kSemiMinorM * s * s * s;
    across = r - kEccentricity2 * kSemiMajorM * c * c * c;
    c = across;
    s = (1 - kFlattening) * along;
  }
  const double length = std::sqrt(along * along + across * across);
  Vertical vertical;
  vertical.cos_lat = across / length;
  vertical.sin_lat = along / length;
  if (r >= kAxisM) {
    vertical.cos_lon = ecef_m.x / r;
    vertical.sin_lon = ecef_m.y / r;
  }
  vertical.hae_m = r * vertical.cos_lat + ecef_m.z * vertical.sin_lat -
                   kSemiMajorM * std::sqrt(1 - kEccentricity2 * vertical.sin_lat * vertical.sin_lat);
  return vertical;
}

LatLonHae to_geodetic(const Vertical& vertical) noexcept {
  double lon_deg = std::atan2(vertical.sin_lon, vertical.cos_lon) * kDegPerRad;
  if (lon_deg <= -180) lon_deg = 180;  // the sign of a zero must not choose the side of the antimeridian
  return {.lat_deg = std::atan2(vertical.sin_lat, vertical.cos_lat) * kDegPerRad,
          .lon_deg = lon_deg,
          .hae_m = vertical.hae_m};
}

LatLonHae to_geodetic(Vec3 ecef_m) noexcept {
  return to_geodetic(vertical_at(ecef_m));
}

}  // namespace detection::geolocate
