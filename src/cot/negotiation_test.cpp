#include "cot/negotiation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cot/reader.hpp"
#include "cot/test_detections.hpp"
#include "cot/validate.hpp"

namespace detection::cot {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string control(std::string_view type, std::string_view inner) {
  return "<event version=\"2.0\" uid=\"protouid\" type=\"" + std::string(type) +
         "\" how=\"m-g\" time=\"2026-11-23T19:04:05Z\" start=\"2026-11-23T19:04:05Z\" stale=\"2026-11-23T19:05:05Z\">"
         "<point lat=\"0\" lon=\"0\" hae=\"0\" ce=\"999999\" le=\"999999\"/><detail>" +
         std::string(inner) + "</detail></event>";
}
std::string offer(std::string_view inner) {
  return control("t-x-takp-v", "<TakControl>" + std::string(inner) + "</TakControl>");
}

TEST(Offer, AsCottakWritesIt) {
  const auto read = read_protocol_offer(
      "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<event version=\"2.0\" uid=\"cottak-server\" "
      "type=\"t-x-takp-v\" how=\"m-g\" time=\"2026-11-23T19:04:05.000Z\" start=\"2026-11-23T19:04:05.000Z\" "
      "stale=\"2026-11-23T19:05:05.000Z\"><point lat=\"0\" lon=\"0\" hae=\"0\" ce=\"999999\" le=\"999999\"/><detail>"
      "<TakControl><TakProtocolSupport version=\"1\"/></TakControl></detail></event>");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->uid, "cottak-server");
  EXPECT_THAT(read->versions, ElementsAre(1U));
}

TEST(Offer, SeveralVersionsAndOtherChildren) {
  const auto read = read_protocol_offer(
      offer("<TakProtocolSupport version='2'/><TakServerVersionInfo serverVersion='5.7' apiVersion='3'/>"
            "<TakProtocolSupport version='1'/><TakProtocolSupport version='one'/><TakProtocolSupport/>"
            "<TakProtocolSupport version='99999999999'/><TakProtocolSupport version='4294967295'/>"));
  ASSERT_TRUE(read);
  EXPECT_THAT(read->versions, ElementsAre(2U, 1U, 4294967295U));
  EXPECT_THAT(read_protocol_offer(offer(""))->versions, IsEmpty());
}

TEST(Offer, QuotesAndOrderOfAttributesDoNotMatter) {
  const auto read = read_protocol_offer(
      "<event type='t-x-takp-v'\n\thow='m-g' uid='a &amp; \"b\"'><detail><other/><TakControl a='b'>"
      "<TakProtocolSupport extra='1' version = '1'></TakProtocolSupport></TakControl></detail></event>");
  ASSERT_TRUE(read) << "no point and no times are asked for";
  EXPECT_EQ(read->uid, "a & \"b\"");
  EXPECT_THAT(read->versions, ElementsAre(1U));
}

TEST(Offer, NothingElseIsOne) {
  for (const auto& xml :
       {std::string(), std::string("<event"), control("t-x-takp-v", ""), control("t-x-takp-r", "<TakControl/>"),
        control("t-x-c-t-r", "<TakControl><TakProtocolSupport version='1'/></TakControl>"),
        std::string("<event uid='u' type='t-x-takp-v'><detail><TakControl></detail></event>"),
        std::string("<event uid='' type='t-x-takp-v'><detail><TakControl/></detail></event>"),
        std::string("<event uid='u' type='t-x-takp-v'><TakControl/></event>"),
        std::string("<!DOCTYPE x><event uid='u' type='t-x-takp-v'><detail><TakControl/></detail></event>"),
        offer(std::string(70'000, ' '))})
    EXPECT_FALSE(read_protocol_offer(xml)) << xml.substr(0, 200);
}

TEST(Response, SaysYesOrNo) {
  const auto response = [](std::string_view answer) {
    return read_protocol_response(control("t-x-takp-r", "<TakControl>" + std::string(answer) + "</TakControl>"));
  };
  ASSERT_TRUE(response("<TakResponse status=\"true\"/>"));
  EXPECT_EQ(response("<TakResponse status=\"true\"/>")->uid, "protouid");
  EXPECT_TRUE(response("<TakResponse status=\"true\"/>")->accepted);
  EXPECT_TRUE(response("<more/><TakResponse other='x' status='True'></TakResponse>")->accepted);
  EXPECT_TRUE(response("<TakResponse status='1'/>")->accepted);
  for (const char* no : {"<TakResponse status='false'/>", "<TakResponse/>", "<TakResponse status=''/>",
                         "<TakResponse status='0'/>", "<TakResponse status='truer'/>"}) {
    ASSERT_TRUE(response(no)) << no;
    EXPECT_FALSE(response(no)->accepted) << no;
  }
  EXPECT_FALSE(response(""));
  EXPECT_FALSE(read_protocol_response(control("t-x-takp-v", "<TakControl><TakResponse status='true'/></TakControl>")));
  EXPECT_FALSE(read_protocol_response("<event type='t-x-takp-r' uid='u'><detail/></event>"));
}

TEST(Request, HasTheOffersUid) {
  std::string xml = "before";
  append_protocol_request_xml(xml, "protouid", 1, kTestNow);
  ASSERT_TRUE(xml.starts_with("before<?xml"));
  xml.erase(0, 6);
  EXPECT_THAT(violations(xml), IsEmpty());
  EXPECT_THAT(xml, HasSubstr(" uid=\"protouid\" type=\"t-x-takp-q\" how=\"m-g\" time=\"2026-11-23T19:05:05.987Z\""));
  EXPECT_TRUE(xml.ends_with("<detail><TakControl><TakRequest version=\"1\"/></TakControl></detail></event>"));
  std::string odd;
  append_protocol_request_xml(odd, "a\"<b>\xC3\xA9", 7, kTestNow);
  const auto read = read_event(odd);
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(read->uid, "a\"<b>\xC3\xA9");
  EXPECT_THAT(read->detail, HasSubstr("version=\"7\""));
}

TEST(Auth, IsEscapedAscii) {
  std::string out;
  append_auth_xml(out, "user", "p\"w<&>'\xC3\xA9\xF0\x9F\x94\x91", "DET-1");
  EXPECT_EQ(out,
            "<auth><cot username=\"user\" password=\"p&quot;w&lt;&amp;&gt;&apos;&#xe9;&#x1f511;\" uid=\"DET-1\" "
            "callsign=\"DET-1\"/></auth>");
}

}  // namespace
}  // namespace detection::cot
