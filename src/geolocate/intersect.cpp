#include "geolocate/intersect.hpp"

#include <algorithm>
#include <cmath>

namespace detection::geolocate {
namespace {

// Rounding of an ECEF coordinate is 1 nm: no height is known better.
constexpr double kHeightM = 1.5e-9;

/// Height over the surface, and its derivative, at a distance along the ray.
struct Sample {
  double height_m = 0;
  double slope = 0;
};

class Ray {
 public:
  Ray(Vec3 origin_m, Vec3 direction, double surface_hae_m) noexcept
      : origin_m_(origin_m), direction_(direction), surface_hae_m_(surface_hae_m) {}

  [[nodiscard]] Sample at(double range_m) const noexcept {
    const Vertical vertical = vertical_at(origin_m_ + direction_ * range_m);
    return {.height_m = vertical.hae_m - surface_hae_m_, .slope = dot(direction_, vertical.up())};
  }

  /// Distance from the centre's closest approach in the metric of the enlarged ellipsoid, and the crossing there.
  struct Ellipsoid {
    double closest_m = 0;
    double crossing_m = -1;  ///< < 0: none
  };
  [[nodiscard]] Ellipsoid enlarged_ellipsoid() const noexcept {
    const double across = 1 / (kSemiMajorM + surface_hae_m_), along = 1 / (kSemiMinorM + surface_hae_m_);
    const Vec3 p{origin_m_.x * across, origin_m_.y * across, origin_m_.z * along};
    const Vec3 q{direction_.x * across, direction_.y * across, direction_.z * along};
    const double a = dot(q, q), b = dot(p, q), c = dot(p, p) - 1;
    const double discriminant = b * b - a * c;
    Ellipsoid result{.closest_m = -b / a};
    // C / (-B + sqrt) is the near root without cancellation.
    if (discriminant > 0 && b < 0) result.crossing_m = c / (std::sqrt(discriminant) - b);
    return result;
  }

  /// The lowest point: the height along a line is convex, its second derivative nearly 1 / (distance to the centre).
  [[nodiscard]] double lowest_m(double start_m) const noexcept {
    double range_m = std::max(0.0, start_m);
    for (int step = 0; step < 12; ++step) {
      const double slope = at(range_m).slope;
      const double radius_m = norm(origin_m_ + direction_ * range_m);
      const double change_m = slope / (1 - slope * slope) * radius_m;
      range_m = std::max(0.0, range_m - change_m);
      // The height is flat here: 1 cm along the ray is 1e-11 m of height.
      if (std::abs(change_m) < 0.01) break;
    }
    return range_m;
  }

  /// Newton kept inside [low, high], where the height is positive at low and not at high.
  [[nodiscard]] double root_between(double low_m, double high_m) const noexcept {
    double range_m = (low_m + high_m) / 2;
    for (int step = 0; step < 80; ++step) {
      const Sample here = at(range_m);
      if (std::abs(here.height_m) < kHeightM) break;
      (here.height_m > 0 ? low_m : high_m) = range_m;
      const double newton_m = range_m - here.height_m / here.slope;
      // Near tangency Newton leaps out of the bracket.
      range_m = here.slope < 0 && newton_m > low_m && newton_m < high_m ? newton_m : (low_m + high_m) / 2;
      if (high_m - low_m < 1e-9) break;
    }
    return range_m;
  }

 private:
  Vec3 origin_m_, direction_;
  double surface_hae_m_;
};

}  // namespace

Crossing cross_height(const Site& origin, double origin_hae_m, Vec3 ray, double surface_hae_m) noexcept {
  const double above_m = origin_hae_m - surface_hae_m;
  const double slope = -dot(origin.ned.z, ray);
  if (above_m < -kOnSurfaceM) return {.meeting = Meeting::kBelow};
  // Convex: a ray that rises or is level here never comes down.
  if (!(slope < 0)) return {.meeting = Meeting::kMiss};
  if (above_m < kOnSurfaceM) return {.meeting = Meeting::kHit, .range_m = 0};

  const Ray line(origin.ecef_m, ray, surface_hae_m);
  const Ray::Ellipsoid start = line.enlarged_ellipsoid();
  if (start.crossing_m >= 0) {
    double range_m = start.crossing_m;
    for (int step = 0; step < 6; ++step) {
      const Sample here = line.at(range_m);
      if (!(here.slope < -1e-4)) break;
      if (std::abs(here.height_m) < kHeightM) return {.meeting = Meeting::kHit, .range_m = range_m};
      const double change_m = here.height_m / here.slope;
      range_m = std::max(0.0, range_m - change_m);
      // Far from tangency the next error is the square of this step over the Earth's radius.
      if (std::abs(change_m) < 1e-3) return {.meeting = Meeting::kHit, .range_m = range_m};
    }
  }
  // Near tangency: is the lowest point under the surface, and where was it crossed?
  const double lowest_m = line.lowest_m(start.closest_m);
  if (line.at(lowest_m).height_m > 0) return {.meeting = Meeting::kMiss, .range_m = lowest_m};
  return {.meeting = Meeting::kHit, .range_m = line.root_between(0, lowest_m)};
}

}  // namespace detection::geolocate
