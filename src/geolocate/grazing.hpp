#pragma once
// When a ray is too close to the horizon for first-order errors.

#include <numbers>

namespace detection::geolocate {

inline constexpr double kGrazingSigmas = 3;
inline constexpr double kSinGrazing = 0.0087265354983739347;  ///< sin(0.5 deg)

/// A quick test that never says "no" wrongly: with depression a at the camera and g at the target the margin to the
/// horizon is (a^2 - dip^2) / (a + dip) >= g^2 / 2a >= sin^2 g / (pi sin a).
[[nodiscard]] constexpr bool may_graze(double sin_depression, double sin_grazing, double sigma) noexcept {
  return sin_grazing < kSinGrazing ||
         sin_grazing * sin_grazing < kGrazingSigmas * std::numbers::pi * sigma * sin_depression;
}

}  // namespace detection::geolocate
