#pragma once
// A TAK sink: one persistent connection to one TAK server, that says when the server has what it was sent.
//
// Threads: a sink owns one thread; send() and the rest may be called from any other; the listener is called on the
// sink's thread and must not block or throw. The sink knows bytes and batches, not the store.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "detection/error.hpp"
#include "detection/time.hpp"

namespace detection::tak {

enum class Scheme : std::uint8_t { kTcp };

/// tcp://host:port; IPv6 in brackets. `tls://`, `udp://` and `file://` are named in the error: not in this version.
struct SinkAddress {
  Scheme scheme = Scheme::kTcp;
  std::string host;
  std::uint16_t port = 0;
};
[[nodiscard]] Result<SinkAddress> parse_sink_address(std::string_view url);

struct SinkOptions {
  std::string name = "tak";
  SinkAddress address{};
  std::string uid = "detection-api";  ///< of our own pings: "<uid>.<random>-ping"
  std::size_t window_batches = 4;     ///< sent and not confirmed at once
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds write_timeout{10'000};    ///< no byte taken by the peer for so long: reconnect
  std::chrono::milliseconds ping_interval{15'000};    ///< of silence, before a keep-alive ping
  std::chrono::milliseconds pong_timeout{10'000};     ///< a ping unanswered for so long is one lost
  int pongs_lost_until_unconfirmed = 2;               ///< then the peer is one that never answers
  std::chrono::milliseconds silence_timeout{60'000};  ///< nothing at all from a peer that did answer: reconnect
  std::chrono::milliseconds backoff_first{100};
  std::chrono::milliseconds backoff_most{1'500};  ///< with jitter, without an end
  std::size_t event_bytes_most = 8u << 20;        ///< of one event from the peer; a longer one is skipped
  std::uint64_t jitter_seed = 0;                  ///< 0: from the system
};

enum class Delivery : std::uint8_t { kConfirmed, kSentUnconfirmed };

using BatchNumber = std::uint64_t;

class SinkListener {
 public:
  /// Connected (again): batches may be sent. Nothing is in flight.
  virtual void sink_ready() noexcept = 0;
  /// There is room in the window (also after sink_ready).
  virtual void sink_room() noexcept = 0;
  virtual void batch_delivered(BatchNumber batch, Delivery how) noexcept = 0;
  /// The connection ended: every batch not yet delivered is lost to this sink (at-least-once: some may have arrived).
  virtual void sink_lost(std::string_view reason) noexcept = 0;
  /// Said once for each change: the peer does not answer pings (true) or does after all (false).
  virtual void peer_never_answers(bool never) noexcept = 0;

 protected:
  ~SinkListener() = default;
};

struct SinkStatus {
  bool connected = false;
  bool answers_pings = false;
  std::uint64_t connects = 0;  ///< connections made
  std::uint64_t attempts = 0;  ///< connections tried
  std::uint64_t events_received = 0;
  std::uint64_t events_skipped = 0;  ///< too long or unreadable
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::optional<std::chrono::microseconds> round_trip{};          ///< of the last answered ping
  std::optional<std::chrono::microseconds> server_clock_ahead{};  ///< from the pong's time
  std::string last_error;
};

class Sink {
 public:
  virtual ~Sink() = default;  ///< stops
  virtual void start() = 0;
  /// Whole events back to back, as one batch; the sink adds the ping. False (and nothing taken) when not connected or
  /// the window is full.
  [[nodiscard]] virtual bool send(BatchNumber batch, std::string events) = 0;
  /// Waits up to `grace` for what is in flight, closes the connection and joins the thread. Idempotent.
  virtual void stop(std::chrono::milliseconds grace) = 0;
  [[nodiscard]] virtual SinkStatus status() const = 0;
};

[[nodiscard]] std::unique_ptr<Sink> make_tcp_sink(const SinkOptions& options, SinkListener& listener);

}  // namespace detection::tak
