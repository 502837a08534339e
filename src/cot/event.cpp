#include "cot/event.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "cot/event_detail.hpp"
#include "cot/event_head.hpp"
#include "cot/event_type.hpp"

namespace detection::cot {
namespace {

// 90 % quantiles of the Rayleigh and of the normal distribution.
constexpr double kCe90PerSigma = 2.145966026289347;
constexpr double kLe90PerSigma = 1.6448536269514722;
constexpr std::chrono::microseconds kShortestStale = std::chrono::seconds{1};

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
// kUidBytesMost (546), a class of 64 and a camera of 128. `source` is bounded (event_detail.cpp), the remarks by what
// is left. EventProperty.TheLongestLegalEventFits holds it to that.
void append_xml(std::string& out, const Event& event) {
  const auto& detection = *event.detection;
  const auto& position = detection.fix.position;
  append_text(out.append(kHead), " uid=\"", detection.cot_uid);
  append_text(out, "\" type=\"", event.type);
  out.append("\" how=\"").append(kHow);
  append_times(out, event.time, event.start, event.stale);
  out.append("\" qos=\"").append(kQos);
  if (detection.exercise) out.append("\" opex=\"").append(kExercise);
  append_point(out, position.lat_deg, position.lon_deg, event.hae_m, event.ce_m, event.le_m);
  append_with(out, detail_room(event), [&](TextWriter& writer) {
    writer.text("<contact callsign=\"");
    write_callsign(writer, event, TextForm::kXml);
    writer.text("\"/><precisionlocation altsrc=\"");
    writer.text(event.altitude_source);
    writer.text("\" geopointsrc=\"CALC\"/>");
    write_open_detail(writer, event);
    writer.text("</detail></event>");
  });
}

}  // namespace detection::cot
