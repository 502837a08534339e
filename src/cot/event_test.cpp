#include "cot/event.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <vector>

#include "cot/reader.hpp"
#include "cot/test_detections.hpp"
#include "cot/validate.hpp"
#include "cot/xml_text.hpp"
#include "test_paths.hpp"

namespace detection::cot {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::string xml_of(const LocatedDetection& detection, const EventOptions& options = {}, UtcMicros now = kTestNow) {
  std::string out;
  append_xml(out, make_event(detection, now, options));
  EXPECT_THAT(violations(out), IsEmpty()) << out;
  return out;
}

LocatedDetection track_above_ground() {
  auto detection = vehicle();
  detection.object_class = "Person";
  detection.track_id = "17:4";
  detection.cot_uid = cot_uid("DET", detection.id, detection.source, detection.track_id);
  detection.cot_type = "a-u-G-U-C-I";
  detection.exercise = true;
  detection.fix.hae_known = false;
  detection.fix.source = PositionSource::kAboveGround;
  detection.verdict.flag = Flag::kYellow;
  return detection;
}

LocatedDetection unbounded() {
  auto detection = vehicle();
  detection.fix.position = {-0.000000001, 180, -28.5};
  detection.fix.ce90_m.reset();
  detection.fix.source = PositionSource::kTerrain;
  detection.verdict.flag = Flag::kRed;
  return detection;
}

/// The files were read by eye against tak.md; `DETECTION_WRITE_GOLDEN=1 cot_test` writes them anew.
void expect_golden(const std::string& name, const std::string& xml) {
  const auto path = std::string(DETECTION_TEST_VECTORS) + "/cot/" + name;
  if (std::getenv("DETECTION_WRITE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << xml;
  std::ifstream file(path, std::ios::binary);
  const std::string golden{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(xml, golden) << path;
}

TEST(EventXml, Golden) {
  expect_golden("vehicle.xml", xml_of(vehicle()));
  expect_golden("track_above_ground.xml", xml_of(track_above_ground()));
  EventOptions options;
  options.error = ErrorConvention::kSigma;
  options.terrain = TerrainModel::kDted2;
  options.stale = std::chrono::seconds{90};
  expect_golden("unbounded_sigma.xml", xml_of(unbounded(), options));
}

TEST(EventXml, GoldenControlEvents) {
  std::string ping, removal;
  append_ping_xml(ping, "detection-api", kTestNow);
  append_delete_xml(removal, vehicle().cot_uid, kTestNow);
  EXPECT_THAT(violations(ping), IsEmpty());
  EXPECT_THAT(violations(removal), IsEmpty());
  expect_golden("ping.xml", ping);
  expect_golden("delete.xml", removal);
}

TEST(EventXml, IsAppended) {
  std::string out = "before";
  append_xml(out, make_event(vehicle(), kTestNow, {}));
  EXPECT_TRUE(out.starts_with("before<?xml"));
}

TEST(EventXml, ReadsBackAsWhatWasLocated) {
  const auto read = read_event(xml_of(vehicle()));
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(read->version, "2.0");
  EXPECT_EQ(read->uid, "DET.0198a3c1-7f00-7abc-8def-0123456789ab");
  EXPECT_EQ(read->type, "a-u-G-E-V");
  EXPECT_EQ(read->how, "m-i");
  EXPECT_EQ(read->qos, "5-r-g");
  EXPECT_EQ(read->opex, "");
  EXPECT_EQ(read->time.count, 1'795'460'705'987'000);
  EXPECT_EQ(read->start.count, 1'795'460'645'123'000);
  EXPECT_EQ(read->stale.count, 1'795'461'005'987'000);
  EXPECT_DOUBLE_EQ(read->lat_deg, 40.71283456);
  EXPECT_DOUBLE_EQ(*read->hae_m, 12.346);
  EXPECT_DOUBLE_EQ(*read->ce_m, 7.54);
  EXPECT_DOUBLE_EQ(*read->le_m, 3.29);
}

TEST(EventXml, SigmaConvention) {
  EventOptions options;
  options.error = ErrorConvention::kSigma;
  const auto read = read_event(xml_of(vehicle(), options));
  EXPECT_DOUBLE_EQ(*read->ce_m, 3.52);  // 7.5432 / 2.146
  EXPECT_DOUBLE_EQ(*read->le_m, 2);     // 3.2897 / 1.645
}

TEST(EventXml, UnknownIs9999999) {
  EXPECT_THAT(xml_of(track_above_ground()), HasSubstr(R"(hae="9999999.0" ce="7.54" le="9999999.0")"));
  EXPECT_THAT(xml_of(track_above_ground()), Not(HasSubstr("sigmaU")));
  EXPECT_THAT(xml_of(unbounded()), HasSubstr(R"(hae="-28.500" ce="9999999.0" le="3.29")"));
  for (const double absurd : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                              999'999.0, 999'998.9999, 1e300}) {
    auto detection = vehicle();
    detection.fix.ce90_m = absurd;
    EXPECT_THAT(xml_of(detection), HasSubstr(R"(ce="9999999.0")")) << absurd;
    detection.fix.position.hae_m = absurd;
    EXPECT_THAT(xml_of(detection), HasSubstr(R"(hae="9999999.0" ce="9999999.0" le="9999999.0")")) << absurd;
  }
  auto negative = vehicle();
  negative.fix.ce90_m = -1;
  EXPECT_THAT(xml_of(negative), HasSubstr(R"(ce="9999999.0")"));
}

TEST(EventXml, ExactlyZeroIsAPlaceAndAHeight) {
  auto detection = vehicle();
  detection.fix.position = {0.0, -0.0, -0.0};
  EXPECT_THAT(xml_of(detection), HasSubstr(R"(lat="0.00000000" lon="0.00000000" hae="0.000")"));
  detection.fix.position = {-4.9e-9, 5.1e-9, -0.0004};
  EXPECT_THAT(xml_of(detection), HasSubstr(R"(lat="0.00000000" lon="0.00000001" hae="0.000")"));
  detection.fix.position = {90, -180, 0};
  EXPECT_THAT(xml_of(detection), HasSubstr(R"(lat="90.00000000" lon="-180.00000000")"));
}

TEST(EventXml, FlagsHaveTheirOwnColours) {
  auto detection = vehicle();
  const struct {
    Flag flag;
    const char* color;
  } cases[] = {{Flag::kGreen, "<color argb=\"-16711936\"/>"},
               {Flag::kYellow, "<color argb=\"-256\"/>"},
               {Flag::kRed, "<color argb=\"-65536\"/>"}};
  for (const auto& c : cases) {
    detection.verdict.flag = c.flag;
    EXPECT_THAT(xml_of(detection), HasSubstr(c.color));
  }
}

TEST(EventXml, ADetectorsClockAheadOfOursDoesNotDelete) {
  auto detection = vehicle();
  detection.observed = kTestNow + std::chrono::minutes{5};
  EventOptions options;
  options.stale = std::chrono::seconds{30};
  const auto read = read_event(xml_of(detection, options));
  EXPECT_EQ(read->start, read->time);
  EXPECT_LT(read->start, read->stale);
  options.stale = std::chrono::seconds{-30};
  EXPECT_LT(read_event(xml_of(detection, options))->time, read_event(xml_of(detection, options))->stale);
}

TEST(EventXml, TimesAtTheEndsOfTheCalendar) {
  auto detection = vehicle();
  detection.observed = {0};
  EXPECT_THAT(xml_of(detection, {}, UtcMicros{253'402'300'799'000'000 - 3'600'000'000}),
              HasSubstr(R"(start="1970-01-01T00:00:00.000Z")"));
  std::string out;
  append_xml(out, make_event(detection, UtcMicros{INT64_MAX}, {}));  // no year of five digits
  EXPECT_THAT(out, HasSubstr(R"(stale="9999-12-31T23:59:59.999Z")"));
  out.clear();
  append_xml(out, make_event(detection, UtcMicros{INT64_MIN}, {}));
  EXPECT_THAT(out, HasSubstr(R"(time="1970-01-01T00:00:00.000Z")"));
}

TEST(EventXml, ATypeThatIsNoneBecomesAnUnknownOnTheGround) {
  auto detection = vehicle();
  for (const char* type :
       {"", "a", "a-u", "a-.-G", "a-u-G-", "a--G", "a-z-G", "a-u-Z", "a-u-Gx", "a-u-G\"", "a-u-G;x<y"}) {
    detection.cot_type = type;
    EXPECT_THAT(xml_of(detection), HasSubstr("type=\"a-u-G\"")) << type;
    EventOptions friendly;
    friendly.affiliation = 'f';
    EXPECT_THAT(xml_of(detection, friendly), HasSubstr("type=\"a-f-G\"")) << type;
  }
}

/// Not legal, but a database may hold anything.
TEST(EventXml, HostileTextsStayText) {
  auto detection = vehicle();
  detection.object_class = "</event><event>]]>&\"'\xC3\xA9\n\x01";
  detection.camera_id = "\xF0\x9F\x9A\x97\xFF\xED\xA0\x80 </event>";
  detection.source = std::string("a\0b", 3);
  const auto xml = xml_of(detection);
  EXPECT_EQ(xml.find("</event>"), xml.size() - 8);
  const auto read = read_event(xml);
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_THAT(read->detail, HasSubstr("class=\"&lt;/event&gt;&lt;event&gt;]]&gt;&amp;&quot;&apos;&#xe9; ?\""));
  EXPECT_THAT(read->detail, HasSubstr("camera=\"&#x1f697;&#xfffd;&#xfffd;&#xfffd;&#xfffd; &lt;/event&gt;\""));
}

TEST(Uid, IsThePrefixAndTheIdOrTheTrack) {
  const auto id = vehicle().id;
  EXPECT_EQ(cot_uid("DET", id, "uav-7", std::nullopt), "DET.0198a3c1-7f00-7abc-8def-0123456789ab");
  EXPECT_EQ(cot_uid("DET", id, "uav-7", "42"), "DET.uav-7.42");
  EXPECT_EQ(cot_uid("X-1", id, "cam_1", "1607123955.475377-mxklsc"), "X-1.cam_1.1607123955.475377-mxklsc");
  EXPECT_EQ(cot_uid("DET", id, "a:b", "c:d"), "DET.a_.b.c_.d");
  EXPECT_EQ(cot_uid("DET", id, "a.b", "c"), "DET.a_-b.c");
  EXPECT_EQ(cot_uid("DET", id, "a", "b.c"), "DET.a.b.c");
  EXPECT_EQ(cot_uid("DET", id, "a_", "_"), "DET.a__._");
}

/// Every pair of names of up to three of the characters that matter has a uid of its own.
TEST(Uid, NoTwoThingsShareOne) {
  std::vector<std::string> names;
  for (const char a : std::string("x-_.:")) {
    names.push_back({a});
    for (const char b : std::string("x-_.:")) {
      names.push_back({a, b});
      for (const char c : std::string("x-_.:")) names.push_back({a, b, c});
    }
  }
  std::map<std::string, std::string> owner;
  for (const auto& source : names)
    for (const auto& track : names) {
      const auto uid = cot_uid("DET", {}, source, track);
      const auto [found, is_new] = owner.emplace(uid, source + " " + track);
      EXPECT_TRUE(is_new) << uid << " of '" << found->second << "' and '" << source << ' ' << track << "'";
      EXPECT_EQ(uid.find_first_not_of("xDET.-_"), std::string::npos);
    }
}

TEST(Uid, OfACameraIsBounded) {
  EXPECT_EQ(camera_uid("uav-7", "eo_1"), "CAM.uav-7.eo_1");
  const std::string colons(128, ':');
  auto other = colons;
  other.back() = 'x';
  EXPECT_EQ(camera_uid(colons, colons).size(), kCameraUidBytesMost);
  EXPECT_EQ(camera_uid(colons, colons), camera_uid(colons, colons));
  EXPECT_NE(camera_uid(colons, colons), camera_uid(colons, other));
  EXPECT_NE(camera_uid(other, colons), camera_uid(colons, other));
}

TEST(Fixed, NeverAnExponentAndNeverMinusZero) {
  const struct {
    double value;
    int decimals;
    const char* text;
  } cases[] = {{0, 0, "0"},
               {-0.0, 2, "0.00"},
               {-0.004, 2, "0.00"},
               {-0.005001, 2, "-0.01"},
               {1e-300, 8, "0.00000000"},
               {0.5, 3, "0.500"},
               {-179.999999995, 8, "-180.00000000"},
               {12345.678, 1, "12345.7"},
               {1e300, 2, "90000000000000000.00"},
               {-std::numeric_limits<double>::infinity(), 8, "-90000000000.00000000"},
               {std::numeric_limits<double>::quiet_NaN(), 1, "0.0"}};
  for (const auto& c : cases) {
    std::string out;
    append_fixed(out, c.value, c.decimals);
    EXPECT_EQ(out, c.text);
    EXPECT_LE(out.size(), kFixedBytesMost);
  }
}

}  // namespace
}  // namespace detection::cot
