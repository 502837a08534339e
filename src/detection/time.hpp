#pragma once
// Time of the domain: UTC in whole microseconds since 1970-01-01T00:00:00Z (POSIX: no leap seconds).

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "detection/error.hpp"

namespace detection {

struct UtcMicros {
  std::int64_t count = 0;
  friend auto operator<=>(const UtcMicros&, const UtcMicros&) = default;
  friend UtcMicros operator+(UtcMicros t, std::chrono::microseconds d) { return {t.count + d.count()}; }
  friend std::chrono::microseconds operator-(UtcMicros a, UtcMicros b) {
    return std::chrono::microseconds{a.count - b.count};
  }
};

/// The system's clock, handed in where a test must be able to stop it.
using Clock = UtcMicros (*)() noexcept;
[[nodiscard]] UtcMicros system_now() noexcept;

/// RFC 3339 section 5.6 with a mandatory offset ("Z" or "+hh:mm"), 0 to 9 fraction digits (cut to microseconds),
/// years 1970 to 9999, a leap second (":60") read as the following second. kValidationFailed with a plain sentence
/// otherwise.
[[nodiscard]] Result<UtcMicros> parse_rfc3339(std::string_view text);

/// "2026-11-23T19:04:05.123Z": always milliseconds (cut, not rounded), always Z. 24 characters for years 1970-9999.
[[nodiscard]] std::string format_rfc3339_ms(UtcMicros t);
/// The same with microseconds, so that it reads back to the same value: "2026-11-23T19:04:05.123456Z".
[[nodiscard]] std::string format_rfc3339_us(UtcMicros t);
/// Appends the millisecond form; for hot paths.
void append_rfc3339_ms(std::string& out, UtcMicros t);
void append_rfc3339_us(std::string& out, UtcMicros t);

}  // namespace detection
