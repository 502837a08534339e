// Events of anybody as frames: the whole-element rule, and what else must not be lost.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tak_message.pb.h>

#include <cmath>

#include "cot/frame.hpp"
#include "cot/test_detections.hpp"
#include "cot/test_frames.hpp"

namespace detection::cot {
namespace {

using testing::HasSubstr;

/// The detail as it comes out at the other end, and what of it went as XML.
struct Travelled {
  std::string xml_detail;
  std::string detail;
  wire::Detail message;
};
Travelled travel(std::string_view detail) {
  const auto frame = frame_of_xml(event_with(detail));
  const auto read = read_frame(payload_of(frame));
  EXPECT_TRUE(read) << read.error().detail;
  const auto message = message_of(frame);
  return {message.detail().xml_detail(), read ? read->detail : "", message.detail()};
}

TEST(WholeElement, CleanOnesAreTyped) {
  constexpr std::string_view kAll =
      R"(<contact callsign="A" endpoint="*:-1:stcp"/><__group name="Cyan" role="HQ"/>)"
      R"(<precisionlocation altsrc="DTED2" geopointsrc="GPS"/><status battery="87"/>)"
      R"(<takv device="d" platform="p" os="o" version="v"/><track course="12.5" speed="3.0"/>)";
  const auto all = travel(kAll);
  EXPECT_EQ(all.xml_detail, "");
  EXPECT_EQ(all.detail, kAll);
  EXPECT_EQ(all.message.contact().callsign(), "A");
  EXPECT_EQ(all.message.contact().endpoint(), "*:-1:stcp");
  EXPECT_EQ(all.message.group().name(), "Cyan");
  EXPECT_EQ(all.message.group().role(), "HQ");
  EXPECT_EQ(all.message.precision_location().altsrc(), "DTED2");
  EXPECT_EQ(all.message.precision_location().geopointsrc(), "GPS");
  EXPECT_EQ(all.message.status().battery(), 87U);
  EXPECT_EQ(all.message.takv().device(), "d");
  EXPECT_EQ(all.message.takv().platform(), "p");
  EXPECT_EQ(all.message.takv().os(), "o");
  EXPECT_EQ(all.message.takv().version(), "v");
  EXPECT_EQ(all.message.track().course(), 12.5);
  EXPECT_EQ(all.message.track().speed(), 3);
}

TEST(WholeElement, ATrackAtRestIsAnEmptyMessage) {
  const auto rest = travel(R"(<track course="0.0" speed="0.0"/>)");
  EXPECT_TRUE(rest.message.has_track());
  EXPECT_EQ(rest.message.track().ByteSizeLong(), 0U);
  EXPECT_EQ(rest.xml_detail, "");
  EXPECT_EQ(rest.detail, R"(<track course="0.0" speed="0.0"/>)");
  const auto message = message_of(frame_of_xml(event_with(R"(<track course="0.0" speed="0.0"/>)")));
  EXPECT_THAT(message.SerializeAsString(), HasSubstr(std::string("\x7a\x02\x3a\x00", 4)));
}

TEST(WholeElement, WhatHasMoreStaysXmlWhole) {
  for (const char* element : {R"(<track course="1.0" speed="2.0" slope="3"/>)",
                              R"(<precisionlocation altsrc="DTED2" geopointsrc="GPS" PRECISE_IMAGE_FILE="x"/>)",
                              R"(<contact callsign="A" phone="5"/>)",
                              R"(<contact callsign="A" xmlns="urn:x"/>)",
                              R"(<contact callsign="A">text</contact>)",
                              R"(<contact callsign="A"><!-- note --></contact>)",
                              R"(<contact callsign="A"><![CDATA[]]></contact>)",
                              R"(<contact callsign="A"><more/></contact>)",
                              R"(<contact endpoint="*:-1:stcp"/>)",
                              R"(<contact callsign="A" endpoint=""/>)",
                              R"(<contact/>)",
                              R"(<__group name="Cyan" role="HQ" exrole="x"/>)",
                              R"(<__group name="Cyan"/>)",
                              R"(<status readiness="true"/>)",
                              R"(<status battery="87" readiness="true"/>)",
                              R"(<status battery="087"/>)",
                              R"(<status battery="-1"/>)",
                              R"(<status battery="4294967296"/>)",
                              R"(<takv platform="p"/>)",
                              R"(<takv platform="p" version="v" os=""/>)",
                              R"(<track course="1.0"/>)",
                              R"(<track course="north" speed="2.0"/>)",
                              R"(<track course="NaN" speed="2.0"/>)",
                              R"(<track course="1.0" speed="inf"/>)",
                              R"(<Contact callsign="A"/>)",
                              R"(<link uid="x" type="y" relation="p-p"/>)"}) {
    const auto one = travel(element);
    EXPECT_EQ(one.xml_detail, element);
    EXPECT_EQ(one.detail, element);
    EXPECT_EQ(one.message.ByteSizeLong(), one.xml_detail.size() + 2) << "no field beside the XML: " << element;
  }
}

TEST(WholeElement, TwiceStaysXmlTwiceAndOthersAreTypedBeside) {
  const auto twice = travel(R"(<contact callsign="A"/><track course="1.0" speed="2.0"/><contact callsign="B"/>)");
  EXPECT_EQ(twice.xml_detail, R"(<contact callsign="A"/><contact callsign="B"/>)");
  EXPECT_FALSE(twice.message.has_contact());
  EXPECT_EQ(twice.message.track().speed(), 2);
  EXPECT_EQ(twice.detail, R"(<track course="1.0" speed="2.0"/><contact callsign="A"/><contact callsign="B"/>)");
}

TEST(WholeElement, TheRestIsKeptAsWritten) {
  const auto mixed = travel(
      "\n  <contact  callsign = 'A &gt; \"B\"' ></contact >\n text &amp; <!-- note --><x:y a='1'>"
      "<contact callsign='inner'/></x:y><?pi?><![CDATA[<contact/>]]>");
  EXPECT_EQ(mixed.message.contact().callsign(), "A > \"B\"");
  EXPECT_EQ(mixed.xml_detail,
            "\n  \n text &amp; <!-- note --><x:y a='1'><contact callsign='inner'/></x:y><?pi?><![CDATA[<contact/>]]>");
  EXPECT_EQ(mixed.detail, R"(<contact callsign="A &gt; &quot;B&quot;"/>)" + mixed.xml_detail);
  EXPECT_EQ(travel("\n\t<contact callsign='A'/>\n").xml_detail, "") << "nothing is left";
  EXPECT_EQ(travel("").message.ByteSizeLong(), 0U);
}

TEST(FrameOfXml, KeepsEveryAttributeOfTheEvent) {
  const auto message = message_of(frame_of_xml(
      "<event version='2.0' uid='&#xE9;' type='t' how='h-e' access='Undefined' qos='1-r-d' opex='s-x' caveat='c' "
      "releaseableTo='r' " +
      std::string(kTimes) + "><point lat='-0.0' lon='-1e-3' hae='-5.25' ce='999999' le='NaN'/></event>"));
  EXPECT_EQ(message.uid(), "\xC3\xA9");
  EXPECT_EQ(message.access(), "Undefined");
  EXPECT_EQ(message.qos(), "1-r-d");
  EXPECT_EQ(message.opex(), "s-x");
  EXPECT_EQ(message.caveat(), "c");
  EXPECT_EQ(message.releaseable_to(), "r");
  EXPECT_EQ(message.send_time(), 1000U);
  EXPECT_EQ(message.start_time(), 2500U);
  EXPECT_EQ(message.stale_time(), 20'000U);
  EXPECT_FALSE(std::signbit(message.lat()));
  EXPECT_EQ(message.lon(), -1e-3);
  EXPECT_EQ(message.hae(), -5.25);
  EXPECT_EQ(message.ce(), 9'999'999.0);
  EXPECT_EQ(message.le(), 9'999'999.0);
  EXPECT_FALSE(message.has_detail());
}

TEST(FrameOfXml, RefusesWhatIsNoEventAndAppendsNothing) {
  for (const auto format : {WireFormat::kXml, WireFormat::kFrame, WireFormat::kDatagram}) {
    std::string out = "before";
    EXPECT_FALSE(append_frame_of_xml(out, "<event/>", format));
    EXPECT_FALSE(append_frame_of_xml(out, "no XML", format));
    EXPECT_FALSE(append_frame_of_xml(out, event_with("<contact>"), format));
    MarkupLimits small;
    small.bytes = 100;
    EXPECT_FALSE(append_frame_of_xml(out, event_with(""), format, small));
    EXPECT_EQ(out, "before");
  }
  std::string ping;
  append_ping_xml(ping, "svc", kTestNow);
  EXPECT_EQ(frame_of_xml(ping, WireFormat::kXml), ping);
}

}  // namespace
}  // namespace detection::cot
