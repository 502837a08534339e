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
#include "tak/batch.hpp"

namespace detection::tak {

enum class Scheme : std::uint8_t { kTcp, kTls, kUdp, kFile };

/// tcp://host:port, tls://host:port, udp://host:port (a group's address: multicast), file:///absolute/path; IPv6 in
/// brackets. Settings are not part of it: nothing may follow the port or the path.
struct SinkAddress {
  Scheme scheme = Scheme::kTcp;
  std::string host;
  std::uint16_t port = 0;
  std::string path{};  ///< of file://
};
[[nodiscard]] Result<SinkAddress> parse_sink_address(std::string_view url);
/// The same address as text.
[[nodiscard]] std::string sink_url(const SinkAddress& address);

/// TLS to a server: its certificate is always checked against `ca.crt` of the credentials (without one: the system's
/// authorities), its name unless a pin is given.
struct TlsOptions {
  std::string credentials;    ///< folder, see credentials.hpp; empty: none
  std::string expected_name;  ///< in place of the address's host
  std::string pin_sha256;  ///< hex, of the server certificate (DER): then that one only, whatever its name and issuer
};

/// Which protocol a stream speaks.
enum class ProtocolChoice : std::uint8_t {
  kNegotiate,  ///< XML, and protobuf after the server's offer
  kXml,        ///< XML always: offers are left alone
  kProtobuf,   ///< datagrams only: TAK Protocol v1 without asking
};

struct SinkOptions {
  std::string name = "tak";
  SinkAddress address{};
  TlsOptions tls{};  ///< of tls://
  ProtocolChoice protocol = ProtocolChoice::kNegotiate;
  std::string username, password;  ///< sent first as `<auth>` where not empty
  std::string interface;           ///< of udp://: the name or address of the interface of a group; empty: the system's
  int multicast_ttl = 1;
  std::chrono::milliseconds negotiation_timeout{60'000};  ///< for the answer to our request
  std::string uid = "detection-api";                      ///< of our own pings: "<uid>.<random>-ping"
  std::size_t window_batches = 4;                         ///< sent and not confirmed at once
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

/// Why a connection ended that still had bytes of a batch when its EventBatch::good_until() came.
inline constexpr std::string_view kTooLate = "what was left to send was no longer ours to send";

class SinkListener {
 public:
  /// Connected (again): batches may be sent. Nothing is in flight.
  virtual void sink_ready() noexcept = 0;
  /// There is room in the window (also after sink_ready).
  virtual void sink_room() noexcept = 0;
  virtual void batch_delivered(BatchNumber batch, Delivery how) noexcept = 0;
  /// One event of a batch did not go out and never will: nothing could be made of it (append() added nothing), or it is
  /// too large for a datagram. Said before batch_delivered() of its batch, whose other events are not concerned.
  virtual void event_refused(BatchNumber /*batch*/, std::size_t /*index*/, std::string_view /*reason*/) noexcept {}
  /// The connection ended: every batch not yet delivered is lost to this sink (at-least-once: some may have arrived).
  virtual void sink_lost(std::string_view reason) noexcept = 0;
  /// Said once for each change: the peer does not answer pings (true) or does after all (false).
  virtual void peer_never_answers(bool never) noexcept = 0;

 protected:
  ~SinkListener() = default;
};

enum class SinkState : std::uint8_t {
  kConnecting,
  kConnected,
  kWaiting,  ///< until the next try
};

struct SinkStatus {
  SinkState state = SinkState::kConnecting;
  UtcMicros since{};                               ///< of that state
  std::string_view protocol = "xml";               ///< spoken now: "xml" or "protobuf"
  std::optional<UtcMicros> certificate_expires{};  ///< of our own client certificate
  bool connected = false;
  bool answers_pings = false;  ///< on this connection one was answered; false again when it ends
  std::uint64_t connects = 0;  ///< connections made
  std::uint64_t attempts = 0;  ///< connections tried
  std::uint64_t events_received = 0;
  std::uint64_t events_skipped = 0;  ///< too long or unreadable
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::optional<std::chrono::microseconds> round_trip{};          ///< of the last answered ping
  std::optional<std::chrono::microseconds> server_clock_ahead{};  ///< from the pong's time
  std::string last_error;                                         ///< in words, with what to do where that is known
  std::optional<UtcMicros> last_error_at{};
};

class Sink {
 public:
  virtual ~Sink() = default;  ///< stops
  virtual void start() = 0;
  /// The sink adds the ping. False (and nothing taken) when not connected or the window is full.
  [[nodiscard]] virtual bool send(BatchNumber number, std::shared_ptr<const EventBatch> batch) = 0;
  /// Sends these events once, if there is a connection, behind what was sent before: nobody is told what became of
  /// them. For what is said again anyway (the feeder's own position).
  virtual void announce(std::shared_ptr<const EventBatch> events) = 0;
  /// Waits up to `grace` for what is in flight, closes the connection and joins the thread. Idempotent.
  virtual void stop(std::chrono::milliseconds grace) = 0;
  [[nodiscard]] virtual SinkStatus status() const = 0;
};

/// As the scheme of the address says.
[[nodiscard]] std::unique_ptr<Sink> make_sink(const SinkOptions& options, SinkListener& listener);

}  // namespace detection::tak
