// Our frames decoded by takproto, which has its own schema and protobuf's Python library. Skipped, loudly, where its
// environment is missing: tests/peers/setup_venv.sh pytak.

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cot/frame.hpp"
#include "cot/own_events.hpp"
#include "cot/reader.hpp"
#include "cot/test_detections.hpp"
#include "integration/support/process.hpp"
#include "test_paths.hpp"

namespace detection::cot {
namespace {

using nlohmann::json;

std::string hex(std::string_view bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out.push_back(kHex[static_cast<unsigned char>(c) >> 4]);
    out.push_back(kHex[static_cast<unsigned char>(c) & 15]);
  }
  return out;
}

class TakProto : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(std::string(DETECTION_SOURCE_ROOT) + "/.cache/venv/pytak/.requirements"))
      GTEST_SKIP() << "SKIPPED, NOT TESTED: no environment of the peer 'pytak'; make it with tests/peers/setup_venv.sh "
                      "pytak";
  }

  std::vector<json> decode(const std::vector<std::string>& frames) const {
    std::string lines;
    for (const auto& frame : frames) lines += hex(frame) + "\n";
    const auto file = folder_.path() / "frames.hex";
    integration::write_file(file, lines);
    const auto done = integration::run(
        {"/usr/bin/python3", std::string(DETECTION_SOURCE_ROOT) + "/tests/peers/takproto_decode.py", file.string()},
        std::chrono::minutes(2));
    EXPECT_EQ(done.exit.code, 0) << done.err;
    std::vector<json> messages;
    std::istringstream out(done.out);
    for (std::string line; std::getline(out, line);) messages.push_back(json::parse(line, nullptr, false));
    EXPECT_EQ(messages.size(), frames.size()) << done.err;
    messages.resize(frames.size());
    return messages;
  }

  static std::string frame(std::string_view xml) {
    std::string out;
    EXPECT_TRUE(append_frame_of_xml(out, xml, WireFormat::kFrame));
    return out;
  }

 private:
  integration::TempDir folder_;
};

TEST_F(TakProto, ReadsADetectionFromFrameAndDatagram) {
  auto detection = vehicle();
  detection.object_class = "v\xC3\xA9hicule";
  detection.exercise = true;
  const auto event = make_event(detection, kTestNow, {});
  std::string stream, datagram, xml;
  append_frame(stream, event);
  append_datagram(datagram, event);
  append_xml(xml, event);
  const auto messages = decode({stream, datagram});
  EXPECT_EQ(messages[0], messages[1]);
  const auto& cot = messages[0]["cotEvent"];
  EXPECT_FALSE(messages[0].contains("takControl"));
  EXPECT_EQ(cot["type"], "a-u-G-E-V");
  EXPECT_EQ(cot["uid"], detection.cot_uid);
  EXPECT_EQ(cot["how"], "m-i");
  EXPECT_EQ(cot["qos"], "5-r-g");
  EXPECT_EQ(cot["opex"], "e-detection-system");
  EXPECT_FALSE(cot.contains("access"));
  EXPECT_EQ(cot["sendTime"], 1'795'460'705'987);
  EXPECT_EQ(cot["startTime"], 1'795'460'645'123);
  EXPECT_EQ(cot["staleTime"], 1'795'461'005'987);
  EXPECT_EQ(cot["lat"], 40.712834561);
  EXPECT_EQ(cot["lon"], -74.006015245);
  EXPECT_EQ(cot["hae"], 12.3456);
  EXPECT_EQ(cot["ce"], 7.5432);
  EXPECT_EQ(cot["le"], 3.2897);
  EXPECT_EQ(cot["detail"]["contact"], json({{"callsign", "v\xC3\xA9hicule 92%"}}));
  EXPECT_EQ(cot["detail"]["precisionLocation"], json({{"geopointsrc", "CALC"}, {"altsrc", "USER"}}));
  EXPECT_EQ(cot["detail"].size(), 3U);
  const auto link = xml.find("<link ");
  EXPECT_EQ(cot["detail"]["xmlDetail"], xml.substr(link, xml.find("</detail>") - link));
}

TEST_F(TakProto, ReadsEveryTypedElementAndWhatStaysXml) {
  constexpr std::string_view kHead =
      "<event version='2.0' uid='u' type='a-f-G-U-C' how='m-g' access='Undefined' time='2026-11-23T19:04:05.123Z' "
      "start='2026-11-23T19:04:05Z' stale='2026-11-23T19:05:05Z'><point lat='0' lon='-0.0' hae='0' ce='9999999.0' "
      "le='999999'/><detail>";
  const auto with = [&](std::string_view detail) {
    return frame(std::string(kHead) + std::string(detail) + "</detail></event>");
  };
  const auto messages =
      decode({with("<takv device='d' platform='p' os='o' version='v'/><contact callsign='c' endpoint='*:-1:stcp'/>"
                   "<__group name='Cyan' role='HQ'/><status battery='87'/><track course='12.5' speed='0.25'/>"
                   "<precisionlocation altsrc='GPS' geopointsrc='USER'/>"),
              with("<track course='0.0' speed='0.0'/>"), with("<track course='1.0' speed='2.0' slope='3'/>"),
              with("<status readiness='true'/>"), with("")});
  const auto& all = messages[0]["cotEvent"]["detail"];
  EXPECT_EQ(all["takv"], json({{"device", "d"}, {"platform", "p"}, {"os", "o"}, {"version", "v"}}));
  EXPECT_EQ(all["contact"], json({{"endpoint", "*:-1:stcp"}, {"callsign", "c"}}));
  EXPECT_EQ(all["group"], json({{"name", "Cyan"}, {"role", "HQ"}}));
  EXPECT_EQ(all["status"], json({{"battery", 87}}));
  EXPECT_EQ(all["track"], json({{"speed", 0.25}, {"course", 12.5}}));
  EXPECT_EQ(all["precisionLocation"], json({{"geopointsrc", "USER"}, {"altsrc", "GPS"}}));
  EXPECT_FALSE(all.contains("xmlDetail"));
  EXPECT_EQ(messages[1]["cotEvent"]["detail"], json({{"track", json::object()}}));
  EXPECT_EQ(messages[2]["cotEvent"]["detail"], json({{"xmlDetail", "<track course='1.0' speed='2.0' slope='3'/>"}}));
  EXPECT_EQ(messages[3]["cotEvent"]["detail"], json({{"xmlDetail", "<status readiness='true'/>"}}));
  const auto& bare = messages[4]["cotEvent"];
  EXPECT_EQ(bare["access"], "Undefined");
  for (const char* zero : {"lat", "lon", "hae", "detail"}) EXPECT_FALSE(bare.contains(zero)) << zero;
  EXPECT_EQ(bare["ce"], 9'999'999.0);
  EXPECT_EQ(bare["le"], 9'999'999.0);
}

TEST_F(TakProto, ReadsOurControlAndOwnEvents) {
  std::string ping, removal, camera;
  append_ping_xml(ping, "svc", kTestNow);
  append_delete_xml(removal, "DET.1", kTestNow);
  CameraEvent event;
  event.source = "uav-7";
  event.camera_id = "eo_1";
  event.azimuth_deg = 359.9;
  append_camera_xml(camera, event, kTestNow);
  const auto messages = decode({frame(ping), frame(removal), frame(camera)});
  EXPECT_EQ(messages[0]["cotEvent"]["uid"], "svc-ping");
  EXPECT_EQ(messages[0]["cotEvent"]["type"], "t-x-c-t");
  EXPECT_EQ(messages[1]["cotEvent"]["detail"]["xmlDetail"],
            "<link uid=\"DET.1\" relation=\"none\" type=\"none\"/><__forcedelete/>");
  EXPECT_EQ(messages[2]["cotEvent"]["uid"], "CAM.uav-7.eo_1");
  EXPECT_EQ(messages[2]["cotEvent"]["detail"]["contact"], json({{"callsign", "eo_1"}}));
  EXPECT_TRUE(
      messages[2]["cotEvent"]["detail"]["xmlDetail"].get<std::string>().starts_with("<sensor azimuth=\"359.90\""));
}

}  // namespace
}  // namespace detection::cot
