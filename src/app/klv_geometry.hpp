#pragma once
// From a decoded ST 0601 set to a camera, and the judgement of which convention its encoder follows.
//
// By the standard, tags 18-20 turn the sensor relative to the platform (tags 5, 6/90, 7/91). Some encoders write the
// true azimuth and the elevation above the local level into 18 and 19 instead. Both readings are located and held
// against the frame centre that the packet states (tags 23, 24); the nearer one is taken. Sensor and ground are in one
// vertical datum here, the packet's own: so the comparison needs no geoid.

#include <cstdint>
#include <optional>
#include <string_view>

#include "detection/camera.hpp"
#include "detection/detection.hpp"
#include "detection/error.hpp"
#include "klv/st0601.hpp"

namespace detection::app {

enum class AngleConvention : std::uint8_t { kRelative, kAbsolute };
[[nodiscard]] std::string_view angle_convention_name(AngleConvention convention) noexcept;

/// The middle of the picture as located, in the packet's datum.
struct LocatedCentre {
  LatLonHae position{};
  double slant_range_m = 0;
  std::optional<double> residual_m{};  ///< horizontal distance to the stated frame centre
};

struct PacketGeometry {
  AngleConvention convention = AngleConvention::kRelative;
  Attitude attitude{};         ///< of the camera, heading 0..360, roll -180..180
  double sensor_height_m = 0;  ///< tag 104 or 75 (HAE), else 15 (MSL)
  bool sensor_height_is_hae = false;
  std::optional<LocatedCentre> by_range{};   ///< where tag 21 is there and not 0
  std::optional<LocatedCentre> by_ground{};  ///< where a ground height was given and the ray meets it
  bool frame_height_contradicts = false;     ///< tag 25 is more than 50 m off the height at the slant range
};

inline constexpr std::uint32_t kPictureWidth_px = 1920;
inline constexpr std::uint32_t kPictureHeight_px = 1080;

/// The packet's camera with the middle of a 1920 x 1080 picture; location_elevation_m and elevation_reference as the
/// packet has them. kValidationFailed names the first missing tag.
[[nodiscard]] Result<SensorMetadata> camera_of(const klv::UasDatalink& set, const Attitude& attitude);

/// kValidationFailed where position, attitude or field of view are missing.
[[nodiscard]] Result<PacketGeometry> packet_geometry(const klv::UasDatalink& set,
                                                     std::optional<double> ground_elevation_m);

}  // namespace detection::app
