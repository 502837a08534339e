#pragma once
// The HTTP/1.1 server: event threads, listeners, connections with absolute deadlines and limits. Knows no route.
//
// One io_context a thread; each has its own acceptor of the API port (SO_REUSEPORT); a connection never leaves its
// thread. The second port (metrics) is served by the first thread.

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "http/exchange.hpp"
#include "http/service.hpp"
#include "telemetry/metrics.hpp"

namespace detection::http {

enum class Port : std::uint8_t { kApi, kMetrics };

struct ServerLimits {
  std::size_t connections_most;          ///< of the API port
  std::size_t metrics_connections_most;  ///< of the other
  std::size_t header_bytes_most;
  std::size_t target_bytes_most;
  std::size_t large_bodies_most;  ///< bytes of all bodies over 64 KiB at once
  std::chrono::milliseconds header_timeout, body_timeout, idle_timeout, write_timeout;
  std::size_t stream_backlog_most = 1u << 20;  ///< bytes that a reader of a stream may be behind
};

/// Makes the routes of one thread and port.
using MakeHandler = std::function<std::unique_ptr<Handler>(Loop& loop, Port port)>;

/// Called where a limit was met: "connections", "header", ... (http_refused_total).
using CountRefused = std::function<void(std::string_view reason)>;

class Server {
 public:
  virtual ~Server() = default;
  [[nodiscard]] virtual Result<void> start() = 0;
  [[nodiscard]] virtual Endpoint endpoint(Port port) const = 0;
  /// Answers carry Connection: close from now on; streams end.
  virtual void begin_drain() = 0;
  /// False: each connection of the API port ends with its next answer, until it is true again.
  virtual void keep_connections(bool keep) = 0;
  virtual void stop(std::chrono::milliseconds grace) = 0;
  /// Since each thread's loop last turned, the longest.
  [[nodiscard]] virtual std::chrono::milliseconds longest_silence() const = 0;
};

/// PEM files of the API port's TLS; re-read when they change. Both empty: plain HTTP.
struct TlsFiles {
  std::string certificate, key;
};

/// The files changed and were read again. An error: the pair from before stays in use. On a thread of its own.
using TlsReloaded = std::function<void(const Result<void>& result)>;

struct ServerSetup {
  Endpoint api{}, metrics{};
  TlsFiles tls{};
  unsigned threads = 2;
  ServerLimits limits{};
  MakeHandler make_handler{};
  CountRefused refused{};
  telemetry::Gauge connections{};
  telemetry::Gauge certificate_expiry{};
  TlsReloaded tls_reloaded{};
};
[[nodiscard]] std::unique_ptr<Server> make_server(ServerSetup setup);

}  // namespace detection::http
