#pragma once
// The detail of a detection's event, in the parts in which the wire formats need it: contact and precisionlocation have
// fields of their own in protobuf, the rest is the same XML text everywhere. For this room only.

#include <cstddef>
#include <string_view>

#include "cot/event.hpp"
#include "cot/text_writer.hpp"

namespace detection::cot {

inline constexpr std::string_view kHow = "m-i";    ///< measured from one image
inline constexpr std::string_view kQos = "5-r-g";  ///< replaces older ones of its uid; never to be dropped on the way
inline constexpr std::string_view kPointSource = "CALC";  ///< geopointsrc

/// Room that all parts of the detail need together, whatever is in the event.
[[nodiscard]] std::size_t detail_room(const Event& event) noexcept;

enum class TextForm : bool { kXml, kUtf8 };
/// The map label: class and confidence.
void write_callsign(TextWriter& out, const Event& event, TextForm form) noexcept;

/// All behind precisionlocation: link, color, our own element, and as much of the remarks as leaves the XML form of the
/// event within kEventBytesMost.
void write_open_detail(TextWriter& out, const Event& event) noexcept;

}  // namespace detection::cot
