#include "cot/frame.hpp"

#include <algorithm>

#include "cot/event_detail.hpp"
#include "cot/event_head.hpp"
#include "cot/tak_message_tags.hpp"
#include "cot/wire.hpp"

namespace detection::cot {
namespace {

/// Tags, lengths, times, numbers and fixed texts of a frame: 200 bytes at the most.
constexpr std::size_t kFrameRoom = 256;
// Lengths as they nearly always are: names below 128 bytes, details between that and 16 KiB.
constexpr std::size_t kShort = 1, kLong = 2;

void write_text(TextWriter& out, char tag, std::string_view text) noexcept {
  if (text.empty()) return;
  out.byte(tag);
  const LengthPlace length(out, kShort);
  out.clean(text);
  length.close(out);
}

void write_time(TextWriter& out, char tag, UtcMicros time) noexcept {
  const auto ms = static_cast<std::uint64_t>(time.count / 1000);
  if (ms == 0) return;
  out.byte(tag);
  write_varint(out, ms);
}

void write_number(TextWriter& out, char tag, double value) noexcept {
  if (value == 0) return;  // both zeros: absent means 0
  out.byte(tag);
  write_double(out, value);
}

void write_metres(TextWriter& out, char tag, double value) noexcept {
  write_number(out, tag, value < kUnknown_m ? std::max(value, -kStatedMost_m) : kUnknown_m);
}

void write_detail(TextWriter& out, const Event& event) noexcept {
  out.byte(tags::kXmlDetail);
  const LengthPlace xml(out, kLong);
  write_open_detail(out, event);
  xml.close(out);

  out.byte(tags::kContact);
  const LengthPlace contact(out, kShort);
  out.byte(tags::kCallsign);
  const LengthPlace callsign(out, kShort);
  write_callsign(out, event, TextForm::kUtf8);
  callsign.close(out);
  contact.close(out);

  out.byte(tags::kPrecisionLocation);
  const LengthPlace precision(out, kShort);
  write_text(out, tags::kPointSource, kPointSource);
  write_text(out, tags::kAltitudeSource, event.altitude_source);
  precision.close(out);
}

void write_message(TextWriter& out, const Event& event) noexcept {
  const auto& detection = *event.detection;
  const auto& position = detection.fix.position;
  out.byte(tags::kCotEvent);
  const LengthPlace length(out, kLong);
  write_text(out, tags::kType, event.type);
  write_text(out, tags::kQos, kQos);
  if (detection.exercise) write_text(out, tags::kOpex, kExercise);
  write_text(out, tags::kUid, detection.cot_uid);
  write_time(out, tags::kSendTime, event.time);
  write_time(out, tags::kStartTime, event.start);
  write_time(out, tags::kStaleTime, event.stale);
  write_text(out, tags::kHow, kHow);
  write_number(out, tags::kLat, std::clamp(position.lat_deg, -90.0, 90.0));
  write_number(out, tags::kLon, std::clamp(position.lon_deg, -180.0, 180.0));
  write_metres(out, tags::kHae, event.hae_m);
  write_metres(out, tags::kCe, event.ce_m);
  write_metres(out, tags::kLe, event.le_m);
  out.byte(tags::kDetail);
  const LengthPlace detail(out, kLong);
  write_detail(out, event);
  detail.close(out);
  length.close(out);
}

std::size_t room(const Event& event) noexcept {
  return kFrameRoom + detail_room(event) +
         kEscapedBytesMost * (event.detection->cot_uid.size() + event.type.size() + event.altitude_source.size());
}

}  // namespace

void append_frame(std::string& out, const Event& event) {
  append_with(out, room(event), [&](TextWriter& writer) {
    writer.byte(kFrameMagic);
    const LengthPlace length(writer, kLong);
    write_message(writer, event);
    length.close(writer);
  });
}

void append_datagram(std::string& out, const Event& event) {
  append_with(out, room(event), [&](TextWriter& writer) {
    writer.text(kDatagramHead);
    write_message(writer, event);
  });
}

void append_event(std::string& out, const Event& event, WireFormat format) {
  switch (format) {
    case WireFormat::kXml: return append_xml(out, event);
    case WireFormat::kFrame: return append_frame(out, event);
    case WireFormat::kDatagram: return append_datagram(out, event);
  }
}

}  // namespace detection::cot
