#pragma once
// Attitudes as matrices, and what a look from one place to another is in angles.
// Attitudes are composed as matrices, never by adding angles: the sum is wrong off the axes and at nadir.
// Frames: camera x boresight, y right, z down; local north-east-down (NED). MISB ST 0601 tags 5-7 / 18-20, DJI XMP.

#include "detection/camera.hpp"
#include "geolocate/vec3.hpp"

namespace detection::geolocate {

/// R(heading, pitch, roll) = Rz Ry Rx: camera axes to north-east-down. Any finite angles; none is folded.
[[nodiscard]] Mat3 rotation(const Attitude& attitude) noexcept;

/// The same with the axis about which the pitch turns (level, right of the heading), for the error model.
struct Orientation {
  Mat3 camera_to_ned{};
  Vec3 pitch_axis_ned{};
};
[[nodiscard]] Orientation orient(const Attitude& attitude) noexcept;

/// The attitude of a rotation matrix: heading [0, 360), pitch [-90, 90], roll (-180, 180]. Where the boresight is
/// vertical heading and roll share one axis: roll is 0 then and heading is where the top of the image points (nadir).
[[nodiscard]] Attitude attitude_of(const Mat3& camera_to_ned) noexcept;

/// Attitude in NED of a sensor whose attitude is stated relative to its platform: R(platform) R(sensor).
[[nodiscard]] Attitude compose(const Attitude& platform, const Attitude& sensor) noexcept;

/// A direction from a place, in its local level frame.
struct Direction {
  double azimuth_deg = 0;    ///< clockwise from true north, [0, 360)
  double elevation_deg = 0;  ///< up positive, -90..90
};

/// Where the boresight of an attitude points.
[[nodiscard]] Direction line_of_sight(const Attitude& attitude) noexcept;

struct Look {
  Direction direction{};
  double range_m = 0;  ///< straight line
};

/// The straight line from one place to another, on WGS 84 (not a geodesic). Equal places: range 0, azimuth 0.
[[nodiscard]] Look look(const LatLonHae& from, const LatLonHae& to) noexcept;

/// Angle between two directions, 0..180 degrees.
[[nodiscard]] double angle_between_deg(const Direction& a, const Direction& b) noexcept;

}  // namespace detection::geolocate
