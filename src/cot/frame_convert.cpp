#include "cot/event_head.hpp"
#include "cot/frame.hpp"
#include "cot/reader.hpp"
#include "cot/typed_detail.hpp"
#include "cot/wire.hpp"

namespace detection::cot {
namespace {

std::uint64_t milliseconds(UtcMicros time) {
  return static_cast<std::uint64_t>(time.count / 1000);
}

/// Protobuf would write -0.0.
double without_minus_zero(double value) {
  return value + 0.0;
}

wire::TakMessage message_of(ParsedEvent&& event) {
  wire::TakMessage message;
  auto& out = *message.mutable_event();
  out.set_type(std::move(event.type));
  out.set_access(std::move(event.access));
  out.set_qos(std::move(event.qos));
  out.set_opex(std::move(event.opex));
  out.set_uid(std::move(event.uid));
  out.set_send_time(milliseconds(event.time));
  out.set_start_time(milliseconds(event.start));
  out.set_stale_time(milliseconds(event.stale));
  out.set_how(std::move(event.how));
  out.set_lat(without_minus_zero(event.lat_deg));
  out.set_lon(without_minus_zero(event.lon_deg));
  out.set_hae(without_minus_zero(event.hae_m.value_or(kUnknown_m)));
  out.set_ce(without_minus_zero(event.ce_m.value_or(kUnknown_m)));
  out.set_le(without_minus_zero(event.le_m.value_or(kUnknown_m)));
  out.set_caveat(std::move(event.caveat));
  out.set_releaseable_to(std::move(event.releaseable_to));
  return message;
}

}  // namespace

Result<void> append_frame_of_xml(std::string& out, std::string_view xml, WireFormat format,
                                 const MarkupLimits& limits) {
  auto event = read_event(xml, limits);
  if (!event) return std::unexpected(std::move(event.error()));
  if (format == WireFormat::kXml) {
    out.append(xml);
    return {};
  }
  wire::Detail detail;
  if (auto done = split_detail(event->detail, limits, detail); !done) return done;
  auto message = message_of(std::move(*event));
  if (detail.ByteSizeLong() > 0) *message.mutable_event()->mutable_detail() = std::move(detail);
  if (format == WireFormat::kDatagram) {
    out.append(kDatagramHead);
  } else {
    out.push_back(kFrameMagic);
    append_with(out, kVarintBytesMost, [&](TextWriter& writer) { write_varint(writer, message.ByteSizeLong()); });
  }
  message.AppendToString(&out);
  return {};
}

}  // namespace detection::cot
