#include "geolocate/circular_error.hpp"

#include <algorithm>
#include <cmath>

#include "geolocate/wgs84.hpp"

namespace detection::geolocate {

PrincipalSigmas principal_sigmas(double ee_m2, double nn_m2, double en_m2) noexcept {
  const double middle = (ee_m2 + nn_m2) / 2, half = (ee_m2 - nn_m2) / 2;
  const double spread = std::sqrt(half * half + en_m2 * en_m2);
  return {.major_m = std::sqrt(middle + spread), .minor_m = std::sqrt(std::max(0.0, middle - spread))};
}

double ce90_of(const PrincipalSigmas& sigmas) noexcept {
  if (!(sigmas.major_m > 0)) return 0;
  return sigmas.major_m * circle90_factor(sigmas.minor_m / sigmas.major_m);
}

ErrorEllipse ellipse90_of(const std::array<double, 6>& covariance_enu_m2) noexcept {
  const auto& [ee, nn, uu, en, eu, nu] = covariance_enu_m2;
  const PrincipalSigmas sigmas = principal_sigmas(ee, nn, en);
  double azimuth_deg = std::atan2(2 * en, nn - ee) / 2 * kDegPerRad;
  if (azimuth_deg < 0) azimuth_deg += 180;
  if (azimuth_deg >= 180) azimuth_deg = 0;
  return {.semi_major_m = sigmas.major_m * kEllipse90PerSigma,
          .semi_minor_m = sigmas.minor_m * kEllipse90PerSigma,
          .azimuth_deg = azimuth_deg,
          .probability = 0.9};
}

}  // namespace detection::geolocate
