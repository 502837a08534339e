#include "cot/frame.hpp"

#include <gtest/gtest.h>
#include <tak_message.pb.h>

#include <cmath>
#include <fstream>

#include "cot/tak_message_tags.hpp"
#include "cot/test_detections.hpp"
#include "cot/test_frames.hpp"
#include "test_paths.hpp"

namespace detection::cot {
namespace {

std::string bytes(std::string_view hex) {
  std::string out;
  std::string digits;
  for (const char c : hex) {
    if (c == ' ' || c == '\n') continue;
    digits.push_back(c);
    if (digits.size() < 2) continue;
    out.push_back(static_cast<char>(std::stoi(digits, nullptr, 16)));
    digits.clear();
  }
  return out;
}

std::string text_hex(std::string_view text) {
  std::string out;
  for (const char c : text) {
    constexpr char kHex[] = "0123456789abcdef";
    out += kHex[static_cast<unsigned char>(c) >> 4];
    out += kHex[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::string frame_of(const Event& event) {
  std::string out;
  append_frame(out, event);
  return out;
}

std::string xml_of(const Event& event) {
  std::string out;
  append_xml(out, event);
  return out;
}

// Each byte from the table of reference 1.6, by hand.
TEST(FrameGolden, APing) {
  std::string ping;
  append_ping_xml(ping, "svc", UtcMicros{1'000'000});
  // 1 s = 1000 ms = e8 07; stale 21 s = 21000 ms = 88 a4 01; 9999999.0 = 0x416312cfe0000000.
  const std::string unknown = "00 00 00 e0 cf 12 63 41";
  const std::string event = "0a 07" + text_hex("t-x-c-t") + "2a 08" + text_hex("svc-ping") +
                            "30 e8 07 38 e8 07 40 88 a4 01 4a 03" + text_hex("m-g") + "61" + unknown + "69" + unknown +
                            "71" + unknown;
  EXPECT_EQ(bytes(event).size(), 61U);
  EXPECT_EQ(frame_of_xml(ping), bytes("bf 3f 12 3d" + event));
  EXPECT_EQ(frame_of_xml(ping, WireFormat::kDatagram), bytes("bf 01 bf 12 3d" + event));
}

/// The shape of ATAK's first frame: `bf cf 01 12 cc 01`, 207 bytes of which 204 are the event; here the detail has 140
/// of them (8c 01), its XML 137 (89 01).
TEST(FrameGolden, LengthsOfTwoBytes) {
  const std::string xml = "<x y=\"" + std::string(128, 'z') + "\"/>";
  ASSERT_EQ(xml.size(), 137U);
  EXPECT_EQ(frame_of_xml(event_with(xml)),
            bytes("bf cf 01 12 cc 01 0a 05" + text_hex("a-u-G") + "2a 01 75 30 e8 07 38 c4 13 40 a0 9c 01 4a 03" +
                  text_hex("m-i") +
                  "51 00 00 00 00 00 00 f0 3f 59 00 00 00 00 00 00 00 c0 69 00 00 00 e0 cf 12 63 41"
                  "71 00 00 00 00 00 00 e0 3f 7a 8c 01 0a 89 01" +
                  text_hex(xml)));
}

/// The event of tests/vectors/cot/vehicle.xml.
TEST(FrameGolden, ADetection) {
  const auto frame = frame_of(make_event(vehicle(), kTestNow, {}));
  const auto message = message_of(frame);
  EXPECT_EQ(message.type(), "a-u-G-E-V");
  EXPECT_EQ(message.uid(), vehicle().cot_uid);
  EXPECT_EQ(message.how(), "m-i");
  EXPECT_EQ(message.qos(), "5-r-g");
  EXPECT_EQ(message.opex(), "");
  EXPECT_EQ(message.access(), "");
  EXPECT_EQ(message.send_time(), 1'795'460'705'987U);
  EXPECT_EQ(message.start_time(), 1'795'460'645'123U);
  EXPECT_EQ(message.stale_time(), 1'795'461'005'987U);
  // The numbers themselves, not XML's decimals.
  EXPECT_EQ(message.lat(), 40.712834561);
  EXPECT_EQ(message.lon(), -74.006015245);
  EXPECT_EQ(message.hae(), 12.3456);
  EXPECT_EQ(message.ce(), 7.5432);
  EXPECT_EQ(message.le(), 3.2897);
  EXPECT_EQ(message.detail().contact().callsign(), "vehicle 92%");
  EXPECT_EQ(message.detail().contact().endpoint(), "");
  EXPECT_EQ(message.detail().precision_location().altsrc(), "USER");
  EXPECT_EQ(message.detail().precision_location().geopointsrc(), "CALC");
  EXPECT_FALSE(message.detail().has_track() || message.detail().has_status() || message.detail().has_takv() ||
               message.detail().has_group());
  std::ifstream file(std::string(DETECTION_TEST_VECTORS) + "/cot/vehicle.xml", std::ios::binary);
  const std::string golden{std::istreambuf_iterator<char>(file), {}};
  const auto link = golden.find("<link "), end = golden.find("</detail>");
  EXPECT_EQ(message.detail().xml_detail(), golden.substr(link, end - link));
}

TEST(Frame, TagsAreThoseOfTheSchema) {
  const auto tag = [](int number, int type) { return static_cast<char>(number << 3 | type); };
  using wire::CotEvent;
  EXPECT_EQ(tags::kCotEvent, tag(wire::TakMessage::kEventFieldNumber, 2));
  EXPECT_EQ(tags::kType, tag(CotEvent::kTypeFieldNumber, 2));
  EXPECT_EQ(tags::kQos, tag(CotEvent::kQosFieldNumber, 2));
  EXPECT_EQ(tags::kOpex, tag(CotEvent::kOpexFieldNumber, 2));
  EXPECT_EQ(tags::kUid, tag(CotEvent::kUidFieldNumber, 2));
  EXPECT_EQ(tags::kSendTime, tag(CotEvent::kSendTimeFieldNumber, 0));
  EXPECT_EQ(tags::kStartTime, tag(CotEvent::kStartTimeFieldNumber, 0));
  EXPECT_EQ(tags::kStaleTime, tag(CotEvent::kStaleTimeFieldNumber, 0));
  EXPECT_EQ(tags::kHow, tag(CotEvent::kHowFieldNumber, 2));
  EXPECT_EQ(tags::kLat, tag(CotEvent::kLatFieldNumber, 1));
  EXPECT_EQ(tags::kLon, tag(CotEvent::kLonFieldNumber, 1));
  EXPECT_EQ(tags::kHae, tag(CotEvent::kHaeFieldNumber, 1));
  EXPECT_EQ(tags::kCe, tag(CotEvent::kCeFieldNumber, 1));
  EXPECT_EQ(tags::kLe, tag(CotEvent::kLeFieldNumber, 1));
  EXPECT_EQ(tags::kDetail, tag(CotEvent::kDetailFieldNumber, 2));
  EXPECT_EQ(tags::kXmlDetail, tag(wire::Detail::kXmlDetailFieldNumber, 2));
  EXPECT_EQ(tags::kContact, tag(wire::Detail::kContactFieldNumber, 2));
  EXPECT_EQ(tags::kPrecisionLocation, tag(wire::Detail::kPrecisionLocationFieldNumber, 2));
  EXPECT_EQ(tags::kCallsign, tag(wire::Contact::kCallsignFieldNumber, 2));
  EXPECT_EQ(tags::kPointSource, tag(wire::PrecisionLocation::kGeopointsrcFieldNumber, 2));
  EXPECT_EQ(tags::kAltitudeSource, tag(wire::PrecisionLocation::kAltsrcFieldNumber, 2));
}

TEST(Frame, ZeroIsAbsentAndUnknownIsNot) {
  auto detection = vehicle();
  detection.fix.position = {0.0, -0.0, -0.0};
  detection.fix.ce90_m.reset();
  detection.fix.le90_m = 0;
  const auto zeros = message_of(frame_of(make_event(detection, kTestNow, {})));
  EXPECT_EQ(zeros.lat(), 0);
  EXPECT_FALSE(std::signbit(zeros.lon()) || std::signbit(zeros.hae()));
  EXPECT_EQ(zeros.ce(), 9'999'999.0);
  EXPECT_EQ(zeros.le(), 0);
  wire::TakMessage canonical;
  *canonical.mutable_event() = zeros;  // protobuf leaves zeros out
  EXPECT_EQ(payload_of(frame_of(make_event(detection, kTestNow, {}))), canonical.SerializeAsString());
  detection.fix.hae_known = false;
  const auto unknown = message_of(frame_of(make_event(detection, kTestNow, {})));
  EXPECT_EQ(unknown.hae(), 9'999'999.0);
  EXPECT_EQ(unknown.le(), 9'999'999.0);
  EXPECT_EQ(unknown.detail().precision_location().altsrc(), "???");
}

TEST(Frame, PolesAndTheAntimeridian) {
  auto detection = vehicle();
  for (const double lat : {-90.0, 90.0})
    for (const double lon : {-180.0, 180.0}) {
      detection.fix.position = {lat, lon, 0};
      const auto read = read_frame(payload_of(frame_of(make_event(detection, kTestNow, {}))));
      ASSERT_TRUE(read) << read.error().detail;
      EXPECT_EQ(read->lat_deg, lat);
      EXPECT_EQ(read->lon_deg, lon);
    }
}

TEST(Frame, IsAppendedAndADatagramHasTheSamePayload) {
  const auto detection = vehicle();
  const auto event = make_event(detection, kTestNow, {});
  std::string out = "before";
  append_frame(out, event);
  EXPECT_TRUE(out.starts_with("before\xbf"));
  std::string datagram = "before";
  append_datagram(datagram, event);
  EXPECT_EQ(datagram, "before\xbf\x01\xbf" + payload_of(out.substr(6)));
  for (const auto format : {WireFormat::kXml, WireFormat::kFrame, WireFormat::kDatagram}) {
    std::string any;
    append_event(any, event, format);
    EXPECT_EQ(any, format == WireFormat::kXml     ? xml_of(event)
                   : format == WireFormat::kFrame ? out.substr(6)
                                                  : datagram.substr(6));
  }
}

TEST(Frame, AnExerciseSaysSo) {
  auto detection = vehicle();
  detection.exercise = true;
  EXPECT_EQ(message_of(frame_of(make_event(detection, kTestNow, {}))).opex(), "e-detection-system");
}

/// Not legal, but a database may hold anything: texts come out as from the XML, and lengths of one, two and three bytes
/// are right.
TEST(Frame, HostileAndHugeTextsAreThoseOfTheXml) {
  for (const std::size_t size : {1U, 60U, 140U, 3'000U, 30'000U})
    for (const char* piece : {"x", "</event>", "\xC3\xA9", "\xFF", "\x01", "]]>&\"'\n", "\xF0\x9F\x9A\x97"}) {
      auto detection = vehicle();
      detection.object_class.clear();
      while (detection.object_class.size() < size) detection.object_class += piece;
      detection.cot_uid = detection.object_class;
      detection.track_id = detection.object_class;
      const auto event = make_event(detection, kTestNow, {});
      MarkupLimits limits;
      limits.bytes = 1u << 20;
      const auto frame = read_frame(payload_of(frame_of(event)), limits);
      const auto xml = read_event(xml_of(event), limits);
      ASSERT_TRUE(frame && xml) << size << piece << (frame ? "" : frame.error().detail);
      EXPECT_EQ(frame->uid, xml->uid);
      EXPECT_EQ(frame->detail, xml->detail);
    }
}

}  // namespace
}  // namespace detection::cot
