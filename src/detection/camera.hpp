#pragma once
// The camera: where it is, how it looks, its lens, and how well all of that is known.
// Frames (reference: MISB ST 0601, DJI XMP): camera x boresight, y right, z down; local north-east-down; Earth ECEF.

#include <array>
#include <cstdint>
#include <optional>

namespace detection {

struct LatLonHae {
  double lat_deg = 0;  ///< geodetic, WGS 84, -90..90, north positive
  double lon_deg = 0;  ///< -180..180, east positive
  double hae_m = 0;    ///< height above the WGS 84 ellipsoid
};

/// Pixel coordinates, x right, y down. The default principal point is (width/2, height/2), so whole numbers are pixel
/// corners; callers who use OpenCV's convention (whole numbers are pixel centres) state `principal_point`.
struct Pixel {
  double x_px = 0;
  double y_px = 0;
};

enum class ElevationReference : std::uint8_t { kAgl, kMsl, kHae };

enum class DistortionModel : std::uint8_t { kNone, kBrown, kFisheye };

/// OpenCV's order. Brown: k1 k2 p1 p2 k3 [k4 k5 k6] (4, 5 or 8 numbers; the rational model); fisheye: k1 k2 k3 k4.
struct Distortion {
  DistortionModel model = DistortionModel::kNone;
  std::uint8_t count = 0;
  std::array<double, 8> coefficients{};
};

/// The lens as pixels. fx, fy > 0.
struct Intrinsics {
  double fx_px = 0;
  double fy_px = 0;
  double cx_px = 0;
  double cy_px = 0;
  Distortion distortion{};
};

/// Attitude of the camera: R(heading, pitch, roll) = Rz Ry Rx, camera to north-east-down.
struct Attitude {
  double heading_deg = 0;  ///< clockwise from true north
  double pitch_deg = 0;    ///< up positive, -90 nadir
  double roll_deg = 0;     ///< right side down positive
};

/// One standard deviation of each input; see design.md 4.2 for the defaults.
struct Accuracy {
  double horizontal_m = 3;  ///< of the camera, per axis (east, north)
  double vertical_m = 3;    ///< of the camera's height (for agl: of the height above ground)
  double ground_m = 2.4;    ///< of the ground height; 0 for agl
  double heading_deg = 2;
  double pitch_deg = 0.5;
  double roll_deg = 0.5;
  double focal_percent = 0.5;
  double pixel_px = 2;  ///< per axis
  double slant_range_m = 1;
};

/// The same with every value optional: what a request or a camera's configuration states. merge() lays one over
/// another.
struct AccuracyOverride {
  std::optional<double> horizontal_m, vertical_m, ground_m, heading_deg, pitch_deg, roll_deg, focal_percent, pixel_px,
      slant_range_m;
  friend bool operator==(const AccuracyOverride&, const AccuracyOverride&) = default;
};

[[nodiscard]] Accuracy merge(Accuracy base, const AccuracyOverride& over) noexcept;

}  // namespace detection
