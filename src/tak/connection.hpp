#pragma once
// One attempt to reach a peer and, when it succeeds, the connection until it ends (private to this room): a stream over
// TCP or TLS, datagrams, or a file. Everything here runs on the thread of the io_context.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "detection/time.hpp"
#include "tak/sink.hpp"

namespace boost::asio {
class io_context;
}

namespace detection::tak {

/// What a sink remembers of its peer over connections.
struct PeerMemory {
  bool ever_answered = false;
  bool never_answers = false;
  int silent_connections = 0;  ///< one after the other without an answer, of a peer that used to answer
  bool resync_tried = false;   ///< since the last confirmed batch
  int requests_failed = 0;     ///< for protobuf, in a row: the connection ended before the answer
  std::string ping_uid;        ///< without "-ping"
  std::int64_t last_ping_ms = 0;
  std::minstd_rand random{};
};

/// Figures that any thread may read.
struct Meter {
  static constexpr std::int64_t kNone = INT64_MIN;
  std::atomic<std::uint64_t> events_received{0}, events_skipped{0}, bytes_sent{0}, bytes_received{0};
  std::atomic<std::int64_t> round_trip_us{kNone}, server_clock_ahead_us{kNone};
  std::atomic<std::int64_t> certificate_expires_us{kNone};
  std::atomic<bool> answers{false}, speaks_frames{false};
};

/// Why an event was refused of which EventBatch::append() made nothing.
inline constexpr std::string_view kNothingMade = "no event could be made of it";

class ConnectionOwner {
 public:
  virtual void connected() = 0;
  virtual void delivered(BatchNumber batch, Delivery how) = 0;
  virtual void delivered_all_known() = 0;  ///< after one or more delivered()
  /// One event can never be sent; before delivered() of its batch.
  virtual void refused(BatchNumber batch, std::size_t index, std::string_view reason) = 0;
  virtual void never_answers(bool never) = 0;
  /// Something is wrong, and the connection stands.
  virtual void trouble(std::string_view what) = 0;
  /// Once, also when it never connected; nothing comes after it.
  virtual void ended(std::string_view reason) = 0;

 protected:
  ~ConnectionOwner() = default;
};

class Connection {
 public:
  virtual ~Connection() = default;
  virtual void open() = 0;
  /// Without a number: an announcement, which nobody waits for.
  virtual void send(std::optional<BatchNumber> number, std::shared_ptr<const EventBatch> batch) = 0;
  /// Says goodbye (FIN) and waits at most `linger` for the peer's: closing with unread input would be a reset, which
  /// may destroy what the peer has not read yet.
  virtual void close(std::chrono::milliseconds linger) = 0;
};

/// `options`, `memory`, `meter` and `owner` outlive the thread that runs the context.
[[nodiscard]] std::shared_ptr<Connection> make_stream_connection(
    const std::shared_ptr<boost::asio::io_context>& context, const SinkOptions& options, PeerMemory& memory,
    Meter& meter, ConnectionOwner& owner);
/// One event a datagram; what the kernel took is delivered, unconfirmed.
[[nodiscard]] std::shared_ptr<Connection> make_datagram_connection(
    const std::shared_ptr<boost::asio::io_context>& context, const SinkOptions& options, Meter& meter,
    ConnectionOwner& owner);
/// Appends; a batch is delivered, confirmed, when it is on disk. The file is made anew when it was moved away.
[[nodiscard]] std::shared_ptr<Connection> make_file_connection(const std::shared_ptr<boost::asio::io_context>& context,
                                                               const SinkOptions& options, Meter& meter,
                                                               ConnectionOwner& owner);

}  // namespace detection::tak
