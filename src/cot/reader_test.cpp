#include "cot/reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace detection::cot {
namespace {

using testing::HasSubstr;

constexpr std::string_view kTimes =
    "time='2026-11-23T19:04:05Z' start='2026-11-23T19:04:05Z' stale='2026-11-23T19:04:25Z'";
constexpr std::string_view kPoint = "<point lat='1.5' lon='-2.5' hae='10' ce='3' le='4'/>";

std::string event(std::string_view attributes, std::string_view inner) {
  return "<event version='2.0' uid='u' type='t-x-c-t-r' " + std::string(attributes) + ">" + std::string(inner) +
         "</event>";
}
std::string with(std::string_view inner) {
  return event(kTimes, inner);
}
std::string with_detail(std::string_view detail) {
  return with(std::string(kPoint) + "<detail>" + std::string(detail) + "</detail>");
}
std::string refusal(std::string_view xml, const MarkupLimits& limits = {}) {
  const auto read = read_event(xml, limits);
  return read ? "" : read.error().detail;
}

TEST(Reader, ReadsWhatServersWrite) {
  const auto pong = read_event(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<event version=\"2.0\" uid=\"takPong\" type=\"t-x-c-t-r\" "
      "how=\"h-g-i-g-o\" time=\"2026-11-23T19:04:05.123Z\" start=\"2026-11-23T19:04:05.123Z\" "
      "stale=\"2026-11-23T19:04:25.123Z\"><point lat=\"0.0\" lon=\"0.0\" hae=\"0.0\" ce=\"999999\" "
      "le=\"9999999.0\"/></event>\n");
  ASSERT_TRUE(pong) << pong.error().detail;
  EXPECT_EQ(pong->uid, "takPong");
  EXPECT_EQ(pong->how, "h-g-i-g-o");
  EXPECT_EQ(pong->time.count, 1'795'460'645'123'000);
  EXPECT_EQ(pong->hae_m, 0);
  EXPECT_EQ(pong->ce_m, std::nullopt);
  EXPECT_EQ(pong->le_m, std::nullopt);
  EXPECT_EQ(pong->detail, "");
}

TEST(Reader, DetailIsAsWrittenAndReferencesOfAttributesAreResolved) {
  const auto read = read_event(
      "<event version='2.0' uid='a&amp;b&#x20;&#233;' type='a-f-G' access='U' caveat='c' qos='1-r-c' opex='s-x' " +
      std::string(kTimes) + "><detail><detail a='>'/><b>&lt;</b><![CDATA[</detail>]]><!-- </detail> --></detail >" +
      std::string(kPoint) + "</event >");
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(read->uid, "a&b \xC3\xA9");
  EXPECT_EQ(read->detail, "<detail a='>'/><b>&lt;</b><![CDATA[</detail>]]><!-- </detail> -->");
  EXPECT_EQ(read->access + read->caveat + read->qos + read->opex, "Uc1-r-cs-x");
  EXPECT_EQ(read->how, "");
  EXPECT_DOUBLE_EQ(read->lat_deg, 1.5);
  EXPECT_DOUBLE_EQ(read->lon_deg, -2.5);
}

TEST(Reader, TimesOfAllKinds) {
  const struct {
    const char* text;
    std::int64_t micros;
  } cases[] = {
      {"2026-11-23T19:04:05Z", 1'795'460'645'000'000},           {"2026-11-23T19:04:05.1Z", 1'795'460'645'100'000},
      {"2026-11-23T19:04:05.123456789Z", 1'795'460'645'123'456}, {"2026-11-23T20:04:05.5+01:00", 1'795'460'645'500'000},
      {"2026-11-23T19:04:05.5+00:00Z", 1'795'460'645'500'000},   {"2026-11-23T14:04:05-05:00", 1'795'460'645'000'000}};
  for (const auto& c : cases) {
    const auto time = read_event_time(c.text);
    ASSERT_TRUE(time) << c.text;
    EXPECT_EQ(time->count, c.micros) << c.text;
  }
  for (const char* text : {"", "Z", "2026-11-23T19:04:05", "2026-11-23T08:13:25:00Z", "2026-11-23T19:04:05ZZ",
                           "2026-11-23T19:04:05.1234567890Z", "+00:00Z", "2026-11-23"})
    EXPECT_FALSE(read_event_time(text)) << text;
}

TEST(Reader, RefusesWhatIsMissingOrOutOfRange) {
  EXPECT_THAT(refusal(with("")), HasSubstr("has a point"));
  EXPECT_THAT(refusal(with(std::string(kPoint) + std::string(kPoint))), HasSubstr("one point"));
  EXPECT_THAT(refusal(with(std::string(kPoint) + "<detail/><detail></detail>")), HasSubstr("one detail"));
  EXPECT_THAT(refusal(with("<point lat='1' lon='2' hae='3' ce='4'/>")), HasSubstr("no le"));
  for (const char* lat : {"90.0001", "-91", "nan", "inf", "", "1,5", "0x1", " 1"})
    EXPECT_THAT(refusal(with("<point lat='" + std::string(lat) + "' lon='2' hae='3' ce='4' le='5'/>")),
                HasSubstr("point lat"));
  EXPECT_THAT(refusal(with("<point lat='1' lon='180.1' hae='3' ce='4' le='5'/>")), HasSubstr("point lon"));
  EXPECT_THAT(refusal(event("time='x'", kPoint)), HasSubstr("event time"));
  EXPECT_THAT(refusal("<event type='a' " + std::string(kTimes) + ">" + std::string(kPoint) + "</event>"),
              HasSubstr("no uid"));
  EXPECT_THAT(refusal("<Event/>"), HasSubstr("the root is not <event>"));
  const auto nan = read_event(with("<point lat='+1' lon='2' hae='NaN' ce='nan' le='none'/>"));
  ASSERT_TRUE(nan) << nan.error().detail;
  EXPECT_FALSE(nan->hae_m || nan->ce_m || nan->le_m);
}

TEST(Reader, RefusesWhatIsNotXml) {
  const struct {
    std::string xml;
    const char* why;
  } cases[] = {
      {"", "no element"},
      {"   ", "no element"},
      {"<!-- -->", "no element"},
      {"text" + with(kPoint), "outside the root"},
      {with(kPoint) + "text", "outside the root"},
      {with(kPoint) + "<![CDATA[]]>", "outside the root"},
      {with(kPoint) + "&#32;", "outside the root"},
      {with(kPoint) + with(kPoint), "second root"},
      {with(kPoint) + "<x/>", "second root"},
      {with(kPoint) + "</event>", "end tag outside"},
      {"<!DOCTYPE event>" + with(kPoint), "DOCTYPE"},
      {"<!DOCTYPE e [<!ENTITY a 'b'>]>" + with(kPoint), "DOCTYPE"},
      {with_detail("<!ELEMENT x>"), "DOCTYPE"},
      {" <?xml version='1.0'?>" + with(kPoint), "XML declaration"},
      {with_detail("<?xml version='1.0'?>"), "XML declaration"},
      {with_detail("\xFF"), "not UTF-8"},
      {with_detail("\xC0\xAF"), "not UTF-8"},
      {with_detail("\xED\xA0\x80"), "not UTF-8"},
      {with_detail("\xF4\x90\x80\x80"), "not UTF-8"},
      {with_detail("\xE2\x82"), "not UTF-8"},
      {with_detail("\x01"), "forbids"},
      {with_detail(std::string_view("\0", 1)), "forbids"},
      {with_detail("\xEF\xBF\xBF"), "forbids"},
      {with_detail("&#0;"), "reference"},
      {with_detail("&#x1F;"), "reference"},
      {with_detail("&#xD800;"), "reference"},
      {with_detail("&#x110000;"), "reference"},
      {with_detail("&#99999999999999999999;"), "reference"},
      {with_detail("&#;"), "reference"},
      {with_detail("&eacute;"), "reference"},
      {with_detail("a & b"), "reference"},
      {with_detail("<a b='&lol;'/>"), "reference"},
      {with_detail("<a b='<'/>"), "inside an attribute"},
      {with_detail("<a <b/>"), "inside a tag"},
      {with_detail("<a b='1' b='2'/>"), "stated twice"},
      {event(std::string(kTimes) + " uid='2'", kPoint), "stated twice"},
      {with_detail("<a></b>"), "not well-formed"},
      {with_detail("<a b=1/>"), "not well-formed"},
      {with_detail("<a b/>"), "not well-formed"},
      {with_detail("<!-- "), "ends inside"},
      {with_detail("<![CDATA["), "ends inside"},
      {with_detail("<?a "), "ends inside"},
      {with_detail("<a b='"), "ends inside"},
      {"<event", "ends inside"},
      {"<event>", "ends inside"},
  };
  for (const auto& c : cases) EXPECT_THAT(refusal(c.xml), HasSubstr(c.why)) << c.xml;
  EXPECT_EQ(refusal("\xEF\xBB\xBF<?xml version='1.0'?><!-- a --><?pi?>" + with_detail("\xC3\xA9\xF0\x9F\x9A\x97&#10;")),
            "");
}

TEST(Reader, LimitsComeFirst) {
  const auto nested = [](int depth) {
    std::string detail;
    for (int i = 0; i < depth; ++i) detail += "<a>";
    for (int i = 0; i < depth; ++i) detail += "</a>";
    return with_detail(detail);
  };
  EXPECT_EQ(refusal(nested(62)), "");
  EXPECT_THAT(refusal(nested(63)), HasSubstr("more than 64 elements"));
  EXPECT_THAT(refusal(nested(9000)), HasSubstr("more than 64 elements"));

  std::string attributes;
  for (int i = 0; i < 64; ++i) attributes += " a" + std::to_string(i) + "=''";
  EXPECT_EQ(refusal(with_detail("<x" + attributes + "/>")), "");
  EXPECT_THAT(refusal(with_detail("<x z=''" + attributes + "/>")), HasSubstr("more than 64 attributes"));

  MarkupLimits limits;
  limits.bytes = with(kPoint).size();
  EXPECT_EQ(refusal(with(kPoint), limits), "");
  limits.bytes -= 1;
  EXPECT_THAT(refusal(with(kPoint), limits), HasSubstr("at most"));
}

TEST(EventName, IsFoundCheaply) {
  const auto name = read_event_name("junk <event version='2.0' uid = \"takPong\"\n type='t-x-c-t-r' time='T' how=x>");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->uid, "takPong");
  EXPECT_EQ(name->type, "t-x-c-t-r");
  EXPECT_EQ(name->time, "T");
  for (const char* text :
       {"", "<event", "<event>", "<event uid='1'>", "<event type='1' uid=''>", "<event uid='1' type='2",
        "<eventuid='1' type='2'>", "<event><x uid='1' type='2'/>", "<event uid='1'type='2'>"})
    EXPECT_FALSE(read_event_name(text)) << text;
}

}  // namespace
}  // namespace detection::cot
