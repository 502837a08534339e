#pragma once
// Cuts a stream of CoT XML into events. Peers write events back to back and receivers cut at the literal "</event>";
// XML headers, line ends and whatever else stands between events is passed over.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace detection::cot {

/// Fed with pieces as they come from a connection; each byte is looked at once, however the stream is cut. Holds at
/// most the unfinished event, up to the limit. Not for use by several threads at once.
///
///   while (auto event = splitter.next(bytes)) handle(*event);   // `bytes` is then empty, the rest is kept
class EventSplitter {
 public:
  static constexpr std::size_t kDefaultEventBytesMost = 8u << 20;  ///< TAK Server's own limit

  explicit EventSplitter(std::size_t event_bytes_most = kDefaultEventBytesMost) : most_(event_bytes_most) {}

  /// The next whole event, from "<event" to "</event>", taking what it needs from the front of `bytes`; nothing when
  /// they are used up. The text is not checked further. Valid until the next call and as long as the caller's bytes.
  [[nodiscard]] std::optional<std::string_view> next(std::string_view& bytes);

  /// Events longer than the limit: passed over up to their end, the stream goes on behind.
  [[nodiscard]] std::uint64_t skipped_events() const noexcept { return skipped_; }
  /// Bytes held of an unfinished event.
  [[nodiscard]] std::size_t held_bytes() const noexcept { return held_.size(); }

 private:
  enum class State : std::uint8_t { kBetween, kInside, kSkipping };

  [[nodiscard]] bool advance(char c) noexcept;
  void keep(std::string_view part);

  std::size_t most_;
  State state_ = State::kBetween;
  std::size_t matched_ = 0;  ///< characters of the tag looked for that were just seen
  bool emitted_ = false;     ///< held_ was handed out by the last call
  std::uint64_t skipped_ = 0;
  std::string held_;
};

}  // namespace detection::cot
