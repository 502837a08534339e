#pragma once
// Reads TAK Protocol v1 of others; the bytes come from outside. frame.hpp says what a frame is.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cot/reader.hpp"

namespace detection::cot {

/// Cuts a stream of frames into payloads. Fed with pieces as they come from a connection; holds at most the unfinished
/// payload, and of that only what has come. Not for use by several threads at once.
///
///   while (auto payload = splitter.next(bytes)) handle(*payload);   // `bytes` is then empty, the rest is kept,
///   if (splitter.fault() != FrameFault::kNone) disconnect();        // or there is no way to go on
class FrameSplitter {
 public:
  static constexpr std::size_t kDefaultPayloadBytesMost = 8u << 20;  ///< as of EventSplitter

  explicit FrameSplitter(std::size_t payload_bytes_most = kDefaultPayloadBytesMost) : most_(payload_bytes_most) {}

  /// The next whole payload, maybe an empty one, taking what it needs from the front of `bytes`; nothing when they are
  /// used up, or from a fault on. White space in front of the first frame is passed over: it may be the end of the XML
  /// before. Valid until the next call and as long as the caller's bytes.
  [[nodiscard]] std::optional<std::string_view> next(std::string_view& bytes);

  enum class Fault : std::uint8_t {
    kNone,
    kMagic,    ///< a frame starts with another byte than 0xbf
    kVarint,   ///< the length does not end within 10 bytes, or has more than 64 bits
    kTooLong,  ///< a payload is longer than the limit
  };
  /// Why the stream is not (any more) one of frames. It stays; the rest of the bytes was left untouched.
  [[nodiscard]] Fault fault() const noexcept { return fault_; }
  /// The same in words; empty for kNone.
  [[nodiscard]] std::string_view fault_words() const noexcept;

  /// Bytes held of an unfinished payload.
  [[nodiscard]] std::size_t held_bytes() const noexcept { return held_.size(); }

 private:
  enum class State : std::uint8_t { kStart, kMagic, kLength, kPayload };

  [[nodiscard]] bool take_head(unsigned char byte) noexcept;
  [[nodiscard]] bool take_length(unsigned char byte) noexcept;
  [[nodiscard]] bool stop(Fault fault) noexcept;

  std::size_t most_;
  State state_ = State::kStart;
  Fault fault_ = Fault::kNone;
  std::uint64_t length_ = 0;  ///< of the payload under way, as far as it is known
  unsigned int shift_ = 0;    ///< of the length's next byte
  bool emitted_ = false;      ///< held_ was handed out by the last call
  std::string held_;
};

using FrameFault = FrameSplitter::Fault;

/// The event in a payload (what FrameSplitter gives, or a datagram behind its three bytes of head), with its typed
/// fields and its XML merged into one detail; where both have an element, the XML's counts. kNotFound for a payload
/// without an event: a TakControl alone, nothing is wrong with it. kValidationFailed for what is no TakMessage, over a
/// limit (`bytes` is of the payload), without uid or type, out of range in place or time, or with texts or XML that
/// read_event would refuse. Unlike there, times and place may be absent: that means 0.
[[nodiscard]] Result<ParsedEvent> read_frame(std::string_view payload, const MarkupLimits& limits = {});

/// Views into a payload.
struct FrameName {
  std::string_view type;
  std::string_view uid;
  UtcMicros time{};  ///< 0 where it is absent, or beyond the year 9999
};

/// Looks only at these: enough to know a pong. Nothing when there is no event, no type or no uid, or bytes that end in
/// the middle of a field. Of fields stated twice the last counts, as everywhere in protobuf. UTF-8 is not checked.
[[nodiscard]] std::optional<FrameName> read_frame_name(std::string_view payload) noexcept;

}  // namespace detection::cot
