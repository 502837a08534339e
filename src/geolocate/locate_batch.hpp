#pragma once
// Many pixels at once, as a structure of arrays. Same answers as the single form: equal status, values within 1e-6 m.
// Undistorted lenses over a constant height that clearly hit run in a vectorised kernel (the widest of SSE2, AVX2 and
// AVX-512 that the processor has); everything else, item by item, through locate(). No allocation, no exception;
// any number of threads.

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "geolocate/locate.hpp"

namespace detection::geolocate {

/// Inputs. Each array of the pose, and lens, target and accuracy, holds either one element for all items or one each.
struct BatchItems {
  std::span<const double> lat_deg, lon_deg, hae_m;
  std::span<const double> heading_deg, pitch_deg, roll_deg;
  std::span<const Intrinsics> lens;
  std::span<const Target> target;
  std::span<const Accuracy> accuracy;
  std::span<const double> x_px, y_px;  ///< one each; their number is the number of items
};

inline constexpr std::uint8_t kBatchLocated = 0;  ///< status of an item that has a point
inline constexpr double kUnboundedM = std::numeric_limits<double>::infinity();

/// Results, in arrays of the caller, one element for each item. Where status is not kBatchLocated it is the value of
/// the GeometryError and the item's other elements are 0.
struct BatchFixes {
  std::span<std::uint8_t> status;
  std::span<double> lat_deg, lon_deg, hae_m;
  std::span<double> slant_range_m, grazing_deg;
  std::array<std::span<double>, 6> covariance_enu_m2;  ///< Fix's order; ellipse90_of() makes the ellipse
  std::span<double> ce90_m;                            ///< kUnboundedM where Fix::ce90_m is none
  std::span<double> le90_m;                            ///< kUnboundedM where Fix::le90_m is none
  std::span<std::uint8_t> grazing;                     ///< 1 where Fix::grazing
};

/// Which code runs; kBest chooses by the processor. An unsupported choice falls back to kBaseline.
enum class VectorUnits : std::uint8_t { kBest, kScalar, kBaseline, kAvx2, kAvx512 };

/// False, and nothing written, when the arrays' lengths do not agree.
[[nodiscard]] bool locate_batch(const BatchItems& items, double max_range_m, const BatchFixes& fixes,
                                VectorUnits units = VectorUnits::kBest) noexcept;

}  // namespace detection::geolocate
