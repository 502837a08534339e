#pragma once
// A fix: where the thing is and how well that is known.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "detection/camera.hpp"

namespace detection {

/// How the height or distance of the point was found; position.source of the answer.
enum class PositionSource : std::uint8_t {
  kSlantRange,       ///< "slant_range": measured distance
  kGroundElevation,  ///< "ground_elevation": ray against a constant stated height
  kAboveGround,      ///< "above_ground": flat ground at the stated distance below the camera; height unknown
  kTerrain,          ///< "terrain": ray against a terrain model
};
[[nodiscard]] std::string_view position_source_name(PositionSource source) noexcept;

/// Error ellipse on the ground at `probability`.
struct ErrorEllipse {
  double semi_major_m = 0;
  double semi_minor_m = 0;
  double azimuth_deg = 0;  ///< of the major axis from true north, [0, 180)
  double probability = 0.9;
};

struct Fix {
  LatLonHae position{};
  bool hae_known =
      true;  ///< false for agl without a ground height: hae_m then is meaningless outside (null in the API)
  PositionSource source = PositionSource::kGroundElevation;
  /// East-north-up at the target, m^2: ee, nn, uu, en, eu, nu.
  std::array<double, 6> covariance_enu_m2{};
  std::optional<double> ce90_m{};  ///< none: cannot be bounded (near the horizon)
  std::optional<double> le90_m{};  ///< none where the height is unknown
  ErrorEllipse ellipse{};
  double slant_range_m = 0;
  double grazing_deg = 0;      ///< angle between the ray and the ground at the target, 0..90
  bool grazing = false;        ///< close to tangential: the first-order error was checked by sampling
  bool outside_image = false;  ///< the pixel lies up to 1 px outside the image
};

}  // namespace detection
