#pragma once
// One attempt to reach a TAK server over TCP and, when it succeeds, the connection until it ends (private to this
// room). Everything here runs on the thread of the io_context.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
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
  std::string ping_uid;        ///< without "-ping"
  std::int64_t last_ping_ms = 0;
  std::minstd_rand random{};
};

/// Figures that any thread may read.
struct Meter {
  static constexpr std::int64_t kNone = INT64_MIN;
  std::atomic<std::uint64_t> events_received{0}, events_skipped{0}, bytes_sent{0}, bytes_received{0};
  std::atomic<std::int64_t> round_trip_us{kNone}, server_clock_ahead_us{kNone};
  std::atomic<bool> answers{false};
};

class ConnectionOwner {
 public:
  virtual void connected() = 0;
  virtual void delivered(BatchNumber batch, Delivery how) = 0;
  virtual void delivered_all_known() = 0;  ///< after one or more delivered()
  virtual void never_answers(bool never) = 0;
  /// Once, also when it never connected; nothing comes after it.
  virtual void ended(std::string_view reason) = 0;

 protected:
  ~ConnectionOwner() = default;
};

class Connection {
 public:
  virtual ~Connection() = default;
  virtual void open() = 0;
  virtual void send(BatchNumber batch, std::string events) = 0;
  /// Says goodbye (FIN) and waits at most `linger` for the peer's: closing with unread input would be a reset, which
  /// may destroy what the peer has not read yet.
  virtual void close(std::chrono::milliseconds linger) = 0;
};

/// `options`, `memory`, `meter` and `owner` outlive the thread that runs the context.
[[nodiscard]] std::shared_ptr<Connection> make_tcp_connection(const std::shared_ptr<boost::asio::io_context>& context,
                                                              const SinkOptions& options, PeerMemory& memory,
                                                              Meter& meter, ConnectionOwner& owner);

}  // namespace detection::tak
