#pragma once
// TAK Protocol v1 written and read by hand, for tests: target tak_test_server. It shares no code with the product, and
// knows of a message only what tests ask for. Source: reference/tak.md 1.6 (field numbers of takmessage and cotevent).

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "detection/time.hpp"

namespace detection::tak {

struct FrameEvent {
  std::string uid, type;
};

/// A stream frame (0xbf, length, TakMessage) of an event at 40.7128, -74.006 that is stale after an hour; a remark
/// pads it to at least `bytes`.
[[nodiscard]] std::string hand_made_frame(const FrameEvent& event, UtcMicros time, std::size_t bytes = 0);

/// The TakMessage inside of the first frame of `stream`.
struct FrameCut {
  enum class What { kWhole, kIncomplete, kBroken };
  What what = What::kIncomplete;
  std::string_view message{};
  std::size_t size = 0;  ///< of the frame with its head
};
/// Broken: no magic byte, or a length of more than 10 bytes or over 64 MiB.
[[nodiscard]] FrameCut cut_frame(std::string_view stream);
/// Type and uid of a TakMessage; nothing when it is not readable to its end or has no event.
[[nodiscard]] std::optional<FrameEvent> read_message(std::string_view message);

}  // namespace detection::tak
