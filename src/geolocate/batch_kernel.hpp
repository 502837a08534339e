#pragma once
// Internal: one block of items for the vectorised kernel. Plain arrays and arithmetic only.

#include <cstddef>

#include "geolocate/locate_batch.hpp"

namespace detection::geolocate {

inline constexpr std::size_t kBlock = 64;
using Lane = double[kBlock];

struct alignas(64) KernelBlock {
  // Inputs: finite, heights in range, angles within a few turns.
  Lane lat_deg, lon_deg, hae_m, heading_deg, pitch_deg, roll_deg;
  Lane fx_px, fy_px, cx_px, cy_px, x_px, y_px, ground_hae_m;
  Lane horizontal_m, vertical_m, ground_m, heading_sigma_deg, pitch_sigma_deg, roll_sigma_deg, focal_percent, pixel_px;
  // Results.
  Lane point_lat_deg, point_lon_deg, range_m, grazing_deg, ee, nn, en, eu, nu, ce90_m;
  // 1 where the kernel vouches for the result; 0: take the single form.
  Lane sure;
};

/// Runs all kBlock lanes; lanes beyond the caller's items must hold copies of valid ones.
void run_kernel(KernelBlock& block, VectorUnits units) noexcept;

}  // namespace detection::geolocate
