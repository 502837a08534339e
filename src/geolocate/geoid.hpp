#pragma once
// Height of the geoid above the ellipsoid on a regular world grid: HAE = MSL + undulation.
// Format: NOAA/PROJ "GTX" (40-byte big-endian header: 4 doubles south edge, west edge, latitude step, longitude step in
// degrees, 2 int32 rows, columns; then float32 big-endian metres, rows from the south). EGM96: Debian's egm96_15.gtx.

#include <cstddef>
#include <span>
#include <vector>

#include "detection/error.hpp"

namespace detection::geolocate {

/// Immutable after parse(); any number of threads may read it.
class Geoid {
 public:
  /// The bytes of a whole GTX file that covers the world, both poles included. kConfiguration with the broken rule
  /// otherwise. Copies what it needs.
  [[nodiscard]] static Result<Geoid> parse(std::span<const std::byte> file);

  /// Undulation in metres at a geodetic position; any finite longitude, latitude clamped to -90..90. Catmull-Rom over
  /// 4 x 4 posts: within 12 mm of the official EGM96 points on the 15' grid. Continued over the poles.
  [[nodiscard]] double undulation_m(double lat_deg, double lon_deg) const noexcept;

  /// The same by bilinear interpolation, as PROJ does it: within 60 mm.
  [[nodiscard]] double undulation_bilinear_m(double lat_deg, double lon_deg) const noexcept;

 private:
  Geoid() = default;
  [[nodiscard]] double post(long row, long column) const noexcept;
  struct Cell {
    long row = 0, column = 0;
    double up = 0, right = 0;  ///< 0..1 inside the cell
  };
  [[nodiscard]] Cell cell_of(double lat_deg, double lon_deg) const noexcept;

  double lon_west_deg_ = 0;
  double step_lat_deg_ = 0, step_lon_deg_ = 0;
  long rows_ = 0, columns_ = 0;
  std::vector<float> posts_;
};

}  // namespace detection::geolocate
