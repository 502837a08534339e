// The small words: ids, flags, numbers as text, lens.

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "detection/detection.hpp"
#include "detection/flag.hpp"
#include "detection/json_writer.hpp"
#include "detection/uuid.hpp"

namespace detection {
namespace {

TEST(Uuid, TextBothWays) {
  const auto id = parse_uuid("0198A3C1-7f00-7abc-8def-0123456789ab");
  ASSERT_TRUE(id);
  EXPECT_EQ(to_string(*id), "0198a3c1-7f00-7abc-8def-0123456789ab");
  for (const char* text : {"", "0198a3c1-7f00-7abc-8def-0123456789a", "0198a3c17f00-7abc-8def-0123456789ab-",
                           "{198a3c1-7f00-7abc-8def-0123456789ab", "0198a3c1-7f00-7abc-8def-0123456789ag",
                           "0198a3c1x7f00-7abc-8def-0123456789ab", "0198a3c1-7f00-7abc-8def-0123456789ab "})
    EXPECT_FALSE(parse_uuid(text)) << text;
}

TEST(Uuid, MintedOnesAreVersion7AndInOrderEvenWhenTheClockStandsOrGoesBack) {
  UuidMint mint(7);
  std::set<Uuid> all;
  Uuid last;
  for (int i = 0; i < 20'000; ++i) {
    const UtcMicros now{1'700'000'000'000'000 + (i < 10'000 ? i / 5'000 * 1000 : -5'000'000)};
    const auto id = mint.mint(now);
    EXPECT_LT(last, id);
    EXPECT_EQ(id.bytes[6] >> 4, 7);
    EXPECT_EQ(id.bytes[8] >> 6, 2);
    EXPECT_TRUE(all.insert(id).second);
    last = id;
  }
}

TEST(Uuid, FromAHashIsVersion8AndStable) {
  std::array<std::uint8_t, 32> hash{};
  hash.fill(0xff);
  EXPECT_EQ(to_string(uuid_from_hash(hash)), "ffffffff-ffff-8fff-bfff-ffffffffffff");
}

Fix fix_of(std::optional<double> ce90_m) {
  Fix fix;
  fix.ce90_m = ce90_m;
  return fix;
}

TEST(Flag, BoundsAsTheDesignStates) {
  const FlagPolicy policy;
  const struct {
    std::optional<double> ce90_m;
    double confidence;
    Flag flag;
  } cases[] = {
      {25.0, 0.6, Flag::kGreen},   {25.0000001, 0.6, Flag::kYellow}, {25.0, 0.5999, Flag::kYellow},
      {100.0, 0.9, Flag::kYellow}, {100.0001, 0.9, Flag::kRed},      {1.0, 0.4, Flag::kYellow},
      {1.0, 0.3999, Flag::kRed},   {std::nullopt, 1.0, Flag::kRed},  {0.0, 1.0, Flag::kGreen},
  };
  for (const auto& c : cases) EXPECT_EQ(classify(fix_of(c.ce90_m), c.confidence, policy).flag, c.flag) << c.confidence;
}

TEST(Flag, EveryReasonIsNamed) {
  auto verdict = classify(fix_of(150), 0.5, {});
  EXPECT_EQ(verdict.flag, Flag::kRed);
  EXPECT_TRUE(verdict.has(FlagReason::kCe90AboveRed));
  EXPECT_TRUE(verdict.has(FlagReason::kConfidenceBelowGreen));
  EXPECT_FALSE(verdict.has(FlagReason::kCe90AboveGreen));
  std::set<std::string_view> names;
  for (const auto reason : kAllFlagReasons) EXPECT_TRUE(names.insert(flag_reason_name(reason)).second);
}

TEST(JsonNumber, IsTheShortestTextThatReadsBack) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 20'000; ++i) {
    const auto value = std::bit_cast<double>(random());
    std::string text;
    json::append_number(text, value);
    if (!std::isfinite(value)) {
      EXPECT_EQ(text, "null");
      continue;
    }
    EXPECT_EQ(nlohmann::json::parse(text).get<double>(), value) << text;
  }
}

TEST(JsonWriter, NestsAndEscapes) {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.key("a");
  w.begin_array();
  w.integer(1);
  w.number(0.5);
  w.null();
  w.boolean(true);
  w.begin_object();
  w.end_object();
  w.end_array();
  w.key("b");
  w.string("\"\\\n\r\t\x01/é");
  w.end_object();
  EXPECT_EQ(out, "{\"a\":[1,0.5,null,true,{}],\"b\":\"\\\"\\\\\\n\\r\\t\\u0001/é\"}");
}

TEST(Intrinsics, TheThreeWaysToStateAFocalLengthAgree) {
  SensorMetadata sensor;
  sensor.image_width_px = 1920;
  sensor.image_height_px = 1080;
  sensor.focal_length_px = 960;
  EXPECT_DOUBLE_EQ(intrinsics(sensor).fy_px, 960);
  EXPECT_DOUBLE_EQ(intrinsics(sensor).cx_px, 960);
  EXPECT_DOUBLE_EQ(intrinsics(sensor).cy_px, 540);
  sensor.focal_kind = FocalKind::kHorizontalFov;
  sensor.hfov_deg = 90;
  EXPECT_NEAR(intrinsics(sensor).fx_px, 960, 1e-9);
  sensor.focal_kind = FocalKind::kMillimetres;
  sensor.focal_length_mm = 18;
  sensor.sensor_width_mm = 36;
  EXPECT_DOUBLE_EQ(intrinsics(sensor).fx_px, 960);
  sensor.focal_kind = FocalKind::kPixels;
  sensor.focal_length_y_px = 900;
  sensor.principal_point = Pixel{959.5, 539.5};
  EXPECT_DOUBLE_EQ(intrinsics(sensor).fy_px, 900);
  EXPECT_DOUBLE_EQ(intrinsics(sensor).cx_px, 959.5);
}

}  // namespace
}  // namespace detection
