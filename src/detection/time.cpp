#include "detection/time.hpp"

#include <array>
#include <optional>

namespace detection {
namespace {

std::unexpected<Error> not_a_time(std::string_view why) {
  return fail(ErrorCode::kValidationFailed,
              "must be an RFC 3339 time with an offset, as in 2026-11-23T19:04:05.123Z: " + std::string(why));
}

/// `count` decimal digits at `pos`.
std::optional<int> digits(std::string_view text, std::size_t pos, std::size_t count) {
  if (pos + count > text.size()) return std::nullopt;
  int value = 0;
  for (std::size_t i = pos; i < pos + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

void append_two(std::string& out, unsigned value) {
  out.push_back(static_cast<char>('0' + value / 10));
  out.push_back(static_cast<char>('0' + value % 10));
}

void append_fraction(std::string& out, std::int64_t value, int width) {
  std::array<char, 6> buffer{};
  for (int i = width; i-- > 0; value /= 10) buffer[static_cast<std::size_t>(i)] = static_cast<char>('0' + value % 10);
  out.append(buffer.data(), static_cast<std::size_t>(width));
}

/// Writes date and time up to the whole second and returns the microseconds left over.
std::int64_t append_seconds(std::string& out, UtcMicros t) {
  using namespace std::chrono;
  const auto point = sys_time<microseconds>{microseconds{t.count}};
  const auto day = floor<days>(point);
  const year_month_day date{day};
  const auto second_of_day = floor<seconds>(point - day).count();
  const auto year = static_cast<int>(date.year());
  append_two(out, static_cast<unsigned>(year / 100));
  append_two(out, static_cast<unsigned>(year % 100));
  out.push_back('-');
  append_two(out, static_cast<unsigned>(date.month()));
  out.push_back('-');
  append_two(out, static_cast<unsigned>(date.day()));
  out.push_back('T');
  append_two(out, static_cast<unsigned>(second_of_day / 3600));
  out.push_back(':');
  append_two(out, static_cast<unsigned>(second_of_day / 60 % 60));
  out.push_back(':');
  append_two(out, static_cast<unsigned>(second_of_day % 60));
  return (point - floor<seconds>(point)).count();
}

}  // namespace

UtcMicros system_now() noexcept {
  return {std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
              .count()};
}

Result<UtcMicros> parse_rfc3339(std::string_view text) {
  using namespace std::chrono;
  const auto year_value = digits(text, 0, 4), month_value = digits(text, 5, 2), day_value = digits(text, 8, 2);
  const auto hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  if (!year_value || !month_value || !day_value || !hour || !minute || !second || text[4] != '-' || text[7] != '-' ||
      (text[10] != 'T' && text[10] != 't') || text[13] != ':' || text[16] != ':')
    return not_a_time("the date and time are not of the form YYYY-MM-DDThh:mm:ss");
  const year_month_day date{year{*year_value}, month{static_cast<unsigned>(*month_value)},
                            day{static_cast<unsigned>(*day_value)}};
  if (*year_value < 1970) return not_a_time("years before 1970 are refused");
  if (!date.ok()) return not_a_time("there is no such day");
  if (*hour > 23 || *minute > 59 || *second > 60) return not_a_time("there is no such time of day");

  std::size_t pos = 19;
  std::int64_t micros = 0;
  if (pos < text.size() && text[pos] == '.') {
    const std::size_t first = ++pos;
    std::int64_t scale = 100'000;
    for (; pos < text.size() && text[pos] >= '0' && text[pos] <= '9'; ++pos, scale /= 10)
      micros += scale * (text[pos] - '0');
    if (pos == first || pos - first > 9) return not_a_time("a fraction has 1 to 9 digits");
  }
  std::int64_t offset_minutes = 0;
  if (pos < text.size() && (text[pos] == 'Z' || text[pos] == 'z')) {
    ++pos;
  } else if (pos < text.size() && (text[pos] == '+' || text[pos] == '-')) {
    const auto offset_hour = digits(text, pos + 1, 2), offset_minute = digits(text, pos + 4, 2);
    if (!offset_hour || !offset_minute || text[pos + 3] != ':' || *offset_hour > 23 || *offset_minute > 59)
      return not_a_time("an offset is Z or +hh:mm or -hh:mm");
    offset_minutes = (text[pos] == '-' ? -1 : 1) * (*offset_hour * 60 + *offset_minute);
    pos += 6;
  } else {
    return not_a_time("the offset (Z or +hh:mm) is missing");
  }
  if (pos != text.size()) return not_a_time("there is text after it");

  const auto whole = sys_days{date} + hours{*hour} + minutes{*minute - offset_minutes} + seconds{*second};
  const std::int64_t count = duration_cast<microseconds>(whole.time_since_epoch()).count() + micros;
  if (count < 0) return not_a_time("years before 1970 are refused");
  // One that prints with five year digits would not read back.
  if (whole >= sys_days{year{10000} / January / 1}) return not_a_time("years after 9999 are refused");
  return UtcMicros{count};
}

void append_rfc3339_ms(std::string& out, UtcMicros t) {
  const auto micros = append_seconds(out, t);
  out.push_back('.');
  append_fraction(out, micros / 1000, 3);
  out.push_back('Z');
}

void append_rfc3339_us(std::string& out, UtcMicros t) {
  const auto micros = append_seconds(out, t);
  out.push_back('.');
  append_fraction(out, micros, 6);
  out.push_back('Z');
}

std::string format_rfc3339_ms(UtcMicros t) {
  std::string out;
  append_rfc3339_ms(out, t);
  return out;
}

std::string format_rfc3339_us(UtcMicros t) {
  std::string out;
  append_rfc3339_us(out, t);
  return out;
}

}  // namespace detection
