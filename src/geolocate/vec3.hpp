#pragma once
// Three-vectors and 3x3 matrices: just what the geometry needs. Header only, no allocation.

#include <cmath>

namespace detection::geolocate {

struct Vec3 {
  double x = 0, y = 0, z = 0;

  friend constexpr Vec3 operator+(Vec3 a, Vec3 b) noexcept { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
  friend constexpr Vec3 operator-(Vec3 a, Vec3 b) noexcept { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
  friend constexpr Vec3 operator-(Vec3 a) noexcept { return {-a.x, -a.y, -a.z}; }
  friend constexpr Vec3 operator*(Vec3 a, double s) noexcept { return {a.x * s, a.y * s, a.z * s}; }
};

[[nodiscard]] constexpr double dot(Vec3 a, Vec3 b) noexcept {
  return a.x * b.x + a.y * b.y + a.z * b.z;
}
[[nodiscard]] constexpr Vec3 cross(Vec3 a, Vec3 b) noexcept {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
[[nodiscard]] inline double norm(Vec3 a) noexcept {
  return std::sqrt(dot(a, a));
}

/// Stored by columns: the images of the x, y and z axes.
struct Mat3 {
  Vec3 x, y, z;

  friend constexpr Vec3 operator*(const Mat3& m, Vec3 v) noexcept { return m.x * v.x + m.y * v.y + m.z * v.z; }
  friend constexpr Mat3 operator*(const Mat3& a, const Mat3& b) noexcept { return {a * b.x, a * b.y, a * b.z}; }
};

/// Multiplies by the transpose: for a rotation, the inverse.
[[nodiscard]] constexpr Vec3 transposed_times(const Mat3& m, Vec3 v) noexcept {
  return {dot(m.x, v), dot(m.y, v), dot(m.z, v)};
}

}  // namespace detection::geolocate
