#pragma once
// Events about ourselves rather than about what was seen: the service, its cameras with their cones, and where they
// look. All in the XML form of event.hpp, at most kEventBytesMost; append_frame_of_xml makes frames of them. Pure
// functions, any thread. Texts are cut to kOwnTextBytesMost bytes and escaped; numbers that are not finite are left out
// (sensor) or unknown (heights, errors); places must be finite.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "cot/event.hpp"

namespace detection::cot {

inline constexpr std::size_t kOwnTextBytesMost = 48;

/// Where something is, and how well that is known.
struct Place {
  double lat_deg = 0;
  double lon_deg = 0;
  double hae_m = kUnknown_m;
  double ce_m = kUnknown_m;
  double le_m = kUnknown_m;                  ///< unknown where hae is
  std::string_view altitude_source = "???";  ///< altsrc, of TAK's words; "???" where hae is unknown
};

/// The service on the map and in the list of clients. No endpoint: nobody can send it messages.
struct ServiceEvent {
  std::string_view uid;  ///< [A-Za-z0-9._-]
  std::string_view callsign = "detection-api";
  /// Friendly ground equipment, sensor (MIL-STD-2525 SFGPES): a machine that senses. TAK clients' own a-f-G-U-C is a
  /// combat unit, people.
  std::string_view type = "a-f-G-E-S";
  Place place;
  std::string_view platform = "detection-api";  ///< takv; both required by TAK's schema
  std::string_view version = "0";
  std::string_view group = "Cyan";        ///< team colour, TAK's default
  std::string_view role = "Team Member";  ///< TAK's default
  std::chrono::microseconds stale = std::chrono::minutes{5};
};
/// how is m-c: configured.
void append_service_xml(std::string& out, const ServiceEvent& event, UtcMicros now);

/// A camera and the cone it sees.
struct CameraEvent {
  std::string_view source;  ///< with camera_id the uid (uid.hpp), to which the events of detections link
  std::string_view camera_id;
  std::string_view callsign;  ///< camera_id where empty
  Place place;
  bool configured = false;  ///< a camera on a mast (how m-c), else one that knows its place by GPS (m-g)
  bool exercise = false;
  double azimuth_deg = 0;    ///< of the cone's centre from true north, any number of turns; written in [0,360)
  double elevation_deg = 0;  ///< -90 nadir
  double roll_deg = 0;
  double fov_deg = 0;               ///< horizontal, edge to edge
  double vfov_deg = 0;              ///< vertical
  std::optional<double> range_m{};  ///< how far it sees; ATAK draws no cone without
  std::string_view model;           ///< may be empty
  std::chrono::microseconds stale = std::chrono::minutes{5};
};
void append_camera_xml(std::string& out, const CameraEvent& event, UtcMicros now);

/// Where a camera looks: the ground in the middle of its picture.
struct PointOfInterest {
  std::string_view source;
  std::string_view camera_id;
  std::string_view callsign;  ///< camera_id and " SPI" where empty
  Place place;
  bool exercise = false;
  std::chrono::microseconds stale = std::chrono::minutes{5};
};
/// Its uid is the camera's with SPI for CAM; it links to the camera.
void append_point_of_interest_xml(std::string& out, const PointOfInterest& event, UtcMicros now);

}  // namespace detection::cot
