#pragma once
// Which batches an answer to a ping confirms (private to this room; no I/O, one thread, one connection).
//
// A server handles what one connection sends in order, so the answer to a ping shows that everything before the ping
// was read. The trouble is to know *which* ping an answer belongs to:
//
// - A ping that comes back (OpenTAKServer) carries our uid and its time: it names its ping exactly.
// - "takPong" (TAK Server, taky) carries no reference. A server answers a ping at most once and in order, so the m-th
//   answer belongs to the m-th ping *or a later one*: counting it for the oldest unanswered ping never confirms too
//   much. A late answer to a ping believed lost so counts for that ping, not for the batches after it. When an answer
//   was truly lost the count lags by one for the rest of the connection: a batch then takes one ping more, and nothing
//   is guessed. After more than kUnansweredMost the ledger says kOutOfStep, and the connection is to be made anew.
// - Only one ping is *awaited* at a time; a further one goes out after its answer, or when it seems lost. An answer
// while
//   none is unanswered is ignored. Whether a text that was seen before is a repeat (a server that answers twice) or a
//   true answer (a server whose pongs tell whole seconds, or no time at all) is learnt from the server itself:
//   * at first pings leave kPingSpacingCareful after the last answer, so that a repeat comes while nothing is awaited
//   and
//     is known for what it is: from then on known texts are repeats (kDistinct);
//   * a known text that comes while a ping is awaited, and no repeat ever did, is this server's way to answer (kAlike);
//   * kDistinctEnough different texts in quick succession show a server that tells milliseconds (kDistinct).
//   Among distinct ones a ping leaves kPingSpacing after the last answer, so that two true answers never share a
//   millisecond; when a text does repeat while a ping is awaited, the clock may be coarser: see clock_is_coarse().

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>

#include "detection/time.hpp"
#include "tak/sink.hpp"

namespace detection::tak {

using SteadyTime = std::chrono::steady_clock::time_point;

inline constexpr std::size_t kUnansweredMost = 4;
inline constexpr std::chrono::milliseconds kPingSpacing{2};
/// Until it is known whether this server repeats its answers.
inline constexpr std::chrono::milliseconds kPingSpacingCareful{20};
inline constexpr std::size_t kDistinctEnough = 16;
/// Answers to pings farther apart than this say nothing of how fine the server's clock is.
inline constexpr std::chrono::milliseconds kQuickSuccession{500};
/// Of a server that repeats its answers and tells whole seconds.
inline constexpr std::chrono::milliseconds kPingSpacingCoarse{1'100};

/// A ping as it was written.
struct Ping {
  UtcMicros time{};              ///< whole milliseconds, different for each ping of a sink
  std::uint64_t end_offset = 0;  ///< in the stream: one past its last byte
  std::uint64_t covers = 0;      ///< so many batches of this connection lie before it
  SteadyTime sent_at{};
};

class PingLedger {
 public:
  enum class Verdict : std::uint8_t { kIgnored, kCounted, kRepeat, kOutOfStep };
  struct Answer {
    Verdict verdict = Verdict::kIgnored;
    std::optional<Ping> exact{};  ///< the ping, when there is no doubt which one was answered
  };

  void add_batch(BatchNumber number, std::uint64_t end_offset) { flight_.push_back({number, end_offset}), ++batches_; }
  /// `ping.covers` is filled in.
  void add_ping(Ping ping);

  /// An event of type t-x-c-t-r, its whole text.
  [[nodiscard]] Answer pong(std::string_view text);
  /// An event of type t-x-c-t with the uid of our pings.
  [[nodiscard]] Answer echo(UtcMicros time);

  /// The next batch that an answer has confirmed, in order; none when there is no more.
  [[nodiscard]] std::optional<BatchNumber> take_confirmed();
  /// The next batch that ends at or before this offset, answered or not.
  [[nodiscard]] std::optional<BatchNumber> take_until(std::uint64_t offset);

  [[nodiscard]] bool awaiting() const noexcept { return awaiting_; }
  [[nodiscard]] bool answered() const noexcept { return answered_; }  ///< on this connection
  [[nodiscard]] std::size_t unanswered() const noexcept { return pings_.size(); }
  [[nodiscard]] bool in_flight() const noexcept { return !flight_.empty(); }
  [[nodiscard]] const Ping* newest() const noexcept { return pings_.empty() ? nullptr : &pings_.back(); }
  [[nodiscard]] std::chrono::milliseconds spacing() const noexcept {
    return texts_ == Texts::kDistinct ? spacing_ : kPingSpacingCareful;
  }
  /// The awaited answer did not come, only an old text again: from now on pings are spaced for a coarse clock.
  void clock_is_coarse() noexcept { spacing_ = kPingSpacingCoarse; }

 private:
  struct Batch {
    BatchNumber number;
    std::uint64_t end_offset;
  };
  enum class Texts : std::uint8_t { kUnknown, kAlike, kDistinct };
  Answer count(std::size_t pings);
  void learn_from_new_text();

  Texts texts_ = Texts::kUnknown;
  std::size_t distinct_ = 0;
  SteadyTime last_answered_ping_{};
  std::deque<Batch> flight_;
  std::deque<Ping> pings_;  ///< unanswered, oldest first
  std::uint64_t batches_ = 0, taken_ = 0, confirmed_ = 0;
  bool awaiting_ = false, answered_ = false, out_of_step_ = false;
  std::chrono::milliseconds spacing_ = kPingSpacing;
  std::array<std::size_t, 8> seen_{};  ///< hashes of the last answers' texts
  std::size_t seen_count_ = 0;
};

}  // namespace detection::tak
