// CoT bytes from outside. The reader must not crash, and agree with the cheap look at the start tag; the splitter must
// cut a stream in any pieces as it cuts the whole, within its bound of memory.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "cot/event_splitter.hpp"
#include "cot/reader.hpp"
#include "cot/validate.hpp"

namespace {

using namespace detection::cot;

constexpr std::size_t kEventBytesMost = 200;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Cut {
  std::vector<std::string> events;
  std::uint64_t skipped = 0;
  std::size_t held = 0;
};

template <class PieceSize>
Cut split(std::string_view stream, PieceSize piece_size) {
  EventSplitter splitter(kEventBytesMost);
  Cut cut;
  while (!stream.empty()) {
    const std::string piece(stream.substr(0, piece_size()));
    stream.remove_prefix(piece.size());
    std::string_view bytes = piece;
    while (const auto event = splitter.next(bytes)) {
      require(event->starts_with("<event") && event->ends_with("</event>") && event->size() <= kEventBytesMost);
      cut.events.emplace_back(*event);
    }
    require(bytes.empty() && splitter.held_bytes() <= kEventBytesMost);
  }
  cut.skipped = splitter.skipped_events();
  cut.held = splitter.held_bytes();
  return cut;
}

void read(std::string_view xml) {
  const auto parsed = read_event(xml);
  const auto name = read_event_name(xml);
  (void)violations(xml);
  if (!parsed) return;
  require(!parsed->uid.empty() && !parsed->type.empty());
  require(parsed->lat_deg >= -90 && parsed->lat_deg <= 90 && parsed->lon_deg >= -180 && parsed->lon_deg <= 180);
  require(xml.find(parsed->detail) != std::string_view::npos);
  // Without references and comments both looks must see the same.
  if (!xml.starts_with("<event") || xml.find('&') != std::string_view::npos || xml.find('\t') != xml.npos ||
      xml.find('\n') != xml.npos || xml.find('\r') != xml.npos)
    return;
  require(name && name->uid == parsed->uid && name->type == parsed->type);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  std::uint32_t seed = 1;
  for (int i = 0; i < 4; ++i) seed = seed * 256 + data[i];
  const std::string text(reinterpret_cast<const char*>(data) + 4, size - 4);
  read(text);
  const auto whole = split(text, [&] { return text.size(); });
  for (const auto& event : whole.events) read(event);
  const auto pieces = split(text, [&] {
    seed = seed * 1'664'525U + 1'013'904'223U;
    return std::size_t{1} + (seed >> 24) % 13;
  });
  require(whole.events == pieces.events && whole.skipped == pieces.skipped && whole.held == pieces.held);
  return 0;
}
