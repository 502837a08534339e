// The traps of reference/tak.md 6.3 and the rules 1.1-1.5 behind them, that show on the wire: what the running service
// sends is read as bytes by a server of the tests.
//
// trap (6.3)                          | the test that has it
// ------------------------------------+---------------------------------------------------------------------------
// MSL against HAE, 20-50 m            | Traps.HeightsAboveTheSeaAreSentAboveTheEllipsoid; geolocate: Locate.SeaLevel...
//                                     | HeightsGetTheGeoidWithTheRightSign, Geoid.AgreesWithTheOfficialEgm96Points
// magnetic or true; NED or camera;    | geolocate: Locate.PixelsMoveThePointTheRightWay, Rotation.MatchesSkydiosQuater-
//   relative or absolute yaw          | nions, Rotation.ComposesTealsPlatformAndCamera,
//   Locate.RealPacketsByRangeAndByGround
// frame time and time of reception;   | Traps.WhatIsDeliveredLateIsNotStale; cot:
// EventXml.ADetectorsClockAheadOfOurs...
//   late replay; skew of clocks       | DoesNotDelete; tak: RealPeers.EachEventArrivesOnce... (server_clock_ahead)
// uid without odd characters; no      | Traps.UidsArePlainAndDetectionsAreNoContacts; cot: Uid.IsThePrefixAndTheId...
//   endpoint                          | OrTheTrack, Uid.NoTwoThingsShareOne
// sensor cone centred on its azimuth  | cot's own tests of the event of a camera (azimuth 0 and 359.9)
// exactly 0; +-180; poles; -0.0;      | Traps.ZeroIsAPlaceInAnyLocale; cot: EventXml.ExactlyZeroIsAPlaceAndAHeight,
//   decimal comma; exponents          | Fixed.NeverAnExponentAndNeverMinusZero; geolocate: Locate.EdgesOfTheEarth,
//                                     | Wgs84.PolesAndAntimeridianHaveOneForm
// texts with </event>, ]]>, &, quotes,| Traps.HostileTextsAreTextOrRefused; cot: EventXml.HostileTextsStayText,
//   controls, non-ASCII               | EventProperty.EveryLegalDetectionMakesAValidEvent
//
// row of section 4 (server)           | the test that has it (tak: src/tak/*_test.cpp)
// ------------------------------------+---------------------------------------------------------------------------
// offers and answers of all kinds     | tak: Negotiation.*
// XML between, frame with the answer  | tak: Negotiation.XmlStillComing..., Negotiation.FirstFrameInTheSegment...
// pongs: right, echoed, doubled, none | tak: SinkFaults.*, Negotiation.PingsThatComeBackAsFramesConfirm
// slow, stuck, half open, reset       | tak: SinkFaults.*, Negotiation.ClosedResetOrHalfClosed...; storm_test
// 2048 bytes; UTF-8; tail; small recv | Traps.WhatIsSentSurvivesEachReader; TlsSinks.EachRecordHoldsWholeEvents...;
//                                     | tak: ServerTraps.*, Negotiation.ServersThatReadInSmallPieces
// whole picture; giant event          | tak: SinkFaults.DrainsTheWholePictureAndSkipsAGiant
// <auth>                              | tak: ServerTraps.AuthenticationIsTheFirstMessage, .ARefusedAuthentication...
// TLS: authority, client certificate  | TlsSinks.*; names, expiry, pins, PKCS#12: the tests of tak's credentials
// own events and pings sent back      | tak: TcpSink.TakesItsOwnPingSentBackAsTheAnswer, .AnotherProgramsPingIsNoAnswer

#include <gmock/gmock.h>

#include <cmath>

#include "detection/time.hpp"
#include "integration/support/fault_gate.hpp"
#include "integration/support/posting.hpp"
#include "integration/support/records.hpp"
#include "integration/support/requests.hpp"
#include "tak/scripted_server.hpp"

namespace detection::integration {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using tak::ScriptedServer;

std::string tcp_sink(std::uint16_t port) {
  return "tcp://127.0.0.1:" + std::to_string(port);
}

/// A TAK server, and every byte that it was sent.
class Keeper {
 public:
  [[nodiscard]] std::string url() const { return tcp_sink(gate_.port()); }
  [[nodiscard]] FaultGate& gate() { return gate_; }
  /// The event of that uid as it was sent; waits for it.
  [[nodiscard]] std::string event(const std::string& uid) const {
    const std::string mark = " uid=\"" + uid + "\"";
    std::string text;
    (void)wait_until(seconds(20), [&] {
      text = read_file(dir_.path() / "sent");
      const auto at = text.find(mark);
      return at != std::string::npos && text.find("</event>", at) != std::string::npos;
    });
    const auto at = text.find(mark);
    if (at == std::string::npos) return "no event " + uid;
    const auto begin = text.rfind("<event ", at);
    return text.substr(begin, text.find("</event>", at) + 8 - begin);
  }

 private:
  TempDir dir_;
  ScriptedServer server_;
  FaultGate gate_{{.peer_port = server_.port(), .record = dir_.path() / "sent"}};
};

std::string attribute(const std::string& event, const std::string& name) {
  const std::string mark = " " + name + "=\"";
  const auto at = event.find(mark);
  if (at == std::string::npos) return {};
  return event.substr(at + mark.size(), event.find('"', at + mark.size()) - at - mark.size());
}

double number(const std::string& event, const std::string& name) {
  const auto text = attribute(event, name);
  return text.empty() ? std::nan("") : std::strtod(text.c_str(), nullptr);
}

/// Posts one; its answer.
json post_one(const Service& service, const json& detection) {
  auto client = service.client();
  const auto answer = client.post("/api/v1/detections", detection.dump());
  if (!answer || answer->status != 201) {
    ADD_FAILURE() << (answer ? answer->body : "no answer");
    return {{"detection_id", ""}};
  }
  return json::parse(answer->body);
}

class Traps : public ::testing::Test {
 protected:
  std::string event_of(const json& answer) {
    return keeper_.event("DET." + answer.at("detection_id").get<std::string>());
  }
  Keeper keeper_;
  std::unique_ptr<Service> service_ =
      std::make_unique<Service>(ServiceSettings{binary(), {keeper_.url()}, {"--cot-stale", "2s"}});
};

TEST_F(Traps, HeightsAboveTheSeaAreSentAboveTheEllipsoid) {
  service_->start();
  auto detection = json::parse(detection_json(1));
  auto& sensor = detection["sensor_metadata"];
  sensor.erase("ground_elevation_m");
  sensor["slant_range_m"] = 200;
  const auto above_ellipsoid = event_of(post_one(*service_, detection));
  sensor["elevation_reference"] = "msl";
  const auto above_sea = event_of(post_one(*service_, detection));
  // The geoid lies 45 to 48 m above the ellipsoid at 48 N 11 E (EGM96).
  const double undulation = number(above_sea, "hae") - number(above_ellipsoid, "hae");
  EXPECT_GT(undulation, 44) << above_sea;
  EXPECT_LT(undulation, 49) << above_sea;
}

TEST_F(Traps, UidsArePlainAndDetectionsAreNoContacts) {
  service_->start();
  auto detection = json::parse(detection_json(2));
  const auto event = event_of(post_one(*service_, detection));
  EXPECT_THAT(attribute(event, "uid"), testing::MatchesRegex("[A-Za-z0-9._-]+"));
  EXPECT_EQ(event.find("endpoint="), std::string::npos) << "a phantom contact in everyone's list";
  EXPECT_EQ(event.find("<archive"), std::string::npos) << "it would never go away";
  EXPECT_THAT(attribute(event, "type"), testing::StartsWith("a-u-")) << "never hostile by itself";
  detection["track_id"] = "a:b_7";
  const auto answer = post_one(*service_, detection);
  EXPECT_THAT(answer.at("cot").at("uid").get<std::string>(), testing::MatchesRegex("[A-Za-z0-9._-]+"));
}

TEST_F(Traps, ZeroIsAPlaceInAnyLocale) {
  // The service under a locale with a decimal comma, where the machine has one; numbers have points all the same.
  ::setenv("LC_ALL", "de_DE.UTF-8", 1);  // NOLINT(concurrency-mt-unsafe): no thread reads it
  service_->start();
  ::unsetenv("LC_ALL");  // NOLINT(concurrency-mt-unsafe)
  auto detection = json::parse(detection_json(3));
  auto& sensor = detection["sensor_metadata"];
  sensor["location_lat"] = 0;
  sensor["location_lon"] = 0;
  sensor["location_elevation"] = 100;
  sensor["ground_elevation_m"] = 0;
  sensor["pitch"] = -90;
  sensor["roll"] = 0;
  detection["pixel_x"] = 960;
  detection["pixel_y"] = 540;
  const auto answer = post_one(*service_, detection);
  const auto event = event_of(answer);
  EXPECT_NEAR(number(event, "lat"), 0, 1e-6) << event;
  EXPECT_NEAR(number(event, "lon"), 0, 1e-6) << event;
  EXPECT_NEAR(number(event, "hae"), 0, 0.01) << event;
  for (const char* name : {"lat", "lon", "hae", "ce", "le"})
    EXPECT_THAT(attribute(event, name), testing::MatchesRegex("-?[0-9]+(\\.[0-9]+)?")) << name;
  EXPECT_THAT(attribute(event, "lat"), testing::Not(testing::MatchesRegex("-0(\\.0*)?")));
}

TEST_F(Traps, HostileTextsAreTextOrRefused) {
  service_->start();
  auto client = service_->client();
  for (const char* text : {"</event>", "]]>", "a&b", "\"quoted\"", "\xc3\xa9", "\x01", "<x/>"}) {
    for (const char* field : {"object_class", "source", "camera_id", "track_id"}) {
      auto detection = json::parse(detection_json(4));
      detection[field] = text;
      const auto answer = client.post("/api/v1/detections", detection.dump());
      ASSERT_TRUE(answer) << field;
      EXPECT_EQ(answer->status, 422) << field << ": " << answer->body;
    }
  }
  const auto event = event_of(post_one(*service_, json::parse(detection_json(5))));
  EXPECT_EQ(event.find("</event>"), event.size() - 8);
}

TEST_F(Traps, WhatIsDeliveredLateIsNotStale) {
  keeper_.gate().set({.refuse = true});
  service_->start();
  const auto accepted = system_now();
  const auto answer = post_one(*service_, json::parse(detection_json(6)));
  sleep_ms(2'500);  // longer than an event lives
  const auto before = system_now();
  keeper_.gate().heal();
  const auto event = event_of(answer);
  // Times of one form compare as texts.
  EXPECT_GT(attribute(event, "stale"), format_rfc3339_ms(before)) << "it arrives grey, and some servers drop it";
  EXPECT_LT(attribute(event, "start"), format_rfc3339_ms(accepted + seconds(1))) << "start is that of the frame";
  EXPECT_LT(attribute(event, "start"), attribute(event, "stale")) << "that would delete it";
}

TEST_F(Traps, WhatIsSentSurvivesEachReader) {
  std::vector<std::unique_ptr<ScriptedServer>> servers;
  std::vector<std::string> sinks, names;
  for (const std::size_t piece : {1U, 7U, 1'024U}) {
    servers.push_back(std::make_unique<ScriptedServer>(
        tak::ServerScript{.recv_bytes = piece, .decode_utf8 = true, .element_most = 2'048}));
    names.push_back("reads-" + std::to_string(piece));
    sinks.push_back(names.back() + "=" + tcp_sink(servers.back()->port()));
  }
  Service service({binary(), sinks});
  service.start();
  const auto uids = post_batches(service, 200);
  ASSERT_TRUE(drained(service, names, seconds(60))) << service.log();
  for (const auto& server : servers) {
    EXPECT_EQ(server->uids().size(), uids.size());
    EXPECT_EQ(server->connections(), 1U) << "it was dropped";
    EXPECT_EQ(server->torn(), 0U);
    EXPECT_EQ(server->seen().non_ascii, 0U);
  }
}

}  // namespace
}  // namespace detection::integration
