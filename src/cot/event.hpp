#pragma once
// A located detection as a Cursor on Target 2.0 event, in XML.
//
// Form (MITRE event schema 2.0, and what ATAK, TAK Server and the others were seen to need): the XML header, a line
// end, one <event>, nothing behind it; pure ASCII; at most kEventBytesMost bytes for every legal detection; the text
// "</event>" only as its end, because TCP receivers cut there. Times are UTC with milliseconds and 'Z'.
// All functions are pure: no clock, no state, any thread.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "cot/uid.hpp"
#include "detection/record.hpp"

namespace detection::cot {

/// GoATAK closes a stream at a longer element; TAK Server's UDP inputs read no more.
inline constexpr std::size_t kEventBytesMost = 2048;
/// What unknown hae, ce and le are written as. Readers take everything from kUnknownFrom_m on as unknown.
inline constexpr double kUnknown_m = 9'999'999.0;
inline constexpr double kUnknownFrom_m = 999'999;
/// Namespace of our own detail element.
inline constexpr std::string_view kDetailNamespace = "urn:detection-system:cot:1";

/// What ce and le mean. ATAK stores and shows CE90 and LE90; the schema says one sigma (then CE90 / 2.146, LE90 /
/// 1.645).
enum class ErrorConvention : std::uint8_t { kCe90, kSigma };

/// `altsrc` of a point found on a terrain model; the words of TAK's precisionlocation schema.
enum class TerrainModel : std::uint8_t { kCalculated, kDted0, kDted1, kDted2, kDted3, kSrtm1, kLidar };

struct EventOptions {
  ErrorConvention error = ErrorConvention::kCe90;
  char affiliation = 'u';                                     ///< of the type used where a record's own is no CoT type
  std::chrono::microseconds stale = std::chrono::minutes{5};  ///< after now; at least one second
  TerrainModel terrain = TerrainModel::kCalculated;
};

/// The event of a detection. Cheap: it refers to the detection, which must outlive it. hae_m, ce_m and le_m are in
/// metres, or kUnknown_m.
struct Event {
  const LocatedDetection* detection = nullptr;
  std::string_view type;
  UtcMicros time{};   ///< when the event was made
  UtcMicros start{};  ///< when the thing was seen; `time` for a detector whose clock is ahead of ours
  UtcMicros stale{};
  double hae_m = kUnknown_m;
  double ce_m = kUnknown_m;
  double le_m = kUnknown_m;
  std::string_view altitude_source;  ///< altsrc
};

/// The detection's position must be finite (geolocate sees to that); the rest may be anything.
[[nodiscard]] Event make_event(const LocatedDetection& detection, UtcMicros now, const EventOptions& options) noexcept;

/// Appends the event's XML. Allocates only where `out` must grow.
void append_xml(std::string& out, const Event& event);

/// Asks every map to remove `uid` (`t-x-d-d`): for a point that was sent and then rejected. Its own uid is
/// "<uid>-delete".
void append_delete_xml(std::string& out, std::string_view uid, UtcMicros now);

/// "Are you there" (`t-x-c-t`), with ATAK's form of uid, "<own_uid>-ping". TAK Server answers `t-x-c-t-r`, some servers
/// send the ping itself back.
void append_ping_xml(std::string& out, std::string_view own_uid, UtcMicros now);

}  // namespace detection::cot
