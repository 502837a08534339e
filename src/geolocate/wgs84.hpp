#pragma once
// WGS 84: geodetic coordinates, Earth-centred Earth-fixed (ECEF) coordinates and the local level frame.
// Source: NIMA TR 8350.2; B. R. Bowring, "Transformation from spatial to geographical coordinates", 1976.

#include "detection/camera.hpp"
#include "geolocate/vec3.hpp"

namespace detection::geolocate {

inline constexpr double kSemiMajorM = 6378137.0;
inline constexpr double kFlattening = 1 / 298.257223563;
inline constexpr double kSemiMinorM = kSemiMajorM * (1 - kFlattening);
inline constexpr double kEccentricity2 = kFlattening * (2 - kFlattening);
inline constexpr double kSecondEccentricity2 = kEccentricity2 / (1 - kEccentricity2);

inline constexpr double kRadPerDeg = 0.017453292519943295769;
inline constexpr double kDegPerRad = 57.295779513082320877;

/// A place on Earth with its local level frame: `ned` holds the north, east and down axes in ECEF as columns.
struct Site {
  Vec3 ecef_m{};
  Mat3 ned{};
};

/// Any finite longitude; |latitude| <= 90. At a pole the frame is that of the stated longitude.
[[nodiscard]] Site site_at(const LatLonHae& place) noexcept;

/// ECEF, metres; within 1e-8 m of the definition for heights up to 1,000 km.
[[nodiscard]] Vec3 to_ecef(const LatLonHae& place) noexcept;

/// The ellipsoid normal through an ECEF point and the height along it, without any trigonometric function.
struct Vertical {
  double cos_lat = 1, sin_lat = 0;
  double cos_lon = 1, sin_lon = 0;
  double hae_m = 0;
  [[nodiscard]] Vec3 up() const noexcept { return {cos_lat * cos_lon, cos_lat * sin_lon, sin_lat}; }
};

/// Bowring's tangent form, good from 500 km below to 2,000 km above the surface: height within 4e-9 m. Closer than
/// 1 nm to the axis the longitude is 0 (any is right there).
[[nodiscard]] Vertical vertical_at(Vec3 ecef_m) noexcept;

/// Longitude in (-180, 180]. Within 1e-8 m there and back. Same range as vertical_at.
[[nodiscard]] LatLonHae to_geodetic(Vec3 ecef_m) noexcept;
[[nodiscard]] LatLonHae to_geodetic(const Vertical& vertical) noexcept;

}  // namespace detection::geolocate
