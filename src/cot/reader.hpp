#pragma once
// Reads CoT events of others: lenient in what TAK software was seen to write (times, missing `how`, ways to say
// unknown), strict in XML itself, because these bytes come from outside.

#include <optional>
#include <string>
#include <string_view>

#include "cot/markup.hpp"
#include "detection/error.hpp"
#include "detection/time.hpp"

namespace detection::cot {

struct ParsedEvent {
  std::string version;
  std::string uid;
  std::string type;
  std::string how;  ///< these six are empty where the event has none
  std::string access;
  std::string qos;
  std::string opex;
  std::string caveat;
  std::string releaseable_to;
  UtcMicros time{};
  UtcMicros start{};
  UtcMicros stale{};
  double lat_deg = 0;             ///< -90..90
  double lon_deg = 0;             ///< -180..180
  std::optional<double> hae_m{};  ///< above the ellipsoid; none: unknown (999999 and more, or no number)
  std::optional<double> ce_m{};   ///< likewise
  std::optional<double> le_m{};   ///< likewise
  std::string detail;             ///< what stands between the tags of <detail>, as written
};

/// One event: its text from the XML header, or from "<event", to "</event>". kValidationFailed with the reason in words
/// for other limits than given, what `outline` (markup.hpp) refuses, tags that do not match, an attribute stated twice,
/// a root of another name, a missing uid, type, time, start, stale or point, several points or details, a latitude or
/// longitude out of range, or a time that is none.
[[nodiscard]] Result<ParsedEvent> read_event(std::string_view xml, const MarkupLimits& limits = {});

/// xs:dateTime with 0 to 9 fraction digits and Z, an offset, or the "+00:00Z" that some clients write.
[[nodiscard]] Result<UtcMicros> read_event_time(std::string_view text);

/// Views into an event's text, references not resolved.
struct EventName {
  std::string_view type;
  std::string_view uid;
  std::string_view time;
};

/// Looks only at the first "<event ...>" tag: enough to know a pong, for the price of a few comparisons. Nothing when
/// there is no such tag, or no type or uid in it; `time` may be empty.
[[nodiscard]] std::optional<EventName> read_event_name(std::string_view xml) noexcept;

}  // namespace detection::cot
