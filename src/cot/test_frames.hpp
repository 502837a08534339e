#pragma once
// Frames for the tests of this room.

#include <gtest/gtest.h>
#include <tak_message.pb.h>

#include <string>
#include <string_view>

#include "cot/frame.hpp"
#include "cot/frame_reader.hpp"

namespace detection::cot {

inline std::string frame_of_xml(std::string_view xml, WireFormat format = WireFormat::kFrame) {
  std::string out;
  const auto done = append_frame_of_xml(out, xml, format);
  EXPECT_TRUE(done) << done.error().detail;
  return out;
}

/// The payload of a stream's one frame.
inline std::string payload_of(std::string_view frame) {
  FrameSplitter splitter;
  const auto payload = splitter.next(frame);
  EXPECT_TRUE(payload.has_value()) << splitter.fault_words();
  EXPECT_TRUE(frame.empty());
  return std::string(payload.value_or(""));
}

inline wire::CotEvent message_of(std::string_view frame) {
  wire::TakMessage message;
  EXPECT_TRUE(message.ParseFromString(payload_of(frame)));
  return message.event();
}

inline constexpr std::string_view kTimes =
    R"(time="1970-01-01T00:00:01Z" start="1970-01-01T00:00:02.5Z" stale="1970-01-01T00:00:20Z")";
inline constexpr std::string_view kPlace = R"(<point lat="1" lon="-2" hae="0" ce="9999999.0" le="0.5"/>)";

inline std::string event_with(std::string_view detail) {
  return "<event version=\"2.0\" uid=\"u\" type=\"a-u-G\" how=\"m-i\" " + std::string(kTimes) + ">" +
         std::string(kPlace) + "<detail>" + std::string(detail) + "</detail></event>";
}

}  // namespace detection::cot
