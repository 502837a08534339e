#include "cot/own_events.hpp"

#include <cmath>

#include "cot/event_detail.hpp"
#include "cot/event_head.hpp"
#include "cot/event_type.hpp"

namespace detection::cot {
namespace {

constexpr std::string_view kOwnQos = "3-r-c";  // may be dropped on the way: the next one is near
constexpr std::string_view kCameraType = "b-m-p-s-p-loc";
constexpr std::string_view kPointOfInterestType = "b-m-p-s-p-i";
constexpr std::chrono::microseconds kShortestStale = std::chrono::seconds{1};

/// Without half a character at the end.
std::string_view cut(std::string_view text) {
  if (text.size() <= kOwnTextBytesMost) return text;
  std::size_t size = kOwnTextBytesMost;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size);
}

double stated_m(double value, double least) {
  return value >= least && value < kUnknownFrom_m - 0.5 ? value : kUnknown_m;
}

struct Head {
  std::string_view uid, type, how;
  bool exercise = false;
  std::chrono::microseconds stale;
};

/// From the XML header to behind precisionlocation.
void append_start(std::string& out, const Head& head, const Place& place, std::string_view callsign, UtcMicros now) {
  const UtcMicros time = writable(now);
  append_text(out.append(kHead), " uid=\"", head.uid);
  append_text(out, "\" type=\"", head.type);
  out.append("\" how=\"").append(head.how);
  append_times(out, time, time, later(time, std::max(head.stale, kShortestStale)));
  out.append("\" qos=\"").append(kOwnQos);
  if (head.exercise) out.append("\" opex=\"").append(kExercise);
  const double hae_m = stated_m(place.hae_m, -kUnknownFrom_m);
  const bool height = hae_m != kUnknown_m;
  append_point(out, place.lat_deg, place.lon_deg, hae_m, stated_m(place.ce_m, 0),
               height ? stated_m(place.le_m, 0) : kUnknown_m);
  append_text(out, "<contact callsign=\"", cut(callsign));
  append_text(out, "\"/><precisionlocation altsrc=\"", height ? cut(place.altitude_source) : "???");
  out.append("\"/>");
}

/// Degrees with two decimals in [low, low + 360), also after rounding.
double turned(double degrees, double low) {
  const double turn = std::fmod(degrees - low, 360);
  const double rounded = std::round((turn < 0 ? turn + 360 : turn) * 100) / 100;
  return low + (rounded >= 360 ? 0 : rounded);
}

void append_degrees(std::string& out, std::string_view before, double value) {
  if (std::isfinite(value)) append_number(out, before, value, 2), out.push_back('"');
}

}  // namespace

void append_service_xml(std::string& out, const ServiceEvent& event, UtcMicros now) {
  const auto type = is_event_type(event.type) ? event.type : ServiceEvent{}.type;
  append_start(out, {event.uid, type, "m-c", false, event.stale}, event.place, event.callsign, now);
  append_text(out, "<__group name=\"", cut(event.group));
  append_text(out, "\" role=\"", cut(event.role));
  append_text(out, "\"/><takv platform=\"", cut(event.platform));
  append_text(out, "\" version=\"", cut(event.version));
  out.append("\"/>").append(kTail);
}

void append_camera_xml(std::string& out, const CameraEvent& event, UtcMicros now) {
  const auto uid = camera_uid(event.source, event.camera_id);
  append_start(out, {uid, kCameraType, event.configured ? "m-c" : "m-g", event.exercise, event.stale}, event.place,
               event.callsign.empty() ? event.camera_id : event.callsign, now);
  out.append("<sensor");
  append_degrees(out, " azimuth=\"", turned(event.azimuth_deg, 0));
  append_degrees(out, " elevation=\"", std::clamp(event.elevation_deg, -90.0, 90.0));
  append_degrees(out, " roll=\"", turned(event.roll_deg, -180));
  append_degrees(out, " fov=\"", std::clamp(event.fov_deg, 0.0, 360.0));
  append_degrees(out, " vfov=\"", std::clamp(event.vfov_deg, 0.0, 180.0));
  if (event.range_m && std::isfinite(*event.range_m) && *event.range_m >= 0) {
    append_number(out, " range=\"", *event.range_m, 1);
    out.push_back('"');
  }
  if (!event.model.empty()) append_text(out, " model=\"", cut(event.model)), out.push_back('"');
  out.append("/>").append(kTail);
}

void append_point_of_interest_xml(std::string& out, const PointOfInterest& event, UtcMicros now) {
  const auto camera = camera_uid(event.source, event.camera_id);
  const auto uid = "SPI" + camera.substr(3);
  const auto callsign = event.callsign.empty() ? std::string(event.camera_id.substr(0, kOwnTextBytesMost - 4)) + " SPI"
                                               : std::string(event.callsign);
  append_start(out, {uid, kPointOfInterestType, kHow, event.exercise, event.stale}, event.place, callsign, now);
  append_text(out, "<link uid=\"", camera);
  append_text(out, "\" type=\"", kCameraType);
  out.append("\" relation=\"p-p\"/>").append(kTail);
}

}  // namespace detection::cot
