#pragma once
// Events as TAK Protocol v1 (protobuf). On a stream 0xbf, the payload's length as a varint, payload; in a datagram 0xbf
// 0x01 0xbf, payload. The payload is a TakMessage (tak_message.proto).
//
// A child of <detail> goes into a field of its own only when nothing of it is left over and it occurs once; else the
// whole of it stays XML in `xmlDetail`. So nothing is lost. Numbers are full doubles, not cut to XML's decimals; times
// have milliseconds; unknown hae, ce and le are 9999999.0. All functions are pure: no clock, no state, any thread.

#include <string>
#include <string_view>

#include "cot/event.hpp"
#include "cot/markup.hpp"
#include "cot/wire_format.hpp"

namespace detection::cot {

/// First byte of every frame and datagram.
inline constexpr char kFrameMagic = '\xbf';
/// In front of a datagram's payload; the middle is the version.
inline constexpr std::string_view kDatagramHead = "\xbf\x01\xbf";

/// Append the event, with the same texts and the same detail as append_xml. They allocate only where `out` must grow.
void append_frame(std::string& out, const Event& event);
void append_datagram(std::string& out, const Event& event);

/// append_xml, append_frame or append_datagram.
void append_event(std::string& out, const Event& event, WireFormat format);

/// The same for any event's XML, from anybody; for what is rare (pings, deletions, own positions). kXml appends the
/// text as it is. kValidationFailed, and nothing appended, for what read_event (reader.hpp) refuses. What TakMessage
/// has no place for is dropped: attributes of <event> beyond ParsedEvent's and of <detail>, elements beside <point> and
/// <detail>.
[[nodiscard]] Result<void> append_frame_of_xml(std::string& out, std::string_view xml, WireFormat format,
                                               const MarkupLimits& limits = {});

}  // namespace detection::cot
