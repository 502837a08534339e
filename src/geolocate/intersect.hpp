#pragma once
// Where a straight ray meets the surface of constant height above the WGS 84 ellipsoid. That surface is not the
// ellipsoid with enlarged axes (off by 11 mm at 8 km): the latter only gives the start value.

#include <cstdint>

#include "geolocate/wgs84.hpp"

namespace detection::geolocate {

/// A camera this close to the surface counts as on it.
inline constexpr double kOnSurfaceM = 1e-6;

enum class Meeting : std::uint8_t {
  kHit,
  kMiss,   ///< rises from the start, or passes above the surface
  kBelow,  ///< starts under the surface
};

struct Crossing {
  Meeting meeting = Meeting::kMiss;
  double range_m = 0;  ///< kHit: distance of the first crossing; kMiss: distance of the closest approach, >= 0
};

/// `origin_hae_m` is the height of the origin, `ray` a unit vector in ECEF. The first crossing from above, at distances
/// >= 0. An origin on the surface hits at 0 when the ray descends. All finite; heights -12 km..2,000 km.
[[nodiscard]] Crossing cross_height(const Site& origin, double origin_hae_m, Vec3 ray, double surface_hae_m) noexcept;

}  // namespace detection::geolocate
