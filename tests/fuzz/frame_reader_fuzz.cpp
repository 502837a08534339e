// TAK Protocol v1 from outside: the splitter must cut a stream in any pieces as it cuts the whole, within its bound of
// memory; the reader must not crash and agree with the cheap look; what it reads must go through the converter and come
// back. Input is taken as a stream of frames, as a payload, as a detail and as an event's XML (the negotiation's too).

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "cot/frame.hpp"
#include "cot/frame_reader.hpp"
#include "cot/negotiation.hpp"
#include "cot/xml_text.hpp"

namespace {

using namespace detection::cot;

constexpr std::size_t kPayloadBytesMost = 300;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Cut {
  std::vector<std::string> payloads;
  FrameFault fault = FrameFault::kNone;
  std::size_t held = 0;
};

template <class PieceSize>
Cut split(std::string_view stream, PieceSize piece_size) {
  FrameSplitter splitter(kPayloadBytesMost);
  Cut cut;
  while (!stream.empty()) {
    const std::string piece(stream.substr(0, piece_size()));
    stream.remove_prefix(piece.size());
    std::string_view bytes = piece;
    while (const auto payload = splitter.next(bytes)) {
      require(payload->size() <= kPayloadBytesMost);
      cut.payloads.emplace_back(*payload);
    }
    require(bytes.empty() != (splitter.fault() != FrameFault::kNone));
    require(splitter.held_bytes() <= kPayloadBytesMost);
    if (!bytes.empty()) break;
  }
  cut.fault = splitter.fault();
  cut.held = splitter.held_bytes();
  require(splitter.fault_words().empty() == (cut.fault == FrameFault::kNone));
  return cut;
}

/// An event with that detail and a place; nothing when the detail is none.
std::optional<ParsedEvent> through_protobuf(std::string_view uid, std::string_view detail) {
  std::string xml = "<event version='2.0' uid=\"";
  append_escaped(xml, uid);
  xml.append(
      "\" type='a-u-G' time='2026-11-23T19:04:05Z' start='2026-11-23T19:04:05Z' stale='2026-11-23T19:05:05Z'>"
      "<point lat='1' lon='2' hae='3' ce='4' le='5'/><detail>");
  xml.append(detail).append("</detail></event>");
  MarkupLimits limits;
  limits.bytes = 1u << 20;
  std::string datagram;
  if (!append_frame_of_xml(datagram, xml, WireFormat::kDatagram, limits)) return std::nullopt;
  auto event = read_frame(std::string_view(datagram).substr(kDatagramHead.size()), limits);
  require(event.has_value());
  return *event;
}

/// Typed elements move to the front once; from then on nothing changes.
void detail_is_kept(std::string_view uid, std::string_view detail) {
  const auto once = through_protobuf(uid, detail);
  if (!once) return;
  const auto twice = through_protobuf(once->uid, once->detail);
  require(twice && twice->uid == once->uid);
  const auto thrice = through_protobuf(twice->uid, twice->detail);
  require(thrice && thrice->detail == twice->detail);
}

void read(std::string_view payload) {
  const auto event = read_frame(payload);
  const auto name = read_frame_name(payload);
  if (!event) return;
  require(!event->uid.empty() && !event->type.empty());
  require(event->lat_deg >= -90 && event->lat_deg <= 90 && event->lon_deg >= -180 && event->lon_deg <= 180);
  if (name) require(name->uid == event->uid && name->type == event->type && name->time == event->time);
  detail_is_kept(event->uid, event->detail);
}

void read_xml(std::string_view xml) {
  (void)read_protocol_offer(xml);
  (void)read_protocol_response(xml);
  const auto event = read_event(xml);
  std::string frame;
  require(append_frame_of_xml(frame, xml, WireFormat::kFrame).has_value() == event.has_value());
  if (!event) return;
  FrameSplitter splitter;
  std::string_view bytes = frame;
  const auto payload = splitter.next(bytes);
  require(payload && bytes.empty());
  const auto same = read_frame(*payload);
  require(same && same->uid == event->uid && same->type == event->type && same->how == event->how);
  require(same->time.count == event->time.count / 1000 * 1000 && same->lat_deg == event->lat_deg);
  require(same->hae_m == event->hae_m && same->ce_m == event->ce_m);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  std::uint32_t seed = 1;
  for (int i = 0; i < 4; ++i) seed = seed * 256 + data[i];
  const std::string text(reinterpret_cast<const char*>(data) + 4, size - 4);
  read(text);
  read_xml(text);
  detail_is_kept("u", text);
  const auto whole = split(text, [&] { return text.size(); });
  for (const auto& payload : whole.payloads) read(payload);
  const auto pieces = split(text, [&] {
    seed = seed * 1'664'525U + 1'013'904'223U;
    return std::size_t{1} + (seed >> 24) % 13;
  });
  require(whole.payloads == pieces.payloads && whole.fault == pieces.fault && whole.held == pieces.held);
  return 0;
}
