#include "cot/event.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "cot/event_type.hpp"
#include "cot/xml_text.hpp"

namespace detection::cot {
namespace {

constexpr std::string_view kHead =
    "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<event version=\"2.0\"";
constexpr std::string_view kTail = "</detail></event>";
constexpr std::string_view kRemarksOpen = "<remarks>";
constexpr std::string_view kRemarksClose = "</remarks>";
constexpr std::size_t kCallsignClassBytes = 24;
/// Attribute `source` is written up to here; beyond, the longest names would leave no room for the rest (the link's uid
/// and a track's uid carry the source as well).
constexpr std::size_t kUidAndSourceBytes = 384;
// 90 % quantiles of the Rayleigh and of the normal distribution.
constexpr double kCe90PerSigma = 2.145966026289347;
constexpr double kLe90PerSigma = 1.6448536269514722;
constexpr std::chrono::microseconds kShortestStale = std::chrono::seconds{1};
constexpr std::chrono::microseconds kControlStale = std::chrono::seconds{20};  // as TAK Server's pong
/// 9999-12-31T23:59:59.999999Z: more has no four-digit year.
constexpr UtcMicros kLastTime{253'402'300'799'999'999};

UtcMicros writable(UtcMicros time) {
  return std::clamp(time, UtcMicros{0}, kLastTime);
}

UtcMicros later(UtcMicros time, std::chrono::microseconds by) {
  return by > kLastTime - time ? kLastTime : time + by;
}

/// Metres that may be stated; anything else (NaN, absurd, or what readers take as unknown) is unknown.
double stated_m(std::optional<double> value, double least) {
  return value && *value >= least && *value < kUnknownFrom_m - 0.5 ? *value : kUnknown_m;
}

std::string_view fallback_type(char affiliation) {
  static constexpr std::array<std::string_view, 10> kTypes{"a-u-G", "a-p-G", "a-a-G", "a-f-G", "a-n-G",
                                                           "a-s-G", "a-h-G", "a-j-G", "a-k-G", "a-o-G"};
  for (const auto type : kTypes)
    if (type[2] == affiliation) return type;
  return kTypes.front();
}

std::string_view terrain_name(TerrainModel model) {
  switch (model) {
    case TerrainModel::kCalculated: return "CALC";
    case TerrainModel::kDted0: return "DTED0";
    case TerrainModel::kDted1: return "DTED1";
    case TerrainModel::kDted2: return "DTED2";
    case TerrainModel::kDted3: return "DTED3";
    case TerrainModel::kSrtm1: return "SRTM1";
    case TerrainModel::kLidar: return "LIDAR";
  }
  return "CALC";
}

std::string_view altitude_source(const Fix& fix, TerrainModel terrain) {
  if (!fix.hae_known) return "???";
  switch (fix.source) {
    case PositionSource::kSlantRange: return "CALC";
    case PositionSource::kGroundElevation: return "USER";  // stated by whoever sent the detection
    case PositionSource::kAboveGround: return "CALC";
    case PositionSource::kTerrain: return terrain_name(terrain);
  }
  return "???";
}

/// Signed 32-bit ARGB, opaque.
std::string_view flag_color(Flag flag) {
  switch (flag) {
    case Flag::kGreen: return "-16711936";
    case Flag::kYellow: return "-256";
    case Flag::kRed: return "-65536";
  }
  return "-65536";
}

void append_text(std::string& out, std::string_view before, std::string_view text) {
  out.append(before);
  append_escaped(out, text);
}

void append_number(std::string& out, std::string_view before, double value, int decimals) {
  constexpr double kMost = 1e9;  // bounds the event's size; nothing on Earth is that far
  out.append(before);
  append_fixed(out, std::clamp(value, -kMost, kMost), decimals);
}

void append_metres(std::string& out, std::string_view before, double value, int decimals) {
  if (value < kUnknown_m) return append_number(out, before, value, decimals);
  out.append(before);
  out.append("9999999.0");
}

void append_time(std::string& out, std::string_view before, UtcMicros time) {
  out.append(before);
  append_rfc3339_ms(out, time);
}

void append_times(std::string& out, UtcMicros time, UtcMicros start, UtcMicros stale) {
  append_time(out, "\" time=\"", time);
  append_time(out, "\" start=\"", start);
  append_time(out, "\" stale=\"", stale);
}

/// Standard deviation of a variance; 0 for what rounding made negative.
double sigma(double variance) {
  return variance > 0 ? std::sqrt(variance) : 0;
}

int percent(double confidence) {
  return static_cast<int>(std::lround(100 * (confidence >= 0 && confidence <= 1 ? confidence : 0)));
}

/// Everything of ours that CoT has no place for, in one element that others carry along unread.
void append_own_detail(std::string& out, const LocatedDetection& detection) {
  const auto& fix = detection.fix;
  const auto& covariance = fix.covariance_enu_m2;
  out.append("<__detection xmlns=\"").append(kDetailNamespace).append("\" id=\"");
  append_uuid(out, detection.id);
  append_text(out, "\" class=\"", detection.object_class);
  append_number(out, "\" confidence=\"", detection.ai_confidence, 4);
  append_text(out, "\" flag=\"", flag_name(detection.verdict.flag));
  if (detection.cot_uid.size() + detection.source.size() <= kUidAndSourceBytes)
    append_text(out, "\" source=\"", detection.source);
  append_text(out, "\" camera=\"", detection.camera_id);
  append_number(out, "\" px=\"", detection.pixel.x_px, 2);
  append_number(out, "\" py=\"", detection.pixel.y_px, 2);
  append_text(out, "\" positionSource=\"", position_source_name(fix.source));
  append_number(out, "\" slantRange=\"", fix.slant_range_m, 2);
  append_number(out, "\" grazing=\"", fix.grazing_deg, 3);
  append_number(out, "\" sigmaE=\"", sigma(covariance[0]), 3);
  append_number(out, "\" sigmaN=\"", sigma(covariance[1]), 3);
  append_number(out, "\" covEN=\"", covariance[3], 4);
  if (fix.hae_known) append_number(out, "\" sigmaU=\"", sigma(covariance[2]), 3);
  if (fix.ce90_m) append_number(out, "\" ce90=\"", *fix.ce90_m, 3);
  if (fix.hae_known && fix.le90_m) append_number(out, "\" le90=\"", *fix.le90_m, 3);
  append_number(out, "\" ellipseMajor=\"", fix.ellipse.semi_major_m, 3);
  append_number(out, "\" ellipseMinor=\"", fix.ellipse.semi_minor_m, 3);
  append_number(out, "\" ellipseAzimuth=\"", fix.ellipse.azimuth_deg, 3);
  append_number(out, "\" ellipseProbability=\"", fix.ellipse.probability, 3);
  out.append("\"/>");
}

/// A line for people, as much of it as fits: the last part of the detail, because it alone may be left out.
void append_remarks(std::string& out, std::size_t start, const LocatedDetection& detection) {
  constexpr std::size_t kEnd = kRemarksClose.size() + kTail.size();
  const std::size_t opened = out.size();
  out.append(kRemarksOpen);
  const std::size_t empty = out.size();
  const auto add = [&](auto&& write) {
    const std::size_t before = out.size();
    write();
    if (out.size() - start + kEnd > kEventBytesMost) out.resize(before);
  };
  add([&] {
    if (detection.exercise) out.append("EXERCISE. ");
    append_text(out, flag_name(detection.verdict.flag), ": ");
    append_escaped(out, detection.object_class);
    out.append(", confidence ").append(std::to_string(percent(detection.ai_confidence))).append(" %");
    if (detection.fix.ce90_m)
      append_number(out, ", CE90 ", *detection.fix.ce90_m, 1), out.append(" m");
    else
      out.append(", CE90 unbounded");
  });
  add([&] {
    append_text(out, ", camera ", detection.camera_id);
    append_text(out, " of ", detection.source);
  });
  if (detection.track_id) add([&] { append_text(out, ", track ", *detection.track_id); });
  if (out.size() == empty)
    out.resize(opened);
  else
    out.append(kRemarksClose);
}

/// `t-x-...`: how m-g, no place.
void append_control_head(std::string& out, std::string_view uid, std::string_view suffix, std::string_view type,
                         UtcMicros now) {
  const UtcMicros time = writable(now);
  append_text(out.append(kHead), " uid=\"", uid);
  out.append(suffix).append("\" type=\"").append(type).append("\" how=\"m-g");
  append_times(out, time, time, later(time, kControlStale));
  out.append(
      "\"><point lat=\"0.00000000\" lon=\"0.00000000\" hae=\"9999999.0\" ce=\"9999999.0\" le=\"9999999.0\"/>"
      "<detail>");
}

}  // namespace

Event make_event(const LocatedDetection& detection, UtcMicros now, const EventOptions& options) noexcept {
  const auto& fix = detection.fix;
  Event event;
  event.detection = &detection;
  event.type =
      is_event_type(detection.cot_type) ? std::string_view(detection.cot_type) : fallback_type(options.affiliation);
  event.time = writable(now);
  // A start behind `stale` would read as a deletion.
  event.start = std::min(writable(detection.observed), event.time);
  event.stale = later(event.time, std::max(options.stale, kShortestStale));
  event.ce_m = stated_m(fix.ce90_m, 0);
  if (fix.hae_known) {
    event.hae_m = stated_m(fix.position.hae_m, -kUnknownFrom_m);
    event.le_m = event.hae_m == kUnknown_m ? kUnknown_m : stated_m(fix.le90_m, 0);
  }
  if (options.error == ErrorConvention::kSigma) {
    if (event.ce_m != kUnknown_m) event.ce_m /= kCe90PerSigma;
    if (event.le_m != kUnknown_m) event.le_m /= kLe90PerSigma;
  }
  event.altitude_source = altitude_source(fix, options.terrain);
  return event;
}

// The longest event before its remarks has 1,955 bytes: 1,217 of fixed text and numbers at their widest, a uid of
// kUidBytesMost (546), a class of 64 and a camera of 128. `source` is bounded by kUidAndSourceBytes, the remarks by
// what is left. EventProperty.TheLongestLegalEventFits holds it to that.
void append_xml(std::string& out, const Event& event) {
  const auto& detection = *event.detection;
  const std::size_t start = out.size();
  append_text(out.append(kHead), " uid=\"", detection.cot_uid);
  append_text(out, "\" type=\"", event.type);
  out.append("\" how=\"m-i");
  append_times(out, event.time, event.start, event.stale);
  out.append("\" qos=\"5-r-g");  // replaces older ones of its uid; never to be dropped on the way
  if (detection.exercise) out.append("\" opex=\"e-detection-system");

  append_number(out, "\"><point lat=\"", std::clamp(detection.fix.position.lat_deg, -90.0, 90.0), 8);
  append_number(out, "\" lon=\"", std::clamp(detection.fix.position.lon_deg, -180.0, 180.0), 8);
  append_metres(out, "\" hae=\"", event.hae_m, 3);
  append_metres(out, "\" ce=\"", event.ce_m, 2);
  append_metres(out, "\" le=\"", event.le_m, 2);

  append_text(out, "\"/><detail><contact callsign=\"",
              std::string_view(detection.object_class).substr(0, kCallsignClassBytes));
  out.append(" ").append(std::to_string(percent(detection.ai_confidence))).append("%\"/><precisionlocation altsrc=\"");
  out.append(event.altitude_source).append("\" geopointsrc=\"CALC\"/><link uid=\"");
  append_camera_uid(out, detection.source, detection.camera_id);
  out.append("\" type=\"b-m-p-s-p-loc\" relation=\"p-p\"/><color argb=\"");
  out.append(flag_color(detection.verdict.flag)).append("\"/>");
  append_own_detail(out, detection);
  append_remarks(out, start, detection);
  out.append(kTail);
}

void append_delete_xml(std::string& out, std::string_view uid, UtcMicros now) {
  append_control_head(out, uid, "-delete", "t-x-d-d", now);
  append_text(out, "<link uid=\"", uid);
  out.append("\" relation=\"none\" type=\"none\"/><__forcedelete/>").append(kTail);
}

void append_ping_xml(std::string& out, std::string_view own_uid, UtcMicros now) {
  append_control_head(out, own_uid, "-ping", "t-x-c-t", now);
  out.append(kTail);
}

}  // namespace detection::cot
