#include "geolocate/lens.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace detection::geolocate {
namespace {

constexpr int kMaxSteps = 20;
constexpr double kStep = 1e-12;
// Normalised coordinates beyond this are 90 degrees off axis for every practical purpose, and their squares overflow.
constexpr double kFarthest = 1e9;
// Points between the axis and the solution at which the radial map must still rise.
constexpr int kMonotoneChecks = 8;

struct Plane {
  double x = 0, y = 0;
};

/// The distorted point and the Jacobian of the distortion.
struct Distorted {
  Plane point;
  double xx = 1, xy = 0, yy = 1;
};

struct Brown {
  double k1 = 0, k2 = 0, p1 = 0, p2 = 0, k3 = 0, k4 = 0, k5 = 0, k6 = 0;

  explicit Brown(const Distortion& d) noexcept {
    double k[8] = {};
    for (unsigned i = 0; i < d.count && i < 8; ++i) k[i] = d.coefficients[i];
    k1 = k[0], k2 = k[1], p1 = k[2], p2 = k[3], k3 = k[4], k4 = k[5], k5 = k[6], k6 = k[7];
  }

  /// rho(r^2) and its derivative by r^2.
  [[nodiscard]] Plane radial(double r2) const noexcept {
    const double up = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)), down = 1 + r2 * (k4 + r2 * (k5 + r2 * k6));
    const double d_up = k1 + r2 * (2 * k2 + r2 * 3 * k3), d_down = k4 + r2 * (2 * k5 + r2 * 3 * k6);
    const double rho = up / down;
    return {rho, (d_up - rho * d_down) / down};
  }

  [[nodiscard]] Distorted distort(Plane u) const noexcept {
    const double r2 = u.x * u.x + u.y * u.y;
    const auto [rho, d_rho] = radial(r2);
    return {.point = {u.x * rho + 2 * p1 * u.x * u.y + p2 * (r2 + 2 * u.x * u.x),
                      u.y * rho + p1 * (r2 + 2 * u.y * u.y) + 2 * p2 * u.x * u.y},
            .xx = rho + 2 * u.x * u.x * d_rho + 2 * p1 * u.y + 6 * p2 * u.x,
            .xy = 2 * u.x * u.y * d_rho + 2 * p1 * u.x + 2 * p2 * u.y,
            .yy = rho + 2 * u.y * u.y * d_rho + 6 * p1 * u.y + 2 * p2 * u.x};
  }

  /// Whether the radius seen rises all the way out to r: beyond a fold a pixel has several rays, or a false one.
  [[nodiscard]] bool rises_to(double r2) const noexcept {
    for (int i = 1; i <= kMonotoneChecks; ++i) {
      const double part = r2 * i / kMonotoneChecks;
      const auto [rho, d_rho] = radial(part);
      if (!(rho + 2 * part * d_rho > 0)) return false;
    }
    return true;
  }
};

struct Fisheye {
  double k1 = 0, k2 = 0, k3 = 0, k4 = 0;

  explicit Fisheye(const Distortion& d) noexcept {
    double k[4] = {};
    for (unsigned i = 0; i < d.count && i < 4; ++i) k[i] = d.coefficients[i];
    k1 = k[0], k2 = k[1], k3 = k[2], k4 = k[3];
  }

  [[nodiscard]] double seen(double theta) const noexcept {
    const double t2 = theta * theta;
    return theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))));
  }
  [[nodiscard]] double slope(double theta) const noexcept {
    const double t2 = theta * theta;
    return 1 + t2 * (3 * k1 + t2 * (5 * k2 + t2 * (7 * k3 + t2 * 9 * k4)));
  }
  [[nodiscard]] bool rises_to(double theta) const noexcept {
    for (int i = 1; i <= kMonotoneChecks; ++i) {
      if (!(slope(theta * i / kMonotoneChecks) > 0)) return false;
    }
    return true;
  }
};

/// The pinhole ray through (x, y) and its derivatives by x and y.
CameraRay pinhole(Plane u) noexcept {
  const double shrink = 1 / std::sqrt(1 + u.x * u.x + u.y * u.y);
  CameraRay ray;
  ray.direction = {shrink, u.x * shrink, u.y * shrink};
  ray.per_x = (Vec3{0, 1, 0} - ray.direction * ray.direction.y) * shrink;
  ray.per_y = (Vec3{0, 0, 1} - ray.direction * ray.direction.z) * shrink;
  return ray;
}

std::optional<CameraRay> brown_ray(const Distortion& distortion, Plane seen) noexcept {
  const Brown brown(distortion);
  Plane u = seen;
  for (int step = 0; step < kMaxSteps; ++step) {
    const Distorted at = brown.distort(u);
    const double ex = at.point.x - seen.x, ey = at.point.y - seen.y;
    const double determinant = at.xx * at.yy - at.xy * at.xy;
    const double dx = (at.yy * ex - at.xy * ey) / determinant, dy = (at.xx * ey - at.xy * ex) / determinant;
    u.x -= dx;
    u.y -= dy;
    if (!(std::abs(u.x) < 1e6 && std::abs(u.y) < 1e6)) return std::nullopt;
    // Beside the absolute bound a relative one: far off axis 1e-12 is below the rounding of u itself.
    if (std::abs(dx) + std::abs(dy) > kStep * (1 + std::abs(u.x) + std::abs(u.y))) continue;

    const Distorted there = brown.distort(u);
    const double area = there.xx * there.yy - there.xy * there.xy;
    if (!(area > 0) || !brown.rises_to(u.x * u.x + u.y * u.y)) return std::nullopt;
    const CameraRay ideal = pinhole(u);
    CameraRay ray = ideal;  // its derivatives are by undistorted coordinates: chain them with the inverse Jacobian
    ray.per_x = (ideal.per_x * there.yy - ideal.per_y * there.xy) * (1 / area);
    ray.per_y = (ideal.per_y * there.xx - ideal.per_x * there.xy) * (1 / area);
    return ray;
  }
  return std::nullopt;
}

std::optional<CameraRay> fisheye_ray(const Distortion& distortion, Plane seen) noexcept {
  const Fisheye fisheye(distortion);
  const double radius = std::sqrt(seen.x * seen.x + seen.y * seen.y);
  double theta = std::min(radius, std::numbers::pi);
  bool found = false;
  for (int step = 0; step < kMaxSteps && !found; ++step) {
    const double change = (fisheye.seen(theta) - radius) / fisheye.slope(theta);
    theta -= change;
    if (!(std::abs(theta) < 1e3)) return std::nullopt;
    found = std::abs(change) < kStep;
  }
  if (!found || theta < 0 || theta > std::numbers::pi || !fisheye.rises_to(theta)) return std::nullopt;
  const double sine = std::sin(theta), cosine = std::cos(theta);
  // On the axis every azimuth is right, and sin(theta) / radius tends to 1.
  const bool axis = radius < 1e-12;
  const double ca = axis ? 1 : seen.x / radius, sa = axis ? 0 : seen.y / radius;
  const double around = axis ? 1 : sine / radius;
  const double outward = 1 / fisheye.slope(theta);
  const Vec3 radial = Vec3{-sine, cosine * ca, cosine * sa} * outward;
  const Vec3 tangential = Vec3{0, -sa, ca} * around;
  CameraRay ray;
  ray.direction = {cosine, sine * ca, sine * sa};
  ray.per_x = radial * ca - tangential * sa;
  ray.per_y = radial * sa + tangential * ca;
  return ray;
}

}  // namespace

std::optional<CameraRay> camera_ray(const Intrinsics& lens, Pixel pixel) noexcept {
  const Plane seen{(pixel.x_px - lens.cx_px) / lens.fx_px, (pixel.y_px - lens.cy_px) / lens.fy_px};
  if (!(std::abs(seen.x) < kFarthest && std::abs(seen.y) < kFarthest)) return std::nullopt;
  std::optional<CameraRay> ray;
  switch (lens.distortion.model) {
    case DistortionModel::kNone: ray = pinhole(seen); break;
    case DistortionModel::kBrown: ray = brown_ray(lens.distortion, seen); break;
    case DistortionModel::kFisheye: ray = fisheye_ray(lens.distortion, seen); break;
  }
  if (ray) {
    ray->x = seen.x;
    ray->y = seen.y;
  }
  return ray;
}

std::optional<Pixel> project(const Intrinsics& lens, Vec3 direction) noexcept {
  Plane seen;
  if (lens.distortion.model == DistortionModel::kFisheye) {
    const double off_axis = std::sqrt(direction.y * direction.y + direction.z * direction.z);
    const double radius = Fisheye(lens.distortion).seen(std::atan2(off_axis, direction.x));
    if (off_axis > 0) seen = {direction.y / off_axis * radius, direction.z / off_axis * radius};
  } else {
    if (!(direction.x > 0)) return std::nullopt;
    seen = {direction.y / direction.x, direction.z / direction.x};
    if (lens.distortion.model == DistortionModel::kBrown) seen = Brown(lens.distortion).distort(seen).point;
  }
  const Pixel pixel{seen.x * lens.fx_px + lens.cx_px, seen.y * lens.fy_px + lens.cy_px};
  if (!std::isfinite(pixel.x_px) || !std::isfinite(pixel.y_px)) return std::nullopt;
  return pixel;
}

}  // namespace detection::geolocate
