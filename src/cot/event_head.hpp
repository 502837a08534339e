#pragma once
// What all XML events of ours have around what they say. For this room only.

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>

#include "cot/event.hpp"
#include "cot/xml_text.hpp"

namespace detection::cot {

inline constexpr std::string_view kHead =
    "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<event version=\"2.0\"";
inline constexpr std::string_view kTail = "</detail></event>";
inline constexpr std::string_view kExercise = "e-detection-system";  ///< opex
/// 9999-12-31T23:59:59.999999Z: more has no four-digit year.
inline constexpr UtcMicros kLastTime{253'402'300'799'999'999};
inline constexpr double kStatedMost_m = 1e9;  ///< bounds the event's size; nothing on Earth is that far

inline UtcMicros writable(UtcMicros time) {
  return std::clamp(time, UtcMicros{0}, kLastTime);
}

inline UtcMicros later(UtcMicros time, std::chrono::microseconds by) {
  return by > kLastTime - time ? kLastTime : time + by;
}

inline void append_text(std::string& out, std::string_view before, std::string_view text) {
  out.append(before);
  append_escaped(out, text);
}

inline void append_number(std::string& out, std::string_view before, double value, int decimals) {
  out.append(before);
  append_fixed(out, std::clamp(value, -kStatedMost_m, kStatedMost_m), decimals);
}

inline void append_metres(std::string& out, std::string_view before, double value, int decimals) {
  if (value < kUnknown_m) return append_number(out, before, value, decimals);
  out.append(before);
  out.append("9999999.0");
}

/// Behind an attribute's value, whose quotes it closes.
inline void append_times(std::string& out, UtcMicros time, UtcMicros start, UtcMicros stale) {
  append_rfc3339_ms(out.append("\" time=\""), time);
  append_rfc3339_ms(out.append("\" start=\""), start);
  append_rfc3339_ms(out.append("\" stale=\""), stale);
}

/// From behind the event's last attribute into its detail.
inline void append_point(std::string& out, double lat_deg, double lon_deg, double hae_m, double ce_m, double le_m) {
  append_number(out, "\"><point lat=\"", std::clamp(lat_deg, -90.0, 90.0), 8);
  append_number(out, "\" lon=\"", std::clamp(lon_deg, -180.0, 180.0), 8);
  append_metres(out, "\" hae=\"", hae_m, 3);
  append_metres(out, "\" ce=\"", ce_m, 2);
  append_metres(out, "\" le=\"", le_m, 2);
  out.append("\"/><detail>");
}

/// `t-x-...`: how m-g, no place, valid for 20 s as TAK Server's pong. Into its detail; end it with kTail.
void append_control_head(std::string& out, std::string_view uid, std::string_view suffix, std::string_view type,
                         UtcMicros now);

}  // namespace detection::cot
