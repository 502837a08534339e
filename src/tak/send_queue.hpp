#pragma once
// What a connection has to send, and how much of it the peer's TCP has (private to this room; one thread). Offsets
// count the bytes of the connection, before TLS.

#include <cstdint>
#include <deque>

#include "tak/stream.hpp"

namespace detection::tak {

class SendQueue {
 public:
  void put(Outgoing outgoing);
  [[nodiscard]] bool empty() const noexcept { return queue_.empty(); }
  /// What is left, and how much of its front is gone: as Stream::write takes them.
  [[nodiscard]] const std::deque<Outgoing>& waiting() const noexcept { return queue_; }
  [[nodiscard]] std::size_t front_written() const noexcept { return front_written_; }
  void wrote(std::size_t bytes);

  [[nodiscard]] std::uint64_t queued() const noexcept { return queued_; }  ///< put so far
  [[nodiscard]] std::uint64_t written() const noexcept { return written_; }
  /// Acknowledged by the peer's TCP; through TLS at least so much, since a record is longer than what it holds.
  [[nodiscard]] std::uint64_t acknowledged() const noexcept { return acknowledged_; }
  [[nodiscard]] bool all_acknowledged() const noexcept { return written_ == acknowledged_; }
  /// Asks the kernel; true when there is more than before.
  bool look(int descriptor);

 private:
  std::deque<Outgoing> queue_;
  std::size_t front_written_ = 0;
  std::uint64_t queued_ = 0, written_ = 0, acknowledged_ = 0;
};

}  // namespace detection::tak
