#include "cot/frame_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tak_message.pb.h>

#include <cstdlib>
#include <limits>
#include <vector>

#include "cot/event_splitter.hpp"
#include "cot/frame.hpp"
#include "cot/test_detections.hpp"

namespace detection::cot {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string frame(std::string_view payload) {
  std::string out(1, kFrameMagic);
  std::size_t size = payload.size();
  for (; size >= 0x80; size >>= 7) out.push_back(static_cast<char>(size | 0x80));
  out.push_back(static_cast<char>(size));
  return out.append(payload);
}

std::vector<std::string> all(FrameSplitter& splitter, std::string_view bytes) {
  std::vector<std::string> payloads;
  while (const auto payload = splitter.next(bytes)) payloads.emplace_back(*payload);
  return payloads;
}

FrameFault fault_of(std::string_view bytes, std::size_t most = 1000) {
  FrameSplitter splitter(most);
  (void)all(splitter, bytes);
  EXPECT_EQ(splitter.fault_words().empty(), splitter.fault() == FrameFault::kNone);
  return splitter.fault();
}

/// A message that read_frame takes.
wire::TakMessage message() {
  wire::TakMessage out;
  out.mutable_event()->set_type("t-x-c-t-r");
  out.mutable_event()->set_uid("takPong");
  out.mutable_event()->set_send_time(1'795'460'645'123U);
  return out;
}

std::string refusal(const wire::TakMessage& message, const MarkupLimits& limits = {}) {
  const auto read = read_frame(message.SerializeAsString(), limits);
  return read ? "" : read.error().detail;
}

Result<ParsedEvent> read_with(void (*change)(wire::Detail&)) {
  auto one = message();
  change(*one.mutable_event()->mutable_detail());
  return read_frame(one.SerializeAsString());
}

TEST(FrameSplitter, CutsAStreamInPiecesOfAnySize) {
  const std::string large(70'000, 'l');
  std::string stream;
  for (const std::string& payload :
       {std::string("a"), std::string(), std::string(127, 'b'), std::string(128, 'c'), large})
    stream += frame(payload);
  for (const std::size_t size : {1U, 2U, 3U, 7U, 1024U, 1'000'000U}) {
    FrameSplitter splitter;
    std::vector<std::string> payloads;
    for (std::size_t at = 0; at < stream.size(); at += size)
      for (auto& payload : all(splitter, std::string_view(stream).substr(at, size)))
        payloads.push_back(std::move(payload));
    EXPECT_THAT(payloads, ElementsAre("a", "", std::string(127, 'b'), std::string(128, 'c'), large)) << size;
    EXPECT_EQ(splitter.fault(), FrameFault::kNone);
  }
}

TEST(FrameSplitter, HoldsOnlyWhatHasCome) {
  FrameSplitter splitter(1u << 30);
  std::string_view head("\xbf\x80\x80\x80\x80\x02start", 11);  // says 512 MiB
  EXPECT_FALSE(splitter.next(head));
  EXPECT_EQ(splitter.held_bytes(), 5U);
  EXPECT_EQ(splitter.fault(), FrameFault::kNone);
}

TEST(FrameSplitter, SaysWhyAStreamIsNotOneOfFrames) {
  EXPECT_EQ(fault_of("<event/>"), FrameFault::kMagic);
  EXPECT_EQ(fault_of("\xbf\x01x<event/>"), FrameFault::kMagic);
  EXPECT_EQ(fault_of("\xbf\x01x\n\xbf\x01y"), FrameFault::kMagic) << "white space only in front of the first";
  EXPECT_EQ(fault_of("\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), FrameFault::kVarint);
  EXPECT_EQ(fault_of("\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), FrameFault::kVarint);
  EXPECT_EQ(fault_of("\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), FrameFault::kTooLong);
  EXPECT_EQ(fault_of("\xbf\xe9\x07"), FrameFault::kTooLong);  // 1001
  EXPECT_EQ(fault_of("\xbf\xe8\x07"), FrameFault::kNone);     // 1000
  EXPECT_EQ(fault_of(std::string_view("\xbf\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11)), FrameFault::kNone)
      << "a long way to say 0";
}

TEST(FrameSplitter, AFaultStaysAndLeavesTheRest) {
  FrameSplitter splitter;
  std::string_view bytes = "\xbf\x01x<event>";
  EXPECT_EQ(splitter.next(bytes), "x");
  EXPECT_FALSE(splitter.next(bytes));
  EXPECT_EQ(bytes, "<event>");
  std::string_view good = "\xbf\x01y";
  EXPECT_FALSE(splitter.next(good));
  EXPECT_EQ(good, "\xbf\x01y");
}

/// The answer to the request and the first frame in one segment.
TEST(FrameSplitter, TakesOverFromTheXml) {
  for (const char* between : {"", "\n", "\r\n"}) {
    const std::string segment = "<event type='t-x-takp-r'></event>" + std::string(between) + frame("first");
    EventSplitter xml;
    FrameSplitter frames;
    std::string_view bytes = segment;
    EXPECT_TRUE(xml.next(bytes));
    EXPECT_THAT(all(frames, bytes), ElementsAre("first"));
  }
}

TEST(FrameReader, ReadsWhatServersWrite) {
  auto pong = message();
  pong.set_submission_time(1);
  pong.set_creation_time(2);
  pong.mutable_control()->set_max_version(1);
  pong.mutable_event()->set_how("h-g-i-g-o");
  pong.mutable_event()->set_ce(999'999);
  pong.mutable_event()->set_le(9'999'999);
  const auto read = read_frame(pong.SerializeAsString());
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(read->version, "2.0");
  EXPECT_EQ(read->uid, "takPong");
  EXPECT_EQ(read->how, "h-g-i-g-o");
  EXPECT_EQ(read->time.count, 1'795'460'645'123'000);
  EXPECT_EQ(read->start.count, 0);
  EXPECT_EQ(read->lat_deg, 0);
  EXPECT_EQ(read->hae_m, 0) << "absent is 0, not unknown";
  EXPECT_FALSE(read->ce_m || read->le_m);
  EXPECT_EQ(read->detail, "");
}

TEST(FrameReader, ATakControlAloneIsNoEventAndNoFault) {
  wire::TakMessage control;
  control.mutable_control()->set_min_version(1);
  control.mutable_control()->set_contact_uid("x");
  const auto read = read_frame(control.SerializeAsString());
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(read_frame_name(control.SerializeAsString()));
  EXPECT_EQ(read_frame("").error().code, ErrorCode::kNotFound);
}

TEST(FrameReader, OnConflictTheXmlCounts) {
  const auto read = read_with([](wire::Detail& detail) {
    detail.set_xml_detail("<contact callsign='xml' phone='1'/><x/>");
    detail.mutable_contact()->set_callsign("typed");
    detail.mutable_track()->set_speed(2.25);
  });
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(read->detail, R"(<track course="0.0" speed="2.25"/><contact callsign='xml' phone='1'/><x/>)");
}

TEST(FrameReader, TypedFieldsBecomeElements) {
  const auto read = read_with([](wire::Detail& detail) {
    detail.mutable_contact()->set_callsign("</event>\"\xC3\xA9");
    detail.mutable_status();
    detail.mutable_precision_location()->set_geopointsrc("GPS");
    detail.mutable_track()->set_course(std::numeric_limits<double>::quiet_NaN());
    detail.mutable_track()->set_speed(1e-7);
  });
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(read->detail,
            "<contact callsign=\"&lt;/event&gt;&quot;&#xe9;\"/><precisionlocation geopointsrc=\"GPS\"/>"
            "<status battery=\"0\"/><track speed=\"0.0000001\"/>");
  for (const double wide : {1.7976931348623157e308, 4.9406564584124654e-324, -2.2250738585072014e-308}) {
    auto one = message();
    one.mutable_event()->mutable_detail()->mutable_track()->set_speed(wide);
    const auto wide_read = read_frame(one.SerializeAsString());
    ASSERT_TRUE(wide_read);
    EXPECT_THAT(wide_read->detail, testing::Not(HasSubstr("e+")));
    EXPECT_EQ(std::strtod(wide_read->detail.substr(wide_read->detail.find("speed=\"") + 7).c_str(), nullptr), wide);
  }
}

TEST(FrameReader, AnXmlDeclarationInTheDetailIsPassedOver) {
  const auto read = read_with([](wire::Detail& detail) { detail.set_xml_detail("<?xml version='1.0'?>\n<a/>"); });
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(read->detail, "\n<a/>");
}

TEST(FrameReader, RefusesWhatIsMissingOrOutOfRange) {
  const auto changed = [](auto change) {
    auto one = message();
    change(*one.mutable_event());
    return refusal(one);
  };
  EXPECT_EQ(refusal(message()), "");
  EXPECT_THAT(changed([](wire::CotEvent& e) { e.clear_uid(); }), HasSubstr("no uid"));
  EXPECT_THAT(changed([](wire::CotEvent& e) { e.clear_type(); }), HasSubstr("no type"));
  EXPECT_THAT(changed([](wire::CotEvent& e) { e.set_uid("\xff"); }), HasSubstr("uid is not UTF-8"));
  EXPECT_THAT(changed([](wire::CotEvent& e) { e.set_how("a\x01"); }), HasSubstr("how is not UTF-8"));
  EXPECT_THAT(changed([](wire::CotEvent& e) { e.set_lat(90.0001); }), HasSubstr("lat"));
  EXPECT_THAT(changed([](wire::CotEvent& e) { e.set_lat(std::numeric_limits<double>::quiet_NaN()); }),
              HasSubstr("lat"));
  EXPECT_THAT(changed([](wire::CotEvent& e) { e.set_lon(-181); }), HasSubstr("lon"));
  EXPECT_THAT(changed([](wire::CotEvent& e) { e.set_stale_time(UINT64_MAX); }), HasSubstr("stale"));
  EXPECT_THAT(changed([](wire::CotEvent& e) { e.mutable_detail()->mutable_takv()->set_os("\xc3"); }),
              HasSubstr("UTF-8"));
}

TEST(FrameReader, RefusesADetailThatIsNoXml) {
  const auto detail = [](std::string_view xml, const MarkupLimits& limits = {}) {
    auto one = message();
    one.mutable_event()->mutable_detail()->set_xml_detail(std::string(xml));
    return refusal(one, limits);
  };
  for (const char* bad : {"<a>", "</a>", "</detail><detail>", "</detail><x/>", "<a></b>", "<a b='1' b='2'/>",
                          "<!DOCTYPE x>", "&nbsp;", "\xff", "<a b=c/>"})
    EXPECT_NE(detail(bad), "") << bad;
  std::string deep;
  for (int i = 0; i < 63; ++i) deep += "<a>";
  std::string close;
  for (int i = 0; i < 63; ++i) close += "</a>";
  EXPECT_EQ(detail(deep + close), "");
  EXPECT_THAT(detail("<a>" + deep + close + "</a>"), HasSubstr("64 elements inside each other"));
  std::string very_deep;
  for (int i = 0; i < 20'000; ++i) very_deep += "<a>";
  EXPECT_THAT(detail(very_deep), HasSubstr("64 elements inside each other"));
  MarkupLimits small;
  small.bytes = 40;
  EXPECT_THAT(detail(std::string(20, ' '), small), HasSubstr("at most 40 bytes"));
}

TEST(FrameReader, RefusesHostileBytes) {
  std::string whole = message().SerializeAsString();
  for (std::size_t size = 1; size < whole.size(); ++size) {
    EXPECT_FALSE(read_frame(whole.substr(0, size))) << size;
    EXPECT_FALSE(read_frame_name(whole.substr(0, size))) << size;
  }
  EXPECT_FALSE(read_frame("<event/>"));
  EXPECT_FALSE(read_frame("\x12\xff\xff\xff\xff\x0f"));                      // 4 GiB
  EXPECT_FALSE(read_frame("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));  // 2^64 - 1
  EXPECT_FALSE(read_frame_name("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
  const std::string groups(100'000, '\x1b');  // groups in groups
  MarkupLimits wide;
  wide.bytes = 1u << 20;
  EXPECT_FALSE(read_frame(groups, wide));
  EXPECT_FALSE(read_frame_name(groups));
}

TEST(FrameName, IsFoundCheaply) {
  const auto payload = message().SerializeAsString();
  const auto name = read_frame_name(payload);
  ASSERT_TRUE(name);
  EXPECT_EQ(name->type, "t-x-c-t-r");
  EXPECT_EQ(name->uid, "takPong");
  EXPECT_EQ(name->time.count, 1'795'460'645'123'000);

  std::string ping, frame;
  append_ping_xml(ping, "svc", kTestNow);
  ASSERT_TRUE(append_frame_of_xml(frame, ping, WireFormat::kFrame));
  const auto own = read_frame_name(std::string_view(frame).substr(2));
  ASSERT_TRUE(own);
  EXPECT_EQ(own->uid, "svc-ping");

  frame.clear();
  append_frame(frame, make_event(vehicle(), kTestNow, {}));
  EXPECT_EQ(read_frame_name(std::string_view(frame).substr(3))->uid, vehicle().cot_uid);
}

TEST(FrameName, TheLastOfSeveralCountsAsInProtobuf) {
  auto second = message();
  second.mutable_event()->set_uid("second");
  second.mutable_event()->clear_type();
  const auto twice = message().SerializeAsString() + second.SerializeAsString();
  EXPECT_EQ(read_frame_name(twice)->uid, "second");
  EXPECT_EQ(read_frame_name(twice)->type, "t-x-c-t-r");
  EXPECT_EQ(read_frame(twice)->uid, "second");
  EXPECT_EQ(read_frame(twice)->type, "t-x-c-t-r");
}

TEST(FrameName, NothingWithoutTypeOrUidAndNoAbsurdTime) {
  auto one = message();
  one.mutable_event()->set_send_time(UINT64_MAX);
  EXPECT_EQ(read_frame_name(one.SerializeAsString())->time.count, 0);
  one.mutable_event()->clear_uid();
  EXPECT_FALSE(read_frame_name(one.SerializeAsString()));
  EXPECT_FALSE(read_frame_name(""));
  EXPECT_FALSE(read_frame_name("<event/>"));
}

}  // namespace
}  // namespace detection::cot
