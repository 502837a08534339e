// Whatever legal detection comes: its frame says what its XML says. The converter, which goes through protobuf's own
// library, is the oracle of what is written by hand.

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>

#include "cot/frame.hpp"
#include "cot/frame_reader.hpp"
#include "cot/legal_detection.hpp"
#include "cot/validate.hpp"

namespace detection::cot {
namespace {

std::string xml_of(const Event& event) {
  std::string out;
  append_xml(out, event);
  return out;
}

std::string frame_of(const Event& event) {
  std::string out;
  append_frame(out, event);
  return out;
}

std::string converted(const std::string& xml) {
  std::string out;
  const auto done = append_frame_of_xml(out, xml, WireFormat::kFrame);
  if (!done) RC_FAIL(done.error().detail);
  return out;
}

ParsedEvent read(const std::string& frame) {
  FrameSplitter splitter;
  std::string_view bytes = frame;
  const auto payload = splitter.next(bytes);
  RC_ASSERT(payload.has_value());
  RC_ASSERT(bytes.empty());
  auto event = read_frame(*payload);
  if (!event) RC_FAIL(event.error().detail);
  const auto name = read_frame_name(*payload);
  RC_ASSERT(name.has_value());
  RC_ASSERT(name->uid == event->uid);
  RC_ASSERT(name->type == event->type);
  RC_ASSERT(name->time == event->time);
  return *event;
}

bool near(const std::optional<double>& a, const std::optional<double>& b, double step) {
  return a.has_value() == b.has_value() && (!a || std::abs(*a - *b) <= step * 0.5001);
}

void expect_same(const ParsedEvent& frame, const ParsedEvent& xml) {
  RC_ASSERT(frame.uid == xml.uid);
  RC_ASSERT(frame.type == xml.type);
  RC_ASSERT(frame.how == xml.how);
  RC_ASSERT(frame.qos == xml.qos);
  RC_ASSERT(frame.opex == xml.opex);
  RC_ASSERT(frame.access == xml.access);
  RC_ASSERT(frame.time == xml.time);
  RC_ASSERT(frame.start == xml.start);
  RC_ASSERT(frame.stale == xml.stale);
  RC_ASSERT(frame.detail == xml.detail);
  RC_ASSERT(near(frame.lat_deg, xml.lat_deg, 1e-8));
  RC_ASSERT(near(frame.lon_deg, xml.lon_deg, 1e-8));
  RC_ASSERT(near(frame.hae_m, xml.hae_m, 1e-3));
  RC_ASSERT(near(frame.ce_m, xml.ce_m, 1e-2));
  RC_ASSERT(near(frame.le_m, xml.le_m, 1e-2));
}

void check_one(const LocatedDetection& detection, UtcMicros now, const EventOptions& options) {
  auto event = make_event(detection, now, options);
  const auto xml = xml_of(event);
  const auto of_xml = read_event(xml);
  if (!of_xml) RC_FAIL(of_xml.error().detail);
  const auto of_frame = read(frame_of(event));
  expect_same(of_frame, *of_xml);
  // Not cut to XML's decimals.
  RC_ASSERT(of_frame.lat_deg == detection.fix.position.lat_deg);
  RC_ASSERT(of_frame.lon_deg == detection.fix.position.lon_deg);
  if (of_frame.hae_m) RC_ASSERT(*of_frame.hae_m == detection.fix.position.hae_m);

  // With XML's numbers both frames are the same bytes.
  auto rounded = detection;
  rounded.fix.position.lat_deg = of_xml->lat_deg;
  rounded.fix.position.lon_deg = of_xml->lon_deg;
  event.detection = &rounded;
  event.hae_m = of_xml->hae_m.value_or(kUnknown_m);
  event.ce_m = of_xml->ce_m.value_or(kUnknown_m);
  event.le_m = of_xml->le_m.value_or(kUnknown_m);
  RC_ASSERT(frame_of(event) == converted(xml));
}

TEST(FrameProperty, AFrameSaysWhatTheXmlSays) {
  EXPECT_TRUE(rc::check([] {
    EventOptions options;
    options.error = *rc::gen::element(ErrorConvention::kCe90, ErrorConvention::kSigma);
    options.stale = std::chrono::seconds{*rc::gen::inRange(1, 100'000)};
    options.terrain = *rc::gen::element(TerrainModel::kCalculated, TerrainModel::kDted1, TerrainModel::kLidar);
    for (int i = 0; i < 10; ++i)
      check_one(*rc::gen::resize(rc::kNominalSize, rc::gen::exec(legal_detection)),
                UtcMicros{*rc::gen::inRange<std::int64_t>(0, kYear9000)}, options);
  }));
}

/// Details of every shape, put together from pieces: nothing is lost, and what comes out goes through unchanged.
TEST(FrameProperty, EveryDetailComesBack) {
  static const std::vector<std::string> kPieces{"<contact callsign='A'/>",
                                                "<contact callsign=\"A\" phone=\"1\"/>",
                                                "<contact callsign='A'>t</contact>",
                                                "<track course=\"0.0\" speed=\"1.5\"/>",
                                                "<track course='1' speed='2' slope='3'/>",
                                                "<status battery='5'/>",
                                                "<status readiness='true'/>",
                                                "<__group name='a' role='b'></__group>",
                                                "<takv platform='a&gt;' version='/>'/>",
                                                "<precisionlocation altsrc='x'/>",
                                                "<remarks>t &amp; u</remarks>",
                                                "<!-- <contact callsign='B'/> -->",
                                                "<![CDATA[<status battery='6'/>]]>",
                                                " text ",
                                                "\n",
                                                "<a><contact callsign='C'/></a>"};
  EXPECT_TRUE(rc::check([] {
    const auto pieces = *rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(kPieces));
    std::string detail;
    for (const auto& piece : pieces) detail += piece;
    const std::string xml =
        "<event version='2.0' uid='u' type='a-u-G' time='2026-11-23T19:04:05Z' start='2026-11-23T19:04:05Z' "
        "stale='2026-11-23T19:05:05Z'><point lat='1' lon='2' hae='3' ce='4' le='5'/><detail>" +
        detail + "</detail></event>";
    const auto there = read(converted(xml));
    for (const auto& piece : pieces) {
      const auto count = std::ranges::count(pieces, piece);
      // Typed ones come back in our own writing; of what stays XML each letter does.
      const bool typed = piece.starts_with("<contact callsign='A'/") || piece.starts_with("<status battery") ||
                         piece.starts_with("<track course=\"0") || piece.starts_with("<__group") ||
                         piece.starts_with("<takv") || piece.starts_with("<precision");
      if (!typed && piece != "\n" && there.detail.find(piece) == std::string::npos) RC_FAIL("lost: " + piece);
      if (count == 1 && piece.starts_with("<takv"))
        RC_ASSERT(there.detail.find("version=\"/&gt;\"") != std::string::npos);
    }
    const std::string again = xml.substr(0, xml.find("<detail>") + 8) + there.detail + "</detail></event>";
    RC_ASSERT(converted(again) == converted(xml));
  }));
}

}  // namespace
}  // namespace detection::cot
