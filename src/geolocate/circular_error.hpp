#pragma once
// From a covariance to the figures an operator reads: CE90, LE90 and the error ellipse.
// Source: exact integration of the bivariate normal; Hoover, NOAA TR NOS 107 C&GS 3, 1984.

#include <array>

#include "detection/fix.hpp"

namespace detection::geolocate {

inline constexpr double kLe90PerSigma = 1.6448536269514722;
inline constexpr double kEllipse90PerSigma = 2.1459660262893472;

/// Radius, in units of the larger sigma, of the circle that holds 90 % of a bivariate normal whose axes have the ratio
/// `axis_ratio` = smaller sigma / larger sigma, 0..1. Within 0.031 % of the exact value.
[[nodiscard]] constexpr double circle90_factor(double axis_ratio) noexcept {
  const double c = axis_ratio;
  return 1.645362 +
         c * (-0.038462 + c * (0.838411 + c * (-2.711924 + c * (6.080533 + c * (-5.258175 + c * 1.590156)))));
}

/// Roots of the eigenvalues of the horizontal 2x2 block, larger first. m^2 in, m out.
struct PrincipalSigmas {
  double major_m = 0;
  double minor_m = 0;
};
[[nodiscard]] PrincipalSigmas principal_sigmas(double ee_m2, double nn_m2, double en_m2) noexcept;

[[nodiscard]] double ce90_of(const PrincipalSigmas& sigmas) noexcept;

/// 90 % ellipse of a covariance in Fix's order (ee, nn, uu, en, eu, nu); azimuth of the major axis in [0, 180).
[[nodiscard]] ErrorEllipse ellipse90_of(const std::array<double, 6>& covariance_enu_m2) noexcept;

}  // namespace detection::geolocate
