#pragma once
// The tags of MISB ST 0601 that say where the sensor is, where it looks and what the encoder claims to see. Values are
// decoded to degrees and metres by the standard's ranges; a value of the wrong length, or the reserved "out of range"
// one, is missing. No geometry here: which convention an encoder follows is judged elsewhere.

#include <array>
#include <optional>
#include <string>

#include "detection/time.hpp"
#include "klv/packets.hpp"

namespace detection::klv {

struct UasDatalink {
  std::optional<UtcMicros> time{};                ///< 2
  std::string mission_id;                         ///< 3
  std::string platform_tail_number;               ///< 4
  std::string platform_designation;               ///< 10
  std::string image_source;                       ///< 11
  std::string coordinate_system;                  ///< 12
  std::optional<double> platform_heading_deg{};   ///< 5, 0..360 true
  std::optional<double> platform_pitch_deg{};     ///< 90 (+-90), else 6 (+-20)
  std::optional<double> platform_roll_deg{};      ///< 91 (+-90), else 7 (+-50)
  std::optional<double> sensor_lat_deg{};         ///< 13
  std::optional<double> sensor_lon_deg{};         ///< 14
  std::optional<double> sensor_altitude_msl_m{};  ///< 15
  std::optional<double> sensor_hae_m{};           ///< 104 (IMAPB), else 75
  std::optional<double> horizontal_fov_deg{};     ///< 16, full angle
  std::optional<double> vertical_fov_deg{};       ///< 17, full angle
  std::optional<double> sensor_azimuth_deg{};     ///< 18, relative to the platform by the standard
  std::optional<double> sensor_elevation_deg{};   ///< 19, likewise
  std::optional<double> sensor_roll_deg{};        ///< 20, likewise
  std::optional<double> slant_range_m{};          ///< 21
  std::optional<double> target_width_m{};         ///< 22
  std::optional<double> frame_center_lat_deg{};   ///< 23: the encoder's claim
  std::optional<double> frame_center_lon_deg{};   ///< 24
  std::optional<double> frame_center_msl_m{};     ///< 25
  std::optional<double> frame_center_hae_m{};     ///< 78
  /// 26-33: latitude and longitude offsets of the corners from the frame centre: upper left, upper right, lower right,
  /// lower left.
  std::array<std::optional<double>, 8> corner_offsets_deg{};
  std::optional<double> target_lat_deg{};  ///< 40
  std::optional<double> target_lon_deg{};  ///< 41
  std::optional<double> target_msl_m{};    ///< 42
  std::optional<double> target_ce90_m{};   ///< 45
  std::optional<double> target_le90_m{};   ///< 46
  std::optional<double> ground_range_m{};  ///< 57
  std::optional<int> version{};            ///< 65
  bool broken = false;                     ///< the set ends in the middle of an item; what was before it stands
};

[[nodiscard]] UasDatalink decode(const Packet& packet);

}  // namespace detection::klv
