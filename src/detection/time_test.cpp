#include "detection/time.hpp"

#include <gtest/gtest.h>

#include <random>

namespace detection {
namespace {

TEST(Rfc3339, ReadsWhatTheStandardAllows) {
  const struct {
    const char* text;
    std::int64_t micros;
  } cases[] = {
      {"1970-01-01T00:00:00Z", 0},
      {"1970-01-01T00:00:01.5Z", 1'500'000},
      {"2026-11-23T19:04:05.123456Z", 1'795'460'645'123'456},
      {"2026-11-23t19:04:05.123456z", 1'795'460'645'123'456},
      {"2026-11-23T20:04:05.123456+01:00", 1'795'460'645'123'456},
      {"2026-11-23T13:34:05.123456789-05:30", 1'795'460'645'123'456},
      {"2024-02-29T00:00:00Z", 1'709'164'800'000'000},
      {"2016-12-31T23:59:60Z", 1'483'228'800'000'000},
  };
  for (const auto& c : cases) {
    const auto time = parse_rfc3339(c.text);
    ASSERT_TRUE(time) << c.text << ": " << time.error().detail;
    EXPECT_EQ(time->count, c.micros) << c.text;
  }
}

TEST(Rfc3339, RefusesEverythingElse) {
  for (const char* text : {"",
                           "now",
                           "2026-11-23",
                           "2026-11-23T19:04:05",
                           "2026-11-23 19:04:05Z",
                           "2026-11-23T19:04:05.Z",
                           "2026-11-23T19:04:05.1234567890Z",
                           "2026-11-23T19:04:05+1:00",
                           "2026-11-23T19:04:05+00:00Z",
                           "2026-11-23T19:04:05Z ",
                           "2026-11-31T00:00:00Z",
                           "2025-02-29T00:00:00Z",
                           "2026-13-01T00:00:00Z",
                           "2026-00-10T00:00:00Z",
                           "2026-11-23T24:00:00Z",
                           "2026-11-23T19:60:00Z",
                           "2026-11-23T19:04:61Z",
                           "1969-12-31T23:59:59Z",
                           "1970-01-01T00:00:00+00:01",
                           "9999-12-31T23:59:59-00:01",
                           "-026-11-23T19:04:05Z",
                           "2026-11-23T19:04:05+24:00",
                           "20261-11-23T19:04:05Z",
                           "2026-11-23T19:04:05+00",
                           "2026-11-23T19:04:05+0a:00"})
    EXPECT_FALSE(parse_rfc3339(text)) << text;
}

TEST(Rfc3339, MicrosecondsReadBack) {
  std::mt19937_64 random(1);
  std::uniform_int_distribution<std::int64_t> any(0, 253'402'300'799'999'999);
  for (int i = 0; i < 10'000; ++i) {
    const UtcMicros time{any(random)};
    EXPECT_EQ(parse_rfc3339(format_rfc3339_us(time)).value(), time);
    EXPECT_EQ(format_rfc3339_ms(time).size(), 24U);
  }
}

TEST(Rfc3339, MillisecondsAreCutNotRounded) {
  EXPECT_EQ(format_rfc3339_ms({999'999}), "1970-01-01T00:00:00.999Z");
}

}  // namespace
}  // namespace detection
