#include "cot/own_events.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "cot/frame.hpp"
#include "cot/frame_reader.hpp"
#include "cot/test_detections.hpp"
#include "cot/validate.hpp"

namespace detection::cot {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Valid, and the same after the way through protobuf.
std::string checked(std::string xml) {
  EXPECT_THAT(violations(xml), IsEmpty()) << xml;
  std::string datagram;
  EXPECT_TRUE(append_frame_of_xml(datagram, xml, WireFormat::kDatagram));
  const auto frame = read_frame(std::string_view(datagram).substr(3));
  const auto read = read_event(xml);
  EXPECT_TRUE(frame && read);
  if (frame && read) {
    EXPECT_EQ(frame->uid, read->uid);
    EXPECT_EQ(frame->detail.size(), read->detail.size()) << "the same elements, typed ones first";
    EXPECT_EQ(frame->lat_deg, read->lat_deg);
    EXPECT_EQ(frame->hae_m, read->hae_m);
  }
  return xml;
}

std::string xml_of(const ServiceEvent& event) {
  std::string out;
  append_service_xml(out, event, kTestNow);
  return checked(out);
}
std::string xml_of(const CameraEvent& event) {
  std::string out;
  append_camera_xml(out, event, kTestNow);
  return checked(out);
}
std::string xml_of(const PointOfInterest& event) {
  std::string out;
  append_point_of_interest_xml(out, event, kTestNow);
  return checked(out);
}

CameraEvent camera() {
  CameraEvent event;
  event.source = "uav-7";
  event.camera_id = "eo_1";
  event.place = {.lat_deg = 40.5, .lon_deg = -74.25, .hae_m = 120, .ce_m = 3, .le_m = 5, .altitude_source = "GPS"};
  event.azimuth_deg = 271.25;
  event.elevation_deg = -35.5;
  event.roll_deg = 1.5;
  event.fov_deg = 60;
  event.vfov_deg = 40;
  event.range_m = 1500;
  event.model = "EO";
  return event;
}

TEST(OwnEvents, TheService) {
  ServiceEvent event;
  event.uid = "detection-api.host-1";
  event.version = "0.5.0";
  event.place = {.lat_deg = 1.5, .lon_deg = 2.5};
  EXPECT_EQ(xml_of(event),
            "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<event version=\"2.0\" "
            "uid=\"detection-api.host-1\" type=\"a-f-G-E-S\" how=\"m-c\" time=\"2026-11-23T19:05:05.987Z\" "
            "start=\"2026-11-23T19:05:05.987Z\" stale=\"2026-11-23T19:10:05.987Z\" qos=\"3-r-c\"><point "
            "lat=\"1.50000000\" lon=\"2.50000000\" hae=\"9999999.0\" ce=\"9999999.0\" le=\"9999999.0\"/><detail>"
            "<contact callsign=\"detection-api\"/><precisionlocation altsrc=\"???\"/>"
            "<__group name=\"Cyan\" role=\"Team Member\"/><takv platform=\"detection-api\" version=\"0.5.0\"/>"
            "</detail></event>");
  event.type = "a-f-G-I";
  EXPECT_THAT(xml_of(event), HasSubstr("type=\"a-f-G-I\""));
  event.type = "no type";
  EXPECT_THAT(xml_of(event), HasSubstr("type=\"a-f-G-E-S\""));
  // All of it has fields of its own.
  std::string frame;
  ASSERT_TRUE(append_frame_of_xml(frame, xml_of(event), WireFormat::kFrame));
  EXPECT_EQ(frame.find('<'), std::string::npos);
}

TEST(OwnEvents, ACameraAndItsCone) {
  const auto xml = xml_of(camera());
  EXPECT_THAT(xml, HasSubstr("uid=\"CAM.uav-7.eo_1\" type=\"b-m-p-s-p-loc\" how=\"m-g\""));
  EXPECT_THAT(xml, HasSubstr("<contact callsign=\"eo_1\"/><precisionlocation altsrc=\"GPS\"/>"));
  EXPECT_THAT(xml,
              HasSubstr("<sensor azimuth=\"271.25\" elevation=\"-35.50\" roll=\"1.50\" fov=\"60.00\" vfov=\"40.00\" "
                        "range=\"1500.0\" model=\"EO\"/></detail>"));
  auto other = camera();
  other.configured = true;
  other.exercise = true;
  other.callsign = "North <mast>";
  other.range_m.reset();
  other.model = {};
  EXPECT_THAT(xml_of(other), HasSubstr("how=\"m-c\""));
  EXPECT_THAT(xml_of(other), HasSubstr("opex=\"e-detection-system\""));
  EXPECT_THAT(xml_of(other), HasSubstr("callsign=\"North &lt;mast&gt;\""));
  EXPECT_THAT(xml_of(other), HasSubstr("vfov=\"40.00\"/>"));
}

TEST(OwnEvents, AzimuthIsTheCentreInWholeTurns) {
  const struct {
    double azimuth;
    const char* text;
  } cases[] = {{0, "azimuth=\"0.00\""},       {-0.0, "azimuth=\"0.00\""},  {359.9, "azimuth=\"359.90\""},
               {359.996, "azimuth=\"0.00\""}, {360, "azimuth=\"0.00\""},   {-90, "azimuth=\"270.00\""},
               {-1e-9, "azimuth=\"0.00\""},   {725.5, "azimuth=\"5.50\""}, {1e-9, "azimuth=\"0.00\""},
               {-719.996, "azimuth=\"0.00\""}};
  for (const auto& c : cases) {
    auto event = camera();
    event.azimuth_deg = c.azimuth;
    EXPECT_THAT(xml_of(event), HasSubstr(c.text)) << c.azimuth;
  }
}

TEST(OwnEvents, AnglesStayInTheirRanges) {
  auto event = camera();
  event.roll_deg = 180;
  event.elevation_deg = -90.5;
  event.fov_deg = 400;
  event.vfov_deg = -1;
  EXPECT_THAT(xml_of(event), HasSubstr("elevation=\"-90.00\" roll=\"-180.00\" fov=\"360.00\" vfov=\"0.00\""));
  event.roll_deg = -0.0;
  event.elevation_deg = -0.0;
  EXPECT_THAT(xml_of(event), HasSubstr("elevation=\"0.00\" roll=\"0.00\""));
  event.range_m = kInfinity;
  EXPECT_THAT(xml_of(event), Not(HasSubstr("range=")));
  std::string out;
  event.azimuth_deg = kNan;
  append_camera_xml(out, event, kTestNow);
  EXPECT_THAT(out, HasSubstr("<sensor elevation="));
}

TEST(OwnEvents, PlacesAtTheEndsOfTheEarth) {
  const struct {
    double lat, lon;
    const char* text;
  } cases[] = {{0, -0.0, "lat=\"0.00000000\" lon=\"0.00000000\""},
               {-1e-12, 1e-12, "lat=\"0.00000000\" lon=\"0.00000000\""},
               {90, 180, "lat=\"90.00000000\" lon=\"180.00000000\""},
               {-90, -180, "lat=\"-90.00000000\" lon=\"-180.00000000\""}};
  for (const auto& c : cases) {
    auto event = camera();
    event.place.lat_deg = c.lat;
    event.place.lon_deg = c.lon;
    event.place.hae_m = -0.0;
    EXPECT_THAT(xml_of(event), HasSubstr(c.text));
    EXPECT_THAT(xml_of(event), HasSubstr("hae=\"0.000\""));
    PointOfInterest point;
    point.source = "a";
    point.camera_id = "b";
    point.place = event.place;
    EXPECT_THAT(xml_of(point), HasSubstr(c.text));
  }
}

TEST(OwnEvents, UnknownHeightsAndErrors) {
  for (const double absurd : {kNan, kInfinity, -kInfinity, 999'999.0, -1e9}) {
    auto event = camera();
    event.place.hae_m = absurd;
    EXPECT_THAT(xml_of(event), HasSubstr(R"(hae="9999999.0" ce="3.00" le="9999999.0")")) << absurd;
    EXPECT_THAT(xml_of(event), HasSubstr(R"(altsrc="???")"));
    event.place.ce_m = absurd;
    EXPECT_THAT(xml_of(event), HasSubstr(R"(ce="9999999.0")"));
  }
}

TEST(OwnEvents, APointOfInterestLinksToItsCamera) {
  PointOfInterest point;
  point.source = "uav-7";
  point.camera_id = "eo_1";
  point.place = {.lat_deg = 40.5, .lon_deg = -74.25, .hae_m = 10, .ce_m = 20, .le_m = 5, .altitude_source = "DTED2"};
  const auto xml = xml_of(point);
  EXPECT_THAT(xml, HasSubstr("uid=\"SPI.uav-7.eo_1\" type=\"b-m-p-s-p-i\" how=\"m-i\""));
  EXPECT_THAT(xml, HasSubstr("<contact callsign=\"eo_1 SPI\"/><precisionlocation altsrc=\"DTED2\"/>"
                             "<link uid=\"CAM.uav-7.eo_1\" type=\"b-m-p-s-p-loc\" relation=\"p-p\"/></detail>"));
  EXPECT_THAT(xml_of(camera()), HasSubstr("uid=\"CAM.uav-7.eo_1\""));
  point.callsign = "look";
  point.exercise = true;
  EXPECT_THAT(xml_of(point), HasSubstr("callsign=\"look\""));
  EXPECT_THAT(xml_of(point), HasSubstr("opex=\"e-detection-system\""));
}

TEST(OwnEvents, TheLongestFit) {
  std::string longest;
  for (int i = 0; i < 100; ++i) longest += "\xC3\xBF";  // "&#xff;" each, and cut between two bytes
  const std::string colons(128, ':');
  auto event = camera();
  event.source = colons;
  event.camera_id = colons;
  event.callsign = longest;
  event.model = longest;
  EXPECT_THAT(xml_of(event), Not(HasSubstr("&#xfffd;")));
  PointOfInterest point;
  point.source = colons;
  point.camera_id = colons;
  EXPECT_EQ(read_event(xml_of(point))->uid.substr(3), read_event(xml_of(event))->uid.substr(3));
  ServiceEvent service;
  const std::string uid(128, 'u');
  service.uid = uid;
  service.callsign = service.platform = service.version = service.group = service.role = longest;
  EXPECT_THAT(xml_of(service), Not(HasSubstr("&#xfffd;")));
}

TEST(OwnEvents, TimesAtTheEndsOfTheCalendar) {
  for (const std::int64_t now : {INT64_MIN, std::int64_t{0}, std::int64_t{253'402'300'799'000'000}, INT64_MAX}) {
    std::string out;
    auto event = camera();
    event.stale = std::chrono::seconds{-5};
    append_camera_xml(out, event, UtcMicros{now});
    EXPECT_TRUE(read_event(out)) << out;
  }
}

}  // namespace
}  // namespace detection::cot
