#pragma once
// What a peer sends, as events, in either protocol (private to this room; no I/O).

#include <cstdint>
#include <optional>
#include <string_view>

#include "cot/event_splitter.hpp"
#include "cot/frame_reader.hpp"
#include "detection/time.hpp"

namespace detection::tak {

/// Views are valid until the next call, and as long as the bytes it came from.
struct InboundEvent {
  std::string_view type;
  std::string_view uid;
  std::optional<UtcMicros> time;
  std::string_view text;  ///< the whole of it: XML, or a TakMessage
};

class Inbound {
 public:
  explicit Inbound(std::size_t event_bytes_most) : xml_(event_bytes_most), frames_(event_bytes_most) {}

  /// The next event, taking what it needs from the front of `bytes`; nothing when they are used up or the stream is
  /// broken. An event that cannot be read is passed over and counted.
  [[nodiscard]] std::optional<InboundEvent> next(std::string_view& bytes);
  /// From the next byte on the peer speaks frames.
  void expect_frames() noexcept { speaks_frames_ = true; }
  [[nodiscard]] bool speaks_frames() const noexcept { return speaks_frames_; }
  /// Frames only: why nothing more can be read of it; empty while all is well.
  [[nodiscard]] std::string_view broken() const { return frames_.fault_words(); }
  [[nodiscard]] std::uint64_t skipped() const noexcept { return xml_.skipped_events() + unreadable_; }

 private:
  cot::EventSplitter xml_;
  cot::FrameSplitter frames_;
  bool speaks_frames_ = false;
  std::uint64_t unreadable_ = 0;
};

}  // namespace detection::tak
