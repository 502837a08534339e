// The validator must see each fault, or it proves nothing about what we write.

#include "cot/validate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cot/event.hpp"
#include "cot/negotiation.hpp"
#include "cot/own_events.hpp"
#include "cot/test_detections.hpp"

namespace detection::cot {
namespace {

using testing::Contains;
using testing::HasSubstr;

struct Fault {
  const char* from;
  const char* to;
  const char* complaint;
};

void expect_seen(const std::string& good, const Fault& fault) {
  auto bad = good;
  const auto at = bad.find(fault.from);
  ASSERT_NE(at, std::string::npos) << fault.from;
  bad.replace(at, std::string_view(fault.from).size(), fault.to);
  EXPECT_THAT(violations(bad), Contains(HasSubstr(fault.complaint))) << bad;
}

TEST(Validator, SeesEachFault) {
  std::string good;
  append_xml(good, make_event(vehicle(), kTestNow, {}));
  ASSERT_EQ(violations(good), std::vector<std::string>{});
  const Fault faults[] = {
      {"<?xml", "<?XML", "must start with"},
      {"?>\n<event", "?><event", "must start with"},
      {"</event>", "</event >", "</event> must be its end"},
      {"</event>", "</event>\n", "</event> must be its end"},
      {"</event>", "</event><x/>", "exactly one root"},
      {"<contact", "\n<contact", "line ends"},
      {"callsign=\"", "callsign=\"\xC3\xA9", "printable ASCII"},
      {"version=\"2.0\"", "version=\"1.0\"", "event@version"},
      {"uid=\"DET", "uid=\"DET ", "event@uid"},
      {"type=\"a-u-G", "type=\"a-z-G", "affiliation"},
      {"type=\"a-u-G", "type=\"a-u-g", "dimension"},
      {"type=\"a-u-G-E-V\"", "type=\"\"", "event@type"},
      {" how=\"m-i\"", "", "event@how is missing"},
      {"m-i", "m-z", "event@how"},
      {"19:04:05.123Z", "19:04:05.123+00:00", "event@start"},
      {"19:04:05.123Z", "19:04:05Z", "event@start"},
      {"19:04:05.123Z", "25:04:05.123Z", "no time"},
      {"19:04:05.123Z", "19:11:05.123Z", "after start"},
      {"19:04:05.123Z", "19:07:05.123Z", "not be after time"},
      {"19:10:05.987Z", "19:05:05.987Z", "after time"},
      {"qos=\"5-r-g\"", "qos=\"five\"", "event@qos"},
      {"qos=\"5-r-g\"", "opex=\"x\"", "event@opex"},
      {"qos=\"5-r-g\"", "priority=\"5\"", "event@priority is not known"},
      {"qos=\"5-r-g\"", "uid=\"2\"", "event@uid is stated twice"},
      {"lat=\"40.71283456\"", "lat=\"4.07e1\"", "point@lat"},
      {"lat=\"40.71283456\"", "lat=\"40.71\"", "point@lat"},
      {"lat=\"40.71283456\"", "lat=\"nan\"", "point@lat"},
      {"lat=\"40.71283456\"", "lat=\"-0.00000000\"", "is -0"},
      {"lat=\"40.71283456\"", "lat=\"90.00000001\"", "outside of -90"},
      {"lon=\"-74.00601525\"", "lon=\"-180.00000001\"", "outside of -180"},
      {"lon=\"-74.00601525\"", "", "point@lon is missing"},
      {"hae=\"12.346\"", "hae=\"9999999\"", "point@hae"},
      {"hae=\"12.346\"", "hae=\"9999999.0\"", "le is known although"},
      {"ce=\"7.54\"", "ce=\"-7.54\"", "negative"},
      {"ce=\"7.54\"", "ce=\"999999.0\"", "must be 9999999.0"},
      {"<detail>", "<detail/><detail>", "at most one detail"},
      {"<detail>", "<point/><detail>", "exactly one point"},
      {"<detail>", "<detail>text", "other than elements"},
      {"<detail>", "<detail><archive/>", "archive"},
      {"<detail>", "<detail><mystery/>", "neither TAK's nor has a namespace"},
      {"<detail>", "<detail><__forcedelete/>", "deletes nothing"},
      {"<contact callsign", "<contact endpoint=\"*:-1:stcp\" callsign", "contact@endpoint"},
      {"<contact callsign=\"vehicle 92%\"/>", "", "no contact"},
      {"altsrc=\"USER\"", "altsrc=\"GUESS\"", "altsrc"},
      {"<link uid=\"CAM.", "<link uid=\"CAM ", "link@uid"},
      {" relation=\"p-p\"", "", "link@relation is missing"},
      {"argb=", "value=", "color@argb is missing"},
      {"argb=\"-16711936\"", "argb=\"4278255360\"", "32-bit"},
      {" slantRange=\"231.46\"", " slantRange=\"NaN\"", "is no number"},
      {" flag=\"GREEN\"", " flag='", "not well-formed"},
  };
  for (const auto& fault : faults) expect_seen(good, fault);
  EXPECT_THAT(violations(good + std::string(2048, ' ')), Contains(HasSubstr("more than 2048 bytes")));
  EXPECT_FALSE(violations("").empty());
}

TEST(Validator, SeesFaultsOfOwnEvents) {
  ServiceEvent service;
  service.uid = "svc";
  std::string good;
  append_service_xml(good, service, kTestNow);
  ASSERT_EQ(violations(good), std::vector<std::string>{});
  for (const Fault& fault : {Fault{"<takv platform=\"detection-api\"", "<takv", "takv@platform is missing"},
                             {"<takv ", "<takv endpoint=\"x\" ", "takv@endpoint is not known"},
                             {"role=\"Team Member\"", "role=\"\"", "__group@role"},
                             {"<__group name=\"Cyan\" role=\"Team Member\"/>", "", "no __group"},
                             {"<takv platform=\"detection-api\" version=\"0\"/>", "", "no link"}})
    expect_seen(good, fault);

  CameraEvent camera;
  camera.source = "a";
  camera.camera_id = "b";
  camera.range_m = 100;
  good.clear();
  append_camera_xml(good, camera, kTestNow);
  ASSERT_EQ(violations(good), std::vector<std::string>{});
  for (const Fault& fault : {Fault{"azimuth=\"0.00\"", "azimuth=\"360.00\"", "sensor@azimuth is out of range"},
                             {"azimuth=\"0.00\"", "azimuth=\"-0.00\"", "sensor@azimuth is -0"},
                             {"azimuth=\"0.00\"", "azimuth=\"1e1\"", "sensor@azimuth"},
                             {" azimuth=\"0.00\"", "", "sensor@azimuth is missing"},
                             {"elevation=\"0.00\"", "elevation=\"-91.00\"", "sensor@elevation is out of range"},
                             {"roll=\"0.00\"", "roll=\"180.00\"", "sensor@roll is out of range"},
                             {" fov=\"0.00\"", " fov=\"361.00\"", "sensor@fov is out of range"},
                             {"vfov=\"0.00\"", "vfov=\"181.00\"", "sensor@vfov is out of range"},
                             {"range=\"100.0\"", "range=\"-100.0\"", "sensor@range is out of range"},
                             {"range=\"100.0\"", "north=\"1\"", "sensor@north is not known"},
                             {"b-m-p-s-p-loc", "b-m-p-s-p-i", "no link"}})
    expect_seen(good, fault);

  good.clear();
  append_protocol_request_xml(good, "protouid", 1, kTestNow);
  ASSERT_EQ(violations(good), std::vector<std::string>{});
  for (const Fault& fault : {Fault{"version=\"1\"/>", "version=\"one\"/>", "TakRequest@version"},
                             {"<TakRequest version=\"1\"/>", "", "one TakRequest"},
                             {"t-x-takp-q", "t-x-takp-r", "TakControl must be a request"},
                             {"<TakControl><TakRequest version=\"1\"/></TakControl>", "", "no TakControl"}})
    expect_seen(good, fault);
}

}  // namespace
}  // namespace detection::cot
